//! What a decision looks at: the facts of one request.

pub(crate) mod client;
pub(crate) mod cookie;
pub(crate) mod field;
mod parts;
pub(crate) mod path;
pub(crate) mod proxies;
pub(crate) mod url;

use std::net::IpAddr;

pub use parts::RequestParts;
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
