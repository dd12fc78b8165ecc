//! Going back by one generation, and mending a state that is broken.

use super::beside::Beside;
use super::options::{Applied, Options, Purpose};
use super::rebuild::last_known;
use super::remote;
use super::transaction::here;
use crate::actor::Stamp;
use crate::error::{Error, Result};
use crate::fleet;
use crate::identity::as_owner;
use crate::load;
use crate::site::{Files, Site};
use crate::state::{State, diff};

/// What [`restore`] brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restored {
    /// The state before the last change.
    Before,
    /// In place of a broken state: the last state that the history knows, of this revision.
    LastKnown(u64),
    /// In place of a broken state: the backup of this revision, since the history does not
    /// know the last state, and the caller has confirmed it.
    Backup(u64),
}

/// Brings back the previous generation of the state, as a new revision. A second
/// call undoes the first. Bypass tokens that were revoked stay revoked.
///
/// A corrupt state is kept as `….broken`. In its place comes the last state that was
/// known: the backup with the changes that the history has since, so that mending opens
/// nothing that was closed.
///
/// # Errors
///
/// [`Error::Invalid`] if there is no backup, [`Error::LastUnknown`] if the state is corrupt
/// and the history does not tell what was in it, unless [`Options::confirmed`] is set, and
/// those of [`update`](super::update()).
pub fn restore(site: &Site, options: &Options<'_>) -> Result<Applied<Restored>> {
    let site = &site.current()?;
    if let Some(engine) = fleet::following(site)? {
        let options = Options { purpose: Purpose::Restore, ..options.clone() };
        return remote::change(site, &options, &engine, Beside::Salvage, &bring_back);
    }
    // Check first, so that without a backup not even a lock is made.
    as_owner(site, || backup(&site.files()?))?;
    let options = Options { purpose: Purpose::Restore, ..options.clone() };
    here(site, &options, Beside::Salvage, |state, _| {
        // Read it again under the lock: a writer that was waited for has left
        // another backup.
        let files = site.files()?;
        let is_broken = matches!(load::read(&files.state), Err(Error::Corrupt { .. }));
        let (after, restored) = restored(&files, state, is_broken, options.confirmed)?;
        *state = after;
        Ok(restored)
    })
}

/// Returns what [`restore`] would do, without a lock and without writing.
///
/// # Errors
///
/// Those of [`restore`].
pub fn preview_restore(site: &Site, options: &Options<'_>) -> Result<Applied<Restored>> {
    let site = &site.current()?;
    if let Some(engine) = fleet::following(site)? {
        let options = Options { purpose: Purpose::Restore, ..options.clone() };
        return remote::preview(site, &options, &engine, Beside::Salvage, &bring_back);
    }
    as_owner(site, || {
        let files = site.files()?;
        let (before, is_broken) = match load::read(&files.state) {
            Err(Error::Corrupt { .. }) => (State::default(), true),
            other => (other?, false),
        };
        let (after, restored) = restored(&files, &before, is_broken, options.confirmed)?;
        let changes = diff(&before, &after);
        Ok(Applied::unwritten(restored, before, after, changes, files.state))
    })
}

/// What is brought back, as the successor of the current state.
fn restored(
    files: &Files,
    now: &State,
    is_broken: bool,
    confirmed: bool,
) -> Result<(State, Restored)> {
    let backup = backup(files)?;
    let (mut state, restored) = if is_broken {
        match last_known(files, &backup) {
            Ok(state) => (state.clone(), Restored::LastKnown(state.revision)),
            Err(_) if confirmed => (backup.clone(), Restored::Backup(backup.revision)),
            Err(reason) => {
                let (path, revision) = (files.state.clone(), backup.revision);
                return Err(Error::LastUnknown { path, revision, reason });
            }
        }
    } else {
        (backup, Restored::Before)
    };
    if restored == Restored::Before {
        state.bypass.retain(|id, _| now.bypass.contains_key(id));
    }
    follow_on(&mut state, now);
    Ok((state, restored))
}

/// Makes a state the successor of the current one.
fn follow_on(state: &mut State, now: &State) {
    state.revision = now.revision;
    state.last_id = state.last_id.max(now.last_id);
    state.last_change.clone_from(&now.last_change);
}

/// Brings back the state before the last change, as the engine of a fleet has it.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a wish")]
fn bring_back(now: &mut State, _: Stamp<'_>, before: Option<State>) -> Result<Restored> {
    let mut state = before.unwrap_or_default();
    state.bypass.retain(|id, _| now.bypass.contains_key(id));
    // The templates are beside the document, and those of before may be gone.
    state.templates.clone_from(&now.templates);
    follow_on(&mut state, now);
    *now = state;
    Ok(Restored::Before)
}

fn backup(files: &Files) -> Result<State> {
    let path = &files.backup;
    match load::load(path)? {
        Some(loaded) => Ok(loaded.state),
        None => Err(Error::invalid(format!(
            "there is nothing to restore: `{}` does not exist",
            path.display()
        ))),
    }
}
