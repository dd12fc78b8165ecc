//! Who makes a change.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::sys;

/// Who made a change, for `status` and the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Actor {
    /// The user name of the process, or `uid N` where it has none.
    pub user: String,
    /// The person for whom the process acts: the one who ran `sudo(8)`, from
    /// `SUDO_USER`, or who is logged in to an app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<String>,
    /// The host name.
    #[serde(default)]
    pub host: String,
    /// The process id on that host.
    #[serde(default)]
    pub pid: u32,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

impl Actor {
    /// Describes the current process.
    #[must_use]
    pub fn current() -> Self {
        Self {
            user: sys::current_user(),
            sudo_user: std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty()),
            host: sys::host_name(),
            pid: std::process::id(),
            extra: Map::new(),
        }
    }

    /// Whether nothing is known about the actor.
    #[must_use]
    pub(crate) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the person: the one who ran `sudo`, or else the user of the process.
    #[must_use]
    pub fn person(&self) -> &str {
        self.sudo_user.as_deref().unwrap_or(&self.user)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.person(), self.host)?;
        match &self.sudo_user {
            Some(_) => write!(f, " (as {})", self.user),
            None => Ok(()),
        }
    }
}

/// Who holds the lock, as its holder wrote into it. For people only: it may be
/// missing or out of date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Holder {
    /// The process id on its host.
    pub pid: u32,
    /// The host.
    pub host: String,
    /// The command, without the name of the program.
    #[serde(deserialize_with = "crate::shell::read_recorded")]
    pub command: String,
    /// When it asked for the lock.
    pub since: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`maint {}` (process {} on {})", self.command, self.pid, self.host)
    }
}

/// Returns the name of the owner of a file or directory, if known.
#[must_use]
pub fn owner_of(path: &std::path::Path) -> Option<String> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    cfg!(unix).then(|| sys::user_name(sys::ownership(&metadata).uid))
}
