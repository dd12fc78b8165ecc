//! How a change is made, in whose name, and what it did.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::lock::{self, OnWait};
use crate::actor::{Actor, Stamp};
use crate::flags::Report;
use crate::state::{Change, State};

/// How a change is made, and in whose name.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
#[non_exhaustive]
pub struct Options<'a> {
    /// How long to wait for another writer; zero means not at all.
    pub patience: Duration,
    /// Whether to take the lock. Without it two writers can lose a change.
    pub locking: bool,
    /// In whose name the change is made.
    pub actor: Actor,
    /// The command, without the name of the program, for the history. Everyone may read it
    /// in the state, so it must hold no secret.
    pub command: String,
    /// The time; that of the system clock if absent.
    pub now: Option<Timestamp>,
    /// What the change is for.
    pub purpose: Purpose,
    /// Whether the caller has confirmed what [`restore`](super::restore()) refuses otherwise.
    pub confirmed: bool,
    /// Whether the first change makes the directory of a site that is missing, as
    /// [`create`](super::create()) does. A site that discovery awaits is made in any case.
    pub make_site: bool,
    /// Called once if waiting for the lock takes longer than a second.
    pub on_wait: Option<OnWait<'a>>,
    /// Whether the change is for this host alone, in a site that follows the engine of a fleet.
    /// Only windows can be.
    pub local: bool,
    /// Called once if the engine of a fleet does not answer at first, with the reason.
    pub on_retry: Option<OnRetry<'a>>,
}

/// Called when the engine of a fleet does not answer, with its address and the reason.
pub type OnRetry<'a> = &'a dyn Fn(&str, &str);

impl<'a> Options<'a> {
    /// Creates the default options, for a command run by this process.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            patience: lock::PATIENCE,
            locking: true,
            actor: Actor::current(),
            command: command.into(),
            now: None,
            purpose: Purpose::Change,
            confirmed: false,
            make_site: false,
            on_wait: None,
            local: false,
            on_retry: None,
        }
    }

    /// Sets in whose name the change is made.
    #[must_use]
    pub fn actor(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Sets how long to wait for another writer; zero means not at all.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the time, instead of that of the system clock.
    #[must_use]
    pub fn now(mut self, now: impl Into<Option<Timestamp>>) -> Self {
        self.now = now.into();
        self
    }

    /// Sets what the change is for.
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Sets whether to take the lock.
    #[must_use]
    pub fn locking(mut self, locking: bool) -> Self {
        self.locking = locking;
        self
    }

    /// Confirms that [`restore`](super::restore()) may take the backup where the history does
    /// not know what a broken state said last.
    #[must_use]
    pub fn confirmed(mut self, confirmed: bool) -> Self {
        self.confirmed = confirmed;
        self
    }

    /// Sets whether the first change makes the directory of a site that is missing.
    #[must_use]
    pub fn make_site(mut self, make_site: bool) -> Self {
        self.make_site = make_site;
        self
    }

    /// Sets what is called if waiting for the lock takes longer than a second.
    #[must_use]
    pub fn on_wait(mut self, call: OnWait<'a>) -> Self {
        self.on_wait = Some(call);
        self
    }

    /// Who makes the change, and when.
    /// Sets whether the change is for this host alone, in a site that follows the engine of a fleet.
    #[must_use]
    pub fn local(mut self, local: bool) -> Self {
        self.local = local;
        self
    }

    /// Sets what is called when the engine of a fleet does not answer at first.
    #[must_use]
    pub fn on_retry(mut self, call: OnRetry<'a>) -> Self {
        self.on_retry = Some(call);
        self
    }

    pub(super) fn stamp(&self) -> Stamp<'_> {
        Stamp::new(self.now.unwrap_or_else(crate::time::now), &self.actor)
    }
}

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// It changes what the state says.
    Change,
    /// It also writes a state file where there is none, even if nothing differs.
    Create,
    /// It puts back what was there before. Templates are not tried out, since the
    /// built-in page takes the place of a missing one.
    Restore,
    /// It renews a lease. The backup stays as it is, so that `restore` undoes
    /// what a person did.
    Renew,
}

/// What a change did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Applied<T> {
    /// What the change returned.
    pub value: T,
    /// The state before.
    pub before: State,
    /// The state now in force.
    pub after: State,
    /// What differs between the two.
    pub changes: Vec<Change>,
    /// Whether anything was written.
    pub is_written: bool,
    /// The site directory, if this change made it.
    pub made: Option<PathBuf>,
    /// What went wrong although the change is in force.
    pub warnings: Vec<String>,
    /// The file that holds the state, behind all links.
    pub file: PathBuf,
    /// Where the flags of this host stand now.
    pub flags: Report,
    /// The address of the engine of a fleet that the change was made in.
    pub store: Option<String>,
}

impl<T> Applied<T> {
    /// The ids of the bypass tokens that are gone: with the last window, or because a
    /// window opened after a maintenance that the clock had ended.
    #[must_use]
    pub fn revoked(&self) -> Vec<&str> {
        let ids = self.before.bypass.keys().filter(|id| !self.after.bypass.contains_key(*id));
        ids.map(String::as_str).collect()
    }

    pub(super) fn unwritten(
        value: T,
        before: State,
        after: State,
        changes: Vec<Change>,
        file: PathBuf,
    ) -> Self {
        let (is_written, made, warnings) = (false, None, Vec::new());
        let flags = Report::default();
        let store = None;
        Self { value, before, after, changes, is_written, made, warnings, file, flags, store }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Applied<U> {
        Applied {
            value: change(self.value),
            before: self.before,
            after: self.after,
            changes: self.changes,
            is_written: self.is_written,
            made: self.made,
            warnings: self.warnings,
            file: self.file,
            flags: self.flags,
            store: self.store,
        }
    }
}
