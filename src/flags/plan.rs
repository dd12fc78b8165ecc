//! What there is to do about one flag.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::carries::lacks;
use super::definition::{Calls, Definition, Drive, Order};
use super::flag::{Did, Flag};
use super::kinds::{definition, definition_of};
use super::lack::Lack;
use super::notice::Notice;
use super::piece::{self, Judgement, Looked, resolved};
use super::standing::{Found, Standing};
use crate::error::{Error, Result};
use crate::identity::as_owner_of;
use crate::site::Site;
use crate::state::State;

/// How much is done about what seems to be in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What follows is left alone.
    Mend,
    /// What cannot be looked at is done again.
    Again,
}

pub(super) fn remove_ours(
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
pub(super) struct Plan<'a> {
    id: &'a str,
    flag: &'a Flag,
    site: &'a Site,
    definition: Option<&'static Definition>,
    notice: Option<Notice<'a>>,
    pub(super) work: Work,
    lacks: Vec<Lack>,
}

pub(super) enum Work {
    /// Files, in the order in which they are set.
    Files(Vec<Looked>),
    Calls(&'static dyn Calls, Result<Found>),
    /// It cannot be what it is declared to be.
    Refused(Error),
}

impl<'a> Plan<'a> {
    pub(super) fn make(
        site: &'a Site,
        state: &'a State,
        id: &'a str,
        flag: &'a Flag,
        now: Timestamp,
    ) -> Self {
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
    pub(super) fn stays(&self) -> BTreeSet<PathBuf> {
        let Work::Files(files) = &self.work else { return BTreeSet::new() };
        let wanted = files.iter().filter(|file| file.wanted().is_some());
        wanted.map(|file| file.path.clone()).collect()
    }

    /// What tells bytes that say off.
    pub(super) fn is_blank(&self) -> fn(&[u8]) -> bool {
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
    pub(super) fn obstacle() -> Error {
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
    pub(super) fn furnish(&self) {
        if let Work::Files(files) = &self.work
            && let Some(flag) = files.last()
        {
            let _ = flag.furnish();
        }
    }

    /// Records what is about to be written, and forgets what is gone.
    pub(super) fn record(&self, flag: &mut Flag, effort: Effort) {
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

    pub(super) fn standing(&self) -> Standing {
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

    pub(super) fn behind(&self, problem: String, hint: Option<String>) -> Standing {
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
    pub(super) fn into_done(self, effort: Effort) -> Result<bool> {
        let done = self.carry_out(effort)?;
        match self.work {
            Work::Refused(error) => Err(error),
            Work::Calls(_, Ok(Found::SomebodyElses)) => Err(Self::obstacle()),
            _ => Ok(done),
        }
    }

    /// Does what there is to do, and shows where the flag stands then.
    pub(super) fn apply(mut self, effort: Effort) -> Standing {
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
