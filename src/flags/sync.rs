//! Bringing flags in step with the state.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::carries::lacks;
use super::declared::Flags;
use super::definition::{Calls, Definition, Drive, Order};
use super::flag::{Did, Flag};
use super::kinds::{definition, definition_of};
use super::lack::Lack;
use super::notice::Notice;
use super::piece::{self, Judgement, Looked, resolved};
use super::standing::{Found, Standing};
use crate::error::{Error, Result};
use crate::identity::{as_author_of, as_owner, as_owner_of};
use crate::site::Site;
use crate::state::State;
use crate::sys::{self, FileKey};

/// How much is done about what seems to be in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What follows is left alone.
    Mend,
    /// What cannot be looked at is done again.
    Again,
}

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
/// Those of [`read`](super::read), and [`Error::Unknown`] for an id that no flag has. A flag
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

fn remove_ours(
    path: &Path,
    digests: &BTreeSet<String>,
    is_blank: fn(&[u8]) -> bool,
) -> Result<bool> {
    if !piece::is_ours(path, digests, is_blank)? {
        return Ok(false);
    }
    as_owner_of(path, || piece::remove(path))
}

/// What there is to do about one flag.
struct Plan<'a> {
    id: &'a str,
    flag: &'a Flag,
    site: &'a Site,
    definition: Option<&'static Definition>,
    notice: Option<Notice<'a>>,
    work: Work,
    lacks: Vec<Lack>,
}

enum Work {
    /// Files, in the order in which they are set.
    Files(Vec<Looked>),
    Calls(&'static dyn Calls, Result<Found>),
    /// It cannot be what it is declared to be.
    Refused(Error),
}

impl<'a> Plan<'a> {
    fn make(site: &'a Site, state: &'a State, id: &'a str, flag: &'a Flag, now: Timestamp) -> Self {
        let definition = definition(&flag.kind);
        let notice = definition.and_then(|kind| Notice::of(site, state, kind.carries, flag, now));
        let mut plan = Self {
            id,
            flag,
            site,
            definition,
            notice,
            work: Work::Files(Vec::new()),
            lacks: lacks(flag, state, now),
        };
        let looked = definition_of(flag).and_then(|definition| plan.look(definition));
        plan.work = looked.unwrap_or_else(Work::Refused);
        plan
    }

    /// What is there while the flag is clear, and is to stay when it is removed: some software
    /// cannot do without.
    fn stays(&self) -> BTreeSet<PathBuf> {
        let Work::Files(files) = &self.work else { return BTreeSet::new() };
        let wanted = files.iter().filter(|file| file.wanted().is_some());
        wanted.map(|file| file.path.clone()).collect()
    }

    /// What tells bytes that say off.
    fn is_blank(&self) -> fn(&[u8]) -> bool {
        match self.definition.map(|definition| &definition.drive) {
            Some(Drive::Files { is_blank, .. }) => *is_blank,
            _ => |_| false,
        }
    }

    /// Whether something is left in a place that is not part of the flag any more.
    fn is_left(&self, path: &Path, digests: &BTreeSet<String>) -> Result<bool> {
        piece::is_ours(path, digests, self.is_blank())
    }

    fn order(&self) -> Order<'_> {
        Order { id: self.id, flag: self.flag, site: self.site, notice: self.notice.as_ref() }
    }

    fn look(&self, definition: &'static Definition) -> Result<Work> {
        match &definition.drive {
            Drive::Files { pieces, is_blank, .. } => {
                let written =
                    |path: &Path| self.flag.written.get(path).cloned().unwrap_or_default();
                let pieces = pieces(&self.order())?;
                let looked = pieces.into_iter().map(|piece| piece.look(&written, *is_blank));
                Ok(Work::Files(looked.collect()))
            }
            Drive::Calls(calls) => {
                let found = calls.look(&self.order()).map(|found| self.judged(found));
                Ok(Work::Calls(*calls, found))
            }
        }
    }

    /// What is set though maint has cleared it was set by somebody else.
    fn judged(&self, found: Found) -> Found {
        let is_set = matches!(found, Found::Set | Found::Stale);
        if is_set && self.notice.is_none() && self.flag.did == Some(Did::Off) {
            return Found::SomebodyElses;
        }
        found
    }

    /// What stands in the way of calls.
    fn obstacle() -> Error {
        let hint = "look at it, and clear it or take it over";
        Error::conflict_with("somebody else set it", hint)
    }

    /// What was written before and is not part of the flag any more: an address that no longer
    /// gets through, or the flag of a release that `current` no longer points to. While the
    /// flag is set, the latter stays, for whoever goes back to that release.
    fn leftovers(&self) -> Vec<(&'a PathBuf, &'a BTreeSet<String>)> {
        let Work::Files(files) = &self.work else { return Vec::new() };
        let root = self.flag.path.as_deref().and_then(|path| resolved(path).ok());
        let mut here: BTreeSet<&Path> =
            files.iter().filter_map(|file| file.path.parent()).collect();
        here.extend(root.as_deref());
        let wanted: BTreeSet<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        self.flag
            .written
            .iter()
            .filter(|(path, _)| !wanted.contains(path.as_path()))
            .filter(|(path, _)| {
                self.notice.is_none() || here.iter().any(|directory| path.starts_with(directory))
            })
            .collect()
    }

    /// Makes the directories of the flag's own. If that fails, so does what is written there.
    fn furnish(&self) {
        if let Work::Files(files) = &self.work
            && let Some(flag) = files.last()
        {
            let _ = flag.furnish();
        }
    }

    /// Records what is about to be written, and forgets what is gone.
    fn record(&self, flag: &mut Flag, effort: Effort) {
        match &self.work {
            Work::Files(files) => {
                for file in files.iter().filter(|file| file.is_to_be_written()) {
                    let Some(wanted) = file.wanted() else { continue };
                    let known = flag.written.entry(file.path.clone()).or_default();
                    known.retain(|digest| Some(digest) == file.found());
                    known.insert(wanted);
                }
                for (path, digests) in self.leftovers() {
                    if self.is_left(path, digests).is_ok_and(|is_left| !is_left) {
                        flag.written.remove(path);
                    }
                }
            }
            Work::Calls(calls, found) => {
                if self.is_due(found, effort) {
                    calls.record(&self.order(), flag);
                    flag.did = None;
                }
            }
            Work::Refused(_) => {}
        }
    }

    fn is_due(&self, found: &Result<Found>, effort: Effort) -> bool {
        let is_blind = match &self.work {
            Work::Calls(calls, _) => calls.is_blind(self.flag),
            _ => false,
        };
        found
            .as_ref()
            .map_or(true, |found| !self.is_right(*found) && *found != Found::SomebodyElses)
            || is_blind && effort == Effort::Again
    }

    fn is_right(&self, found: Found) -> bool {
        found == if self.notice.is_some() { Found::Set } else { Found::Clear }
    }

    fn found(&self) -> Found {
        match &self.work {
            Work::Files(files) => {
                let judged = |one: Judgement| files.iter().any(|file| file.judgement == one);
                let is_set = self.notice.is_some();
                let flag = files.last().map(|file| file.judgement);
                if judged(Judgement::Unknown) {
                    Found::Unknown
                } else if judged(Judgement::Foreign) {
                    Found::SomebodyElses
                } else if files.iter().all(|file| is_right(file.judgement)) {
                    let is_stale = is_set
                        && self
                            .leftovers()
                            .iter()
                            .any(|(path, digests)| self.is_left(path, digests).unwrap_or(false));
                    match is_set {
                        true if is_stale => Found::Stale,
                        true => Found::Set,
                        false if self.is_elsewhere() => Found::Stale,
                        false => Found::Clear,
                    }
                } else if is_set && flag == Some(Judgement::Missing) {
                    Found::Clear
                } else if !is_set && flag == Some(Judgement::Left) {
                    Found::Set
                } else {
                    Found::Stale
                }
            }
            Work::Calls(_, found) => *found.as_ref().unwrap_or(&Found::Unknown),
            Work::Refused(_) => Found::Unknown,
        }
    }

    /// Whether a flag that is to be clear is still set in another place.
    fn is_elsewhere(&self) -> bool {
        let Work::Files(files) = &self.work else { return false };
        let Some(name) = files.last().and_then(|file| file.path.file_name()) else { return false };
        self.leftovers().iter().any(|(path, digests)| {
            path.file_name() == Some(name) && self.is_left(path, digests).unwrap_or(false)
        })
    }

    fn standing(&self) -> Standing {
        let found = self.found();
        let problem = match &self.work {
            Work::Refused(error) | Work::Calls(_, Err(error)) => Some(error_of(error)),
            Work::Files(files) => {
                let obstacle = files.iter().find_map(Looked::obstacle);
                let complaint = || files.iter().find_map(Looked::complaint).map(|why| (why, None));
                obstacle.as_ref().map(error_of).or_else(complaint)
            }
            Work::Calls(_, Ok(Found::SomebodyElses)) => Some(error_of(&Self::obstacle())),
            Work::Calls(_, Ok(_)) => None,
        };
        let (problem, hint) = problem.unzip();
        Standing {
            id: self.id.to_owned(),
            kind: self.flag.kind.clone(),
            path: self.flag.path.clone(),
            wanted: self.notice.as_ref().map(|notice| notice.name.to_owned()),
            found,
            in_step: (found != Found::Unknown).then(|| self.is_right(found)),
            is_changed: false,
            problem,
            hint: hint.flatten(),
            lacks: self.lacks.clone(),
        }
    }

    fn behind(&self, problem: String, hint: Option<String>) -> Standing {
        let standing = self.standing();
        if standing.in_step == Some(true) {
            return standing;
        }
        Standing { problem: Some(problem), hint, ..standing }
    }

    /// Does what there is to do, and as much of it as can be done; whether anything changed.
    fn carry_out(&self, effort: Effort) -> Result<bool> {
        match &self.work {
            Work::Files(files) => self.apply_files(files),
            Work::Calls(calls, found) if self.is_due(found, effort) => {
                calls.set(&self.order()).map(|()| true)
            }
            Work::Calls(..) | Work::Refused(_) => Ok(false),
        }
    }

    /// The same, with what keeps it from being in step afterwards.
    fn into_done(self, effort: Effort) -> Result<bool> {
        let done = self.carry_out(effort)?;
        match self.work {
            Work::Refused(error) => Err(error),
            Work::Calls(_, Ok(Found::SomebodyElses)) => Err(Self::obstacle()),
            _ => Ok(done),
        }
    }

    /// Does what there is to do, and shows where the flag stands then.
    fn apply(mut self, effort: Effort) -> Standing {
        match self.carry_out(effort) {
            Ok(false) => self.standing(),
            Ok(true) => Standing {
                found: if self.notice.is_some() { Found::Set } else { Found::Clear },
                in_step: Some(true),
                is_changed: true,
                problem: None,
                hint: None,
                ..self.standing()
            },
            Err(error) => {
                // Some of it may have been done.
                let again = self.definition.and_then(|definition| self.look(definition).ok());
                if let Some(work) = again {
                    self.work = work;
                }
                let standing = self.standing();
                let (problem, hint) = error_of(&error);
                let in_step = standing.in_step.map(|_| false);
                Standing { in_step, problem: Some(problem), hint, ..standing }
            }
        }
    }

    /// Sets the files in their order, or clears them in the opposite one; whether anything
    /// changed. The flag itself is set though its page cannot be: without the page visitors
    /// see a poor answer, without the flag they meet the app.
    fn apply_files(&self, files: &[Looked]) -> Result<bool> {
        let is_set = self.notice.is_some();
        piece::sweep(files);
        let mut result = Ok(false);
        let mut note = |done: Result<bool>| match (&mut result, done) {
            (Ok(is_changed), Ok(done)) => *is_changed |= done,
            (Ok(_), Err(error)) => result = Err(error),
            (Err(_), _) => {}
        };
        // Whoever no longer gets through is shut out before anything else.
        let leftovers = self.leftovers();
        let is_blank = self.is_blank();
        let remove = |(path, digests): &(&PathBuf, &BTreeSet<String>)| {
            // In the release before, off is said in the same way.
            let same = files.last().filter(|file| file.path.file_name() == path.file_name());
            let instead = same.and_then(|file| file.elsewhere(path));
            match instead.filter(|_| !is_set) {
                Some(off) if self.is_left(path, digests)? => {
                    off.look(&|_| (*digests).clone(), is_blank).settle()
                }
                Some(_) => Ok(false),
                None => remove_ours(path, digests, is_blank),
            }
        };
        if is_set {
            leftovers.iter().map(remove).for_each(&mut note);
            files.iter().map(Looked::settle).for_each(&mut note);
        } else {
            files.iter().rev().map(Looked::settle).for_each(&mut note);
            leftovers.iter().map(remove).for_each(&mut note);
        }
        result
    }
}

fn is_right(judgement: Judgement) -> bool {
    matches!(judgement, Judgement::Right | Judgement::Alike)
}

fn error_of(error: &Error) -> (String, Option<String>) {
    (error.to_string(), error.hint())
}
