//! Noticing that a state file changed, with one stat(2) for each look.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::load;
use crate::state::State;
use crate::sys::{self, FileKey};

/// Watches a state file for changes.
pub struct Watch {
    path: PathBuf,
    has_looked: bool,
    /// `None` where there was no file.
    seen: Option<FileKey>,
}

impl Watch {
    /// Starts to watch a state file, which need not exist.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), has_looked: false, seen: None }
    }

    /// Returns the state if the file changed since the last look, and always on the
    /// first.
    pub fn changed(&mut self) -> Option<Result<State>> {
        // The key is taken before the file is read: a change in between shows next time.
        let key = fs::metadata(&self.path).ok().map(|metadata| sys::key(&metadata));
        if self.has_looked && self.seen == key {
            return None;
        }
        (self.has_looked, self.seen) = (true, key);
        Some(load::read(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_tells_and_then_every_change_once() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("state.json");
        let mut watch = Watch::new(&path);
        let mut revision = || watch.changed().map(|state| state.unwrap().revision);
        assert_eq!((revision(), revision()), (Some(0), None), "no file, which is off");
        let file = sys::create_new(&path).unwrap();
        sys::write_all(&file, br#"{"version":1,"revision":7}"#).unwrap();
        assert_eq!((revision(), revision()), (Some(7), None));
        std::fs::remove_file(&path).unwrap();
        assert_eq!((revision(), revision()), (Some(0), None));
    }
}
