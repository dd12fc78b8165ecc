//! URLs that visitors are sent to, or may follow.

use crate::error::{Error, Result};
use crate::request::url::{UrlParts, host_and_port};
use crate::rules::host::HostPattern;

/// Accepts `https://host/…` and `http://host/…`, in printable ASCII.
///
/// # Errors
///
/// [`Error::Invalid`] for everything else, and for all that a browser might read as another
/// host.
pub(crate) fn validate_url(url: &str) -> Result<()> {
    check_url(url).map_err(|why| {
        Error::invalid_with(
            format!("`{}` cannot be a link: {why}", url.escape_debug()),
            "write it like `https://status.example.com/`",
        )
    })
}

/// Says why a text is no `http` or `https` URL that every browser reads alike.
///
/// # Errors
///
/// Why not, as what follows `it`.
pub fn check_url(url: &str) -> std::result::Result<(), &'static str> {
    refuse_odd(url)?;
    let parts = UrlParts::of(url);
    if !parts.is_http() {
        return Err("it is no `http` or `https` URL");
    }
    let authority = parts.authority;
    if authority.contains('@') {
        return Err("it contains a user name");
    }
    let (host, port) = host_and_port(authority);
    // Rust reads `+80` as a number, and browsers do not.
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok();
    if !port.is_none_or(is_port) {
        return Err("its port is not a number");
    }
    if names_one_host(host) { Ok(()) } else { Err("its host is not a host name") }
}

/// Whether a text is the name or address of one host, and no pattern.
pub(super) fn names_one_host(text: &str) -> bool {
    matches!(text.parse::<HostPattern>(), Ok(HostPattern::Exact(_)))
}

/// Refuses what browsers and servers read in different ways.
pub(super) fn refuse_odd(url: &str) -> std::result::Result<(), &'static str> {
    if url.len() > 2048 {
        return Err("it is longer than 2048 bytes");
    }
    let is_odd = |byte: u8| !byte.is_ascii_graphic() || b"\\\"<>`{}|^".contains(&byte);
    if url.bytes().any(is_odd) {
        return Err("it contains characters that must be percent-encoded");
    }
    Ok(())
}
