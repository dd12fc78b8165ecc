//! Builds and runs tests of the copy, and reads what they print.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::gather::{named, verdict};
use crate::patch::TestName;
use crate::tree::Tree;

/// Far longer than anything here takes, unless it never ends.
const BUILD: Duration = Duration::from_secs(1_800);
const RUN: Duration = Duration::from_secs(600);

/// The tests of a tree.
pub(crate) struct Tests<'a>(&'a Tree);

/// How it ended.
pub(crate) enum Ended {
    /// It did not come to the tests.
    NotBuilt(String),
    /// It was killed.
    Hung,
    Ran(Ran),
}

/// What the tests said.
#[derive(Default)]
pub(crate) struct Ran {
    pub(crate) passed: BTreeMap<String, bool>,
    /// What was not tried, and why.
    pub(crate) skipped: BTreeMap<String, String>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt(why) => write!(f, "cannot be built: {why}"),
            Self::Hung => f.write_str("hangs"),
            Self::Ran(_) => f.write_str("runs"),
        }
    }
}

impl Ran {
    pub(crate) fn failed(&self) -> Vec<String> {
        let failed = self.passed.iter().filter(|(_, passed)| !**passed);
        failed.map(|(name, _)| name.clone()).collect()
    }

    fn of(output: &Output) -> Self {
        let mut ran = Self::default();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Some((name, passed)) = verdict(line) {
                ran.passed.insert(name.to_owned(), passed);
            }
        }
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            ran.skipped.extend(line.strip_prefix("SKIPPED: ").and_then(named));
        }
        ran
    }
}

impl<'a> Tests<'a> {
    pub(crate) fn of(tree: &'a Tree) -> Self {
        Self(tree)
    }

    /// Builds one target and runs the named tests of it, and no others.
    pub(crate) fn run(&self, target: &str, named: &[&TestName]) -> Ended {
        let program = match self.build(target) {
            Ok(program) => program,
            Err(why) => return Ended::NotBuilt(why),
        };
        let mut command = Command::new(program);
        command.arg("--exact").args(named.iter().map(|test| &*test.name));
        match finish(command.current_dir(&self.0.path), RUN) {
            Some(output) => Ended::Ran(Ran::of(&output)),
            None => Ended::Hung,
        }
    }

    /// The program that has the tests of a target.
    fn build(&self, target: &str) -> Result<PathBuf, String> {
        let mut cargo = cargo();
        // Engines take long to build, and no other targets have to do with them.
        let features = match target {
            "fleet" | "lib" => "fleet,tower",
            "serve" => "serve,tower",
            _ => "tower",
        };
        cargo.args(["test", "--no-run", "--locked", "--features", features]);
        cargo.args(["--message-format", "json-render-diagnostics"]);
        // A fault is a line, and what it does not touch is built already.
        cargo.env("CARGO_INCREMENTAL", "1");
        match target {
            "lib" => cargo.arg("--lib"),
            other => cargo.args(["--test", other]),
        };
        // Only the copy is built anew each time; a backtrace of it is of no use to anybody.
        cargo.args(["--config", "profile.dev.package.maint.debug=false"]);
        // The libraries of others are those that the tree itself was built with. What is
        // built of the copy must not get in the place of what is built of the tree. Cargo
        // gives both the same names, since it goes by the path below the root, unless a
        // setting differs: one that nobody uses.
        cargo.args(["--config", "profile.dev.package.maint.codegen-units=255"]);
        cargo.env("CARGO_BUILD_BUILD_DIR", &self.0.target);
        cargo.env("CARGO_TARGET_DIR", self.0.target.join("mutants/target"));
        let output = finish(cargo.current_dir(&self.0.path), BUILD).ok_or("it takes for ever")?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut programs = messages.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let is_test = message["profile"]["test"] == true;
            is_test.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
        });
        programs.next().ok_or_else(|| "cargo names no program".to_owned())
    }
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command to its end; one that does not come to it is killed with all its children.
fn finish(command: &mut Command, limit: Duration) -> Option<Output> {
    let command = command.process_group(0).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program");
    let group = Pid::from_child(&child);
    let waiting = std::thread::spawn(move || child.wait_with_output().expect("its end"));
    let begun = Instant::now();
    while !waiting.is_finished() {
        if begun.elapsed() > limit {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = waiting.join();
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    waiting.join().ok()
}
