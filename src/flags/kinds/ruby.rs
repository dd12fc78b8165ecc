//! Path patterns as regular expressions of Ruby, over the path as it was sent.

use crate::rules::PathPattern;

/// One byte of a segment: itself, or an escape that no server takes for something else. A path
/// with another byte is ambiguous, and gets through nowhere.
const BYTE: &str =
    "(?:[^/%\\\\;#?\\x00-\\x20\\x7f]|%(?!0|1|25|2[Ee]|2[Ff]|3[Bb]|5[Cc]|7[Ff])[0-9A-Fa-f]{2})";

/// No segment is `.` or `..`.
const NO_DOTS: &str = "(?!(?:[^/]*/)*\\.{1,2}(?:/|\\z))";

/// An expression that matches no path that the pattern does not match; `None` if Ruby has none
/// for it. Ruby's `^`, `$` and `.` know lines, so it is anchored by `\A` and `\z`.
pub(super) fn path_regex(pattern: &PathPattern) -> Option<String> {
    // A final slash is another path, unless everything below matches.
    let below = format!("(?:/{BYTE}+)*/?");
    let body = match pattern {
        PathPattern::Exact(path) => literal(path),
        PathPattern::Subtree(above) if above.is_empty() => format!("/(?:{BYTE}+{below})?"),
        PathPattern::Subtree(above) => format!("{}{below}", literal(above)),
        PathPattern::Glob(glob) => {
            let segments = glob.split('/').skip(1).map(|segment| match segment {
                "*" => format!("/{BYTE}+"),
                "**" => below.clone(),
                other => format!("/{}", literal(other)),
            });
            segments.collect()
        }
        // It was written for the decoded path, so nothing that is encoded gets through.
        PathPattern::Regex(regex) if is_common(regex) => {
            format!("(?![^%]*[%\\\\;])(?!.*//)(?:{regex})")
        }
        // What comes later is for later.
        _ => return None,
    };
    Some(format!("\\A{NO_DOTS}{body}\\z"))
}

/// A text as it may be sent: each byte as it is, or encoded.
fn literal(text: &str) -> String {
    let mut regex = String::new();
    for byte in text.bytes() {
        match byte {
            b'/' => regex.push('/'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                regex.push(char::from(byte));
            }
            // An encoded dot makes a path ambiguous.
            b'.' => regex.push_str("\\."),
            0x21..=0x7e => regex.push_str(&format!("(?:\\x{byte:02x}|{})", encoded(byte))),
            _ => regex.push_str(&encoded(byte)),
        }
    }
    regex
}

fn encoded(byte: u8) -> String {
    let digit = |digit: u8| match digit {
        0..=9 => char::from(b'0' + digit).to_string(),
        _ => format!("[{}{}]", char::from(b'A' + digit - 10), char::from(b'a' + digit - 10)),
    };
    format!("%{}{}", digit(byte >> 4), digit(byte & 15))
}

/// Whether an expression means the same to Ruby: characters, `.`, classes without nesting,
/// groups without names or flags, alternatives, and repetitions that are not possessive there.
fn is_common(regex: &str) -> bool {
    let mut rest = regex.chars().peekable();
    let mut has_class = false;
    let mut after_repetition = false;
    while let Some(c) = rest.next() {
        let was_repetition = std::mem::take(&mut after_repetition);
        let next = rest.peek().copied();
        match c {
            '\\' => match rest.next() {
                Some('d' | 'w' | '.' | '-' | '/' | '+' | '*' | '?' | '(' | ')' | '[' | ']') => {}
                _ => return false,
            },
            '[' if has_class => return false,
            '[' => {
                has_class = true;
                if next == Some('^') {
                    rest.next();
                }
                // A bracket that comes first stands for itself, there and here.
                if rest.peek() == Some(&']') {
                    return false;
                }
            }
            ']' => has_class = false,
            '&' | '~' | '-' if has_class && next == Some(c) => return false,
            _ if has_class => {}
            '(' if next == Some('?') => {
                rest.next();
                if rest.next() != Some(':') {
                    return false;
                }
            }
            '+' | '*' | '?' => {
                // `a+?` is lazy to both; `a++` is possessive to Ruby alone.
                if was_repetition && c != '?' {
                    return false;
                }
                after_repetition = !was_repetition;
            }
            '{' => {
                let count: String = std::iter::from_fn(|| rest.next_if(|c| *c != '}')).collect();
                let is_count = count.split(',').count() <= 2
                    && count.starts_with(|c: char| c.is_ascii_digit())
                    && count.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
                if was_repetition || !is_count || rest.next() != Some('}') {
                    return false;
                }
                if matches!(rest.peek(), Some('+' | '*' | '?' | '{')) {
                    return false;
                }
            }
            '^' | '$' | '#' | ' ' => return false,
            c if !c.is_ascii_graphic() => return false,
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_passed_on_only_if_ruby_reads_it_in_the_same_way() {
        for same in [
            "/v[0-9]+/.*",
            r"/a\.b",
            "/(?:a|b)?",
            "/[^/]+/x{2,3}",
            "/(a|b)*?c",
            r"/\d+/\w+",
            "/x{2}",
        ] {
            assert!(is_common(same), "{same}");
        }
        for other in [
            "/(?P<x>a)",
            "/(?i)a",
            "/a++",
            "/a{2}+",
            "/[a[b]]",
            "/[a&&b]",
            r"/\pL",
            r"/\h",
            r"/\x61",
            r"/\bx",
            "/a$",
            "^/a",
            "/ä",
            "/(?-u:a)",
            "/a{,3}",
            "/[]a]",
        ] {
            assert!(!is_common(other), "{other}");
        }
    }

    #[test]
    fn what_ruby_is_given_is_anchored_and_in_ascii() {
        for text in
            ["/", "/health", "/caf\u{e9}/**", "/api/*/status", "/api/*/**", "/**", "re:/v[0-9]+"]
        {
            let regex = path_regex(&text.parse().unwrap()).unwrap();
            assert!(regex.starts_with("\\A") && regex.ends_with("\\z") && regex.is_ascii());
        }
        assert_eq!(path_regex(&"re:/(?i)a".parse().unwrap()), None);
    }
}
