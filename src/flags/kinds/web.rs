//! `web`: a directory of files for a web server, which needs no reload to follow them.

use crate::error::Result;
use crate::flags::definition::{Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::Kind;
use crate::flags::kinds::parent::check_directory;
use crate::flags::piece::Piece;
use crate::format::Format;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::Web,
    path: "a directory",
    on: "`down`, `page.html`, `page.json`, `page.txt`, `retry-after`, `allow/ADDRESS`",
    carries: &[Fact::Page, Fact::RetryAfter, Fact::Addresses],
    drive: Drive::Files { check: check_directory, pieces, is_blank: |_| false },
};

/// Only `down` is a switch. The others are for while it is there, so they stay when it goes:
/// a request that has just met it still finds its page.
fn pieces(order: &Order<'_>) -> Result<Vec<Piece>> {
    let directory = order.flag.place()?;
    let at = |name: &str| directory.join(name);
    let Some(notice) = order.notice else {
        let kept = ["page.html", "page.json", "page.txt", "retry-after"];
        let mut pieces: Vec<Piece> =
            kept.into_iter().map(|name| Piece::kept(at(name)).with_directory()).collect();
        pieces.push(Piece::there(at("down"), None).with_directory());
        return Ok(pieces);
    };
    let mut files = Vec::new();
    for address in notice.addresses() {
        // IPv6 in the spelling of RFC 5952, as nginx and Apache write it.
        files.push((format!("allow/{address}"), Vec::new()));
    }
    for format in [Format::Html, Format::Json, Format::Txt] {
        files.push((format!("page.{}", format.extension()), notice.page(format)));
    }
    // Apache takes the bytes as they are: a line feed would end the field.
    files.push(("retry-after".to_owned(), notice.retry_after().into_bytes()));
    files.push(("down".to_owned(), Vec::new()));
    let piece =
        |(name, bytes): (String, Vec<u8>)| Piece::there(at(&name), Some(bytes)).with_directory();
    Ok(files.into_iter().map(piece).collect())
}
