//! The site directory: which one is meant, and where its files are.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, SiteProblem};
use crate::sys;

/// The name of a site directory inside a project.
pub const DIRECTORY: &str = ".maint";

/// The environment variable that names the site directory.
pub const VARIABLE: &str = "MAINT_SITE";

/// How many links a state file may be behind.
const MAX_LINKS: usize = 8;

/// A site directory, and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    dir: PathBuf,
    found: Found,
}

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
            Self::User => "user",
        }
    }
}

/// What discovery looks at.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Environment {
    /// The value of `MAINT_SITE`.
    pub variable: Option<OsString>,
    /// The working directory.
    pub directory: Option<PathBuf>,
    /// The user's state directory, if there is a home for it to be in.
    pub user_state: Option<PathBuf>,
}

impl Environment {
    /// Describes the surroundings of this process.
    #[must_use]
    pub fn current() -> Self {
        Self {
            variable: env::var_os(VARIABLE),
            directory: env::current_dir().ok(),
            user_state: user_state(),
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

impl Site {
    /// Chooses the site, the same way for the command and every library:
    /// the path given, then `MAINT_SITE`, then the nearest `.maint/` from the
    /// working directory up, then the user's state directory.
    ///
    /// # Errors
    ///
    /// [`Error::NotASite`] if a named directory is missing or something else,
    /// [`Error::Untrusted`] if the nearest `.maint/` may have been planted,
    /// [`Error::NoSite`] if there is nowhere left to look.
    pub fn discover(given: Option<&Path>) -> Result<Self> {
        Self::discover_in(given, &Environment::current())
    }

    /// Like [`Site::discover`], in surroundings of the caller's choice.
    pub fn discover_in(given: Option<&Path>, around: &Environment) -> Result<Self> {
        if let Some(path) = given {
            return Self::named(path, Found::Given, around);
        }
        if let Some(path) = around.variable.as_deref().filter(|value| !value.is_empty()) {
            return Self::named(Path::new(path), Found::Environment, around);
        }
        if let Some(directory) = &around.directory
            && let Some(dir) = directory
                .ancestors()
                .map(|ancestor| ancestor.join(DIRECTORY))
                .find(|dir| fs::symlink_metadata(dir).is_ok())
        {
            trust(&dir, directory)?;
            if !dir.is_dir() {
                return Err(not_a_site(&dir, SiteProblem::NotADirectory));
            }
            return Ok(Self { dir, found: Found::Nearest });
        }
        match &around.user_state {
            Some(state) if state.is_absolute() => {
                Ok(Self { dir: state.join("maint"), found: Found::User })
            }
            _ => Err(Error::NoSite {
                reason: format!(
                    "no `{VARIABLE}`, no `{DIRECTORY}` in {} or above, no `HOME`",
                    around.directory.as_ref().map_or_else(
                        || "the working directory".to_owned(),
                        |directory| format!("`{}`", directory.display())
                    )
                ),
            }),
        }
    }

    /// A directory somebody named. It must exist, and must not be a directory
    /// of something else: writing a state there would be a surprise.
    fn named(path: &Path, found: Found, around: &Environment) -> Result<Self> {
        if path.as_os_str().is_empty() {
            return Err(Error::invalid("the site directory is an empty string"));
        }
        let dir = match &around.directory {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        };
        let metadata = fs::metadata(&dir).map_err(|cause| {
            let problem = match cause.kind() {
                ErrorKind::NotFound => SiteProblem::Missing,
                _ => SiteProblem::Unreachable(cause),
            };
            not_a_site(path, problem)
        })?;
        if !metadata.is_dir() {
            return Err(not_a_site(path, SiteProblem::NotADirectory));
        }
        // Listed before the looks below: a site that another process is making is empty
        // here, or known there.
        let is_empty = !sys::names(&dir).is_ok_and(|names| !names.is_empty());
        let is_known = dir.file_name().is_some_and(|name| name == DIRECTORY)
            || ["state.json", "state.json.bak", "lock", "templates"]
                .iter()
                .any(|name| fs::symlink_metadata(dir.join(name)).is_ok());
        let inner = dir.join(DIRECTORY);
        if !is_known && inner.is_dir() {
            return Err(not_a_site(path, SiteProblem::Holds(path.join(DIRECTORY))));
        }
        if !is_known && !is_empty {
            return Err(not_a_site(path, SiteProblem::OtherFiles));
        }
        Ok(Self { dir, found })
    }

    /// Returns the site in exactly this directory, whether or not it exists yet.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), found: Found::Given }
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

fn not_a_site(path: &Path, problem: SiteProblem) -> Error {
    Error::NotASite { path: path.to_owned(), problem }
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

/// Accepts a site found by walking up if it belongs to the caller, to root or to
/// the owner of the working directory, and not everyone can write to it.
#[cfg(unix)]
fn trust(dir: &Path, from: &Path) -> Result<()> {
    let refuse = |reason: String| Err(Error::Untrusted { path: dir.to_owned(), reason });
    let owner_of = |path: &Path, follow: bool| {
        let metadata = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
        metadata.map(|metadata| sys::ownership(&metadata))
    };
    let mut trusted = vec![sys::effective_uid(), 0];
    if let Ok(from) = owner_of(from, true) {
        // Anyone can make files in a directory that everyone can write to, so its
        // owner does not vouch for them.
        if !from.is_world_writable() {
            trusted.push(from.uid);
        }
    }
    // A planted link to somebody's real site is as bad as a planted site.
    for follow in [false, true] {
        let Ok(owner) = owner_of(dir, follow) else {
            return refuse("it cannot be looked at".to_owned());
        };
        if !trusted.contains(&owner.uid) {
            return refuse(format!("it belongs to `{}`", sys::user_name(owner.uid)));
        }
        if follow && owner.is_world_writable() {
            return refuse("everyone can write to it".to_owned());
        }
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
fn trust(_dir: &Path, _from: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(directory: &Path) -> Environment {
        Environment {
            variable: None,
            directory: Some(directory.to_owned()),
            user_state: Some(directory.join("home/.local/state")),
        }
    }

    #[test]
    fn requirement_35_the_first_rule_that_names_a_site_wins() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        for name in ["given", "variable", ".maint", "below/deep"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let mut around = around(&root.join("below/deep"));
        around.variable = Some(root.join("variable").into());
        let site = Site::discover_in(Some(&root.join("given")), &around).unwrap();
        assert_eq!((site.dir(), site.found()), (root.join("given").as_path(), Found::Given));

        let site = Site::discover_in(None, &around).unwrap();
        assert_eq!(
            (site.dir(), site.found()),
            (root.join("variable").as_path(), Found::Environment)
        );

        around.variable = Some("".into());
        let site = Site::discover_in(None, &around).unwrap();
        assert_eq!((site.dir(), site.found()), (root.join(".maint").as_path(), Found::Nearest));

        fs::remove_dir(root.join(".maint")).unwrap();
        let site = Site::discover_in(None, &around).unwrap();
        assert_eq!(site.found(), Found::User);

        around.user_state = None;
        assert!(matches!(Site::discover_in(None, &around), Err(Error::NoSite { .. })));
    }

    #[test]
    fn a_directory_of_something_else_is_not_taken_for_a_site() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        let try_site = |name: &str| Site::discover_in(Some(&root.join(name)), &around(root));
        let problem = |name: &str| match try_site(name) {
            Err(Error::NotASite { problem, .. }) => problem,
            other => panic!("{other:?}"),
        };
        assert!(matches!(problem("missing"), SiteProblem::Missing));

        fs::create_dir_all(root.join("empty")).unwrap();
        assert!(try_site("empty").is_ok(), "a fresh volume");

        fs::create_dir_all(root.join("project/src")).unwrap();
        assert!(matches!(problem("project"), SiteProblem::OtherFiles));
        fs::create_dir_all(root.join("project/.maint")).unwrap();
        let inner = root.join("project/.maint");
        assert!(matches!(problem("project"), SiteProblem::Holds(site) if site == inner));
    }

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
