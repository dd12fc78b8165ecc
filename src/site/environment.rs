//! What decides which site is meant.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{PathBuf, absolute};

/// The name of a site directory inside a project.
pub const DIRECTORY: &str = ".maint";

/// The environment variable that names the site directory.
pub const VARIABLE: &str = "MAINT_SITE";

/// The environment variable that holds the password of the engine of a fleet. No program that
/// `maint` starts gets it.
pub const PASSWORD: &str = "MAINT_STORE_PASSWORD";

/// What discovery looks at.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Environment {
    /// The value of `MAINT_SITE`.
    pub variable: Option<OsString>,
    /// Where the search begins: the working directory.
    pub directory: Option<PathBuf>,
    /// Where else the project may be, as a framework knows it: the directory of its
    /// settings.
    pub code: Option<PathBuf>,
    /// Where the project is in a framework's own words, if no file shows it.
    pub project: Option<PathBuf>,
    /// The home directory, which is no project.
    pub home: Option<PathBuf>,
    /// The user's state directory, if there is a home for it to be in.
    pub user_state: Option<PathBuf>,
}

impl Environment {
    /// Describes the surroundings of this process.
    #[must_use]
    pub fn current() -> Self {
        let home = env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Self {
            variable: env::var_os(VARIABLE),
            directory: env::current_dir().ok(),
            code: None,
            project: None,
            // The working directory is told without links.
            home: home.map(|home| fs::canonicalize(&home).unwrap_or(home)),
            user_state: user_state(),
        }
    }

    /// The same, whatever becomes of the working directory.
    pub(super) fn fixed(&self) -> Self {
        let fix = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| absolute(path).unwrap_or_else(|_| path.clone()))
        };
        Self {
            directory: fix(&self.directory),
            code: fix(&self.code),
            project: fix(&self.project),
            ..self.clone()
        }
    }
}

/// If `HOME` is unset, `dirs` would ask the user database. A job without an
/// environment would then hide its state under `/root`.
fn user_state() -> Option<PathBuf> {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if cfg!(unix) && !is_set("HOME") && !is_set("XDG_STATE_HOME") {
        return None;
    }
    dirs::state_dir().or_else(dirs::data_local_dir)
}
