//! Noticing that a state file changed, by one stat(2) a look.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::load;
use crate::state::State;
use crate::sys::{self, FileKey};

/// A state file that is looked at again and again.
pub struct Watch {
    path: PathBuf,
    has_looked: bool,
    /// `None` where there was no file.
    seen: Option<FileKey>,
}

impl Watch {
    /// Watches a state file, which need not exist.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), has_looked: false, seen: None }
    }

    /// The state, if the file changed since the last look; the first look
    /// always tells.
    pub fn changed(&mut self) -> Option<Result<State>> {
        // The key is taken before the file is read: a change in between is told again.
        let key = fs::metadata(&self.path).ok().map(|metadata| sys::key(&metadata));
        if self.has_looked && self.seen == key {
            return None;
        }
        (self.has_looked, self.seen) = (true, key);
        Some(load::read(&self.path))
    }
}
