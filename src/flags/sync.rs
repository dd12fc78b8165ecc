//! Bringing flags in step with the state.

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;

use super::declared::Flags;
use super::definition::Drive;
use super::flag::{Did, Flag};
use super::kinds::definition;
use super::piece::{Judgement, Looked, resolved};
use super::plan::{Effort, Plan, Work, remove_ours};
use super::standing::{Found, Standing};
use crate::error::Result;
use crate::identity::{as_author_of, as_owner};
use crate::site::Site;
use crate::state::State;
use crate::sys::{self, FileKey};

/// Looks where the flags of a site stand. Nothing is changed, and no lock is taken.
///
/// # Errors
///
/// Those of [`read`](super::read).
pub fn look(site: &Site, state: &State, now: Timestamp) -> Result<Vec<Standing>> {
    looking(site, |flags| look_at(flags, site, state, now, |_| true))
}

/// Looks at the flags of a site in the identities that are needed.
pub(crate) fn looking<T>(site: &Site, look: impl FnOnce(&Flags) -> T) -> Result<T> {
    as_owner(site, || as_author_of(&site.flags_file(), || Ok(look(&Flags::load(site)?))))
}

/// The same of some of the flags that were read.
pub(crate) fn look_at(
    flags: &Flags,
    site: &Site,
    state: &State,
    now: Timestamp,
    is_meant: impl Fn(&Flag) -> bool,
) -> Vec<Standing> {
    let meant = flags.flags.iter().filter(|(_, flag)| is_meant(flag));
    meant.map(|(id, flag)| Plan::make(site, state, id, flag, now).standing()).collect()
}

/// Whether it costs much to look at a flag.
pub(crate) fn is_costly(flag: &Flag) -> bool {
    let drive = definition(&flag.kind).map(|definition| &definition.drive);
    matches!(drive, Some(Drive::Calls(calls)) if calls.is_costly())
}

/// What the files of a flag look like from outside: if that stays the same, and the state
/// does, the flag is in step if it was. `None` where there is more to it than files.
pub(crate) fn footprint(flag: &Flag) -> Option<Vec<(PathBuf, Option<FileKey>)>> {
    if !matches!(definition(&flag.kind)?.drive, Drive::Files { .. }) {
        return None;
    }
    // Where the declared path leads shows a link that was moved.
    let place = flag.path.as_deref().map(|path| resolved(path).unwrap_or_default());
    let seen = |path: PathBuf| {
        let key = fs::symlink_metadata(&path).ok().map(|metadata| sys::key(&metadata));
        (path, key)
    };
    Some(flag.written.keys().cloned().chain(place).map(seen).collect())
}

/// Brings flags in step with a state: those named, or all. Call it under the lock of the
/// site, in an identity that was taken before, once the state is written.
///
/// What is about to be written is recorded first, so that a writer that is killed at any
/// moment leaves nothing that the next one would take for somebody else's.
///
/// # Errors
///
/// Those of [`read`](super::read), and [`Error::Unknown`](crate::Error::Unknown) for an id that no flag has. A flag
/// that does not follow is no error.
pub(crate) fn sync(
    site: &Site,
    state: &State,
    now: Timestamp,
    only: &[String],
    effort: Effort,
) -> Result<Vec<Standing>> {
    let before = Flags::load(site)?;
    if let Some(id) = only.iter().find(|id| !before.flags.contains_key(*id)) {
        return Err(before.unknown(id));
    }
    let is_meant = |id: &String| only.is_empty() || only.contains(id);
    let mut after = before.clone();
    let mut plans = Vec::new();
    for (id, flag) in before.flags.iter().filter(|(id, _)| is_meant(id)) {
        let plan = Plan::make(site, state, id, flag, now);
        if let Some(recorded) = after.flags.get_mut(id) {
            plan.record(recorded, effort);
        }
        plans.push(plan);
    }
    let recorded = if after == before { Ok(()) } else { after.save(site) };
    for plan in &plans {
        plan.furnish();
    }
    let standings = plans.into_iter().map(|plan| match &recorded {
        Ok(()) => plan.apply(effort),
        Err(error) => plan.behind(error.to_string(), error.hint()),
    });
    let standings: Vec<Standing> = standings.collect();
    let done = remember(&mut after, &standings, effort);
    if done {
        after.save(site)?;
    }
    Ok(standings)
}

/// Records what was done by calls, where there are no bytes to know it by; whether there is anything new.
fn remember(flags: &mut Flags, standings: &[Standing], effort: Effort) -> bool {
    let mut is_new = false;
    for standing in standings {
        let Some(flag) = flags.flags.get_mut(&standing.id) else { continue };
        let Some(Drive::Calls(calls)) = definition(&flag.kind).map(|definition| &definition.drive)
        else {
            continue;
        };
        let did = Did::of(standing.wanted.is_some());
        // What was so before is not what was done.
        let is_declared = effort == Effort::Again && (flag.did.is_none() || calls.is_blind(flag));
        let is_done = standing.in_step == Some(true) && (standing.is_changed || is_declared);
        if is_done && flag.did != Some(did) {
            flag.did = Some(did);
            is_new = true;
        }
    }
    is_new
}

/// Refuses a flag whose files are there already, made by somebody else.
pub(crate) fn refuse_taken(
    site: &Site,
    state: &State,
    id: &str,
    flag: &Flag,
    now: Timestamp,
    is_taken_over: bool,
) -> Result<()> {
    let plan = Plan::make(site, state, id, flag, now);
    if let Work::Refused(error) = plan.work {
        return Err(error);
    }
    let files = match &plan.work {
        Work::Files(files) => files,
        Work::Calls(_, Ok(Found::Set | Found::Stale)) if !is_taken_over => {
            return Err(Plan::obstacle());
        }
        _ => return Ok(()),
    };
    let foreign = files.iter().find(|file| file.judgement == Judgement::Foreign);
    foreign.and_then(Looked::obstacle).map_or(Ok(()), Err)
}

/// Takes over what somebody else made: what is there now counts as ours.
pub(crate) fn take_over(site: &Site, state: &State, id: &str, flag: &mut Flag, now: Timestamp) {
    flag.did = None;
    flag.took.clear();
    let plan = Plan::make(site, state, id, &*flag, now);
    let Work::Files(files) = plan.work else { return };
    let found: Vec<(PathBuf, String)> = files
        .iter()
        .filter(|file| file.judgement == Judgement::Foreign && file.can_be_taken())
        .filter_map(|file| Some((file.path.clone(), file.found()?.clone())))
        .collect();
    for (path, digest) in found {
        flag.written.entry(path).or_default().insert(digest);
    }
}

/// Clears a flag and removes all that was written for it, whatever the state says.
///
/// # Errors
///
/// The first thing that could not be removed. What somebody else made is left alone.
pub(crate) fn clear(site: &Site, id: &str, flag: &Flag, now: Timestamp) -> Result<()> {
    let state = State::default();
    let plan = Plan::make(site, &state, id, flag, now);
    let (stays, is_blank) = (plan.stays(), plan.is_blank());
    let mut result = plan.into_done(Effort::Mend).map(drop);
    for (path, digests) in flag.written.iter().filter(|(path, _)| !stays.contains(*path)) {
        let removed = remove_ours(path, digests, is_blank);
        result = result.and(removed.map(drop));
    }
    result
}
