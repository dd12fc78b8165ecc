//! `page`: the finished page, for whatever shows a file that is there.

use crate::error::Result;
use crate::flags::definition::{Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::Kind;
use crate::flags::kinds::parent::check_parent;
use crate::flags::piece::Piece;
use crate::format::Format;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::Page,
    path: "a file",
    on: "the finished HTML page",
    carries: &[Fact::Page],
    drive: Drive::Files { check: check_parent, pieces, is_blank: |_| false },
};

fn pieces(order: &Order<'_>) -> Result<Vec<Piece>> {
    let path = order.flag.place()?.to_owned();
    Ok(vec![Piece::there(path, order.notice.map(|notice| notice.page(Format::Html)))])
}
