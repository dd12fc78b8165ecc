//! Every mutant that cargo-mutants makes of the code that locks, writes and decides: some
//! thousand, each of which is built and tested, which takes many hours. A shard is a file. What
//! was found of it is kept in `tried.json`, which is committed, and holds for as long as that
//! file stays as it was: a run that is stopped goes on where it was, on any machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::run::cargo;
use crate::survivors::Answered;
use crate::tree::{ROOT, Tree};

/// Some files, and the tests that have to kill their mutants; words that spaces part.
struct Part {
    name: &'static str,
    files: &'static str,
    /// A target beside the tests in the library.
    target: &'static str,
    /// Tests that are left out: they are run for every mutant that the library's quick tests
    /// let live, and these take long for what they add, or are about other files.
    without: &'static str,
}

static PARTS: [Part; 3] = [
    Part {
        name: "write",
        files: "src/store/**",
        target: "store",
        without: "gate:: page:: request:: rules:: time:: doctor:: window:: state:: every_fault_leaves \
            storm:: crash:: writers::requirement_13 writers::requirement_14_w writers::requirement_36 linear:: lockers:: caps:: \
            requirement_20_the_mod requirement_76_a_kill power::",
    },
    Part {
        name: "decide",
        files: "src/gate/plan.rs src/gate/rules.rs src/gate/index.rs src/gate/link.rs src/state/bypass.rs src/state/window.rs \
            src/time/** src/rules/** src/request/**",
        target: "vectors",
        without: "requirement_84 noticing:: a_client_never_chooses thousand_ million state::parts requirement_11_an_app doctor:: \
            flags:: fleet:: store:: fuzzed::shapes awaited:: a_page_that_fails_is_told_once",
    },
    Part {
        name: "read",
        files: "src/gate/snapshot.rs src/gate/content.rs src/load.rs src/watch.rs src/gate/reload.rs",
        target: "gate",
        without: "gate::index requirement_39_ requirement_37_ state:: stress:: doctor:: thousand_ terminal:: fork::",
    },
];

/// Tests of the library that are left out at first, since each takes a second or more, or is about
/// other files. Who lives through the others meets them, unless its part leaves them out.
const SLOW: &str = "million thousand_ no_shape_of_a_template silent_or_endless a_client_never_chooses a_state_too_large \
    that_trickles awaited:: what_the_whole_refuses flags::kinds:: no_template_made_of_pieces requirement_11_an_app \
    a_page_that_fails_is_told_once requirement_21_an_edit takes_over_from_a_dead_one";

/// How many files are at work at once, each in a copy of the tree.
const AT_ONCE: usize = 2;

/// In seconds: far longer than the quick tests and all tests take, even beside others. A mutant
/// that never ends takes as long.
const QUICK_RUN: &str = "60";
const RUN: &str = "600";
const BUILD: &str = "1800";

/// A file that has something to mutate.
struct Shard {
    part: &'static Part,
    file: String,
    /// As git has it.
    digest: String,
}

/// What became of the mutants of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tried {
    /// That of the file.
    digest: String,
    date: String,
    killed: usize,
    /// Those that do not compile.
    unviable: usize,
    /// Each as `FILE: replace … with …`.
    survived: Vec<String>,
}

/// What is known, by file.
type Known = BTreeMap<String, Tried>;

/// Tries the mutants of every file that is not known as it is, or of those whose path has one of
/// the words.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let answered = Answered::read(&Path::new(ROOT).join("tests/proof/mutants/survivors.md"))?;
    if answered.missing(&["src/lib.rs: replace everything with nothing".to_owned()]).is_empty() {
        return Err("a survivor that nobody answered would go unnoticed".to_owned());
    }
    let mut shards = Vec::new();
    for part in &PARTS {
        shards.extend(part.shards()?);
    }
    let mut known = read()?;
    // A file that is gone is not known.
    known.retain(|file, _| shards.iter().any(|shard| shard.file == *file));
    shards.retain(|shard| words.is_empty() || words.iter().any(|word| shard.file.contains(word)));
    let is_known =
        |shard: &&Shard| known.get(&shard.file).is_some_and(|tried| tried.digest == shard.digest);
    let left: Vec<&Shard> = shards.iter().filter(|shard| !is_known(shard)).rev().collect();
    eprintln!("mutants: {} files, {} of them not tried yet", shards.len(), left.len());
    let (left, known) = (Mutex::new(left), Mutex::new(known));
    std::thread::scope(|scope| {
        let (left, known) = (&left, &known);
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|number| scope.spawn(move || Workshop::new(number)?.work(left, known)))
            .collect();
        let mut ends = workers.into_iter().map(|worker| worker.join().expect("no panic"));
        ends.try_for_each(|end| end)
    })?;
    let known = known.into_inner().unwrap();
    let of_files: Vec<&Tried> = shards.iter().filter_map(|shard| known.get(&shard.file)).collect();
    let survived: Vec<String> = of_files.iter().flat_map(|tried| tried.survived.clone()).collect();
    let killed: usize = of_files.iter().map(|tried| tried.killed).sum();
    let unanswered = answered.missing(&survived);
    eprintln!(
        "figure: requirement_57_cargo_mutants: {killed} of {} killed in {} files, {} that do not compile, {} survivors, {} of them answered in survivors.md",
        killed + survived.len(),
        of_files.len(),
        of_files.iter().map(|tried| tried.unviable).sum::<usize>(),
        survived.len(),
        survived.len() - unanswered.len()
    );
    if unanswered.is_empty() {
        Ok(())
    } else {
        Err(format!("survivors that nobody answered:\n{}", unanswered.join("\n")))
    }
}

/// A copy of the tree where one file after the other is tried.
struct Workshop {
    tree: Tree,
    /// The parts whose tests passed here without any mutant.
    sound: Vec<&'static str>,
}

impl Workshop {
    fn new(number: usize) -> Result<Self, String> {
        // Each has a target folder of its own: in a shared one cargo would take what is built of
        // one copy for what is built of the other.
        Ok(Self { tree: Tree::lay_apart(&format!("all-{number}"))?, sound: Vec::new() })
    }

    fn work(mut self, left: &Mutex<Vec<&Shard>>, known: &Mutex<Known>) -> Result<(), String> {
        loop {
            // A statement of its own, which lets go of the lock.
            let next = left.lock().unwrap().pop();
            let Some(shard) = next else { return Ok(()) };
            // A test that fails without any mutant would kill them all.
            if !self.sound.contains(&shard.part.name) {
                self.control(shard.part)?;
                self.sound.push(shard.part.name);
            }
            let tried = self.try_file(shard)?;
            eprintln!(
                "mutants: {}: {} killed, {} survived, {} do not compile",
                shard.file,
                tried.killed,
                tried.survived.len(),
                tried.unviable
            );
            let mut known = known.lock().unwrap();
            known.insert(shard.file.clone(), tried);
            keep(&known)?;
        }
    }

    fn cargo(&self, words: &[&str]) -> Command {
        let mut cargo = cargo();
        cargo.args(words).current_dir(&self.tree.path).env_remove("CARGO_BUILD_BUILD_DIR");
        cargo.env("CARGO_TARGET_DIR", &self.tree.target).env("CARGO_INCREMENTAL", "1");
        cargo
    }

    fn control(&self, part: &Part) -> Result<(), String> {
        let mut cargo = self.cargo(&[
            "test",
            "-q",
            "--locked",
            "--all-features",
            "--lib",
            "--test",
            part.target,
            "--",
        ]);
        let status = cargo.args(skips(part.without)).status();
        let status = status.map_err(|cause| format!("cargo test: {cause}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("without any mutant, the tests of the part `{}` fail", part.name))
        }
    }

    /// Tries every mutant by the quick tests of the library, and those that live by all.
    fn try_file(&self, Shard { part, file, digest }: &Shard) -> Result<Tried, String> {
        let place = self.tree.target.join("found");
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).map_err(|cause| cause.to_string())?;
        self.mutate(file, &place, &["--timeout", QUICK_RUN], &["--cargo-arg=--lib"], SLOW)?;
        // One that does not end does not pass either, and is not tried again.
        end_the_endless(&place)?;
        let list = |name| list(&place, name);
        let mut tried = Tried {
            digest: digest.clone(),
            date: jiff::ZonedDateTime::now().date().to_string(),
            killed: list("caught.txt")?.len(),
            unviable: list("unviable.txt")?.len(),
            survived: Vec::new(),
        };
        if !list("missed.txt")?.is_empty() {
            let tests = ["--cargo-arg=--lib", &format!("--cargo-arg=--test={}", part.target)];
            let how = ["--iterate", "--timeout", RUN];
            self.mutate(file, &place, &how, &tests, part.without)?;
            end_the_endless(&place)?;
            tried.killed += list("caught.txt")?.len();
            tried.survived = list("missed.txt")?.iter().map(|name| without_place(name)).collect();
        }
        Ok(tried)
    }

    fn mutate(
        &self,
        file: &str,
        place: &Path,
        how: &[&str],
        tests: &[&str],
        without: &str,
    ) -> Result<(), String> {
        let mut cargo = self.cargo(&["mutants", "--in-place", "--no-shuffle", "--no-times"]);
        // As the control is built, since other settings would build everything again. The rest of
        // them stands in .cargo/mutants.toml.
        cargo.arg("--cap-lints=false");
        cargo.args(["--baseline", "skip", "--build-timeout", BUILD]);
        cargo.args(how).args(tests).args(["--file", file, "--output"]).arg(place);
        cargo.args(["--", "--"]).args(skips(without));
        let status = cargo.status().map_err(|cause| format!("cargo mutants: {cause}"))?;
        // 2: some were missed; 3: some did not end. Anything else is no result.
        if matches!(status.code(), Some(0 | 2 | 3)) {
            Ok(())
        } else {
            Err(format!("cargo mutants of {file}: {status}"))
        }
    }
}

impl Part {
    /// Each of its files that has something to mutate.
    fn shards(&'static self) -> Result<Vec<Shard>, String> {
        let mut cargo = cargo();
        cargo.args(["mutants", "--list"]).current_dir(ROOT);
        cargo.args(self.files.split_whitespace().flat_map(|file| ["--file", file]));
        let mut shards: Vec<Shard> = Vec::new();
        for line in said(&mut cargo)?.lines() {
            let file = line.split(':').next().unwrap_or(line);
            if shards.last().is_none_or(|last| last.file != file) {
                let mut git = Command::new("git");
                let digest = said(git.args(["hash-object", file]).current_dir(ROOT))?;
                let (file, digest) = (file.to_owned(), digest.trim().to_owned());
                shards.push(Shard { part: self, file, digest });
            }
        }
        if shards.is_empty() { Err(format!("no files in `{}`", self.name)) } else { Ok(shards) }
    }
}

/// One of the lists of mutants that cargo-mutants writes.
fn list(place: &Path, name: &str) -> Result<Vec<String>, String> {
    let path = place.join("mutants.out").join(name);
    let text = fs::read_to_string(path).map_err(|cause| cause.to_string())?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Counts those that did not end among those that were caught.
#[expect(clippy::disallowed_methods, reason = "what is known of mutants is no state")]
fn end_the_endless(place: &Path) -> Result<(), String> {
    let caught = [list(place, "caught.txt")?, list(place, "timeout.txt")?].concat();
    fs::write(place.join("mutants.out/caught.txt"), caught.join("\n"))
        .map_err(|cause| cause.to_string())
}

fn skips(tests: &str) -> impl Iterator<Item = &str> {
    tests.split_whitespace().flat_map(|test| ["--skip", test])
}

/// What a program says.
fn said(command: &mut Command) -> Result<String, String> {
    let done = command.output().map_err(|cause| format!("{command:?}: {cause}"))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr)))
    }
}

fn place() -> PathBuf {
    Path::new(ROOT).join("tests/proof/mutants/tried.json")
}

fn read() -> Result<Known, String> {
    match fs::read(place()) {
        Ok(text) => serde_json::from_slice(&text).map_err(|cause| format!("tried.json: {cause}")),
        Err(_) => Ok(Known::new()),
    }
}

#[expect(clippy::disallowed_methods, reason = "what is known of mutants is no state")]
fn keep(known: &Known) -> Result<(), String> {
    let text = serde_json::to_string_pretty(known).expect("plain values") + "\n";
    fs::write(place(), text).map_err(|cause| format!("tried.json: {cause}"))
}

/// `src/a.rs:7:9: replace …` without the line and the column, which move.
fn without_place(name: &str) -> String {
    let Some((place, what)) = name.split_once(": ") else { return name.to_owned() };
    let file = place.split(':').next().unwrap_or(place);
    format!("{file}: {what}")
}
