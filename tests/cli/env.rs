//! A sealed place to run the command in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The time in every test that does not set its own.
pub(crate) const NOW: &str = "2026-11-22T03:00:00Z";

/// A temporary directory with a site, an environment of its own and a fixed clock.
pub(crate) struct TestEnv {
    temp: TempDir,
    now: Option<String>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestEnv {
    /// Without a site.
    pub(crate) fn bare() -> Self {
        let temp = tempfile::Builder::new().prefix("maint-cli-").tempdir().unwrap();
        fs::create_dir(temp.path().join("home")).unwrap();
        Self { temp, now: Some(NOW.to_owned()) }
    }

    /// With a site.
    pub(crate) fn new() -> Self {
        let env = Self::bare();
        env.ok(&["init"]);
        env
    }

    /// With a site whose maintenance the clock has ended; the token `b3` is left of it.
    pub(crate) fn after_a_maintenance() -> Self {
        let mut env = Self::new();
        env.ok(&["on", "--for", "10m"]);
        env.ok(&["bypass", "new"]);
        env.set_now("2026-11-22T04:00:00Z");
        env
    }

    /// With a site, and the clock of the system.
    pub(crate) fn ticking() -> Self {
        let mut env = Self::new();
        env.now = None;
        env
    }

    /// Without a site, and with the clock of the system.
    pub(crate) fn ticking_bare() -> Self {
        Self { now: None, ..Self::bare() }
    }

    /// Sets the clock to this time.
    pub(crate) fn set_now(&mut self, now: &str) {
        self.now = Some(now.to_owned());
    }

    pub(crate) fn dir(&self) -> &Path {
        self.temp.path()
    }

    pub(crate) fn site(&self) -> PathBuf {
        self.dir().join(".maint")
    }

    /// The command with a clean environment, ready to run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maint"));
        command.args(args);
        self.seal(&mut command);
        command
    }

    /// Gives any program the environment of this test.
    pub(crate) fn seal(&self, command: &mut Command) {
        let binary = Path::new(env!("CARGO_BIN_EXE_maint")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", binary.display()))
            .env("HOME", self.dir().join("home"))
            .env("TZ", "UTC0")
            .current_dir(self.dir())
            .stdin(Stdio::null());
        if let Some(now) = &self.now {
            command.env("MAINT_NOW", now);
        }
    }

    /// Runs a shell line on a terminal of 80 columns of its own, which somebody types an answer
    /// into. Standard error is part of what the terminal shows.
    #[cfg(unix)]
    pub(crate) fn on_a_terminal(&self, line: &str, answer: &str) -> Ran {
        use std::io::Write as _;

        let mut command = Command::new("script");
        command.args(["-qec", &format!("stty cols 80 rows 24; {line}"), "/dev/null"]);
        self.seal(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        finish(child)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.stdout
    }

    /// Runs a command that must fail with a code and change no file.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        let before = self.files();
        let ran = self.run(args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{args:?}: {ran:?}");
        let after = self.files();
        let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
        let changed: Vec<_> = before.keys().chain(after.keys()).filter(differs).collect();
        assert!(changed.is_empty(), "{args:?} changed {changed:?}");
        ran.stderr
    }

    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    /// The state file as JSON.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.site().join("state.json")).unwrap()).unwrap()
    }

    /// Creates or breaks a file by hand, as people do.
    #[expect(clippy::disallowed_methods, reason = "a test plays the person who edits by hand")]
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Every file of the site with its bytes, except the locks of writers and of the agent, which
    /// say who holds them and how it goes.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.site(), &mut files);
        for lock in ["lock", "agent.json"] {
            files.remove(&self.site().join(lock));
        }
        files
    }
}

fn collect(dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            files.insert(path, bytes);
        }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Waits for a condition, and fails if it does not come true.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "still not so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a process to end.
#[track_caller]
pub(crate) fn finish(mut child: Child) -> Ran {
    eventually("the process ends", || child.try_wait().unwrap().is_some());
    Ran::from(child.wait_with_output().unwrap())
}

/// Whether a tool is installed; prints a `SKIPPED` line if it is not.
pub(crate) fn has(tool: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(tool).is_file()));
    if !found {
        crate::say::skip(&format!("`{tool}` is not installed"));
    }
    found
}
