//! Declaring the flags of a host, and bringing them in step.

use std::path::PathBuf;

use super::beside::Beside;
use super::create::make_missing;
use super::options::{Applied, Options};
use super::transaction::Transaction;
use crate::error::{Error, Result};
use crate::flags::{self, Effort, Flag, Flags, Kind, Report};
use crate::identity::{as_author_of, as_owner};
use crate::load;
use crate::site::Site;
use crate::state::State;

/// Declares a flag, and brings it in step at once. Its path is made absolute.
///
/// # Errors
///
/// [`Error::Invalid`] for an id or a flag that cannot be, [`Error::Conflict`] if the id or the
/// place is taken, [`Error::Refused`] if the software is not there, or if there is a file already
/// that maint did not write, unless it is to be taken over.
pub fn add_flag(
    site: &Site,
    options: &Options<'_>,
    id: &str,
    flag: Flag,
    take_over: bool,
) -> Result<Applied<()>> {
    flags::validate_id(id)?;
    let mut flag = flag.absolute()?;
    flags::check(&flag)?;
    declare(site, options, &[id.to_owned()], Effort::Again, |flags, site, state| {
        let stamp = options.stamp();
        if flags.flags.contains_key(id) {
            return Err(Error::conflict_with(
                format!("there is a flag `{id}` already"),
                "remove it first, or take another id",
            ));
        }
        let same = |other: &&Flag| {
            // One socket is the door to many maps and servers.
            let is_shared = flag.kind == Kind::Haproxy && other.options != flag.options;
            flag.path.is_some() && other.path == flag.path && !is_shared
        };
        if let Some((other, _)) = flags.flags.iter().find(|(_, other)| same(other)) {
            return Err(Error::conflict_with(
                format!("flag `{other}` has this path already"),
                "one flag for each place is enough; to change it, remove it first",
            ));
        }
        if take_over {
            flags::take_over(site, state, id, &mut flag, stamp.now);
        }
        flags::refuse_taken(site, state, id, &flag, stamp.now, take_over)?;
        flag.added_at = Some(stamp.now);
        flag.added_by = Some(stamp.actor.to_string());
        flags.flags.insert(id.to_owned(), flag);
        Ok(true)
    })
}

/// Clears a flag, removes all that was written for it, and forgets it. What somebody else
/// made is left alone.
///
/// # Errors
///
/// [`Error::Unknown`] if there is none of this id; whatever kept it from being cleared, unless
/// it is to be forgotten all the same.
pub fn remove_flag(
    site: &Site,
    options: &Options<'_>,
    id: &str,
    forget: bool,
) -> Result<Applied<()>> {
    declare(site, options, &[], Effort::Mend, |flags, site, _| {
        let cleared = flags::clear(site, id, flags.get(id)?, options.stamp().now);
        if !forget {
            cleared?;
        }
        flags.flags.remove(id);
        Ok(true)
    })
}

/// Brings the flags of these ids in step with the state, or all if there are none. What
/// nobody can look at is done again. With `take_over`, what somebody else made is replaced.
///
/// A flag that does not follow is no error: the [`Report`] says so.
///
/// # Errors
///
/// [`Error::Unknown`] for an id that no flag has, and those of reading and locking.
pub fn sync_flags(
    site: &Site,
    options: &Options<'_>,
    ids: &[String],
    take_over: bool,
) -> Result<Report> {
    let applied = declare(site, options, ids, Effort::Again, |flags, site, state| {
        if take_over {
            let is_meant = |id: &str| ids.is_empty() || ids.iter().any(|meant| meant == id);
            for (id, flag) in flags.flags.iter_mut().filter(|(id, _)| is_meant(id)) {
                flags::take_over(site, state, id, flag, options.stamp().now);
            }
        }
        Ok(take_over)
    })?;
    Ok(applied.flags)
}

/// The same, with nothing done about what follows already.
pub(crate) fn mend_flags(site: &Site, options: &Options<'_>, ids: &[String]) -> Result<Report> {
    Ok(declare(site, options, ids, Effort::Mend, |_, _, _| Ok(false))?.flags)
}

/// Changes what is declared, under the lock of the site, and brings these flags in step.
fn declare(
    site: &Site,
    options: &Options<'_>,
    ids: &[String],
    effort: Effort,
    change: impl FnOnce(&mut Flags, &Site, &State) -> Result<bool>,
) -> Result<Applied<()>> {
    let site = &site.current()?;
    as_owner(site, || {
        let made: Option<PathBuf> = site.is_awaited().then(|| site.dir().to_owned());
        let site = if site.is_awaited() { make_missing(site)? } else { site.clone() };
        let transaction = Transaction::begin(&site, options, Beside::Nothing)?;
        let state = load::read(&transaction.files().state)?;
        let (is_changed, flags) = as_author_of(&site.flags_file(), || {
            let mut declared = Flags::load(&site)?;
            let is_changed = change(&mut declared, &site, &state)?;
            if is_changed {
                declared.save(&site)?;
            }
            let flags = flags::sync(&site, &state, options.stamp().now, ids, effort)?;
            Ok((is_changed, flags))
        })?;
        let file = transaction.files().state.clone();
        let after = state.clone();
        let mut applied = Applied::unwritten((), state, after, Vec::new(), file);
        applied.is_written = is_changed;
        applied.made = made;
        applied.flags = Report::new(flags);
        Ok(applied)
    })
}
