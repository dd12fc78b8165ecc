//! The client's address behind proxies: first the peer, then lines of the header field.

use std::net::IpAddr;

use super::first_line;
use crate::request::RequestParts;
use crate::request::client::address;
use crate::request::{ProxyHeader, TrustedProxies};

/// The proxies, and how the test recognises one: by its text alone.
const NETWORKS: [&str; 2] = ["10.0.0.0/8", "fd00::/16"];

fn is_proxy(address: IpAddr) -> bool {
    let text = address.to_string();
    text.starts_with("10.") || text.starts_with("fd00:")
}

/// What the last proxy appends, and what a client sends first.
const APPENDED: &str = "198.51.100.77";
const INVENTED: &str = "203.0.113.9";

/// Below this length an input has no more hops and bytes than are read.
const SMALL: usize = 1_000;

/// The client is what the last trusted proxy saw, or unknown, whatever else is sent.
///
/// # Panics
///
/// If that does not hold.
pub fn check(data: &[u8]) {
    let (peer, field) = first_line(data);
    let peer: Option<IpAddr> = str::from_utf8(peer).ok().and_then(|peer| peer.parse().ok());
    let peer = peer.unwrap_or_else(|| [10, 0, 0, 1].into()).to_canonical();
    let lines: Vec<&[u8]> = field.split(|&byte| byte == b'\n').collect();
    for (header, prefix) in [(ProxyHeader::XForwardedFor, ""), (ProxyHeader::Forwarded, "for=")] {
        let client = |lines: &[&[u8]]| client(header, peer, lines);
        let found = client(&lines);
        if !is_proxy(peer) {
            assert_eq!(found, Some(peer), "only a proxy is believed");
            continue;
        }
        if let Some(found) = found {
            assert!(!is_proxy(found), "{found} is a proxy");
            assert!(
                lines.iter().any(|line| addresses(line).contains(&found)),
                "{found} is made up"
            );
        }

        // A proxy appends, and so decides, unless an open quote swallows its entry.
        let appended = format!("{prefix}{APPENDED}");
        let with_appended = [&lines[..], &[appended.as_bytes()]].concat();
        let seen = client(&with_appended);
        let is_sure = data.len() < SMALL && (prefix.is_empty() || !data.contains(&b'"'));
        assert!(seen == APPENDED.parse().ok() || !is_sure && seen.is_none(), "{seen:?}");

        // What a client sends first decides nothing; at most it makes the client unknown.
        for (quote, is_quoted) in [("", false), ("\"", true)] {
            let invented = format!("{prefix}{quote}{INVENTED}");
            let with_invented = [&[invented.as_bytes()], &lines[..]].concat();
            let seen = client(&with_invented);
            let may_hide = is_quoted || data.len() >= SMALL;
            assert!(
                found.is_none() || seen == found || may_hide && seen.is_none(),
                "{found:?} became {seen:?}"
            );
        }
    }
}

fn client(header: ProxyHeader, peer: IpAddr, lines: &[&[u8]]) -> Option<IpAddr> {
    let networks = NETWORKS.map(|network| network.parse().unwrap()).to_vec();
    let proxies = TrustedProxies { header, networks, extra: serde_json::Map::new() };
    let name = match header {
        ProxyHeader::XForwardedFor => "X-Forwarded-For",
        ProxyHeader::Forwarded => "Forwarded",
    };
    let headers = lines.iter().map(|line| (name.to_owned(), line.to_vec())).collect();
    address(
        &RequestParts { peer: Some(peer), headers, ..RequestParts::new("GET", "/") },
        Some(&proxies),
    )
}

/// Every address that a reader could see in a text, with or without a port.
fn addresses(text: &[u8]) -> Vec<IpAddr> {
    // A backslash may stand before any character of a quoted string.
    let text: Vec<u8> = text.iter().copied().filter(|&byte| byte != b'\\').collect();
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    text.split(|&byte| !is_part(byte))
        .filter_map(|part| str::from_utf8(part).ok())
        .flat_map(|part| [part, part.rsplit_once(':').map_or(part, |(bare, _)| bare)])
        .filter_map(|part| Some(part.parse::<IpAddr>().ok()?.to_canonical()))
        .collect()
}
