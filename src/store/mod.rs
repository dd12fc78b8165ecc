//! The only writer: lock → read → change → replace → history.
//!
//! A change is a function from state to state. It is run under the lock and may
//! be run again on a newer state, so it must do nothing but change the state.

mod beside;
mod current;
mod custody;
mod guard;
pub mod history;
pub mod lock;
mod replace;
mod restore;
mod templates;
mod transaction;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::actor::Actor;
use crate::error::Result;
use crate::load;
use crate::site::Site;
use crate::state::{Change, State};
use beside::Beside;
use lock::OnWait;
pub(crate) use transaction::leftovers;
use transaction::{run, transact};

pub use restore::{preview_restore, restore};
pub use templates::{put_template, remove_template};

/// How a change is made, and in whose name.
#[derive(Clone)]
pub struct Options<'a> {
    /// How long to wait for another writer; zero means not at all.
    pub patience: Duration,
    /// Whether to take the lock. Without it two writers can lose a change.
    pub locking: bool,
    /// As root, leave new files to root instead of the directory's owner.
    pub keep_root: bool,
    /// In whose name.
    pub actor: Actor,
    /// The command, without the name of the program, for the history.
    pub command: String,
    /// The time; that of the system clock if absent.
    pub now: Option<Timestamp>,
    /// What the change is for.
    pub purpose: Purpose,
    /// Told once if waiting for the lock takes longer than a second.
    pub on_wait: Option<OnWait<'a>>,
}

impl Options<'_> {
    /// The defaults, for a command run by this process.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            patience: lock::PATIENCE,
            locking: true,
            keep_root: false,
            actor: Actor::current(),
            command: command.into(),
            now: None,
            purpose: Purpose::Change,
            on_wait: None,
        }
    }

    fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(crate::time::now)
    }
}

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It changes what the state says.
    Change,
    /// It also writes a state file where there is none, even if it says nothing.
    Create,
    /// It renews a lease. There is no backup, so that `restore` goes back to
    /// what a person did.
    Renew,
}

/// What a change did.
#[derive(Clone, Debug)]
pub struct Applied<T> {
    /// What the change returned.
    pub value: T,
    /// The state before.
    pub before: State,
    /// The state now in force.
    pub after: State,
    /// What the state says differently.
    pub changes: Vec<Change>,
    /// Whether anything was written.
    pub is_written: bool,
    /// What did not go as it should although the change is in force.
    pub warnings: Vec<String>,
    /// The file that holds the state, behind all links.
    pub file: PathBuf,
}

impl<T> Applied<T> {
    fn unwritten(
        value: T,
        before: State,
        after: State,
        changes: Vec<Change>,
        file: PathBuf,
    ) -> Self {
        Self { value, before, after, changes, is_written: false, warnings: Vec::new(), file }
    }

    fn map<U>(self, change: impl FnOnce(T) -> U) -> Applied<U> {
        Applied {
            value: change(self.value),
            before: self.before,
            after: self.after,
            changes: self.changes,
            is_written: self.is_written,
            warnings: self.warnings,
            file: self.file,
        }
    }
}

/// Changes the state of a site.
///
/// The change runs under the lock, on the state as it is then, with the time.
/// If it fails, or its result is not a valid state, nothing is written. If
/// nothing differs afterwards, nothing is written either.
///
/// # Errors
///
/// Whatever the change returns, and every kind of failure of [`Error`](crate::Error). All
/// leave the state as it was but [`Error::Unsynced`](crate::Error::Unsynced).
pub fn update<T>(
    site: &Site,
    options: &Options<'_>,
    change: impl Fn(&mut State, Timestamp) -> Result<T>,
) -> Result<Applied<T>> {
    transact(site, options, Beside::Nothing, change)
}

/// What [`update`] would do, without a lock and without writing.
pub fn preview<T>(
    site: &Site,
    options: &Options<'_>,
    change: impl Fn(&mut State, Timestamp) -> Result<T>,
) -> Result<Applied<T>> {
    let files = site.files()?;
    let before = load::read(&files.state)?;
    let (value, after, changes) = run(&before, options.now(), &change)?;
    Ok(Applied::unwritten(value, before, after, changes, files.state))
}
