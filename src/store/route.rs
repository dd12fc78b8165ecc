//! Where a change is made: in the engine of the fleet that the site follows, or here.

use super::beside::Beside;
use super::options::{Applied, Options};
use super::transaction::{here, in_turn};
use super::{local, remote};
use crate::actor::Stamp;
use crate::error::Result;
use crate::fleet::following;
use crate::identity::as_owner;
use crate::site::Site;
use crate::state::State;

/// Makes a change where the truth is, and makes it again if the state changed meanwhile.
pub(super) fn transact<T>(
    site: &Site,
    options: &Options<'_>,
    beside: Beside<'_>,
    change: impl Fn(&mut State, Stamp<'_>) -> Result<T>,
) -> Result<Applied<T>> {
    match following(site)? {
        Some(_) if options.local => {
            as_owner(site, || in_turn(site, options, beside, local::only(change)))
        }
        Some(engine) => {
            let wish: &remote::Wish<'_, T> = &|state, stamp, _| change(state, stamp);
            remote::change(site, options, &engine, beside, wish)
        }
        None if options.local => Err(local::refusal()),
        None => here(site, options, beside, change),
    }
}
