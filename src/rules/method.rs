//! Request methods.

use crate::error::{Error, Result};
use crate::request::field::is_token;

/// The safe methods (RFC 9110, 9.2.1), which a read-only window lets through: those of HTTP,
/// PROPFIND (RFC 4918), REPORT (RFC 3253), SEARCH (RFC 5323) and QUERY
/// (draft-ietf-httpbis-safe-method-w-body).
pub(crate) const SAFE: [&str; 8] =
    ["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"];

/// Methods that completion offers.
pub const COMMON: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// Every registered method (<https://www.iana.org/assignments/http-methods>), in upper case.
/// The last ones are not, and some servers and devices know them.
const REGISTERED: [&str; 48] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
    "BAN",
    "M-SEARCH",
    "NOTIFY",
    "PURGE",
    "REFRESH",
    "SOURCE",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
];

/// What is odd about a method that is a token: nobody registered it. Servers may still take
/// it, so it is no error.
#[must_use]
pub(crate) fn doubt(method: &str) -> Option<String> {
    if REGISTERED.contains(&method) {
        return None;
    }
    let near = REGISTERED.iter().map(|known| (distance(known, method), *known)).min();
    let meant = near.filter(|(distance, _)| *distance <= 2 && method.len() > 2);
    let meant = meant.map_or_else(String::new, |(_, known)| format!("; did you mean `{known}`?"));
    Some(format!("`{method}` is no registered method{meant}"))
}

/// How many letters differ, where two neighbours that changed places count once.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let differs = usize::from(one[i - 1] != other[j - 1]);
            let mut least =
                (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + differs);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

/// Reads a method and returns it in upper case.
///
/// # Errors
///
/// [`Error::Invalid`] if it is not a token (RFC 9110, 5.6.2), or if it has more than 64
/// bytes.
pub fn parse(text: &str) -> Result<String> {
    if is_token(text) && text.len() <= 64 {
        Ok(text.to_ascii_uppercase())
    } else {
        Err(Error::invalid_with(
            format!("`{}` is not a request method", text.escape_debug()),
            "write one method, like `POST`",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_nobody_registered_is_doubted_and_the_one_that_was_meant_is_said() {
        for known in COMMON.iter().chain(&SAFE).chain(&["PURGE", "PROPPATCH"]) {
            assert_eq!(doubt(known), None);
        }
        for (typed, meant) in [("PSOT", "`POST`?"), ("GTE", "`GET`?"), ("DELTE", "`DELETE`?")] {
            assert!(doubt(typed).unwrap().ends_with(meant), "{:?}", doubt(typed));
        }
        assert_eq!(doubt("FROBNICATE").unwrap(), "`FROBNICATE` is no registered method");
    }
}
