//! What a decision looks at: the facts of one request.

pub(crate) mod client;
pub(crate) mod cookie;
pub(crate) mod elsewhere;
pub(crate) mod field;
pub(crate) mod host;
mod parts;
pub(crate) mod path;
pub(crate) mod place;
pub(crate) mod proxies;
pub(crate) mod sieve;
pub(crate) mod url;

use std::net::IpAddr;

use crate::format::Format;

pub use parts::RequestParts;
pub use proxies::{ProxyHeader, TrustedProxies};

/// The facts of a request, each read only when the decision depends on it.
///
/// While the site is up none is read. The user is read last, since finding out who
/// it is may take a database query.
pub trait Request {
    /// The path of the request target as it was sent: not decoded, without the
    /// query. Never take it from a header field.
    fn path(&self) -> &[u8];

    /// The query, which follows the `?` of the request target, as it was sent. A
    /// bypass link carries its token there.
    fn query(&self) -> Option<&[u8]> {
        None
    }

    /// The method, in upper case (RFC 9110, 9.1).
    fn method(&self) -> &str;

    /// The requested host as it was sent: with its port if any, in any case. `None` if
    /// there is none, or more than one.
    fn host(&self) -> Option<&str>;

    /// Whether the visitor's connection is encrypted; `None` if the server does not
    /// know. The attributes of the bypass cookie depend on it.
    fn is_https(&self) -> Option<bool> {
        None
    }

    /// The address that connects; `None` for a Unix socket.
    fn peer(&self) -> Option<IpAddr>;

    /// The client's address, if the app determines it itself. The peer and the header
    /// fields are then ignored.
    fn client(&self) -> Option<IpAddr> {
        None
    }

    /// Whether the app tells who the client is. Where it does not, rules for addresses match
    /// nobody, which a gate reports once.
    fn tells_client(&self) -> bool {
        self.client().is_some() || self.peer().is_some()
    }

    /// Calls `each` with every value of a header field, in order. `name` is in lower
    /// case; field names are compared without case.
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8]));

    /// Calls `each` with the name of every header field, in any case, and returns true; false,
    /// without a call, where that is not easily told. The choice of a page then asks for a dozen
    /// fields one by one.
    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        let _ = each;
        false
    }

    /// The format of the page, whatever `Accept` says; `None` leaves the choice to the client.
    /// For an app that knows its routes: a script that sends `Accept: */*` to a JSON API wants
    /// JSON, and a browser that sends the same wants HTML.
    fn format(&self) -> Option<Format> {
        None
    }

    /// Whether the app tells who the user is. Where it does not, rules for users match nobody,
    /// which a gate reports once.
    fn tells_user(&self) -> bool {
        true
    }

    /// The user, who may be [anonymous](User::anonymous); `None` where the app does
    /// not say.
    fn user(&self) -> Option<User> {
        None
    }

    /// Whether the app vouches that the request changes nothing, although its method could: a
    /// query of GraphQL by POST, a login. Asked last of all, and only if nothing but read-only
    /// windows block the request, which then passes as GET does.
    fn is_read(&self) -> bool {
        false
    }
}

/// What a framework knows of the user of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Whether somebody is logged in.
    pub is_authenticated: bool,
    /// Whether the framework knows them as staff.
    pub is_staff: bool,
    /// Whether the framework knows them as a superuser.
    pub is_superuser: bool,
}

impl User {
    /// Makes a visitor who is not logged in.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Makes a user who is logged in, and neither staff nor a superuser.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What an app has to say of a request, and nothing else.
    struct Bare;

    impl Request for Bare {
        fn path(&self) -> &[u8] {
            b"/"
        }

        fn method(&self) -> &'static str {
            "GET"
        }

        fn host(&self) -> Option<&str> {
            None
        }

        fn peer(&self) -> Option<IpAddr> {
            None
        }

        fn header(&self, _name: &str, _each: &mut dyn FnMut(&[u8])) {}
    }

    #[test]
    fn what_an_app_does_not_say_of_a_request_is_unknown() {
        assert_eq!((Bare.query(), Bare.is_https(), Bare.client()), (None, None, None));
        assert_eq!((Bare.format(), Bare.user()), (None, None));
        assert!(!Bare.tells_client() && Bare.tells_user() && !Bare.is_read());
        assert!(!Bare.header_names(&mut |_| panic!("a name that nobody sent")));
    }

    #[test]
    fn a_user_is_what_the_framework_said_and_no_more() {
        let said = User::authenticated();
        for (user, is_authenticated, is_staff, is_superuser) in [
            (User::anonymous(), false, false, false),
            (said, true, false, false),
            (said.staff(true), true, true, false),
            (said.superuser(true), true, false, true),
        ] {
            assert_eq!(user, User { is_authenticated, is_staff, is_superuser });
        }
    }
}
