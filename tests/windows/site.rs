//! A temporary site, and the command there.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::wine::{Wine, wine};

/// A folder of the disk `Z:`, which is that of Linux, with a site.
pub(crate) struct Site {
    pub(crate) wine: &'static Wine,
    temp: TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The same path as Windows writes it.
pub(crate) fn on_z(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

/// Whether a name ends like this.
pub(crate) fn is_a(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

impl Site {
    /// `None` where there is no Wine.
    pub(crate) fn new() -> Option<Self> {
        let site = Self::bare()?;
        site.ok(&["init"]);
        Some(site)
    }

    /// A folder without a site.
    pub(crate) fn bare() -> Option<Self> {
        let wine = wine()?;
        let temp = tempfile::Builder::new().prefix("maint-windows-").tempdir().unwrap();
        // A project ends the search for a site.
        fs::create_dir(temp.path().join(".git")).unwrap();
        Some(Self { wine, temp })
    }

    pub(crate) fn root(&self) -> &Path {
        self.temp.path()
    }

    /// A file of the site.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root().join(".maint").join(name)
    }

    /// The command in the folder of the site, ready to run.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.wine.of(self.wine.command());
        command.current_dir(self.root()).args(words);
        command
    }

    /// The same in a process of its own, which can be killed.
    pub(crate) fn mortal(&self, words: &[&str]) -> Command {
        let mut command = self.wine.bare(self.wine.command());
        command.current_dir(self.root()).args(words).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(&mut self.command(words))
    }

    /// Runs a command that succeeds, and returns what it prints.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.stdout
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let printed = self.ok(&[words, &["--json"]].concat());
        serde_json::from_str(&printed).unwrap_or_else(|cause| panic!("{cause}: {printed}"))
    }

    /// The state as it is in the file now.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file("state.json")).unwrap()).unwrap()
    }

    /// Names in the folder of the site that a writer should not leave behind.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.root().join(".maint")).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| is_a(name, "tmp") || is_a(name, "turn"));
        names
    }

    /// Another program that has the file of the state open, once it has.
    pub(crate) fn holder(&self, words: &[&str]) -> Holder {
        let (verb, rest) = words.split_first().unwrap();
        let stop = tempfile::Builder::new().tempdir_in(self.root()).unwrap();
        let mut child = self
            .wine
            .of(self.wine.holder())
            .args([verb, on_z(&self.file("state.json")).as_str()])
            .arg(on_z(&stop.path().join("now")))
            .args(rest)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(said.next().as_deref().map(str::trim), Some("open"));
        Holder { stop, child, said: Box::new(said) }
    }
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"),
            stderr: String::from_utf8_lossy(&output.stderr).replace("\r\n", "\n"),
        }
    }
}

/// A program that has a file open.
pub(crate) struct Holder {
    stop: TempDir,
    child: Child,
    said: Box<dyn Iterator<Item = String>>,
}

impl Holder {
    /// Has it let go, and returns what it says then.
    pub(crate) fn end(mut self) -> Option<String> {
        self.stop_it();
        self.said.next()
    }

    fn stop_it(&mut self) {
        let _ = fs::create_dir(self.stop.path().join("now"));
        let _ = self.child.wait();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.stop_it();
    }
}
