//! One change on its way from the lock to the history.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::beside::{Beside, TemplateFile, put};
use super::create::{IGNORE_FILE, make_missing};
use super::current::{self, Current, set_aside};
use super::custody::Custody;
use super::guard::{check_target, prepare, warnings_about};
use super::history::{self, Record};
use super::lock::{self, Lock, Turn};
use super::options::{Applied, Options, Purpose};
use super::trial::{self, Trial};
use crate::access;
use crate::actor::{Holder, Stamp};
use crate::error::{Error, Result, describe};
use crate::flags::{self, Effort, Report};
use crate::identity::{as_author_of, as_owner};
use crate::load;
use crate::replace::{self, Earlier, Failure, Replacement};
use crate::site::{Files, Site};
use crate::state::{Change, LastChange, State, diff, next_number};
use crate::sys;

/// How often a change is run again because the state changed meanwhile.
const RERUNS: usize = 100;

/// Makes a change on this host, where the truth is, and again if the state changed meanwhile.
pub(super) fn here<T>(
    site: &Site,
    options: &Options<'_>,
    beside: Beside<'_>,
    change: impl Fn(&mut State, Stamp<'_>) -> Result<T>,
) -> Result<Applied<T>> {
    as_owner(site, || {
        let is_to_be_made = site.is_awaited() || options.make_site && is_missing(site);
        if !is_to_be_made {
            return in_turn(site, options, beside, change);
        }
        if let Some(applied) = would_do_nothing(site, options, beside, &change)? {
            return Ok(applied);
        }
        let site = make_missing(site)?;
        let applied = in_turn(&site, options, beside, change)?;
        Ok(Applied { made: Some(site.dir().to_owned()), ..applied })
    })
}

fn is_missing(site: &Site) -> bool {
    fs::symlink_metadata(site.dir()).is_err_and(|cause| cause.kind() == ErrorKind::NotFound)
}

/// What a change would do where there is no site yet, if that is nothing: then none is made.
/// A change that fails makes none either.
fn would_do_nothing<T>(
    site: &Site,
    options: &Options<'_>,
    beside: Beside<'_>,
    change: &impl Fn(&mut State, Stamp<'_>) -> Result<T>,
) -> Result<Option<Applied<T>>> {
    let nothing = State::default();
    let (value, after, changes) = run(&nothing, options.stamp(), change)?;
    let is_owed = options.purpose == Purpose::Create || !matches!(beside, Beside::Nothing);
    if !changes.is_empty() || is_owed {
        Trial::of_file(site, beside)?.of_state(options.purpose, &nothing, &after)?;
        return Ok(None);
    }
    Ok(Some(Applied::unwritten(value, nothing, after, changes, site.state_file())))
}

/// The same, in the identity that is needed here.
pub(super) fn in_turn<T>(
    site: &Site,
    options: &Options<'_>,
    beside: Beside<'_>,
    change: impl Fn(&mut State, Stamp<'_>) -> Result<T>,
) -> Result<Applied<T>> {
    let mut trial = Trial::of_file(site, beside)?;
    let mut transaction = Transaction::begin(site, options, beside)?;
    let mut was_overtaken = false;
    for _ in 0..RERUNS {
        match transaction.attempt(&trial, was_overtaken, &change) {
            Ok(Attempt::Done(mut applied)) => {
                transaction.bring_in_step(&mut applied);
                return Ok(*applied);
            }
            Ok(Attempt::Overtaken) => was_overtaken = true,
            Ok(Attempt::Untried(before, after)) => {
                // A trial can take long, so others may write meanwhile.
                drop(transaction);
                trial = Trial::of_file(site, beside)?.of_state(options.purpose, &before, &after)?;
                transaction = Transaction::begin(site, options, beside)?;
            }
            Err(error) => {
                // The change is in force, and what the flags do cannot be worse for it.
                if let (Error::Unsynced { .. }, Ok(state)) =
                    (&error, load::read(&site.state_file()))
                {
                    let _ = transaction.flags_of(&state);
                }
                return Err(error);
            }
        }
    }
    Err(Error::conflict(format!(
        "`{}` or a template changed {RERUNS} times while this change was made",
        transaction.files.state.display()
    )))
}

/// What became of an attempt.
enum Attempt<T> {
    Done(Box<Applied<T>>),
    /// Another writer came first.
    Overtaken,
    /// Between these states it puts a template into use that was not tried out as it is
    /// now.
    Untried(Box<State>, Box<State>),
}

/// Runs a change on a copy of a state, and checks the result.
pub(super) fn run<T>(
    before: &State,
    stamp: Stamp<'_>,
    change: &impl Fn(&mut State, Stamp<'_>) -> Result<T>,
) -> Result<(T, State, Vec<Change>)> {
    let mut after = before.clone();
    let value = change(&mut after, stamp)?;
    after.validate()?;
    let changes = diff(before, &after);
    Ok((value, after, changes))
}

/// What every step needs. Holds the lock until it is dropped.
pub(super) struct Transaction<'a> {
    site: &'a Site,
    options: &'a Options<'a>,
    beside: Beside<'a>,
    files: Files,
    custody: Custody,
    lock: Option<Lock>,
    /// When the wait for other writers began.
    begun: Instant,
}

impl<'a> Transaction<'a> {
    pub(super) fn begin(
        site: &'a Site,
        options: &'a Options<'a>,
        beside: Beside<'a>,
    ) -> Result<Self> {
        let files = site.files()?;
        let custody = Custody(prepare(&files)?);
        let begun = Instant::now();
        let lock = match lock_request(&files.lock, options, custody, options.patience) {
            request if options.locking => Some(lock::acquire(&request)?),
            _ => None,
        };
        Ok(Self { site, options, beside, files, custody, lock, begun })
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// Brings the flags in step with the state that is in force now.
    pub(super) fn bring_in_step<T>(&self, applied: &mut Applied<T>) {
        let mut newer: Option<State> = None;
        for _ in 0..RERUNS {
            let state = newer.as_ref().unwrap_or(&applied.after);
            applied.flags = self.flags_of(state);
            if applied.flags.flags.is_empty() {
                break;
            }
            // Where the lock was deleted or none was taken, another writer may have come since,
            // and be through with the flags already.
            match load::read(&self.files.state) {
                Ok(now) if now.revision != state.revision => newer = Some(now),
                _ => break,
            }
        }
        applied.warnings.extend(applied.flags.complaints());
    }

    fn flags_of(&self, state: &State) -> Report {
        let now = self.options.stamp().now;
        let synced = as_author_of(&self.site.flags_file(), || {
            flags::sync(self.site, state, now, &[], Effort::Mend)
        });
        match synced {
            Ok(flags) => Report::new(flags),
            Err(error) => Report::unknown(&error),
        }
    }

    pub(super) fn take_turn(&self) -> Result<Option<Turn<'_>>> {
        if self.lock.is_none() {
            return Ok(None);
        }
        let patience = self.options.patience.saturating_sub(self.begun.elapsed());
        lock::take_turn(&lock_request(&self.files.turn, self.options, self.custody, patience))
    }

    /// Reads, changes and writes.
    fn attempt<T>(
        &self,
        trial: &Trial,
        was_overtaken: bool,
        change: &impl Fn(&mut State, Stamp<'_>) -> Result<T>,
    ) -> Result<Attempt<T>> {
        // Whoever was overtaken reads in its turn, so that no writer overtakes it again.
        let turn = if was_overtaken { self.take_turn()? } else { None };
        let current = current::read(&self.files, matches!(self.beside, Beside::Salvage))?;
        check_target(&self.files, &current)?;
        self.clear_leftovers();
        let stamp = self.options.stamp();
        let (value, mut after, changes) = run(&current.state, stamp, change)?;
        if !trial.covers(self.options.purpose, &current.state, &after) {
            return Ok(Attempt::Untried(Box::new(current.state), Box::new(after)));
        }
        if let Beside::Template(file) = self.beside {
            trial::refuse_file(file)?;
        }
        let file = self.files.state.clone();
        if changes.is_empty() && !self.is_owed(&current) {
            let applied = Applied::unwritten(value, current.state, after, changes, file);
            return Ok(Attempt::Done(Box::new(applied)));
        }
        sign(&mut after, &current.state, stamp, self.options);
        // Had until the history is written, so that a writer that reads the new state
        // waits even if the lock file was deleted.
        let _turn = match turn {
            Some(turn) => Some(turn),
            None => self.take_turn()?,
        };
        if !current.is_still_there(&self.files) {
            return Ok(Attempt::Overtaken);
        }
        let record = self.record(&current, &after, &changes);
        let template = match self.beside {
            Beside::Template(file) => Some(file),
            Beside::Nothing | Beside::Salvage => None,
        };
        let Some(mut warnings) = self.commit(&current, &after, template, &record)? else {
            return Ok(Attempt::Overtaken);
        };
        if let Some(user) = &after.web_user
            && let Some(obstacle) = access::obstacle(&self.site.state_file(), user)
        {
            warnings.push(format!("the web server's user cannot see this change: {obstacle}"));
        }
        let before = current.state;
        let applied = Applied::unwritten(value, before, after, changes, file);
        Ok(Attempt::Done(Box::new(Applied { is_written: true, warnings, ..applied })))
    }

    /// Whether a file has to be written although the state stays the same.
    fn is_owed(&self, current: &Current) -> bool {
        let is_broken = current.revision.is_none();
        let is_missing = current.old.is_none() && self.options.purpose == Purpose::Create;
        let is_edited = matches!(self.beside, Beside::Template(file) if !file.is_there());
        is_broken || is_missing || is_edited
    }

    /// Removes what killed writers left behind.
    pub(super) fn clear_leftovers(&self) {
        if self.lock.is_some() {
            for leftover in leftovers(self.site, &self.files) {
                let _ = sys::unlink(&leftover);
            }
        }
    }

    /// Writes the templates, the state and the history, in this order, and returns
    /// warnings; `None` if another writer came first.
    pub(super) fn commit<'f>(
        &self,
        current: &Current,
        after: &State,
        templates: impl IntoIterator<Item = &'f TemplateFile<'f>>,
        record: &Record,
    ) -> Result<Option<Vec<String>>> {
        let bytes = after.to_json()?;
        let mut warnings = warnings_about(&self.files, current, self.lock.as_ref());
        let history = history::complete(&self.files, &current.state, self.custody);
        let mut earlier = Vec::new();
        for template in templates {
            match put(template) {
                Ok(kept) => earlier.push(kept),
                Err(error) => {
                    earlier.into_iter().for_each(Earlier::undo);
                    return Err(error);
                }
            }
        }
        if current.revision.is_none() {
            set_aside(&self.files, &mut warnings);
        }
        let has_backup = self.options.purpose != Purpose::Renew && current.revision.is_some();
        let replaced = replace::replace(&Replacement {
            path: &self.files.state,
            bytes: &bytes,
            old: current.old,
            mode: None,
            backup: has_backup.then_some(self.files.backup.as_path()),
        });
        for template in earlier {
            match replaced {
                Ok(_) | Err(Failure::Unsynced(..)) => template.settle(),
                Err(_) => template.undo(),
            }
        }
        let record = |history| history::append(history, &self.files, record, self.custody);
        match replaced {
            Ok(unkept) => warnings.extend(unkept),
            Err(Failure::Overtaken) => return Ok(None),
            Err(Failure::NotApplied(error)) => return Err(error),
            Err(Failure::Unsynced(path, source)) => {
                let _ = history.and_then(record);
                return Err(Error::Unsynced { path, revision: after.revision, source });
            }
        }
        if let Err(cause) = history.and_then(record) {
            let path = self.files.history.display();
            warnings.push(format!("could not write the history `{path}`: {}", describe(&cause)));
        }
        Ok(Some(warnings))
    }

    fn record(&self, current: &Current, after: &State, changes: &[Change]) -> Record {
        Record::of(current.revision, after, changes, self.options.purpose == Purpose::Renew)
    }
}

/// Signs a state, and gives it the next revision. What is changed on one host of a fleet keeps the
/// revision of the fleet.
pub(super) fn sign(after: &mut State, before: &State, stamp: Stamp<'_>, options: &Options<'_>) {
    if !options.local {
        after.revision = next_number(before.revision);
    }
    // New ids begin after the revision anyway.
    after.last_id = after.last_id.filter(|&last| last > after.revision);
    after.last_change = Some(LastChange {
        at: stamp.now,
        by: stamp.actor.clone(),
        command: options.command.clone(),
    });
}

fn lock_request<'a>(
    path: &'a Path,
    options: &'a Options<'_>,
    custody: Custody,
    patience: Duration,
) -> lock::Request<'a> {
    lock::Request {
        path,
        patience,
        holder: Holder {
            pid: options.actor.pid,
            host: options.actor.host.clone(),
            command: options.command.clone(),
            since: options.stamp().now,
        },
        custody,
        on_wait: options.on_wait,
    }
}

/// The files that killed writers left behind. Only the lock makes it certain that
/// these writers are dead.
pub(crate) fn leftovers(site: &Site, files: &Files) -> Vec<PathBuf> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ours = [name(&files.state), name(&files.backup)];
    let mut found = replace::leftovers(files.directory(), |of| ours.iter().any(|name| name == of));
    found.extend(replace::leftovers(site.dir(), |of| {
        let ours = [site.flags_file(), site.store_file()];
        of == IGNORE_FILE || ours.iter().any(|path| path.file_name() == Some(of.as_ref()))
    }));
    found.extend(replace::leftovers(&site.templates(), |of| {
        crate::state::page::parse_file_name(of).is_some()
    }));
    found
}
