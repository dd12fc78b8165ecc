//! A project with a site, switched by the real command.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::server::directory;

pub(crate) struct TestSite {
    project: PathBuf,
    _dir: TempDir,
}

impl TestSite {
    pub(crate) fn new() -> Self {
        Self::named("shop")
    }

    /// A project in a directory of this name.
    pub(crate) fn named(name: &str) -> Self {
        let dir = directory();
        let site = Self { project: dir.path().join(name), _dir: dir };
        fs::create_dir(&site.project).unwrap();
        fs::set_permissions(&site.project, Permissions::from_mode(0o755)).unwrap();
        site.maint(&["init"]);
        site
    }

    /// The project.
    pub(crate) fn project(&self) -> &Path {
        &self.project
    }

    /// The site directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.project().join(".maint")
    }

    /// The directory of the flag.
    pub(crate) fn flag(&self) -> PathBuf {
        self.dir().join("web")
    }

    /// Declares a flag of the kind `web`.
    pub(crate) fn add_flag(&self) {
        self.add("web", &self.flag());
    }

    /// Declares a flag whose id is its kind.
    pub(crate) fn add(&self, kind: &str, path: &Path) {
        self.maint(&["flag", "add", kind, path.to_str().unwrap()]);
    }

    /// Opens a window with this message, which asks to come again in 15 minutes.
    pub(crate) fn on(&self, message: &str) {
        self.maint(&["on", "-m", message, "--retry-after", "15m"]);
    }

    pub(crate) fn off(&self) {
        self.maint(&["off"]);
    }

    /// Lets an address through.
    pub(crate) fn allow(&self, address: &str) {
        self.maint(&["ignore", "add", "ip", address]);
    }

    /// Lets no address through any longer.
    pub(crate) fn forbid(&self) {
        self.maint(&["ignore", "clear"]);
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn maint(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_maint"))
            .args(args)
            .env_clear()
            .env("HOME", self.project())
            .current_dir(self.project())
            .output()
            .unwrap()
    }
}
