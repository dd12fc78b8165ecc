//! A request whose header fields have been looked over once.

use std::net::IpAddr;

use super::{Request, User};
use crate::format::Format;

/// A request that knows at once of most fields that it lacks them. The choice of a page asks for
/// a dozen, and most requests have one or two of those.
pub(crate) struct Sieve<'r, R> {
    request: &'r R,
    /// A bit for every name that is there; others may share it.
    present: u64,
}

impl<'r, R: Request> Sieve<'r, R> {
    pub(crate) fn of(request: &'r R) -> Self {
        let mut present = 0;
        let are_told = request.header_names(&mut |name| present |= bit(name));
        Self { request, present: if are_told { present } else { u64::MAX } }
    }
}

/// The bit of a name in any case: its length and its ends tell most names apart.
fn bit(name: &[u8]) -> u64 {
    const LOWER: u8 = 0x20;
    let end = |byte: Option<&u8>| usize::from(byte.map_or(0, |byte| byte | LOWER));
    1 << ((name.len() * 7 + end(name.first()) * 3 + end(name.last())) % 64)
}

impl<R: Request> Request for Sieve<'_, R> {
    fn path(&self) -> &[u8] {
        self.request.path()
    }

    fn query(&self) -> Option<&[u8]> {
        self.request.query()
    }

    fn method(&self) -> &str {
        self.request.method()
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
        if self.present & bit(name.as_bytes()) != 0 {
            self.request.header(name, each);
        }
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

    fn is_read(&self) -> bool {
        self.request.is_read()
    }
}
