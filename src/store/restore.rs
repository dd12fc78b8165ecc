//! Going back by one generation.

use super::beside::Beside;
use super::identity::as_owner;
use super::options::{Applied, Options, Purpose};
use super::transaction::transact;
use crate::error::{Error, Result};
use crate::load;
use crate::site::Site;
use crate::state::{State, diff};

/// Brings back the previous generation of the state, as a new revision. A second
/// call undoes the first.
///
/// Bypass tokens that were revoked stay revoked. A corrupt state is kept as
/// `….broken`.
///
/// # Errors
///
/// [`Error::Invalid`] if there is no backup, and those of
/// [`update`](super::update()).
pub fn restore(site: &Site, options: &Options<'_>) -> Result<Applied<()>> {
    // Check first, so that without a backup not even a lock is made.
    as_owner(site, || backup(site))?;
    let options = Options { purpose: Purpose::Restore, ..options.clone() };
    transact(site, &options, Beside::Salvage, |state, _| {
        // Read it again under the lock: a writer that was waited for has left
        // another backup.
        let backup = backup(site)?;
        let salvaged = matches!(load::read(&site.files()?.state), Err(Error::Corrupt { .. }));
        *state = restored(state, &backup, salvaged);
        Ok(())
    })
}

/// Returns what [`restore`] would do, without a lock and without writing.
pub fn preview_restore(site: &Site) -> Result<Applied<()>> {
    as_owner(site, || {
        let files = site.files()?;
        let backup = backup(site)?;
        let (before, salvaged) = match load::read(&files.state) {
            Err(Error::Corrupt { .. }) => (State::default(), true),
            other => (other?, false),
        };
        let after = restored(&before, &backup, salvaged);
        let changes = diff(&before, &after);
        Ok(Applied::unwritten((), before, after, changes, files.state))
    })
}

/// The backup, as the successor of the current state.
fn restored(now: &State, backup: &State, salvaged: bool) -> State {
    let mut state = State {
        revision: now.revision,
        last_id: now.last_id.max(backup.last_id),
        last_change: now.last_change.clone(),
        ..backup.clone()
    };
    if !salvaged {
        state.bypass.retain(|id, _| now.bypass.contains_key(id));
    }
    state
}

fn backup(site: &Site) -> Result<State> {
    let path = site.files()?.backup;
    match load::load(&path)? {
        Some(loaded) => Ok(loaded.state),
        None => Err(Error::invalid(format!(
            "there is nothing to restore: `{}` does not exist",
            path.display()
        ))),
    }
}
