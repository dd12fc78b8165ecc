//! The same visitor, asking for something else.

use std::net::IpAddr;

use super::{Request, User};
use crate::format::Format;

/// A request with another method or target, and all other facts of one that was received.
pub(crate) struct Elsewhere<'r, R> {
    request: &'r R,
    method: &'r str,
    path: &'r [u8],
    query: Option<&'r [u8]>,
}

impl<'r, R: Request> Elsewhere<'r, R> {
    /// The same target, asked for with another method.
    pub(crate) fn by(method: &'r str, request: &'r R) -> Self {
        Self { request, method, path: request.path(), query: request.query() }
    }

    /// Another target on the same host: a path, with or without a query.
    pub(crate) fn at(method: &'r str, target: &'r str, request: &'r R) -> Self {
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        Self { request, method, path: path.as_bytes(), query: query.map(str::as_bytes) }
    }
}

impl<R: Request> Request for Elsewhere<'_, R> {
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
        self.request.host()
    }

    fn is_https(&self) -> Option<bool> {
        self.request.is_https()
    }

    fn peer(&self) -> Option<IpAddr> {
        self.request.peer()
    }

    fn client(&self) -> Option<IpAddr> {
        self.request.client()
    }

    fn tells_client(&self) -> bool {
        self.request.tells_client()
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.request.header(name, each);
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) -> bool {
        self.request.header_names(each)
    }

    fn format(&self) -> Option<Format> {
        self.request.format()
    }

    fn tells_user(&self) -> bool {
        self.request.tells_user()
    }

    fn user(&self) -> Option<User> {
        self.request.user()
    }
}
