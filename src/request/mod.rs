//! What a decision looks at: the facts of one request.

pub(crate) mod client;
pub(crate) mod cookie;
pub(crate) mod field;
pub(crate) mod path;
pub(crate) mod proxies;
pub(crate) mod url;

use std::net::IpAddr;

pub use proxies::{ProxyHeader, TrustedProxies};

/// The facts of a request, asked for one by one and only when they matter.
///
/// While the site is up nothing is asked at all, and the user, who may cost a
/// query of the database, is asked for last.
pub trait Request {
    /// The path of the request target as it was sent: not decoded, without the
    /// query. Never that of another header field.
    fn path(&self) -> &[u8];

    /// What follows the `?` of the request target, as it was sent; a link with
    /// a bypass token has it there.
    fn query(&self) -> Option<&[u8]> {
        None
    }

    /// The method, in upper case (RFC 9110, 9.1).
    fn method(&self) -> &str;

    /// The host that was asked for, as sent: with its port, in any case.
    fn host(&self) -> Option<&str>;

    /// Whether the visitor's connection is encrypted, where the server knows:
    /// it decides on the attributes of the bypass cookie.
    fn is_https(&self) -> Option<bool> {
        None
    }

    /// The address that connects; absent for a Unix socket.
    fn peer(&self) -> Option<IpAddr>;

    /// The client's address, where the app has found it out by itself; then neither
    /// the peer nor any header field is looked at.
    fn client(&self) -> Option<IpAddr> {
        None
    }

    /// Hands over every value of a header field, in order. Names are compared
    /// without case, and are in lower case here.
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8]));

    /// Who is logged in; absent where nobody knows of users.
    fn user(&self) -> Option<User> {
        None
    }
}

/// What a framework knows of the user of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Somebody is logged in.
    pub is_authenticated: bool,
    /// The framework knows them as staff.
    pub is_staff: bool,
    /// The framework knows them as a superuser.
    pub is_superuser: bool,
}

impl User {
    /// Somebody who is not logged in.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Somebody who is logged in, and neither staff nor a superuser.
    #[must_use]
    pub fn authenticated() -> Self {
        Self { is_authenticated: true, ..Self::default() }
    }

    /// Sets whether the framework knows them as staff.
    #[must_use]
    pub fn staff(mut self, is_staff: bool) -> Self {
        self.is_staff = is_staff;
        self
    }

    /// Sets whether the framework knows them as a superuser.
    #[must_use]
    pub fn superuser(mut self, is_superuser: bool) -> Self {
        self.is_superuser = is_superuser;
        self
    }
}

/// A request whose facts are all known beforehand: one that is described rather
/// than received.
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
}

impl RequestParts {
    /// A request for a target: a path, with or without a query.
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

    /// Sets the host that was asked for.
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

    /// Sets who is logged in.
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

    /// The same with one more header field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same from somebody who presents a bypass token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        self.with("cookie", &format!("{}={token}", crate::request::cookie::COOKIE))
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

    fn user(&self) -> Option<User> {
        self.user
    }
}
