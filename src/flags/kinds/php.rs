//! What the kinds for PHP have in common: the program that answers in place of the app.
//!
//! The programs are files of their own in `php/`. Their bytes never change for a flag, since
//! PHP's opcache may keep the first that it saw; all that changes is in JSON.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::flags::notice::Notice;
use crate::format::Format;

/// The version of the data. A program takes data of another version for unreadable.
pub(super) const VERSION: u32 = 1;

/// The part that sends the page, in front of each program.
const ANSWER: &str = include_str!("php/answer.php");

/// The answer to a request that is stopped, as the programs read it.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In seconds, while no end is promised and none expected.
    pub(super) retry_after: u32,
    /// When the end is expected, in microseconds since 1970. While it is to come it goes before
    /// the promised one.
    pub(super) estimate: Option<i64>,
    /// In microseconds since 1970.
    pub(super) promised_end: Option<i64>,
    /// What those get who name no format.
    pub(super) usual: &'static str,
    /// By the names `html`, `json` and `txt`.
    pub(super) pages: BTreeMap<&'static str, Page>,
}

/// The page in one format.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn of(notice: &Notice<'_>) -> Self {
        let page = |format: Format| {
            let reply = notice.reply(format);
            let of_each = ["retry-after", "content-length"];
            let headers = reply.headers().filter(|(name, _)| !of_each.contains(name));
            let page = Page {
                headers: headers
                    .map(|(name, value)| (name.to_owned(), value.into_owned()))
                    .collect(),
                body: String::from_utf8_lossy(reply.body()).into_owned(),
            };
            (format.extension(), page)
        };
        Self {
            status: notice.status(),
            retry_after: notice.fallback_seconds(),
            estimate: notice.window.estimate.map(time),
            promised_end: notice.window.promised_end().map(time),
            usual: notice.settings().format.unwrap_or(Format::Html).extension(),
            pages: [Format::Html, Format::Json, Format::Txt].into_iter().map(page).collect(),
        }
    }
}

/// A time as the programs compare it: in microseconds since 1970.
pub(super) fn time(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A whole program: what sends the page, and then a part of `php/`.
pub(super) fn program(part: &str) -> String {
    let part = part.strip_prefix("<?php\n").unwrap_or(part);
    format!("{ANSWER}\n{part}")
}

/// A path as a string of PHP in single quotes, where only the quote and the backslash mean
/// something else.
pub(super) fn quoted(path: &Path) -> Vec<u8> {
    let mut text = vec![b'\''];
    for &byte in path.as_os_str().as_encoded_bytes() {
        if matches!(byte, b'\'' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text.push(b'\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_quotes() {
        for (path, expected) in [
            ("/srv/shop/x.json", "'/srv/shop/x.json'"),
            ("/a'b", r"'/a\'b'"),
            (r"/a\'.phpinfo().'", r"'/a\\\'.phpinfo().\''"),
            ("/a\n?>", "'/a\n?>'"),
        ] {
            assert_eq!(quoted(Path::new(path)), expected.as_bytes());
        }
    }

    #[test]
    fn a_program_begins_once() {
        for part in [include_str!("php/wordpress.php"), include_str!("php/laravel.php")] {
            let program = program(part);
            assert!(program.starts_with("<?php\n"), "text before it would leak into pages");
            assert_eq!(program.matches("<?php").count(), 1);
            assert!(!program.contains("?>"));
        }
    }
}
