//! Classes of users.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A class of users, by what a framework knows about the user of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserClass {
    /// The visitor is not logged in.
    Anonymous,
    /// The user is logged in.
    Authenticated,
    /// The user may enter the admin site.
    Staff,
    /// The user may do everything.
    Superuser,
}

impl UserClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Anonymous, Self::Authenticated, Self::Staff, Self::Superuser];

    /// The word used on the command line and in the state file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Authenticated => "authenticated",
            Self::Staff => "staff",
            Self::Superuser => "superuser",
        }
    }

    /// Describes who is meant.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Anonymous => "every visitor who is not logged in",
            Self::Authenticated => "every user who is logged in",
            Self::Staff => "users whom the framework knows as staff",
            Self::Superuser => "users whom the framework knows as superusers",
        }
    }
}

impl fmt::Display for UserClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for UserClass {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or_else(|| {
            Error::invalid_with(
                format!("`{}` is not a user class", text.escape_debug()),
                "write `anonymous`, `authenticated`, `staff` or `superuser`",
            )
        })
    }
}
