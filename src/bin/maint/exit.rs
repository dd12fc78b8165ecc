//! Exit codes, and errors as they are printed.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use maint::actor::owner_of;
use maint::{Error, ErrorKind};
use serde_json::json;

use crate::output::{Output, printable};

/// How the command ends. The numbers are a promise; `--help`, the man page and
/// the README list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, nothing to do, or yes.
    Done,
    /// The answer is no.
    No,
    /// A wrong argument, an unknown name, or no site.
    Usage,
    /// Something failed, and nothing was changed.
    NotApplied,
    /// Another writer held the lock.
    Busy,
    /// The state was not the expected one, and nothing was changed.
    Conflict,
    /// The change is in force, but a power cut could undo it.
    Unsynced,
    /// The state could not be read.
    Unreadable,
    /// The state was read and makes no sense.
    Corrupt,
    /// The answer could not be written to standard output.
    Output,
    /// `run`: the code of the command that was run.
    Command(u8),
}

/// The exit codes, as `--help` and the man page show them.
pub(crate) const CODES: [(u8, &str); 10] = [
    (0, "done, nothing to do, or yes"),
    (1, "the answer is no"),
    (2, "wrong usage, an unknown name or id, or no site"),
    (3, "not applied: something failed, and nothing changed"),
    (4, "busy: another writer held the lock"),
    (5, "conflict: the state was not the expected one, and nothing changed"),
    (6, "applied, durability unknown: the disk did not confirm"),
    (7, "the state could not be read"),
    (8, "the state is corrupt, or of a newer version"),
    (9, "the answer could not be written"),
];

/// The end of `maint --help`. A test holds it against [`CODES`].
pub(crate) const HELP: &str = "\
Exit codes:
  0  done, nothing to do, or yes
  1  the answer is no
  2  wrong usage, an unknown name or id, or no site
  3  not applied: something failed, and nothing changed
  4  busy: another writer held the lock
  5  conflict: the state was not the expected one, and nothing changed
  6  applied, durability unknown: the disk did not confirm
  7  the state could not be read
  8  the state is corrupt, or of a newer version
  9  the answer could not be written

Times are RFC 3339, or local: '2026-11-22 03:00', or 03:00, the next one.
Durations read 90s, 30m, 1h30m, 2d.";

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::NotApplied => 3,
            Self::Busy => 4,
            Self::Conflict => 5,
            Self::Unsynced => 6,
            Self::Unreadable => 7,
            Self::Corrupt => 8,
            Self::Output => 9,
            Self::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Standard output did not take the answer.
#[derive(Debug)]
pub(crate) struct OutputFailed(pub(crate) io::Error);

impl std::fmt::Display for OutputFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_string().to_lowercase();
        write!(
            f,
            "could not write the answer: {}",
            text.split(" (os error").next().unwrap_or(&text)
        )
    }
}

impl std::error::Error for OutputFailed {}

/// Prints an error with at most one hint, and says how to exit.
pub(crate) fn report(error: &anyhow::Error, output: &Output) -> Exit {
    let (exit, code, path, errno, hint) = match error.downcast_ref::<Error>() {
        Some(known) => (of(known), known.kind().as_str(), known.path(), known.errno(), hint(known)),
        None if error.is::<OutputFailed>() => (Exit::Output, "output", None, None, None),
        None => (Exit::NotApplied, "not_applied", None, None, None),
    };
    let message = match error.downcast_ref::<Error>() {
        // It names its cause already.
        Some(known) => known.to_string(),
        None => error.chain().map(plain).collect::<Vec<_>>().join(": "),
    };
    if output.is_json() {
        output.error_line(
            &json!({ "error": {
                "code": code,
                "exit": exit.code(),
                "message": message,
                "path": path.map(Path::to_string_lossy),
                "errno": errno,
                "hint": hint,
            }})
            .to_string(),
        );
    } else {
        output.error_line(&format!("maint: {}", printable(&message)));
        if let Some(hint) = hint {
            output.error_line(&format!("hint: {}", printable(&hint)));
        }
    }
    exit
}

/// A cause in the style of this project: without Rust's `(os error N)`.
fn plain(cause: &(dyn std::error::Error + 'static)) -> String {
    match cause.downcast_ref::<io::Error>() {
        Some(cause) => maint::error::describe(cause),
        None => cause.to_string(),
    }
}

/// The exit code of a failure.
pub(crate) fn of(error: &Error) -> Exit {
    match error.kind() {
        ErrorKind::Usage => Exit::Usage,
        ErrorKind::Busy => Exit::Busy,
        ErrorKind::Conflict => Exit::Conflict,
        ErrorKind::Unsynced => Exit::Unsynced,
        ErrorKind::Unreadable => Exit::Unreadable,
        ErrorKind::Corrupt => Exit::Corrupt,
        // `NotApplied`, and kinds of later versions.
        _ => Exit::NotApplied,
    }
}

/// One thing to run or read.
fn hint(error: &Error) -> Option<String> {
    match error {
        Error::Invalid { hint, .. } | Error::NotASite { hint, .. } | Error::Refused { hint, .. } => hint.clone(),
        Error::Unknown { known, .. } => Some(match known.as_slice() {
            [] => "there is none".to_owned(),
            [only] => format!("there is only `{only}`"),
            many => format!("there are {}", some_of(many)),
        }),
        Error::NoSite { .. } => Some("run `maint init` in the project, or name a site with `--site`".to_owned()),
        Error::Untrusted { path, .. } => Some(format!("if you mean it, name it: `--site {}`", path.display())),
        Error::Io { path, source, .. } | Error::Unreadable { path, source } => by_cause(path, source),
        Error::Busy { .. } => Some("try again, or wait longer: `--wait 60s`".to_owned()),
        Error::LockUnsupported { .. } => Some(
            "put the site on a local file system; if nobody else writes to it, `--no-lock` goes on without".to_owned(),
        ),
        Error::Conflict { .. } => Some("look at `maint status`, then decide again".to_owned()),
        Error::Unsynced { .. } => Some("the change is in force; look at the disk before you rely on it".to_owned()),
        Error::Corrupt { .. } => Some("`maint doctor` tells more; `maint restore` brings back the state before".to_owned()),
        Error::Newer { .. } => Some("install the newer maint on this host too".to_owned()),
        _ => None,
    }
}

fn by_cause(path: &Path, source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            let directory = if path.is_dir() { path } else { path.parent()? };
            let owner = owner_of(directory)?;
            Some(format!(
                "`{}` belongs to `{owner}`; try `sudo -u {owner} maint …`",
                directory.display()
            ))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("make room, then run it again; the state is as it was".to_owned())
        }
        io::ErrorKind::ReadOnlyFilesystem => Some(
            "the file system is mounted read-only; run this where it can be written".to_owned(),
        ),
        io::ErrorKind::NotFound => {
            Some("`maint path` tells which site is meant, and why".to_owned())
        }
        _ => None,
    }
}

fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_60_the_help_lists_every_code() {
        for (code, meaning) in CODES {
            assert!(HELP.contains(&format!("  {code}  {meaning}\n")), "{code}");
        }
        let all = [
            Exit::Done,
            Exit::No,
            Exit::Usage,
            Exit::NotApplied,
            Exit::Busy,
            Exit::Conflict,
            Exit::Unsynced,
            Exit::Unreadable,
            Exit::Corrupt,
            Exit::Output,
        ];
        assert_eq!(all.map(Exit::code), CODES.map(|(code, _)| code));
    }
}
