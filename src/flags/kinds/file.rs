//! `file`: an empty file, for whatever looks whether a file is there.

use crate::error::Result;
use crate::flags::definition::{Definition, Drive, Order};
use crate::flags::flag::Kind;
use crate::flags::kinds::parent::check_parent;
use crate::flags::piece::Piece;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::File,
    path: "a file",
    on: "an empty file",
    carries: &[],
    drive: Drive::Files { check: check_parent, pieces, is_blank: |_| false },
};

fn pieces(order: &Order<'_>) -> Result<Vec<Piece>> {
    let path = order.flag.place()?.to_owned();
    Ok(vec![Piece::there(path, order.notice.map(|_| Vec::new()))])
}
