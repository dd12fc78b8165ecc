//! What is run, and how.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use crate::gather::Gathered;
use crate::record::{Host, Record};
use crate::steps::Steps;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Short,
    Long,
}

impl Size {
    /// What `MAINT_PROOF` says to a part.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
        }
    }
}

/// Parts that run one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Rust,
    Python,
    Apart,
}

impl Lane {
    pub(crate) const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::Apart];
}

/// A make target that shows claims.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) shows: &'static str,
    /// Whether it is in `make test`.
    pub(crate) in_test: bool,
    /// Which parts of `make test` it comes after; those of another lane run beside it. What they
    /// wait for, servers and browsers and disks and one crate after the other, leaves much of two
    /// cores to it.
    pub(crate) lane: Lane,
}

const fn part(
    name: &'static str,
    target: &'static str,
    in_test: bool,
    shows: &'static str,
) -> Part {
    Part { name, target, shows, in_test, lane: Lane::Rust }
}

impl Part {
    /// What one types to run it alone.
    pub(crate) fn command(&self, size: Size) -> String {
        let before = if size == Size::Long { "MAINT_PROOF=long " } else { "" };
        format!("{before}make {}", self.target)
    }
}

/// All of them. What takes longest comes last.
pub(crate) const PARTS: [Part; 14] = [
    part("check", "check", true, "format, lints, documentation, and who imports whom"),
    part("tests", "unit", true, "every test of Rust"),
    Part {
        lane: Lane::Python,
        ..part("python", "python", true, "every test of the Python package")
    },
    // What is built for fuzzing has a folder of its own, so it goes first. The other two are built in
    // that of `check` and `tests`, where one waits for the other.
    Part {
        lane: Lane::Apart,
        ..part("fuzz", "fuzz", true, "whatever is parsed, fed with what a fuzzer makes up")
    },
    Part { lane: Lane::Apart, ..part("browser", "browser", true, "the page in a real browser") },
    Part {
        lane: Lane::Apart,
        ..part("mutants", "mutants", true, "planted bugs, each killed by a test that is named")
    },
    part("supply", "supply", false, "licences, sources and advisories of the dependencies"),
    part("stack", "test-stack", false, "unmodified servers and apps obey the command"),
    part(
        "fleet",
        "test-fleet",
        false,
        "hosts with agents on engines that are killed, frozen and cut off",
    ),
    part("tokens", "tokens", false, "the time that comparing a token takes"),
    part("power-cut", "power-cut", false, "virtual machines that lose their power"),
    part("old-kernel", "old-kernel", false, "claim 20 under Linux 6.1, whose clock is coarse"),
    part("busy", "test-busy", false, "`make test` beside processes that never rest"),
    part("mutants-all", "mutants-all", false, "every mutant that cargo-mutants makes"),
];

/// Runs a part to its end, and shows what it prints meanwhile.
#[expect(clippy::disallowed_methods, reason = "it passes on what other tests print")]
pub(crate) fn run(part: &Part, size: Size, root: &Path) -> (Record, Steps) {
    println!("\nproof: {}: {}", part.name, part.shows);
    let begun = Instant::now();
    let mut child = Command::new("make")
        .args(["--no-print-directory", part.target])
        // These are parts of this run, and not of one that it starts.
        .arg("PARTS=")
        .env("MAINT_PROOF", size.word())
        // This one runs below cargo, whose settings are not for those that it runs.
        .env_remove("CARGO_MANIFEST_DIR")
        .current_dir(root)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("make(1)");
    let gathered = Mutex::new((Gathered::default(), Steps::default()));
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(out, std::io::stdout(), &gathered));
        scope.spawn(|| pass_on(err, std::io::stderr(), &gathered));
    });
    let status = child.wait().expect("the end of make");
    let passed = status.success();
    if !passed {
        println!("proof: {} failed: {status}", part.name);
    }
    let (gathered, steps) = gathered.into_inner().unwrap();
    let record = Record {
        part: part.name.to_owned(),
        command: part.command(size),
        date: jiff::ZonedDateTime::now().date().to_string(),
        commit: commit(root),
        host: Host::here(),
        seconds: begun.elapsed().as_secs(),
        passed,
        gathered,
    };
    (record, steps)
}

/// Hands on what a part prints, line by line, and reads it.
fn pass_on(from: impl Read, mut to: impl Write, gathered: &Mutex<(Gathered, Steps)>) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let _ = to.write_all(&line);
        let words = String::from_utf8_lossy(&line);
        let (gathered, steps) = &mut *gathered.lock().unwrap();
        gathered.line(words.trim_end());
        steps.line(words.trim_end());
        line.clear();
    }
}

/// The commit that was looked at, and whether there was more than it.
fn commit(root: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(root).output();
        output.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    // A report that the run itself writes is no change.
    let changes =
        ["status", "--porcelain", "--", ".", ":!docs/reliability*.md", ":!tests/proof/records"];
    match (git(&["rev-parse", "--short=10", "HEAD"]), git(&changes)) {
        (Ok(hash), Ok(changes)) if !hash.is_empty() && changes.is_empty() => hash,
        (Ok(hash), _) if !hash.is_empty() => format!("{hash}, and changes"),
        _ => "no commit".to_owned(),
    }
}
