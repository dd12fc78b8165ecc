//! A site directory, however it was found.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::Environment;

/// A site directory, and why it was chosen.
#[derive(Clone, Debug)]
pub struct Site {
    pub(super) dir: PathBuf,
    pub(super) found: Found,
    /// Where it was looked for, if it was not there: it may appear in another place.
    pub(super) awaited: Option<Arc<Environment>>,
    pub(super) passed_over: Vec<PassedOver>,
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
    /// It is a copy of what an engine holds, for one command.
    Store,
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
            Self::Store => "store",
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

    /// The copy of what an engine holds, in a directory of this process.
    pub(crate) fn copy(dir: impl Into<PathBuf>) -> Self {
        Self { found: Found::Store, ..Self::at(dir) }
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

    /// Returns the path of the file that declares the flags of this host, `flags.json`.
    #[must_use]
    pub fn flags_file(&self) -> PathBuf {
        self.dir.join("flags.json")
    }

    /// Returns the path of the file that names the engine that this site follows, `store`.
    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Returns the path of what the agent of this site says of itself, `agent.json`.
    #[must_use]
    pub(crate) fn agent_file(&self) -> PathBuf {
        self.dir.join("agent.json")
    }

    /// Returns the directory of what flags look up while they are set.
    #[must_use]
    pub fn flags(&self) -> PathBuf {
        self.dir.join("flags")
    }

    /// Returns the directory of the site's own templates.
    #[must_use]
    pub fn templates(&self) -> PathBuf {
        self.dir.join("templates")
    }
}
