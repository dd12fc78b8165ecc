//! What a decision looks at: the facts of one request.

pub mod client;
pub mod path;

use std::net::IpAddr;

/// The facts of a request, asked for one by one and only when they matter.
///
/// While the site is up nothing is asked at all, and the user, who may cost a
/// query of the database, is asked for last.
pub trait Request {
    /// The path of the request target as it was sent: not decoded, without the
    /// query. Never that of another header field.
    fn path(&self) -> &[u8];

    /// The method, in upper case (RFC 9110, 9.1).
    fn method(&self) -> &str;

    /// The host that was asked for, as sent: with its port, in any case.
    fn host(&self) -> Option<&str>;

    /// The address that connects; absent for a Unix socket.
    fn peer(&self) -> Option<IpAddr>;

    /// Hands over every value of a header field, in order. Names are compared
    /// without case.
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8]));

    /// Who is logged in; absent where nobody knows of users.
    fn user(&self) -> Option<User>;

    /// The bypass token that the visitor presents, if there is one.
    fn token(&self) -> Option<&str>;
}

/// What a framework knows of the user of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Somebody is logged in.
    pub is_authenticated: bool,
    /// The framework knows them as staff.
    pub is_staff: bool,
    /// The framework knows them as a superuser.
    pub is_superuser: bool,
}

/// Takes off the spaces and tabs around a field value (RFC 9110, 5.5).
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
