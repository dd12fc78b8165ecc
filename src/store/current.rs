//! The state as a writer finds it.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::history;
use crate::error::{Error, Result, describe};
use crate::load::{self, Loaded};
use crate::replace::OldFile;
use crate::site::Files;
use crate::state::{MAX_REVISION, State, VERSION, next_number};
use crate::sys;

/// The state as a writer finds it.
pub(super) struct Current {
    pub(super) state: State,
    /// Absent if the state is corrupt.
    pub(super) revision: Option<u64>,
    pub(super) old: Option<OldFile>,
    pub(super) hard_links: u64,
}

impl Current {
    /// Whether the state file is still the one that was read.
    pub(super) fn is_still_there(&self, files: &Files) -> bool {
        match fs::metadata(&files.state) {
            Ok(metadata) => self.old.is_some_and(|old| old.key == sys::key(&metadata)),
            Err(cause) => self.old.is_none() && cause.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// Reads the state; a corrupt one only for `salvage`.
pub(super) fn read(files: &Files, salvage: bool) -> Result<Current> {
    let loaded = match load::load(&files.state) {
        Err(Error::Corrupt { reason, path }) if salvage => {
            return broken(files, path, reason);
        }
        other => other?,
    };
    let Some(Loaded { state, key, ownership, hard_links }) = loaded else {
        // A deleted state means "off", but its revisions are used up.
        let state = State { revision: last_known_revision(files), ..State::default() };
        return Ok(Current { revision: Some(state.revision), state, old: None, hard_links: 1 });
    };
    if state.version > VERSION {
        return Err(Error::Newer {
            path: files.state.clone(),
            version: state.version,
            known: VERSION,
        });
    }
    Ok(Current {
        revision: Some(state.revision),
        state,
        old: Some(OldFile { key, ownership }),
        hard_links,
    })
}

/// A corrupt state, for `restore` to replace.
fn broken(files: &Files, path: PathBuf, reason: String) -> Result<Current> {
    let metadata = fs::metadata(&files.state)
        .map_err(|source| Error::Unreadable { path: path.clone(), source })?;
    if sys::special_kind(&metadata).is_some() {
        return Err(Error::Corrupt { path, reason });
    }
    let revision = next_number(last_known_revision(files));
    Ok(Current {
        state: State { revision, ..State::default() },
        revision: None,
        old: Some(OldFile { key: sys::key(&metadata), ownership: sys::ownership(&metadata) }),
        hard_links: 1,
    })
}

/// The highest revision in the backup or the history.
pub(super) fn last_known_revision(files: &Files) -> u64 {
    let backup = load::read(&files.backup).map_or(0, |state| state.revision);
    backup.max(history::last_revision(files).unwrap_or(0)).min(MAX_REVISION)
}

/// Keeps a corrupt state for whoever wants to find out what broke it.
pub(super) fn set_aside(files: &Files, warnings: &mut Vec<String>) {
    let mut name = files.state.as_os_str().to_owned();
    name.push(".broken");
    let aside = PathBuf::from(name);
    let _ = sys::unlink(&aside);
    match sys::link(&files.state, &aside) {
        Ok(()) => warnings.push(format!("the broken state is kept as `{}`", aside.display())),
        Err(cause) => {
            warnings.push(format!("the broken state could not be kept: {}", describe(&cause)));
        }
    }
}
