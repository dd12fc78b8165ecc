//! The site directory: which one is meant, and where its files are.

mod discover;
mod project;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};

pub use discover::Environment;

/// The name of a site directory inside a project.
pub const DIRECTORY: &str = ".maint";

/// The environment variable that names the site directory.
pub const VARIABLE: &str = "MAINT_SITE";

/// How many links a state file may be behind.
const MAX_LINKS: usize = 8;

/// A site directory, and why it was chosen.
#[derive(Clone, Debug)]
pub struct Site {
    dir: PathBuf,
    found: Found,
    /// Where it was looked for, if it was not there: it may appear in another place.
    awaited: Option<Arc<Environment>>,
    passed_over: Vec<PassedOver>,
}

/// Sites are equal if they are the same directory, found by the same rule.
impl PartialEq for Site {
    fn eq(&self, other: &Self) -> bool {
        (&self.dir, self.found) == (&other.dir, other.found)
    }
}

impl Eq for Site {}

/// Which rule chose a site. Earlier ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// It was named: `--site`, or the path a library was given.
    Given,
    /// The variable `MAINT_SITE` names it.
    Environment,
    /// It is the nearest `.maint/` in the working directory or above.
    Nearest,
    /// It is that of the project around the working directory, and not there yet: the first
    /// change makes it.
    Project,
    /// It is that of the project as a framework knows it, and not there yet. The command
    /// sees no project there.
    Framework,
    /// It is the one in the user's state directory.
    User,
}

impl Found {
    /// Returns the rule as a stable word, for JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Environment => "environment",
            Self::Nearest => "nearest",
            Self::Project => "project",
            Self::Framework => "framework",
            Self::User => "user",
        }
    }
}

/// A `.maint/` above the project that was not looked into, since it may be planted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOver {
    /// The directory.
    pub path: PathBuf,
    /// Why it is not trusted.
    pub reason: String,
}

impl Site {
    /// Returns the site in exactly this directory, whether or not it exists yet.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), found: Found::Given, awaited: None, passed_over: Vec::new() }
    }

    /// Returns the site directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns which rule chose it.
    #[must_use]
    pub fn found(&self) -> Found {
        self.found
    }

    /// Whether it was not there when it was chosen, though nobody named it. Nothing is down
    /// then, and the first change makes it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.awaited.is_some()
    }

    /// Returns the sites above the project that were passed over, since they may be planted.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// Returns the site as it would be chosen now, if it was not there before: it may have
    /// been made meanwhile, here or in a directory above.
    ///
    /// # Errors
    ///
    /// Those of [`Site::discover`]: what appeared may be planted.
    pub fn current(&self) -> Result<Self> {
        match &self.awaited {
            Some(around) => Self::discover_in(None, around),
            None => Ok(self.clone()),
        }
    }

    /// The same with an absolute path, for who may change the working directory.
    pub(crate) fn absolute(&self) -> Self {
        let dir = std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone());
        Self { dir, ..self.clone() }
    }

    /// Returns the path of the state file, `state.json`, which may be a link.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// Returns the directory of the site's own templates.
    #[must_use]
    pub fn templates(&self) -> PathBuf {
        self.dir.join("templates")
    }

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
