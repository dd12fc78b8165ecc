//! Which site is meant: the same rules for the command and every library.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directory::{Found, PassedOver, Site};
use super::environment::{DIRECTORY, Environment, VARIABLE};
use super::project::{is_open_to_all, of_mark, of_script};
use super::trust::trust;
use crate::error::{Error, Result, SiteProblem};
use crate::sys;

/// The project in whose directory a site is made.
struct Project {
    root: PathBuf,
    found: Found,
}

impl Environment {
    /// Finds the project: the nearest `manage.py`, also from the code of a framework, or
    /// else the nearest other mark, or else what a framework says.
    fn find_project(&self) -> Option<Project> {
        let starts = || [&self.directory, &self.code].into_iter().flatten();
        let marked = starts().find_map(|start| of_script(start)).or_else(|| {
            let start = self.directory.as_deref()?;
            of_mark(start, self.home.as_deref())
        });
        match (marked, &self.project) {
            (Some(root), _) => Some(Project { root, found: Found::Project }),
            (None, Some(root)) => Some(Project { root: root.clone(), found: Found::Framework }),
            (None, None) => None,
        }
    }

    /// The nearest `.maint/`, if it is trusted wherever the project may begin. Most commands
    /// then look for no project.
    fn trusted_anyway(&self) -> Option<PathBuf> {
        let start = self.directory.as_deref().filter(|_| self.code.is_none())?;
        let mut dirs = start.ancestors().map(|above| above.join(DIRECTORY));
        let dir = dirs.find(|dir| fs::symlink_metadata(dir).is_ok())?;
        (dir.is_dir() && trust(&dir, start, None).is_ok()).then_some(dir)
    }

    /// Where the search upwards begins, first one first: the command may be typed in each
    /// of these.
    fn starts<'a>(&'a self, project: Option<&'a Path>) -> Vec<&'a Path> {
        match (self.directory.as_deref(), project) {
            (Some(directory), Some(root)) if directory.starts_with(root) => vec![directory],
            (Some(directory), Some(root)) if root.starts_with(directory) => vec![root],
            (directory, root) => directory.into_iter().chain(root).collect(),
        }
    }
}

impl Site {
    /// Chooses the site, the same way for the command and every library: the path given,
    /// then `MAINT_SITE`, then the nearest `.maint/` from the working directory up, then
    /// that of the project around it, which need not be there yet, then the one in the
    /// user's state directory.
    ///
    /// A `.maint/` above the project that may be planted is passed over, see
    /// [`Site::passed_over`].
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
        let around = around.fixed();
        if let Some(dir) = around.trusted_anyway() {
            return Ok(Self { dir, found: Found::Nearest, awaited: None, passed_over: Vec::new() });
        }
        let project = around.find_project();
        let root = project.as_ref().map(|project| project.root.as_path());
        let mut passed_over = Vec::new();
        for start in around.starts(root) {
            if let Some(dir) = nearest(start, root, &mut passed_over)? {
                return Ok(Self { dir, found: Found::Nearest, awaited: None, passed_over });
            }
        }
        let (dir, found) = match (project, &around.user_state) {
            (Some(project), _) => (project.root.join(DIRECTORY), project.found),
            (None, Some(state)) if state.is_absolute() => (state.join("maint"), Found::User),
            (None, _) => {
                return Err(Error::NoSite {
                    reason: format!(
                        "no `{VARIABLE}`, no `{DIRECTORY}` and no project in {} or above, no `HOME`",
                        around.directory.as_ref().map_or_else(
                            || "the working directory".to_owned(),
                            |directory| format!("`{}`", directory.display())
                        )
                    ),
                });
            }
        };
        let is_there = dir.is_dir();
        let awaited = (!is_there).then(|| Arc::new(around));
        Ok(Self { dir, found, awaited, passed_over })
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
        // here, or known there. What comes first may be its `.gitignore`, by a second process.
        let is_ignore_file = |name: &OsString| {
            let name = name.to_string_lossy();
            name == ".gitignore" || name.starts_with("..gitignore.")
        };
        let is_empty = !sys::names(&dir).is_ok_and(|names| !names.iter().all(is_ignore_file));
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
        Ok(Self { dir, found, awaited: None, passed_over: Vec::new() })
    }
}

/// The nearest `.maint/` from here up. One that is not trusted is refused, unless it is above
/// the project or where anybody could have put it: then it says nothing of this project.
fn nearest(
    start: &Path,
    project: Option<&Path>,
    passed_over: &mut Vec<PassedOver>,
) -> Result<Option<PathBuf>> {
    for above in start.ancestors() {
        let path = above.join(DIRECTORY);
        if fs::symlink_metadata(&path).is_err() {
            continue;
        }
        let refusal = match trust(&path, start, project) {
            Ok(()) if path.is_dir() => return Ok(Some(path)),
            Ok(()) => None,
            Err(reason) => Some(reason),
        };
        let is_above_project = project.is_some_and(|root| root != above && root.starts_with(above));
        if is_above_project || above != start && is_open_to_all(above) {
            let reason = refusal.unwrap_or_else(|| SiteProblem::NotADirectory.to_string());
            passed_over.push(PassedOver { path, reason });
            continue;
        }
        return Err(match refusal {
            Some(reason) => Error::Untrusted { path, reason },
            None => not_a_site(&path, SiteProblem::NotADirectory),
        });
    }
    Ok(None)
}

fn not_a_site(path: &Path, problem: SiteProblem) -> Error {
    Error::NotASite { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(directory: &Path) -> Environment {
        Environment {
            directory: Some(directory.to_owned()),
            user_state: Some(directory.join("home/.local/state")),
            ..Environment::default()
        }
    }

    #[test]
    fn a_site_that_others_are_making_is_one_whatever_they_made_first() {
        let temp = tempfile::tempdir().unwrap();
        let site = temp.path().join("run");
        fs::create_dir(&site).unwrap();
        let named = || Site::discover_in(Some(&site), &around(temp.path()));
        for name in ["..gitignore.0123456789abcdef.tmp", ".gitignore"] {
            sys::create_new(&site.join(name)).unwrap();
            assert!(named().is_ok(), "{name}");
        }
        sys::create_new(&site.join("notes")).unwrap();
        assert!(named().is_err(), "somebody's own directory");
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

    /// Makes directories and, of those with a dot, files.
    #[expect(clippy::disallowed_methods, reason = "files of projects")]
    fn tree(root: &Path, paths: &[&str]) {
        for path in paths {
            let path = root.join(path);
            if path.extension().is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            } else {
                fs::create_dir_all(path).unwrap();
            }
        }
    }

    fn chosen(around: &Environment, root: &Path) -> (String, Found, bool) {
        let site = Site::discover_in(None, around).unwrap();
        let dir = site.dir().strip_prefix(root).unwrap().display().to_string();
        (dir, site.found(), site.is_awaited())
    }

    #[test]
    fn requirement_35_a_project_without_a_site_gets_its_own_from_wherever_one_looks() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        tree(root, &["shop/manage.py", "shop/web/package.json", "shop/web/src", "notes"]);
        let expected = ("shop/.maint".to_owned(), Found::Project, true);
        for start in ["shop", "shop/web", "shop/web/src"] {
            assert_eq!(chosen(&around(&root.join(start)), root), expected, "{start}");
        }
        assert_eq!(chosen(&around(&root.join("notes")), root).1, Found::User);

        let site = Site::discover_in(None, &around(&root.join("shop/web"))).unwrap();
        fs::create_dir(root.join("shop/.maint")).unwrap();
        let now = site.current().unwrap();
        assert_eq!((now.dir(), now.found()), (site.dir(), Found::Nearest));
        assert!(!now.is_awaited());
    }

    #[test]
    fn requirement_35_a_site_made_above_meanwhile_is_found() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        tree(root, &["repo/api/pyproject.toml"]);
        let site = Site::discover_in(None, &around(&root.join("repo/api"))).unwrap();
        assert_eq!(site.dir(), root.join("repo/api/.maint"));
        fs::create_dir(root.join("repo/.maint")).unwrap();
        assert_eq!(site.current().unwrap().dir(), root.join("repo/.maint"));
    }

    #[test]
    fn requirement_35_a_framework_finds_the_site_of_the_command_typed_beside_its_script() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        tree(root, &["repo/backend/manage.py", "repo/backend/shop", "etc"]);
        let framework = |base: &str| Environment {
            code: Some(root.join("repo/backend/shop")),
            project: Some(root.join(base)),
            ..around(&root.join(base))
        };
        let typed = chosen(&around(&root.join("repo/backend")), root);
        for base in ["repo", "repo/backend", "repo/backend/shop", "etc"] {
            assert_eq!(chosen(&framework(base), root), typed, "{base}");
        }
        // One that is there, above or at the script, is the same for both.
        for made in ["repo/.maint", "repo/backend/.maint"] {
            fs::create_dir(root.join(made)).unwrap();
            let typed = chosen(&around(&root.join("repo/backend")), root);
            assert_eq!(typed, (made.to_owned(), Found::Nearest, false));
            for base in ["repo", "repo/backend", "repo/backend/shop", "etc"] {
                assert_eq!(chosen(&framework(base), root), typed, "{made}, {base}");
            }
        }
        fs::remove_dir(root.join("repo/.maint")).unwrap();
        fs::remove_dir(root.join("repo/backend/.maint")).unwrap();
        fs::remove_file(root.join("repo/backend/manage.py")).unwrap();
        let alone = ("etc/.maint".to_owned(), Found::Framework, true);
        assert_eq!(chosen(&framework("etc"), root), alone);
    }

    #[cfg(unix)]
    #[test]
    fn requirement_35b_a_planted_site_above_stops_nobody_below() {
        use std::os::unix::fs::PermissionsExt as _;

        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        tree(root, &["open/.maint", "open/shop/manage.py", "open/loose", "open/shop/in/.maint"]);
        let open_up = |path: &str| {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o1777)).unwrap();
        };
        // What everyone can write to could be anybody's.
        open_up("open/.maint");
        open_up("open/shop/in/.maint");
        let site = Site::discover_in(None, &around(&root.join("open/shop"))).unwrap();
        assert_eq!((site.dir(), site.found()), (&*root.join("open/shop/.maint"), Found::Project));
        let [passed] = site.passed_over() else { panic!("{site:?}") };
        assert_eq!(passed.path, root.join("open/.maint"));
        assert_eq!(passed.reason, "everyone can write to it");

        // Without a project only what anybody could have put there is passed over.
        let loose = around(&root.join("open/loose"));
        let refused =
            |around| matches!(Site::discover_in(None, around), Err(Error::Untrusted { .. }));
        assert!(refused(&loose));
        open_up("open");
        assert_eq!(Site::discover_in(None, &loose).unwrap().found(), Found::User);

        let (within, begin) = (around(&root.join("open/shop/in")), around(&root.join("open")));
        assert!(refused(&within), "within the project");
        assert!(refused(&begin), "where one begins");
    }
}
