//! The client's address behind proxies.
//!
//! A proxy appends the address that it saw, so only the right end of the header
//! field comes from someone trusted. What stands left of the first hop that is not
//! trusted may be made up by the client and is ignored.

use std::net::{IpAddr, Ipv6Addr};

use super::Request;
use super::field::{is_token, trim};
use super::proxies::{ProxyHeader, TrustedProxies};
use super::url::host_and_port;

/// The largest header field read, in bytes.
const MAX_SIZE: usize = 64 * 1024;

/// The most elements read, the empty ones among them.
const MAX_HOPS: usize = 1_000;

/// Finds the client's address; `None` if it is unknown.
///
/// An address that the app determined goes first. Without proxies, or if the peer is
/// not one of them, the client is the peer. Otherwise it is the right-most hop of the
/// configured header field that is not a proxy itself. The client is unknown if there
/// is no such hop, or if something on the way to it is not an address.
/// IPv4-mapped IPv6 counts as IPv4.
#[must_use]
pub fn address(request: &impl Request, proxies: Option<&TrustedProxies>) -> Option<IpAddr> {
    if let Some(client) = request.client() {
        return Some(client.to_canonical());
    }
    let peer = request.peer()?.to_canonical();
    let Some(proxies) = proxies.filter(|proxies| trusts(proxies, peer)) else {
        return Some(peer);
    };
    let header = proxies.header;
    let joined = join(request, header)?;
    // `X-Forwarded-For` has no quoting, so a quote there is just a bad character.
    let hops = split(&joined, b',', header == ProxyHeader::Forwarded);
    if hops.len() > MAX_HOPS {
        return None;
    }
    hops.into_iter()
        .rev()
        .map(trim)
        // Empty elements of a list count for nothing (RFC 9110, 5.6.1.2).
        .filter(|hop| !hop.is_empty())
        .map(|hop| match header {
            ProxyHeader::XForwardedFor => node(hop, header),
            ProxyHeader::Forwarded => forwarded_for(hop),
        })
        .find(|hop| hop.is_none_or(|hop| !trusts(proxies, hop)))
        .flatten()
}

/// Whether an address is one of the proxies.
fn trusts(proxies: &TrustedProxies, address: IpAddr) -> bool {
    let mapped = match address {
        IpAddr::V4(v4) => Some(IpAddr::V6(v4.to_ipv6_mapped())),
        IpAddr::V6(_) => None,
    };
    proxies.networks.iter().any(|network| {
        // A network may be written as IPv4-mapped, too. With a prefix of up to 96 it
        // would include all of IPv4, which cannot be meant.
        network.contains(&address)
            || network.prefix_len() > 96 && mapped.is_some_and(|mapped| network.contains(&mapped))
    })
}

/// Joins all lines of the header field to one list, empty ones too, with a comma between
/// them; `None` if it is too large.
fn join(request: &impl Request, header: ProxyHeader) -> Option<Vec<u8>> {
    let name = header.name().to_ascii_lowercase();
    let mut joined = Vec::new();
    let (mut is_first, mut fits) = (true, true);
    request.header(&name, &mut |line| {
        let comma: &[u8] = if is_first { b"" } else { b"," };
        is_first = false;
        fits &= joined.len() + comma.len() + line.len() <= MAX_SIZE;
        if fits {
            joined.extend_from_slice(comma);
            joined.extend_from_slice(line);
        }
    });
    fits.then_some(joined)
}

/// Splits a text at a separator; with `with_quotes`, not within quotes.
///
/// A quote that stays open swallows the rest. The last part is then malformed, so a
/// client that opens one only makes itself unknown.
fn split(text: &[u8], separator: u8, with_quotes: bool) -> Vec<&[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(|&byte| {
        if escaped {
            escaped = false;
        } else if quoted && byte == b'\\' {
            escaped = true;
        } else if with_quotes && byte == b'"' {
            quoted = !quoted;
        }
        !quoted && byte == separator
    })
    .collect()
}

/// The address in one element of `Forwarded` (RFC 7239, 4).
///
/// The whole element must be well-formed, not just its `for`. What a client smuggles
/// into a quoted value then spoils the hop instead of becoming one.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, b';', true).into_iter().map(trim).filter(|pair| !pair.is_empty()) {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let name = str::from_utf8(&pair[..equals]).ok().filter(|name| is_token(name))?;
        let value = value(&pair[equals + 1..])?;
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            // Two readers could choose two different ones.
            return None;
        }
    }
    node(&found?, ProxyHeader::Forwarded)
}

/// Reads a token or a quoted string (RFC 9110, 5.6.2 and 5.6.4).
fn value(text: &[u8]) -> Option<Vec<u8>> {
    let [b'"', inside @ .., b'"'] = text else {
        return str::from_utf8(text).is_ok_and(is_token).then(|| text.to_vec());
    };
    let mut value = Vec::with_capacity(inside.len());
    let mut bytes = inside.iter().copied();
    while let Some(byte) = bytes.next() {
        value.push(match byte {
            b'"' => return None,
            b'\\' => bytes.next()?,
            byte => byte,
        });
    }
    value.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control()).then_some(value)
}

/// Reads the address of a hop, with or without a port.
///
/// `unknown`, obfuscated names, zones and other spellings are not addresses.
fn node(text: &[u8], header: ProxyHeader) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    if header == ProxyHeader::XForwardedFor
        && let Ok(bare) = text.parse::<Ipv6Addr>()
    {
        return Some(IpAddr::V6(bare).to_canonical());
    }
    let (host, port) = host_and_port(text);
    let address = match host.strip_prefix('[') {
        Some(bracketed) => IpAddr::V6(bracketed.strip_suffix(']')?.parse().ok()?),
        None => IpAddr::V4(host.parse().ok()?),
    };
    port.is_none_or(|port| is_port(port, header)).then(|| address.to_canonical())
}

/// Reads the address in one element of `X-Forwarded-For`.
#[cfg(feature = "serve")]
pub(crate) fn hop(element: &[u8]) -> Option<IpAddr> {
    node(trim(element), ProxyHeader::XForwardedFor)
}

/// Whether a text is a port, which `Forwarded` may obfuscate (RFC 7239, 6).
fn is_port(text: &str, header: ProxyHeader) -> bool {
    let number = text.len() <= 5
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok();
    let obfuscated = header == ProxyHeader::Forwarded
        && text.strip_prefix('_').is_some_and(|name| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        });
    number || obfuscated
}

#[cfg(test)]
mod tests;
