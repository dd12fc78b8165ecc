//! Who makes a change.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::shell;
use crate::sys;

/// Who made a change, for `status` and the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Actor {
    /// The user name of the process, or `uid N` where it has none.
    pub user: String,
    /// The person for whom the process acts: the one who ran `sudo(8)`, from
    /// `SUDO_USER` and its like if it is root, or who is logged in to an app.
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

/// Who makes a change, and when. A change function gets it with the state.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stamp<'a> {
    /// The time of the change.
    pub now: Timestamp,
    /// In whose name it is made.
    pub actor: &'a Actor,
}

impl<'a> Stamp<'a> {
    /// Creates the stamp of a change by this actor at this time.
    #[must_use]
    pub const fn new(now: Timestamp, actor: &'a Actor) -> Self {
        Self { now, actor }
    }
}

impl Actor {
    /// Describes the current process.
    #[must_use]
    pub fn current() -> Self {
        Self {
            user: sys::current_user(),
            sudo_user: invoker(sys::is_root(), |name| std::env::var(name).ok(), sys::user_name),
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

/// The person who became root, as sudo(8), doas(1) or pkexec(1) say it.
///
/// Anybody can set a variable, so only root is asked: it could act as anybody anyway, and
/// these programs set them anew. A name that does not fit its number was set by somebody else.
fn invoker(
    is_root: bool,
    variable: impl Fn(&str) -> Option<String>,
    user_name: impl Fn(u32) -> String,
) -> Option<String> {
    if !is_root {
        return None;
    }
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let by_number = |name: &str| set(name)?.parse().ok().map(&user_name);
    match set("SUDO_USER") {
        Some(name) => by_number("SUDO_UID").filter(|known| *known == name),
        None => set("DOAS_USER").or_else(|| by_number("PKEXEC_UID")),
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

/// Returns the owner of a file or directory, if known: its name, and as sudo(8) takes it.
#[must_use]
pub fn owner_of(path: &std::path::Path) -> Option<(String, String)> {
    let uid = sys::ownership(&std::fs::symlink_metadata(path).ok()?).uid;
    cfg!(unix).then(|| (sys::user_name(uid), sudo_name(uid)))
}

/// A user as sudo(8) takes it: a name, or a number where there is none.
pub(crate) fn sudo_name(uid: u32) -> String {
    match sys::user_name(uid) {
        name if name == format!("uid {uid}") => format!("'#{uid}'"),
        name => shell::word(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_became_root_is_believed_of_root_alone_and_only_where_name_and_number_fit() {
        let name = |uid| if uid == 1000 { "ann".to_owned() } else { format!("uid {uid}") };
        let said = |is_root: bool, set: &[(&str, &str)]| {
            let variable = |wanted: &str| {
                set.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
            };
            invoker(is_root, variable, name)
        };
        let sudo = [("SUDO_USER", "ann"), ("SUDO_UID", "1000")];
        assert_eq!(said(true, &sudo).as_deref(), Some("ann"));
        assert_eq!(said(false, &sudo), None, "anybody can set it");
        assert_eq!(said(true, &[("SUDO_USER", "ann")]), None, "without its number");
        assert_eq!(said(true, &[("SUDO_USER", "eve"), ("SUDO_UID", "1000")]), None);
        assert_eq!(said(true, &[("SUDO_USER", ""), ("SUDO_UID", "1000")]), None);
        assert_eq!(said(true, &[("DOAS_USER", "ann")]).as_deref(), Some("ann"));
        assert_eq!(said(true, &[("PKEXEC_UID", "1000")]).as_deref(), Some("ann"));
        for set in [[("DOAS_USER", "ann")], [("PKEXEC_UID", "1000")]] {
            assert_eq!(said(false, &set), None);
        }
    }

    #[test]
    fn a_user_without_a_name_is_a_number_for_sudo() {
        assert_eq!(sudo_name(4_123_456), "'#4123456'");
    }
}
