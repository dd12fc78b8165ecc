//! Going back by one generation.

use super::beside::Beside;
use super::options::{Applied, Options, Purpose};
use super::transaction::transact;
use crate::error::{Error, Result};
use crate::load;
use crate::site::Site;
use crate::state::{State, diff};

/// Brings back the generation before, as a new revision. Run again, it undoes
/// itself.
///
/// Bypass tokens that were revoked stay revoked. A state that cannot be
/// understood is set aside as `….broken`.
///
/// # Errors
///
/// [`Error::Invalid`] if there is no backup.
pub fn restore(site: &Site, options: &Options<'_>) -> Result<Applied<()>> {
    // Without one nothing is made, not even a lock.
    backup(site)?;
    let options = Options { purpose: Purpose::Restore, ..options.clone() };
    transact(site, &options, Beside::Salvage, |state, _| {
        // Only under the lock is it the generation before: whoever was waited for
        // has left another one.
        let backup = backup(site)?;
        let salvaged = matches!(load::read(&site.files()?.state), Err(Error::Corrupt { .. }));
        *state = restored(state, &backup, salvaged);
        Ok(())
    })
}

/// What [`restore`] would do.
pub fn preview_restore(site: &Site) -> Result<Applied<()>> {
    let files = site.files()?;
    let backup = backup(site)?;
    let (before, salvaged) = match load::read(&files.state) {
        Err(Error::Corrupt { .. }) => (State::default(), true),
        other => (other?, false),
    };
    let after = restored(&before, &backup, salvaged);
    let changes = diff(&before, &after);
    Ok(Applied::unwritten((), before, after, changes, files.state))
}

/// The backup, as a successor of the state now.
fn restored(now: &State, backup: &State, salvaged: bool) -> State {
    let mut state =
        State { revision: now.revision, last_change: now.last_change.clone(), ..backup.clone() };
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
