//! What can go wrong, as facts. The command adds exit codes and hints on top.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::actor::Holder;
use crate::visible::Visible;

/// The result of every fallible function of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong.
///
/// A message names what failed, where, and why, in lower case without a final
/// period. [`Error::kind`] is for programs, [`Error::hint`] says what to do. `Debug` prints the
/// message and the hint, since that is what a `main` that returns an error shows.
#[non_exhaustive]
pub enum Error {
    /// A given value is not acceptable; nothing was written.
    Invalid {
        /// What is wrong with which value.
        message: String,
        /// What to write instead, if known.
        hint: Option<String>,
    },
    /// There is no window, rule, token or template of that name.
    Unknown {
        /// What was looked for: `window`, `ignore rule`, …
        kind: &'static str,
        /// The name or id that was given.
        name: String,
        /// The names that do exist.
        known: Vec<String>,
    },
    /// An ignore rule that is often a mistake was not confirmed.
    Unconfirmed {
        /// The rule.
        rule: String,
        /// Whether it is for the home page alone; otherwise it lets everyone in.
        is_root: bool,
    },
    /// A template of this name exists already.
    TemplateExists {
        /// The file name, with its extension.
        file_name: String,
    },
    /// A template cannot be removed, because it is in use.
    TemplateInUse {
        /// The name, without an extension.
        name: String,
        /// The window that uses it; absent if the site does.
        window: Option<String>,
    },
    /// There is no site in any of the usual places.
    NoSite {
        /// What was looked for.
        reason: String,
    },
    /// The directory that was named is not a site.
    NotASite {
        /// The directory as it was given.
        path: PathBuf,
        /// What is there instead.
        problem: SiteProblem,
    },
    /// A site found by walking up could have been planted by another user.
    Untrusted {
        /// The site directory that was found.
        path: PathBuf,
        /// Who owns it, or who else can write to it.
        reason: String,
    },
    /// The site that a first change makes could not be made.
    NotMade {
        /// The site directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file operation failed before anything was changed.
    Io {
        /// What was being done, as a verb: `replace`, `open lock`.
        action: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file is of a kind, or in a place, that must not be written to.
    Refused {
        /// The file or directory concerned.
        path: PathBuf,
        /// Why writing would be unsafe.
        reason: String,
        /// How to fix it.
        hint: Option<String>,
    },
    /// The endpoint cannot listen where it should; nothing listens there now that did not before.
    NotListening {
        /// The address.
        address: String,
        /// Why not.
        reason: String,
        /// What to do about it, if known.
        hint: Option<String>,
    },
    /// Another writer held the lock for longer than this one was willing to wait.
    Busy {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, if they said so.
        holder: Option<Holder>,
        /// How long this writer waited.
        waited: Duration,
    },
    /// The file system cannot lock, so two writers could not be kept apart.
    LockUnsupported {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The state is not the one the caller expected; nothing was changed.
    Conflict {
        /// What was expected and what was found.
        message: String,
        /// What to do about it, if that is not to look at the state.
        hint: Option<String>,
    },
    /// The state is broken, and the history does not tell which windows were open last; nothing
    /// was changed.
    LastUnknown {
        /// The broken state.
        path: PathBuf,
        /// The revision of the backup.
        revision: u64,
        /// What the history lacks.
        reason: String,
    },
    /// The new state is in force, but a power cut could still undo it.
    Unsynced {
        /// The directory that could not be synced.
        path: PathBuf,
        /// The revision that is in force.
        revision: u64,
        /// The cause.
        source: io::Error,
    },
    /// The state exists but cannot be read.
    Unreadable {
        /// The file concerned.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The state was read but is malformed.
    Corrupt {
        /// The file concerned.
        path: PathBuf,
        /// What is wrong, with line and column where known.
        reason: String,
    },
    /// The engine of a fleet could not be reached, did not confirm, or holds what cannot be
    /// followed. Unless the reason says so, nothing was changed.
    Store {
        /// Its address, which holds no secret.
        store: String,
        /// What happened.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
        /// Whether it is away: trying again later may help.
        is_away: bool,
    },
    /// The state was written by a version of maint that this one does not understand.
    Newer {
        /// The file concerned.
        path: PathBuf,
        /// The oldest version that may read it, or change it if that is what failed.
        version: u64,
        /// The newest version this library understands.
        known: u64,
    },
}

/// What is in the place of a site.
#[derive(Debug)]
#[non_exhaustive]
pub enum SiteProblem {
    /// Nothing.
    Missing,
    /// Nothing, and the state file is a symbolic link into it.
    MissingBehind(PathBuf),
    /// Something that cannot be looked at.
    Unreachable(io::Error),
    /// A file.
    NotADirectory,
    /// A directory of something else, with a site in it.
    Holds(PathBuf),
    /// A directory of something else.
    OtherFiles,
}

impl fmt::Display for SiteProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing | Self::MissingBehind(_) => f.write_str("there is no such directory"),
            Self::Unreachable(cause) => f.write_str(&describe(cause)),
            Self::NotADirectory => f.write_str("it is not a directory"),
            Self::Holds(_) => f.write_str("it holds no state"),
            Self::OtherFiles => f.write_str("it holds other files and no state"),
        }
    }
}

/// The kinds of failure. A kind decides the exit code of the command and the
/// class of the exception in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller gave a wrong value, an unknown name, or no usable site.
    Usage,
    /// An operation failed, and the state is as it was.
    NotApplied,
    /// Another writer held the lock.
    Busy,
    /// The state was not the one the caller expected, and is as it was.
    Conflict,
    /// The change is in force, but a power cut could still undo it.
    Unsynced,
    /// The state exists but cannot be read.
    Unreadable,
    /// The state is malformed, or newer than this version understands.
    Corrupt,
    /// The engine of a fleet could not be reached, or did not confirm.
    Store,
}

impl ErrorKind {
    /// Returns the kind as one stable word: `code` in the command's JSON and in Python.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::NotApplied => "not_applied",
            Self::Busy => "busy",
            Self::Conflict => "conflict",
            Self::Unsynced => "unsynced",
            Self::Unreadable => "unreadable",
            Self::Corrupt => "corrupt",
            Self::Store => "store",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What others wrote, as the name of a file, stands in it as an escape: errors end up on
/// terminals and in logs.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(&mut Visible(f))
    }
}

impl Error {
    fn say(&self, f: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Invalid { message, .. } | Self::Conflict { message, .. } => f.write_str(message),
            Self::Unknown { kind, name, .. } => write!(f, "no {kind} named `{name}`"),
            Self::LastUnknown { path, revision, reason } => write!(
                f,
                "`{}` is broken, and which windows were open last is not known ({reason}); the \
                 backup is of revision {revision}",
                path.display()
            ),
            Self::NoSite { reason } => write!(f, "no site found: {reason}"),
            Self::Unconfirmed { is_root: true, .. } => {
                f.write_str("`/` is the home page alone, but is often meant for everything")
            }
            Self::Unconfirmed { rule, .. } => {
                write!(f, "`{rule}` would let everyone through every window")
            }
            Self::TemplateExists { file_name } => {
                write!(f, "the template `{file_name}` exists already")
            }
            Self::TemplateInUse { name, window: Some(window) } => {
                write!(f, "the window `{window}` uses the template `{name}`")
            }
            Self::TemplateInUse { name, window: None } => {
                write!(f, "the site uses the template `{name}`")
            }
            Self::NotASite { path, problem } => {
                write!(f, "`{}` is not a site: {problem}", path.display())
            }
            Self::Untrusted { path, reason } => {
                write!(f, "refusing the site `{}`: {reason}", path.display())
            }
            Self::NotMade { path, source } => {
                write!(f, "could not make the site `{}`: {}", path.display(), describe(source))
            }
            Self::Io { action, path, source } => {
                write!(f, "could not {action} `{}`: {}", path.display(), describe(source))
            }
            Self::Refused { path, reason, .. } => {
                write!(f, "refusing to write `{}`: {reason}", path.display())
            }
            Self::NotListening { address, reason, .. } => {
                write!(f, "could not listen at {address}: {reason}")
            }
            Self::Busy { path, holder, waited } => {
                write!(f, "lock `{}` is held{}", path.display(), by(holder.as_ref(), *waited))
            }
            Self::LockUnsupported { path, source } => {
                write!(f, "could not lock `{}`: {}", path.display(), describe(source))
            }
            Self::Unsynced { path, revision, source } => write!(
                f,
                "applied revision {revision}, durability unknown: could not sync `{}`: {}",
                path.display(),
                describe(source)
            ),
            Self::Unreadable { path, source } => {
                write!(f, "could not read `{}`: {}", path.display(), describe(source))
            }
            Self::Corrupt { path, reason } => write!(f, "`{}` is broken: {reason}", path.display()),
            Self::Store { store, reason, .. } => write!(f, "store `{store}`: {reason}"),
            Self::Newer { path, version, known } => write!(
                f,
                "`{}` needs version {version}; this maint understands up to {known}",
                path.display()
            ),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self.hint() {
            Some(hint) => {
                f.write_str("\nhint: ")?;
                fmt::Write::write_str(&mut Visible(f), &hint)
            }
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. }
            | Self::NotMade { source, .. }
            | Self::LockUnsupported { source, .. }
            | Self::Unsynced { source, .. }
            | Self::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Error {
    /// Creates an [`Error::Invalid`] without a hint.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: None }
    }

    /// Creates an [`Error::Invalid`] with a hint: what to write instead.
    pub fn invalid_with(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: Some(hint.into()) }
    }

    /// Creates an [`Error::Conflict`] without a hint of its own.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict { message: message.into(), hint: None }
    }

    /// Creates an [`Error::Conflict`] with a hint: what to do about it.
    pub fn conflict_with(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Conflict { message: message.into(), hint: Some(hint.into()) }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. }
            | Self::Unknown { .. }
            | Self::Unconfirmed { .. }
            | Self::TemplateExists { .. }
            | Self::TemplateInUse { .. }
            | Self::NoSite { .. }
            | Self::NotASite { .. }
            | Self::Untrusted { .. } => ErrorKind::Usage,
            Self::Io { .. }
            | Self::NotMade { .. }
            | Self::Refused { .. }
            | Self::NotListening { .. }
            | Self::LastUnknown { .. }
            | Self::LockUnsupported { .. } => ErrorKind::NotApplied,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Unsynced { .. } => ErrorKind::Unsynced,
            Self::Unreadable { .. } => ErrorKind::Unreadable,
            Self::Corrupt { .. } | Self::Newer { .. } => ErrorKind::Corrupt,
            Self::Store { .. } => ErrorKind::Store,
        }
    }

    /// Returns the file or directory that the failure is about, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::NotASite { path, .. }
            | Self::Untrusted { path, .. }
            | Self::Io { path, .. }
            | Self::NotMade { path, .. }
            | Self::Refused { path, .. }
            | Self::Busy { path, .. }
            | Self::LockUnsupported { path, .. }
            | Self::Unsynced { path, .. }
            | Self::Unreadable { path, .. }
            | Self::Corrupt { path, .. }
            | Self::LastUnknown { path, .. }
            | Self::Newer { path, .. } => Some(path),
            Self::Invalid { .. }
            | Self::Unknown { .. }
            | Self::Unconfirmed { .. }
            | Self::TemplateExists { .. }
            | Self::TemplateInUse { .. }
            | Self::NoSite { .. }
            | Self::Store { .. }
            | Self::NotListening { .. }
            | Self::Conflict { .. } => None,
        }
    }

    /// Returns one thing to run, to read or to write instead. It may name the command but none
    /// of its options, since it is for somebody who has called a function.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Invalid { hint, .. }
            | Self::Refused { hint, .. }
            | Self::NotListening { hint, .. }
            | Self::Store { hint, .. } => return hint.clone(),
            Self::Unconfirmed { is_root: true, .. } => {
                "for the home page say `everything`; for a part of the site `/part/**`".to_owned()
            }
            Self::Unconfirmed { .. } => "if that is meant, say `everything`".to_owned(),
            Self::NotASite { problem: SiteProblem::Holds(site), .. } => {
                format!("it has a site: `{}`", site.display())
            }
            Self::NotASite { problem: SiteProblem::MissingBehind(link), .. } => {
                format!("`{}` is a link into it", link.display())
            }
            Self::NotASite { .. } => "to make a site: `maint init` in the project".to_owned(),
            Self::NotMade { .. } => {
                "name a directory that can be written by `MAINT_SITE`, for the command as well"
                    .to_owned()
            }
            Self::Unknown { known, .. } if known.is_empty() => "there is none".to_owned(),
            Self::Unknown { known, .. } => format!("there are: {}", known.join(", ")),
            Self::NoSite { .. } => "run `maint init` in the project, or name a site".to_owned(),
            Self::Untrusted { .. } => {
                "if you trust it, name it: in `MAINT_SITE`, or by the path of the site".to_owned()
            }
            Self::Unreadable { .. } | Self::Corrupt { .. } => {
                "`maint doctor` shows what is wrong".to_owned()
            }
            Self::Newer { .. } => "install the newer maint here too".to_owned(),
            _ => return None,
        })
    }

    /// Returns the operating system's error number (errno(3)), if it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::NotMade { source, .. }
            | Self::Io { source, .. }
            | Self::LockUnsupported { source, .. }
            | Self::Unsynced { source, .. }
            | Self::Unreadable { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// Writes a cause in the style of this project: lower case, without Rust's `(os error N)`.
#[must_use]
pub fn describe(source: &io::Error) -> String {
    let text = source.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => "unknown cause".to_owned(),
    }
}

fn by(holder: Option<&Holder>, waited: Duration) -> String {
    let mut text = holder.map_or_else(String::new, |holder| format!(" by {holder}"));
    if !waited.is_zero() {
        text += &format!("; gave up after {:.1} s", waited.as_secs_f64());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_main_that_returns_an_error_prints_is_the_message_and_the_hint() {
        let missing =
            Error::NotASite { path: "/srv/sh\u{1b}op".into(), problem: SiteProblem::Missing };
        assert_eq!(
            format!("{missing:?}"),
            "`/srv/sh\\u{1b}op` is not a site: there is no such directory\n\
             hint: to make a site: `maint init` in the project"
        );
        let boxed: Box<dyn std::error::Error> = Box::new(Error::conflict("it has changed"));
        assert_eq!(format!("{boxed:?}"), "it has changed");
    }

    #[test]
    fn a_hint_shows_what_others_wrote_and_does_not_send_it() {
        let holds = SiteProblem::Holds("/srv/\u{1b}[2J/.maint".into());
        let error = Error::NotASite { path: "/srv".into(), problem: holds };
        assert!(!format!("{error:?}").contains('\u{1b}'));
    }
}
