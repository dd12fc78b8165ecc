//! The state as a writer finds it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::history;
use super::lock;
use super::replace::OldFile;
use crate::error::{Error, Result, describe};
use crate::load::{self, Loaded};
use crate::site::Files;
use crate::state::{MAX_REVISION, State, VERSION, next_number};
use crate::sys;

/// How long to wait for a state file that another process holds, once the lock
/// proper is ours. See [`settled`].
const SECOND_LOCK: Duration = Duration::from_secs(2);

/// The state as a writer finds it.
pub(super) struct Current {
    pub(super) state: State,
    /// Absent if the state is corrupt.
    pub(super) revision: Option<u64>,
    pub(super) old: Option<OldFile>,
    pub(super) hard_links: u64,
    /// Keeps the second lock.
    _file: Option<fs::File>,
}

/// Reads the state once no other writer can be about to replace it.
///
/// The lock file can be deleted by others, and then two writers can each hold
/// "the" lock. So the state file that was read is locked as well. Only the
/// holder of this second lock replaces the file. Whoever gets it afterwards finds
/// a new file at the path and starts again: `None`. Anyone who may read the file
/// could hold the second lock, so the wait for it is bounded.
pub(super) fn settled(files: &Files, salvage: bool) -> Result<Option<Current>> {
    let loaded = match load::load(&files.state) {
        Err(Error::Corrupt { reason, path }) if salvage => {
            return broken(files, path, reason).map(Some);
        }
        other => other?,
    };
    let Some(Loaded { state, file, key, ownership, hard_links }) = loaded else {
        // A deleted state means "off", but its revisions are used up.
        let state = State { revision: last_known_revision(files), ..State::default() };
        return Ok(Some(Current {
            revision: Some(state.revision),
            state,
            old: None,
            hard_links: 1,
            _file: None,
        }));
    };
    if state.version > VERSION {
        return Err(Error::Newer {
            path: files.state.clone(),
            version: state.version,
            known: VERSION,
        });
    }
    let begun = Instant::now();
    while let Ok(false) = lock::try_lock_state(&file) {
        if begun.elapsed() > SECOND_LOCK {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let is_still_there =
        fs::metadata(&files.state).is_ok_and(|metadata| sys::key(&metadata) == key);
    Ok(is_still_there.then(|| Current {
        revision: Some(state.revision),
        state,
        old: Some(OldFile { key, ownership }),
        hard_links,
        _file: Some(file),
    }))
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
        _file: None,
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
