//! The request that a proxy tells of, in the fields of its own request.
//!
//! Whoever reaches the endpoint is believed, so only a proxy may reach it. What a client can put
//! into a field that the proxy does not replace is told by `docs/endpoint.md`, and is nothing
//! that lets it through.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;

use super::users::{Users, only};
use crate::http_types::{names, values};
use crate::request::{Request, User, client, field, host};

/// How a proxy tells of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// nginx, which is told what to send: `X-Original-Method`, `X-Original-URI`, `Host`, and
    /// `X-Original-Host`.
    Original,
    /// Caddy, Traefik and Envoy: `X-Forwarded-Method`, `X-Forwarded-Uri`, `X-Forwarded-Host`.
    Forwarded,
    /// Envoy before 1.38: it asks with the method and the host of the request, and with its
    /// target behind that of the question.
    Itself,
}

/// Addresses that the request came through, the client's first. Each proxy appends the one that
/// it saw.
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The scheme of the visitor's connection.
static PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The `Host` of the client, as it was sent.
static SENT_HOST: HeaderName = HeaderName::from_static("x-original-host");

// What names the request, by nginx and by the others.
static ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
static ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
static FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
static FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// A request, as a proxy tells of it.
pub(super) struct Told<'r> {
    headers: &'r HeaderMap,
    method: &'r str,
    path: &'r [u8],
    query: Option<&'r [u8]>,
    host: Option<&'r str>,
    is_https: Option<bool>,
    /// Who asked the proxy.
    peer: Option<IpAddr>,
    /// What the request came through before that.
    before: Vec<u8>,
    user: Option<User>,
}

impl<'r> Told<'r> {
    /// Reads what a proxy tells. `target` is what follows the question's own path.
    ///
    /// # Errors
    ///
    /// The name of the field that is missing, occurs more than once, or makes no sense: nothing can
    /// be decided then.
    pub(super) fn of(
        manner: Manner,
        asked: &'r Parts,
        target: &'r str,
        users: Option<&Users>,
    ) -> Result<Self, &'static str> {
        let headers = &asked.headers;
        let only = |name: &'static HeaderName| only(headers, name).ok_or(name.as_str());
        let host = |name: &HeaderName| {
            host::agreed(None, headers.get_all(name).iter().map(HeaderValue::as_bytes))
        };
        let (method, target, host) = match manner {
            Manner::Original => {
                let host = host(&HOST).filter(|host| is_as_sent(headers, host));
                (only(&ORIGINAL_METHOD)?, only(&ORIGINAL_URI)?, host)
            }
            Manner::Forwarded => {
                (only(&FORWARDED_METHOD)?, only(&FORWARDED_URI)?, host(&FORWARDED_HOST))
            }
            Manner::Itself => (asked.method.as_str().as_bytes(), target.as_bytes(), host(&HOST)),
        };
        let method = str::from_utf8(method).ok().filter(|method| field::is_token(method));
        let method = method.ok_or("a method")?;
        if target.is_empty() {
            return Err("a target");
        }
        let mark = target.iter().position(|&byte| byte == b'?');
        let (path, query) = match mark {
            Some(mark) => (&target[..mark], Some(&target[mark + 1..])),
            None => (target, None),
        };
        let (before, peer) = last_hop(headers);
        Ok(Self {
            headers,
            method,
            path,
            query,
            host,
            is_https: only(&PROTO).ok().map(|scheme| scheme.eq_ignore_ascii_case(b"https")),
            peer,
            before,
            user: users.map(|users| users.of(headers)),
        })
    }

    /// The host that is asked for.
    pub(super) fn named_host(&self) -> Option<String> {
        self.host.and_then(host::read)
    }
}

/// Whether a host is the one in the client's `Host`, if the proxy tells of that: a URL in the
/// request line goes before it, and the app may look at either.
fn is_as_sent(headers: &HeaderMap, told: &str) -> bool {
    if !headers.contains_key(&SENT_HOST) {
        return true;
    }
    let sent = only(headers, &SENT_HOST).and_then(|sent| str::from_utf8(sent).ok());
    let sent = sent.and_then(host::read);
    sent.is_some() && sent == host::read(told)
}

/// Splits the address that asked the proxy from those before it. It comes last, since proxies
/// append.
fn last_hop(headers: &HeaderMap) -> (Vec<u8>, Option<IpAddr>) {
    let mut joined: Vec<u8> = Vec::new();
    for value in headers.get_all(&FORWARDED_FOR) {
        if !joined.is_empty() {
            joined.push(b',');
        }
        joined.extend_from_slice(value.as_bytes());
    }
    let begin = joined.iter().rposition(|&byte| byte == b',');
    let last = joined.split_off(begin.map_or(0, |comma| comma + 1));
    if begin.is_some() {
        joined.pop();
    }
    (joined, client::hop(&last))
}

impl Request for Told<'_> {
    fn path(&self) -> &[u8] {
        self.path
    }

    fn query(&self) -> Option<&[u8]> {
        self.query
    }

    fn method(&self) -> &str {
        self.method
    }

    fn host(&self) -> Option<&str> {
        self.host
    }

    fn is_https(&self) -> Option<bool> {
        self.is_https
    }

    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        names(self.headers, each)
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        if name != FORWARDED_FOR.as_str() {
            values(self.headers, name, each);
        } else if !self.before.is_empty() {
            each(&self.before);
        }
    }

    fn tells_user(&self) -> bool {
        self.user.is_some()
    }

    fn user(&self) -> Option<User> {
        self.user
    }
}
