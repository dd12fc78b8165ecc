//! Changing the state of a site.

use super::beside::Beside;
use super::options::{Applied, Options};
use super::route::transact;
use super::transaction::run;
use super::trial::Trial;
use super::{local, remote};
use crate::actor::Stamp;
use crate::error::Result;
use crate::fleet;
use crate::identity::as_owner;
use crate::load;
use crate::site::Site;
use crate::state::State;

/// Changes the state of a site.
///
/// The change runs under the lock, on the state as it is then; its [`Stamp`] says
/// who makes it and when. It may run again, on a newer state or once a template was
/// tried out, which happens without the lock; so it must do nothing else. Nothing is written if it fails, if its result is not a valid state, if a
/// template that it puts into use cannot become a page, or if nothing differs
/// afterwards. A site that is not there yet, see [`Site::is_awaited`], is made by the first
/// change that has something to write.
///
/// # Errors
///
/// Whatever the change returns, and every kind of failure of [`Error`](crate::Error). All
/// but [`Error::Unsynced`](crate::Error::Unsynced) leave the state as it was.
pub fn update<T>(
    site: &Site,
    options: &Options<'_>,
    change: impl Fn(&mut State, Stamp<'_>) -> Result<T>,
) -> Result<Applied<T>> {
    transact(&site.current()?, options, Beside::Nothing, change)
}

/// Returns what [`update`] would do, without a lock and without writing.
pub fn preview<T>(
    site: &Site,
    options: &Options<'_>,
    change: impl Fn(&mut State, Stamp<'_>) -> Result<T>,
) -> Result<Applied<T>> {
    let site = &site.current()?;
    let engine = fleet::following(site)?;
    if let Some(engine) = engine.as_ref().filter(|_| !options.local) {
        let wish: &remote::Wish<'_, T> = &|state, stamp, _| change(state, stamp);
        return remote::preview(site, options, engine, Beside::Nothing, wish);
    }
    if options.local && engine.is_none() {
        return Err(local::refusal());
    }
    let local = options.local.then(|| local::only(&change));
    let change = |state: &mut State, stamp: Stamp<'_>| match &local {
        Some(only) => only(state, stamp),
        None => change(state, stamp),
    };
    as_owner(site, || {
        let files = site.files()?;
        let before = load::read(&files.state)?;
        let (value, after, changes) = run(&before, options.stamp(), &change)?;
        Trial::of_file(site, Beside::Nothing)?.of_state(options.purpose, &before, &after)?;
        Ok(Applied::unwritten(value, before, after, changes, files.state))
    })
}
