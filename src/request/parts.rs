//! A request that is described rather than received.

use std::net::IpAddr;

use super::cookie::COOKIE;
use super::{Request, User};

/// A request whose facts are all known beforehand, for tests and tools.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestParts {
    /// See [`Request::path`].
    pub path: Vec<u8>,
    /// See [`Request::query`].
    pub query: Option<Vec<u8>>,
    /// See [`Request::method`].
    pub method: String,
    /// See [`Request::host`].
    pub host: Option<String>,
    /// See [`Request::is_https`].
    pub is_https: Option<bool>,
    /// See [`Request::peer`].
    pub peer: Option<IpAddr>,
    /// Name and value of each header field, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// See [`Request::user`].
    pub user: Option<User>,
    /// See [`Request::is_read`].
    pub is_read: bool,
}

impl RequestParts {
    /// Makes a request for a target: a path, with or without a query.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        Self {
            path: path.into(),
            query: query.map(Into::into),
            method: method.to_owned(),
            ..Self::default()
        }
    }

    /// Sets the requested host.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the address that connects.
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<Option<IpAddr>>) -> Self {
        self.peer = peer.into();
        self
    }

    /// Sets the user.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<Option<User>>) -> Self {
        self.user = user.into();
        self
    }

    /// Sets whether the visitor's connection is encrypted.
    #[must_use]
    pub fn with_https(mut self, is_https: impl Into<Option<bool>>) -> Self {
        self.is_https = is_https.into();
        self
    }

    /// Sets whether the app vouches that the request changes nothing.
    #[must_use]
    pub fn with_read(mut self, is_read: bool) -> Self {
        self.is_read = is_read;
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a cookie that carries a bypass token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        self.with("cookie", &format!("{COOKIE}={token}"))
    }
}

impl Request for RequestParts {
    fn path(&self) -> &[u8] {
        &self.path
    }

    fn query(&self) -> Option<&[u8]> {
        self.query.as_deref()
    }

    fn method(&self) -> &str {
        &self.method
    }

    fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    fn is_https(&self) -> Option<bool> {
        self.is_https
    }

    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (_, value) in self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name))
        {
            each(value);
        }
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        self.headers.iter().for_each(|(name, _)| each(name.as_bytes()));
        true
    }

    fn user(&self) -> Option<User> {
        self.user
    }

    fn is_read(&self) -> bool {
        self.is_read
    }
}
