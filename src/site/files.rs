//! The files of a site, behind all links.

use std::fs;
use std::path::{Path, PathBuf};

use super::directory::Site;
use crate::error::{Error, Result};

/// How many links a state file may be behind.
const MAX_LINKS: usize = 8;

impl Site {
    /// Returns the files that writers work on, which are beside the state file behind
    /// all links.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the state file is behind too many links.
    pub fn files(&self) -> Result<Files> {
        let mut state = self.state_file();
        let mut links = Vec::new();
        while let Ok(target) = fs::read_link(&state) {
            if links.len() == MAX_LINKS {
                return Err(Error::Refused {
                    path: self.state_file(),
                    reason: format!("it is behind more than {MAX_LINKS} symbolic links"),
                    hint: Some("is it a loop? point it at the file itself".to_owned()),
                });
            }
            links.push(state.clone());
            // A link counts from its own directory, not from the working directory.
            state = state.parent().unwrap_or(&self.dir).join(target);
        }
        if !links.is_empty()
            && let (Some(directory), Some(name)) = (state.parent(), state.file_name())
            && let Ok(directory) = fs::canonicalize(directory)
        {
            // Show people where the file is rather than how it was reached.
            state = directory.join(name);
        }
        Ok(Files::beside(&state, links))
    }
}

/// The files that writers of one state share, however they spell its path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Files {
    /// The state file itself, behind all links.
    pub state: PathBuf,
    /// The links that lead to it, first one first.
    pub links: Vec<PathBuf>,
    /// The backup: the previous generation of the state.
    pub backup: PathBuf,
    /// The lock, which keeps writers apart.
    pub lock: PathBuf,
    /// A second lock, which is there while somebody writes.
    pub(crate) turn: PathBuf,
    /// The history: one line of JSON for each change.
    pub history: PathBuf,
    /// The older history, set aside when it grew beyond 8 MiB.
    pub old_history: PathBuf,
}

impl Files {
    fn beside(state: &Path, links: Vec<PathBuf>) -> Self {
        // One directory may hold the real state files of several sites.
        let name = state.file_name().and_then(|name| name.to_str()).unwrap_or("state.json");
        let prefix = if name == "state.json" { String::new() } else { format!("{name}.") };
        let mut backup = state.as_os_str().to_owned();
        backup.push(".bak");
        Self {
            state: state.to_owned(),
            links,
            backup: backup.into(),
            lock: state.with_file_name(format!("{prefix}lock")),
            turn: state.with_file_name(format!(".{name}.turn")),
            history: state.with_file_name(format!("{prefix}history.jsonl")),
            old_history: state.with_file_name(format!("{prefix}history.jsonl.1")),
        }
    }

    /// Returns the file by which a `maint run` shows that it still goes.
    pub(crate) fn claim(&self, id: &str) -> PathBuf {
        let lock = self.lock.file_name().unwrap_or_default().to_string_lossy();
        self.lock.with_file_name(format!("{}run.{id}", lock.trim_end_matches("lock")))
    }

    /// Returns the directory that all of them are in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.state.parent().unwrap_or(Path::new("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn requirement_32_a_link_counts_from_its_own_directory() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        fs::create_dir_all(root.join("releases/7/.maint")).unwrap();
        fs::create_dir_all(root.join("shared")).unwrap();
        let site = Site::at(root.join("releases/7/.maint"));
        std::os::unix::fs::symlink("../../../shared/app.json", site.state_file()).unwrap();
        let files = site.files().unwrap();
        let shared = fs::canonicalize(root.join("shared")).unwrap();
        assert_eq!(fs::canonicalize(files.directory()).unwrap(), shared);
        assert_eq!(files.lock.file_name().unwrap(), "app.json.lock");
        assert_eq!(files.backup.file_name().unwrap(), "app.json.bak");
    }

    #[cfg(unix)]
    #[test]
    fn requirement_32_a_loop_of_links_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path());
        std::os::unix::fs::symlink("state.json", site.state_file()).unwrap();
        assert!(matches!(site.files(), Err(Error::Refused { .. })));
    }
}
