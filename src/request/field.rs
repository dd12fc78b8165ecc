//! The syntax of header field values, as far as decisions need it (RFC 9110, 5).

use std::net::IpAddr;

use super::{Request, host};

/// Whether a text is a token of RFC 9110, 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether a `Host` names this machine: `localhost` or a loopback address, on any port.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let Some(name) = host::read(host) else { return false };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Returns the only value of a header field; `None` if there is none, or more than one.
pub(crate) fn only_header(request: &impl Request, name: &str) -> Option<Vec<u8>> {
    let mut found = None;
    let mut number = 0;
    request.header(name, &mut |value| {
        number += 1;
        found = Some(trim(value).to_vec());
    });
    found.filter(|_| number == 1)
}

/// Removes the spaces and tabs around a field value (RFC 9110, 5.5).
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
