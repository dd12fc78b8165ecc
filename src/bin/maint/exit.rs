//! Exit codes.

use std::process::ExitCode;

use maint::{Error, ErrorKind};

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
    /// The change is in force, but a flag does not follow.
    Behind,
    /// The engine of a fleet could not be reached, or did not confirm.
    Store,
    /// `run`: the code of the command that was run.
    Command(u8),
}

/// The exit codes, as `--help` and the man page show them.
pub(crate) const CODES: [(u8, &str); 12] = [
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
    (10, "applied, but a flag or this host does not follow"),
    (11, "the store of a fleet could not be reached, or did not confirm"),
];

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
            Self::Behind => 10,
            Self::Store => 11,
            Self::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
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
        ErrorKind::Store => Exit::Store,
        // `NotApplied`, and kinds of later versions.
        _ => Exit::NotApplied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_60_the_help_lists_every_code() {
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
            Exit::Behind,
            Exit::Store,
        ];
        assert_eq!(all.map(Exit::code), CODES.map(|(code, _)| code));
    }
}
