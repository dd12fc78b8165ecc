//! A copy of the tree to plant faults in, so that nothing happens to the tree itself.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::patch::Patch;

/// The tree that is tested.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A copy of what git knows or would add, as it is now.
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
    /// Where cargo puts what it builds, for the tree itself too.
    pub(crate) target: PathBuf,
}

/// A patch that is applied until this is dropped.
pub(crate) struct Planted<'a>(&'a Tree, &'a Patch);

impl Drop for Planted<'_> {
    fn drop(&mut self) {
        // Not copied anew: somebody may be at work in the tree meanwhile.
        let undone = self.0.git_apply(self.1, &["--reverse"]);
        assert!(undone.is_ok_and(|done| done.status.success()), "the tree as it was");
    }
}

impl Tree {
    /// Lays the copy.
    pub(crate) fn lay() -> Result<Self, String> {
        let target = Self::target()?;
        Self { path: target.join("mutants/tree"), target }.copied()
    }

    /// Lays a copy of its own, with a folder of its own for what is built of it.
    pub(crate) fn lay_apart(name: &str) -> Result<Self, String> {
        let place = Self::target()?.join("mutants").join(name);
        Self { path: place.join("tree"), target: place.join("target") }.copied()
    }

    /// The folder that this program was built in.
    pub(crate) fn target() -> Result<PathBuf, String> {
        let own = std::env::current_exe().map_err(|cause| cause.to_string())?;
        // TARGET/debug/deps/mutants-…
        Ok(own.ancestors().nth(3).ok_or("built in an unknown place")?.to_owned())
    }

    /// Whether a patch fits.
    pub(crate) fn takes(&self, patch: &Patch) -> bool {
        self.git_apply(patch, &["--check"]).is_ok_and(|done| done.status.success())
    }

    /// Applies a patch.
    pub(crate) fn plant<'a>(&'a self, patch: &'a Patch) -> Result<Planted<'a>, String> {
        let done = self.git_apply(patch, &[]).map_err(|cause| cause.to_string())?;
        if done.status.success() {
            Ok(Planted(self, patch))
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }

    fn git_apply(&self, patch: &Patch, more: &[&str]) -> io::Result<Output> {
        let mut git = Command::new("git");
        git.arg("apply").args(more).arg(&patch.path).current_dir(&self.path);
        // The copy lies in the tree of a repository, and is none of its files.
        git.env("GIT_CEILING_DIRECTORIES", self.path.parent().expect("a folder")).output()
    }

    /// Makes the copy what the tree is. Only what differs is written, since cargo
    /// builds anew what was written.
    fn copied(self) -> Result<Self, String> {
        let names = known()?;
        for name in &names {
            // What git knows and somebody just deleted is left out.
            let Ok(bytes) = fs::read(Path::new(ROOT).join(name)) else { continue };
            let path = self.path.join(name);
            if fs::read(&path).is_ok_and(|there| there == bytes) {
                continue;
            }
            fs::create_dir_all(path.parent().expect("a folder"))
                .and_then(|()| write(&path, &bytes))
                .map_err(|cause| format!("{}: {cause}", path.display()))?;
        }
        remove_others(&self.path, &self.path, &names).map_err(|cause| cause.to_string())?;
        Ok(self)
    }
}

/// What git knows or would add.
fn known() -> Result<BTreeSet<PathBuf>, String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(ROOT);
    let done = git.output().map_err(|cause| format!("git: {cause}"))?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    let names = done.stdout.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
}

fn remove_others(root: &Path, directory: &Path, names: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.strip_prefix(root).expect("below it");
        if path.is_dir() {
            remove_others(root, &path, names)?;
        } else if !names.contains(name) || !Path::new(ROOT).join(name).exists() {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a copy of the sources, not the state")]
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)
}
