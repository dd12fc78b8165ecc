//! Cookies of a request (RFC 6265, 4.2 and 5.4).

use super::Request;
use super::field::trim;

/// The name of the cookie that carries a bypass token.
pub const COOKIE: &str = "maint_bypass";

/// Its name on an encrypted connection. Browsers accept a `__Host-` cookie from this
/// host alone (RFC 6265bis, 4.1.3).
pub(crate) const HOST_COOKIE: &str = "__Host-maint_bypass";

/// Both names, the stricter first.
pub(crate) const COOKIES: [&str; 2] = [HOST_COOKIE, COOKIE];

/// The query parameter that carries the token of a bypass link.
pub const PARAMETER: &str = "maint_bypass";

/// How many values are tried. Browsers send few, and a client that sends more causes
/// no more work.
const MAX_VALUES: usize = 8;

/// Finds the first value of a cookie of these names that `is_meant` accepts.
pub(crate) fn find<T>(
    request: &impl Request,
    names: &[&str],
    mut is_meant: impl FnMut(&str) -> Option<T>,
) -> Option<T> {
    let mut found = None;
    let mut tried = 0;
    request.header("cookie", &mut |line| {
        for pair in line.split(|&byte| byte == b';').map(trim) {
            let Some(equals) = pair.iter().position(|&byte| byte == b'=') else { continue };
            let is_named = names.iter().any(|name| name.as_bytes() == &pair[..equals]);
            if !is_named || found.is_some() || tried == MAX_VALUES {
                continue;
            }
            tried += 1;
            found = str::from_utf8(&pair[equals + 1..]).ok().and_then(&mut is_meant);
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::super::RequestParts;
    use super::*;

    fn value(line: &str) -> Option<String> {
        let request = RequestParts::new("GET", "/").with("Cookie", line);
        find(&request, &["a"], |value| Some(value.to_owned()))
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        assert_eq!(value("x=1; a=2; b=3").as_deref(), Some("2"));
        assert_eq!(value("a=2;a=3").as_deref(), Some("2"));
        assert_eq!(value("a=b=c").as_deref(), Some("b=c"));
        for line in ["", "a", "A=1", "xa=1", "a =1", "=a", ";;;", "\u{e4}=1"] {
            assert_eq!(value(line), None, "{line}");
        }
    }

    #[test]
    fn values_are_tried_in_turn_but_not_without_end() {
        let line = "a=no; ".repeat(MAX_VALUES - 1) + "a=yes";
        let is_yes = |value: &str| (value == "yes").then_some(());
        let request = RequestParts::new("GET", "/").with("cookie", &line);
        assert!(find(&request, &["a"], is_yes).is_some());
        let request = RequestParts::new("GET", "/").with("cookie", &format!("a=no; {line}"));
        assert!(find(&request, &["a"], is_yes).is_none());
    }
}
