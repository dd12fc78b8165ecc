//! Who a user is, by the fields that a proxy sets once it has asked for a login.

use http::HeaderMap;
use http::header::HeaderName;

use crate::error::{Error, Result};
use crate::request::User;

/// Which fields tell of users.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Users {
    /// The user's name; who has none is anonymous.
    user: HeaderName,
    /// The user's groups, between commas or spaces.
    groups: Option<HeaderName>,
    /// The groups whose members are staff.
    staff: Vec<String>,
    /// The groups whose members are superusers.
    superusers: Vec<String>,
}

impl Users {
    /// Reads the user from a field, such as `Remote-User`, which the proxy must set or remove in
    /// each request.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it is no name of a field.
    pub fn by_field(name: &str) -> Result<Self> {
        Ok(Self { user: field(name)?, groups: None, staff: Vec::new(), superusers: Vec::new() })
    }

    /// Reads the groups of the user from a field, such as `Remote-Groups`, and knows the staff
    /// and the superusers by those.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it is no name of a field.
    pub fn groups(self, name: &str, staff: Vec<String>, superusers: Vec<String>) -> Result<Self> {
        Ok(Self { groups: Some(field(name)?), staff, superusers, ..self })
    }

    /// The user of a request. A field that occurs twice tells nothing.
    pub(super) fn of(&self, headers: &HeaderMap) -> User {
        let text = |name| only(headers, name).and_then(|value| str::from_utf8(value).ok());
        if text(&self.user).is_none_or(|name| name.trim().is_empty()) {
            return User::anonymous();
        }
        let groups = self.groups.as_ref().and_then(text).unwrap_or_default();
        let is_in = |wanted: &[String]| {
            let mut groups = groups.split([',', ' ', '\t']).filter(|group| !group.is_empty());
            groups.any(|group| wanted.iter().any(|wanted| wanted == group))
        };
        User::authenticated().staff(is_in(&self.staff)).superuser(is_in(&self.superusers))
    }
}

/// The only value of a field.
pub(super) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut all = headers.get_all(name).iter();
    let value = all.next()?;
    if all.next().is_some() { None } else { Some(value.as_bytes()) }
}

fn field(name: &str) -> Result<HeaderName> {
    name.parse().map_err(|_| {
        Error::invalid_with(
            format!("`{name}` is not the name of a header field"),
            "write it like `Remote-User`",
        )
    })
}
