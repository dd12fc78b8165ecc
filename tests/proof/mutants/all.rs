//! Every mutant that cargo-mutants makes of the code that locks, writes and decides.
//! It takes hours, so it is a part of the long run alone, and runs in shards. What a shard
//! found is kept for as long as sources and tests stay the same: a run that is stopped goes
//! on where it was.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::survivors::Answered;
use crate::tree::{ROOT, Tree};

/// Some files, and the tests that have to kill their mutants; words that spaces part.
struct Part {
    name: &'static str,
    files: &'static str,
    /// A target beside the tests in the library.
    target: &'static str,
    /// Tests that are left out: each is run for every mutant, and these take long for
    /// what they add, or are about other files.
    without: &'static str,
}

const PARTS: [Part; 3] = [
    Part {
        name: "write",
        files: "src/store/**",
        target: "store",
        without: "gate:: page:: request:: rules:: time:: doctor:: window:: state:: every_fault_leaves \
            storm::requirement_03 crash:: writers::requirement_13 writers::requirement_14_w writers::requirement_36 linear:: lockers:: caps:: requirement_20_the_mod",
    },
    Part {
        name: "decide",
        files: "src/gate/plan.rs src/gate/rules.rs src/gate/index.rs src/gate/link.rs src/state/bypass.rs src/state/window.rs \
            src/time/** src/rules/** src/request/**",
        target: "vectors",
        without: "noticing:: a_client_never_chooses thousand_ a_million_networks state::parts \
            requirement_11_an_app doctor::",
    },
    Part {
        name: "read",
        files: "src/gate/snapshot.rs src/gate/content.rs src/load.rs src/watch.rs src/gate/reload.rs",
        target: "gate",
        without: "gate::index requirement_39_ requirement_37_ state:: stress:: doctor:: thousand_",
    },
];

/// How many shards a part is cut into. Each takes some minutes.
const SHARDS: usize = 24;

/// What became of the mutants, each as `FILE: replace … with …`.
#[derive(Default)]
struct Found {
    killed: usize,
    unviable: usize,
    survived: Vec<String>,
}

/// Runs the parts that are named, or all.
pub(crate) fn run(only: &[&str]) -> Result<(), String> {
    let chosen: Vec<&Part> =
        PARTS.iter().filter(|part| only.is_empty() || only.contains(&part.name)).collect();
    if chosen.len() < only.len() {
        return Err(format!("the parts are {}", PARTS.map(|part| part.name).join(", ")));
    }
    let answered = Answered::read(&Path::new(ROOT).join("tests/proof/mutants/survivors.md"))?;
    let mut found = Found::default();
    for part in &chosen {
        found.add(part)?;
    }
    let names: Vec<&str> = chosen.iter().map(|part| part.name).collect();
    let tried = found.killed + found.survived.len();
    let unanswered = answered.missing(&found.survived);
    if answered.missing(&["src/lib.rs: replace everything with nothing".to_owned()]).is_empty() {
        return Err("a survivor that nobody answered would go unnoticed".to_owned());
    }
    eprintln!(
        "figure: requirement_57_cargo_mutants: {} of {tried} killed ({}), {} that do not compile, {} survivors, {} of them answered in survivors.md",
        found.killed,
        names.join(", "),
        found.unviable,
        found.survived.len(),
        found.survived.len() - unanswered.len()
    );
    if unanswered.is_empty() {
        Ok(())
    } else {
        Err(format!("survivors that nobody answered:\n{}", unanswered.join("\n")))
    }
}

impl Found {
    /// Runs the shards of one part that are not known yet, and counts what came of all.
    fn add(&mut self, part: &Part) -> Result<(), String> {
        let place = Tree::target()?.join("mutants").join(part.name).join(sources()?);
        for shard in 0..SHARDS {
            let found = place.join(shard.to_string());
            if !found.is_dir() {
                part.run(shard, &place)?;
            }
            let list = |name: &str| -> Result<Vec<String>, String> {
                let text =
                    fs::read_to_string(found.join(name)).map_err(|cause| cause.to_string())?;
                Ok(text.lines().map(str::to_owned).collect())
            };
            // One that does not end does not pass either.
            self.killed += list("caught.txt")?.len() + list("timeout.txt")?.len();
            self.unviable += list("unviable.txt")?.len();
            self.survived.extend(list("missed.txt")?.iter().map(|name| without_place(name)));
            eprintln!(
                "mutants of `{}`: shard {} of {SHARDS}, {} killed, {} survived so far",
                part.name,
                shard + 1,
                self.killed,
                self.survived.len()
            );
        }
        Ok(())
    }
}

impl Part {
    /// Runs one shard. Its folder appears once all of it is known.
    #[expect(clippy::disallowed_methods, reason = "what a shard found is no state")]
    fn run(&self, shard: usize, place: &Path) -> Result<(), String> {
        let unfinished = place.join("unfinished");
        fs::create_dir_all(&unfinished).map_err(|cause| cause.to_string())?;
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["mutants", "--jobs", "2", "--no-shuffle", "--output"]).arg(&unfinished);
        cargo.args(["--shard", &format!("{shard}/{SHARDS}")]);
        cargo.args(self.files.split_whitespace().flat_map(|file| ["--file", file]));
        // For building too: all other targets would be built for nothing.
        cargo.args(["--cargo-arg=--lib", &format!("--cargo-arg=--test={}", self.target)]);
        cargo.args(["--", "--"]);
        cargo.args(self.without.split_whitespace().flat_map(|test| ["--skip", test]));
        cargo.current_dir(ROOT);
        // Each copy of the tree has a target folder of its own: in a shared one cargo
        // would take what is built of one for what is built of the other.
        cargo.env_remove("CARGO_BUILD_BUILD_DIR").env_remove("CARGO_TARGET_DIR");
        let status = cargo.status().map_err(|cause| format!("cargo mutants: {cause}"))?;
        // 2: some were missed; 3: some did not end. Anything else is no result.
        if !matches!(status.code(), Some(0 | 2 | 3)) {
            return Err(format!("cargo mutants of the part `{}`: {status}", self.name));
        }
        fs::rename(unfinished.join("mutants.out"), place.join(shard.to_string()))
            .map_err(|cause| cause.to_string())
    }
}

/// What the verdicts depend on, as a digest: every file of the sources and the tests.
fn sources() -> Result<String, String> {
    let script = "git ls-files -z -co --exclude-standard Cargo.lock Cargo.toml src tests \
        | xargs -0 git hash-object | git hash-object --stdin";
    let done = Command::new("sh").args(["-c", script]).current_dir(ROOT).output();
    let done = done.map_err(|cause| format!("git: {cause}"))?;
    let digest = String::from_utf8_lossy(&done.stdout).trim().to_owned();
    if done.status.success() && !digest.is_empty() {
        Ok(digest)
    } else {
        Err(format!("git: {}", String::from_utf8_lossy(&done.stderr)))
    }
}

/// `src/a.rs:7:9: replace …` without the line and the column, which move.
fn without_place(name: &str) -> String {
    let Some((place, what)) = name.split_once(": ") else { return name.to_owned() };
    let file = place.split(':').next().unwrap_or(place);
    format!("{file}: {what}")
}
