//! The site under examination.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::words::word;
use crate::error::Error;
use crate::site::{Environment, Files, Found, Site};
use crate::state::State;
use crate::sys::{self, Ownership};

/// The site under examination, with what several checks need of it.
pub(super) struct Patient<'a> {
    pub(super) site: &'a Site,
    pub(super) around: &'a Environment,
    pub(super) named_user: Option<&'a str>,
    pub(super) now: Timestamp,
    /// Absent if the state file is behind a loop of links.
    pub(super) files: Option<Files>,
    /// Absent if there is none, or if `trouble` says why.
    pub(super) state: Option<State>,
    pub(super) trouble: Option<Error>,
}

impl Patient<'_> {
    pub(super) fn web_user(&self) -> Option<&str> {
        self.named_user.or_else(|| self.state.as_ref()?.web_user.as_deref())
    }

    /// The directories that hold the site: its own, those of links on the way to
    /// the state, and the one the state is really in.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let mut directories = vec![self.site.dir().to_owned()];
        if let Some(files) = &self.files {
            let parents = files.links.iter().filter_map(|link| link.parent());
            for directory in parents.chain([files.directory()]) {
                if !directories.iter().any(|known| same(known, directory)) {
                    directories.push(directory.to_owned());
                }
            }
        }
        directories
    }

    /// A command to run on this very site.
    pub(super) fn maint(&self, arguments: &str) -> String {
        match self.site.found() {
            Found::Given => format!("`maint --site {} {arguments}`", word(self.site.dir())),
            _ => format!("`maint {arguments}`"),
        }
    }
}

pub(super) fn same(one: &Path, other: &Path) -> bool {
    one == other
        || fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|o| o == one))
}

/// The owner, group and mode of a file, behind links.
pub(super) fn ownership(path: &Path) -> Option<Ownership> {
    fs::metadata(path).ok().map(|metadata| sys::ownership(&metadata))
}
