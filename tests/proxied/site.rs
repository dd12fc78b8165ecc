//! A site switched by the real command.

use std::path::PathBuf;
use std::process::Command;

use maint::tower::MaintenanceLayer;
use maint::{Gate, Site};
use tempfile::TempDir;

pub(crate) struct TestSite(TempDir);

impl TestSite {
    pub(crate) fn new() -> Self {
        let site = Self(tempfile::Builder::new().prefix("maint-proxied-").tempdir().unwrap());
        site.maint(&["init"]);
        site
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join(".maint")
    }

    /// The site as the library knows it.
    pub(crate) fn site(&self) -> Site {
        Site::at(self.dir())
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn maint(&self, args: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_maint"))
            .args(args)
            .env_clear()
            .env("HOME", self.0.path())
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// From now on only this is let through.
    #[track_caller]
    pub(crate) fn ignore_only(&self, kind: &str, value: &str) {
        self.maint(&["ignore", "clear"]);
        self.maint(&["ignore", "add", kind, value]);
    }

    /// A new bypass token.
    pub(crate) fn token(&self) -> String {
        self.maint(&["bypass", "new", "--quiet"]).trim().to_owned()
    }

    /// The layer as apps put it around axum.
    pub(crate) fn layer(&self) -> MaintenanceLayer {
        MaintenanceLayer::new(Gate::open(&self.site()).unwrap())
    }
}
