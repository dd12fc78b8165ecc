//! Where a project begins: the directory that a first change makes its site in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sys;

/// The script that every Django project has. It goes before the other marks, since the
/// project of Django knows itself by it.
const SCRIPT: &str = "manage.py";

/// What is in the directory of a project, whatever it is written in.
const MARKS: [&str; 12] = [
    "pyproject.toml",
    "requirements.txt",
    "setup.py",
    "Pipfile",
    "Cargo.toml",
    "package.json",
    "composer.json",
    "Gemfile",
    "go.mod",
    "pom.xml",
    "mix.exs",
    ".git",
];

/// The nearest directory with a `manage.py`.
pub(super) fn of_script(start: &Path) -> Option<PathBuf> {
    let is_root = |dir: &&Path| fs::metadata(dir.join(SCRIPT)).is_ok_and(|file| file.is_file());
    vouched(start).find(is_root).map(Path::to_owned)
}

/// The nearest directory with another mark of a project. The home directory is none: what
/// lies there by chance would make one site for all that is below.
pub(super) fn of_mark(start: &Path, home: Option<&Path>) -> Option<PathBuf> {
    vouched(start)
        .filter(|dir| dir.parent().is_some() && home != Some(*dir))
        .find(|dir| MARKS.iter().any(|mark| fs::metadata(dir.join(mark)).is_ok()))
        .map(Path::to_owned)
}

/// The directories from here up in which not everyone can put a mark. Whoever begins in one
/// means it.
fn vouched(start: &Path) -> impl Iterator<Item = &Path> {
    start.ancestors().filter(move |dir| *dir == start || !is_open_to_all(dir))
}

/// Whether everyone can make files in a directory.
pub(super) fn is_open_to_all(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|dir| sys::ownership(&dir).is_world_writable())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files, by their paths; `/` at the end makes a directory.
    #[expect(clippy::disallowed_methods, reason = "files of projects")]
    fn tree(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        for file in files {
            let path = root.join(file);
            if file.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
        }
        (temp, root)
    }

    #[test]
    fn a_script_of_django_is_looked_for_upwards_and_must_be_a_file() {
        let (_temp, root) = tree(&["shop/manage.py", "shop/app/manage.py/", "shop/app/deep/"]);
        assert_eq!(of_script(&root.join("shop/app/deep")), Some(root.join("shop")));
        assert_eq!(of_script(&root), None);
    }

    #[test]
    fn the_nearest_mark_counts_and_the_home_directory_has_none() {
        let (_temp, root) = tree(&["package.json", "api/Cargo.toml", "api/src/", "notes/"]);
        assert_eq!(of_mark(&root.join("api/src"), None), Some(root.join("api")));
        assert_eq!(of_mark(&root.join("notes"), None), Some(root.clone()));
        assert_eq!(of_mark(&root.join("notes"), Some(&root)), None);
    }

    #[cfg(unix)]
    #[test]
    fn requirement_35_a_mark_that_anybody_could_plant_counts_only_where_one_begins() {
        use std::os::unix::fs::PermissionsExt as _;

        let (_temp, root) = tree(&["manage.py", "Cargo.toml", "build/"]);
        fs::set_permissions(&root, fs::Permissions::from_mode(0o1777)).unwrap();
        let build = root.join("build");
        assert_eq!((of_script(&build), of_mark(&build, None)), (None, None));
        assert_eq!(of_script(&root), Some(root.clone()));
    }
}
