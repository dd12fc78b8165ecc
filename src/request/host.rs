//! The host that a request asks for.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::url::host_and_port;

/// Reads a host as it was sent (RFC 9110, 7.2) and returns it in the form of
/// [`normal`], without its port.
///
/// `None` if it is no host: then nothing can know which one is meant, and servers
/// that accept it could disagree.
pub(crate) fn read(sent: &str) -> Option<String> {
    let (host, port) = host_and_port(sent.trim_matches([' ', '\t']));
    // A port may be empty (RFC 3986, 3.2.3).
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && (port.is_empty() || port.parse::<u16>().is_ok())
    };
    if port.is_none_or(is_port) { normal(host) } else { None }
}

/// The host that the target, as in HTTP/2, and the header fields agree on. It is unknown if
/// they differ, a field repeats or is not text: servers could disagree on which is meant.
#[cfg(any(feature = "actix", feature = "http"))]
pub(crate) fn agreed<'r>(
    target: Option<&'r str>,
    mut fields: impl Iterator<Item = &'r [u8]>,
) -> Option<&'r str> {
    let field = fields.next().map(str::from_utf8).transpose().ok()?;
    match (target, field) {
        _ if fields.next().is_some() => None,
        (Some(target), Some(field)) => target.eq_ignore_ascii_case(field).then_some(field),
        (target, field) => target.or(field),
    }
}

/// Whether a host as it was sent is one.
#[must_use]
pub fn is_host(sent: &str) -> bool {
    read(sent).is_some()
}

/// Returns a host name in lower case without its final dot, or an IPv6 address in
/// brackets in its shortest form; `None` for anything else.
pub(crate) fn normal(host: &str) -> Option<String> {
    if let Some(rest) = host.strip_prefix('[') {
        let address: Ipv6Addr = rest.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    is_name(name).then(|| name.to_ascii_lowercase())
}

/// Whether it is a host name (RFC 1123, 2.1) or an IPv4 address. Internal names may
/// have underscores.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253
        && name.split('.').all(is_label)
        && (!ends_in_a_number(name) || name.parse::<Ipv4Addr>().is_ok())
}

/// Whether a name is an IPv4 address or none at all, as browsers see it: `127.1` and
/// `0x7f000001` are ways to write `127.0.0.1`
/// (<https://url.spec.whatwg.org/#ends-in-a-number-checker>).
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_one_form() {
        for (sent, host) in [
            ("example.com", "example.com"),
            ("Example.COM:8080", "example.com"),
            ("example.com.:443", "example.com"),
            (" example.com:\t", "example.com"),
            ("web_1.internal:65535", "web_1.internal"),
            ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
            ("203.0.113.7:80", "203.0.113.7"),
            ("[2001:DB8:0:0::1]:80", "[2001:db8::1]"),
            ("[::]", "[::]"),
            ("1a", "1a"),
            ("0x.example", "0x.example"),
        ] {
            assert_eq!(read(sent).as_deref(), Some(host), "{sent}");
        }
    }

    #[test]
    fn what_is_no_host_is_not_read() {
        let label = "a".repeat(64);
        let long = ["a"; 128].join(".");
        for sent in [
            "",
            " ",
            ".",
            "..",
            ":",
            ":80",
            "a..b",
            ".a",
            "a..",
            "-a",
            "a-",
            "a b",
            "a:x",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:80:80",
            "user@a",
            "a/",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a,b",
            "a, b",
            "a%2eb",
            "%61",
            "m\u{fc}nchen.example",
            "a\0",
            "a\r",
            "::1",
            "[::1",
            "::1]",
            "[::1]x",
            "[]",
            "[a]",
            "[::1].",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "[[::1]]",
            "http://a",
            "*",
            "*.a",
            "127.1",
            "0x7f000001",
            "2130706433",
            "010.0.0.1",
            "1.2.3.4.5",
            "a.0x1f",
            "256.0.0.1",
            &label,
            &long,
        ] {
            assert_eq!(read(sent), None, "{sent:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_host_that_was_read_reads_as_itself(sent in "[-a-cA-C0-2x_.:@\\[\\]/% ]{0,12}|\\PC{0,8}") {
            if let Some(host) = read(&sent) {
                proptest::prop_assert_eq!(read(&host), Some(host.clone()));
                proptest::prop_assert_eq!(read(&format!("{host}:80")), Some(host));
            }
        }
    }
}
