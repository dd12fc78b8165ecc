//! The types of the crate [`http`](https://docs.rs/http), for servers that have them and no
//! `tower::Service`.
//!
//! ```
//! use http::{Request, Response};
//! use maint::gate::{Answer, Gate};
//!
//! fn answer(gate: &Gate, request: Request<()>) -> Response<bytes::Bytes> {
//!     let (parts, _) = request.into_parts();
//!     match gate.answer(&parts) {
//!         Answer::Pass(pass) => {
//!             let mut response = Response::new("the app".into());
//!             pass.finish(response.headers_mut());
//!             response
//!         }
//!         Answer::Reply(reply) => reply.into(),
//!     }
//! }
//! ```

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode, Uri};

use crate::gate::{Intercepted, Pass};
use crate::page::{Format, Reply};
use crate::request::{Request, User, host};

/// A request by the types of the crate `http`, for frameworks that have these and no
/// `http::request::Parts` at hand.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HttpRequest<'r> {
    /// The method.
    pub method: &'r Method,
    /// The target as it was sent: what routers have cut off has to be there again.
    pub uri: &'r Uri,
    /// The header fields.
    pub headers: &'r HeaderMap,
    /// The address that connects; without it no `ip` rule matches, and trusted proxies are not
    /// recognised.
    pub peer: Option<IpAddr>,
    /// The user, who may be anonymous; `None` where the app does not say.
    pub user: Option<User>,
    /// The format of the page, whatever `Accept` says.
    pub format: Option<Format>,
    /// Whether the app vouches that the request changes nothing, see [`Request::is_read`].
    pub is_read: bool,
}

impl<'r> HttpRequest<'r> {
    /// Creates a request of which no more is known.
    #[must_use]
    pub fn new(method: &'r Method, uri: &'r Uri, headers: &'r HeaderMap) -> Self {
        Self { method, uri, headers, peer: None, user: None, format: None, is_read: false }
    }

    /// Sets the address that connects.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<Option<IpAddr>>) -> Self {
        self.peer = peer.into();
        self
    }

    /// Sets the user.
    #[must_use]
    pub fn user(mut self, user: impl Into<Option<User>>) -> Self {
        self.user = user.into();
        self
    }

    /// Sets the format of the page.
    #[must_use]
    pub fn format(mut self, format: impl Into<Option<Format>>) -> Self {
        self.format = format.into();
        self
    }

    /// Sets whether the app vouches that the request changes nothing.
    #[must_use]
    pub fn is_read(mut self, is_read: bool) -> Self {
        self.is_read = is_read;
        self
    }
}

impl Request for HttpRequest<'_> {
    fn path(&self) -> &[u8] {
        self.uri.path().as_bytes()
    }

    fn query(&self) -> Option<&[u8]> {
        self.uri.query().map(str::as_bytes)
    }

    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn host(&self) -> Option<&str> {
        host(self.uri, self.headers)
    }

    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        values(self.headers, name, each);
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        names(self.headers, each)
    }

    fn format(&self) -> Option<Format> {
        self.format
    }

    fn user(&self) -> Option<User> {
        self.user
    }

    fn is_read(&self) -> bool {
        self.is_read
    }
}

/// It knows neither the peer nor the user; [`HttpRequest`] can be told.
impl Request for http::request::Parts {
    fn path(&self) -> &[u8] {
        self.uri.path().as_bytes()
    }

    fn query(&self) -> Option<&[u8]> {
        self.uri.query().map(str::as_bytes)
    }

    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn host(&self) -> Option<&str> {
        host(&self.uri, &self.headers)
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        values(&self.headers, name, each);
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        names(&self.headers, each)
    }
}

/// The host that a request is for, see [`host::agreed`].
pub(crate) fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let target = uri.authority().map(http::uri::Authority::as_str);
    host::agreed(target, headers.get_all(HOST).iter().map(HeaderValue::as_bytes))
}

/// Calls `each` with every value of a field.
pub(crate) fn values(headers: &HeaderMap, name: &str, each: &mut dyn FnMut(&[u8])) {
    for value in headers.get_all(name) {
        each(value.as_bytes());
    }
}

/// Calls `each` with the name of every field.
pub(crate) fn names(headers: &HeaderMap, each: &mut dyn FnMut(&[u8])) -> bool {
    headers.keys().for_each(|name| each(name.as_str().as_bytes()));
    true
}

impl Pass {
    /// Finishes an answer of the app: keeps it out of caches if it is
    /// [private](Pass::keep_private), and adds the [mark](Pass::mark) if it has none yet, as one
    /// of a gate further in has.
    pub fn finish(&self, headers: &mut HeaderMap) {
        self.keep_private(headers);
        if let Some((name, value)) = self.mark() {
            let name = HeaderName::from_static(name);
            headers.entry(name).or_insert_with(|| HeaderValue::from_static(value));
        }
    }

    /// Keeps an answer of the app out of caches if others could be blocked, whatever its
    /// fields say: `Cache-Control` becomes [`Pass::CACHE_CONTROL`], and those that some caches
    /// obey in its place go.
    pub fn keep_private(&self, headers: &mut HeaderMap) {
        if !self.is_private {
            return;
        }
        let names = headers.keys().filter(|name| Self::overrides_cache_control(name.as_str()));
        for name in names.cloned().collect::<Vec<_>>() {
            headers.remove(name);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(Self::CACHE_CONTROL));
    }
}

/// The body is shared with every other answer that has the same, and [`Intercepted`] is in the
/// extensions.
impl From<Reply> for Response<Bytes> {
    fn from(reply: Reply) -> Self {
        let status =
            StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let mut headers = HeaderMap::with_capacity(16);
        for (name, value) in reply.headers() {
            // A page has only valid values; one that could not be sent is left out.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let mark = Intercepted::by(&reply);
        let mut response = Self::new(Bytes::from_owner(reply.into_body()));
        response.extensions_mut().insert(mark);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Site;
    use crate::gate::{Answer, Gate, Override};

    fn parts(request: http::request::Builder) -> http::request::Parts {
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_parts_of_a_request_are_one_for_the_gate() {
        let parts = parts(
            http::Request::post("http://shop.example/cart?id=7")
                .header("Host", "shop.example")
                .header("X-Probe", "blue")
                .header("x-probe", "green"),
        );
        assert_eq!((parts.path(), parts.query()), (&b"/cart"[..], Some(&b"id=7"[..])));
        assert_eq!((Request::method(&parts), parts.host()), ("POST", Some("shop.example")));
        let mut seen = Vec::new();
        parts.header("x-probe", &mut |value| seen.push(value.to_vec()));
        assert_eq!(seen, [b"blue".to_vec(), b"green".to_vec()]);
        assert!(parts.peer().is_none() && Request::user(&parts).is_none());
    }

    #[test]
    fn a_reply_becomes_a_response_with_all_its_fields() {
        let temp = tempfile::tempdir().unwrap();
        let gate = Gate::open(&Site::at(temp.path())).unwrap();
        let parts = parts(http::Request::get("/").header("accept", "text/html"));
        let Answer::Reply(reply) = gate.answer_overridden(&parts, Override::On) else {
            panic!("it is always down")
        };
        let response = Response::<Bytes>::from(reply.clone());
        assert_eq!(response.status(), 503);
        assert_eq!(response.body(), reply.body());
        for (name, value) in reply.headers() {
            assert_eq!(response.headers()[name], *value, "{name}");
        }
        assert_eq!(response.headers().len(), reply.headers().count());
    }

    #[test]
    fn an_answer_while_the_site_is_read_only_says_so_unless_a_gate_further_in_has_spoken() {
        let mut headers = HeaderMap::new();
        Pass::default().finish(&mut headers);
        assert_eq!(headers.len(), 0);
        let pass = Pass { read_only: Some("w".into()), ..Pass::default() };
        pass.finish(&mut headers);
        assert_eq!(headers["maint-decision"], "read-only");
        assert_eq!(headers.len(), 1, "a cache may keep it as ever");
        headers.insert("maint-decision", HeaderValue::from_static("block"));
        pass.finish(&mut headers);
        assert_eq!(headers["maint-decision"], "block");
    }

    #[test]
    fn a_private_answer_loses_what_caches_obey_in_whatever_case_it_is_written() {
        let mut headers = HeaderMap::new();
        for name in ["Surrogate-Control", "CDN-Cache-Control", "X-Accel-Expires", "Cache-Control"] {
            headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("public"));
            assert_eq!(Pass::overrides_cache_control(name), name != "Cache-Control", "{name}");
        }
        headers.insert("etag", HeaderValue::from_static("\"7\""));
        let before = headers.clone();
        Pass::default().keep_private(&mut headers);
        assert_eq!(headers, before);
        Pass { is_private: true, ..Pass::default() }.keep_private(&mut headers);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers[CACHE_CONTROL], Pass::CACHE_CONTROL);
    }
}
