//! `make mutants`: faults planted in the product itself, each a patch beside this file,
//! and each killed by a test that the patch names (requirement 57).
//!
//! First the tests that are named run on the tree as it is, and all must pass. Then
//! one patch after the other is applied to a copy of the tree, and a test that it
//! names must fail. `make mutants-all` does the same with every mutant that
//! cargo-mutants makes of the code that locks, writes and decides.

mod all;
#[allow(dead_code, reason = "of the report, which reads more than verdicts")]
#[path = "../report/gather.rs"]
mod gather;
mod patch;
mod run;
mod survivors;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use patch::{Patch, TestName};
use run::{Ended, Tests};
use tree::Tree;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["all", only @ ..] => all::run(only),
        only => planted(only),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("mutants: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Plants each patch, or those that are named, and sees to it that a test notices.
fn planted(only: &[&str]) -> Result<(), String> {
    let mut patches = Patch::all(&Path::new(tree::ROOT).join("tests/proof/mutants"))?;
    patches.retain(|patch| only.is_empty() || only.contains(&&*patch.name));
    if patches.is_empty() || patches.len() < only.len() {
        return Err(format!("no patches of these names: {}", only.join(", ")));
    }
    let tree = Tree::lay()?;
    let tests = Tests::of(&tree);
    // Before anything is built: what no longer fits the code has to be made anew.
    let rotten: BTreeSet<String> =
        patches.iter().filter(|patch| !tree.takes(patch)).map(|patch| patch.name.clone()).collect();
    // And that can be seen: what is planted already does not fit a second time.
    if let Some(patch) = patches.iter().find(|patch| !rotten.contains(&*patch.name)) {
        let _planted = tree.plant(patch)?;
        if tree.takes(patch) {
            return Err("a patch that does not fit would go unnoticed".to_owned());
        }
    }
    // Those that do not fit are told of, whoever's turn it is.
    let found = patches.len();
    if only.is_empty() && is_short() {
        let turn = turn()?;
        // Those that the same tests kill share what is built, so they have their turn together.
        patches.sort_by(|one, other| one.killers[0].target.cmp(&other.killers[0].target));
        let mut places = 0..;
        patches.retain(|patch| {
            let is_due = places.next().is_some_and(|place| place * TURNS / found == turn);
            is_due || rotten.contains(&*patch.name)
        });
        eprintln!("mutants: turn {turn} of {TURNS}; `make mutants` plants all");
    }
    let skipped = control(&tests, &patches)?;
    let (mut killed, mut left_out, mut faults) = (0, 0, Vec::new());
    for patch in &patches {
        let name = format!("requirement_57_mutant_{}", patch.name);
        if patch.killers.iter().all(|test| skipped.contains_key(test)) {
            left_out += 1;
            eprintln!("SKIPPED: {name}: {}", skipped[&patch.killers[0]]);
            continue;
        }
        let verdict = if rotten.contains(&*patch.name) {
            Err("the patch does not fit the code any more; make it anew".to_owned())
        } else {
            killers(&tree, &tests, patch)
        };
        match verdict {
            Ok(by) => {
                killed += 1;
                println!("test {name} ... ok");
                eprintln!("figure: {name}: killed by {}", by.join(" and "));
            }
            Err(why) => {
                println!("test {name} ... FAILED");
                eprintln!("{name}: {why}. Planted was: {}", patch.planted);
                faults.push(name);
            }
        }
    }
    let tried = patches.len() - left_out;
    eprintln!(
        "figure: requirement_57_mutants: {killed} of {tried} killed, {left_out} left out, {} not this commit's turn",
        found - patches.len()
    );
    if faults.is_empty() { Ok(()) } else { Err(format!("not killed: {}", faults.join(", "))) }
}

/// How many commits in a row plant each fault once where the run is to be short. Each fault
/// costs a build of the product.
const TURNS: usize = 12;

/// Whether this is a part of `make test`.
fn is_short() -> bool {
    std::env::var_os("MAINT_PROOF").is_some_and(|size| size == "short")
}

/// Whose turn it is, by the number of commits: the same run again plants the same.
fn turn() -> Result<usize, String> {
    let done = std::process::Command::new("git")
        .args(["rev-list", "--count", "HEAD"])
        .current_dir(tree::ROOT)
        .output()
        .map_err(|cause| format!("git: {cause}"))?;
    let text = String::from_utf8_lossy(&done.stdout);
    // Without commits around it, in an unpacked archive, it is always the first share.
    Ok(text.trim().parse::<usize>().unwrap_or_default() % TURNS)
}

/// Runs every test that is named on the tree as it is. Which of them showed nothing
/// here, and why; a test that fails without any fault proves nothing with one.
fn control(tests: &Tests, patches: &[Patch]) -> Result<BTreeMap<TestName, String>, String> {
    let named: BTreeSet<&TestName> = patches.iter().flat_map(|patch| &patch.killers).collect();
    let targets: BTreeSet<&str> = named.iter().map(|test| &*test.target).collect();
    let mut skipped = BTreeMap::new();
    for target in targets {
        let of_target: Vec<&TestName> =
            named.iter().copied().filter(|test| test.target == target).collect();
        let ran = match tests.run(target, &of_target) {
            Ended::Ran(ran) => ran,
            other => return Err(format!("without any fault, `{target}` {other}")),
        };
        for test in of_target {
            match ran.passed.get(&test.name) {
                Some(true) => {}
                Some(false) => return Err(format!("{test} fails without any fault")),
                None => return Err(format!("there is no test {test}")),
            }
            if let Some(why) = ran.skipped.get(&test.name) {
                skipped.insert(test.clone(), why.clone());
            }
        }
    }
    Ok(skipped)
}

/// The tests that notice a patch, of the first target in which any does.
fn killers(tree: &Tree, tests: &Tests, patch: &Patch) -> Result<Vec<String>, String> {
    let _planted = tree.plant(patch)?;
    for named in patch.killers.chunk_by(|one, next| one.target == next.target) {
        let target = &named[0].target;
        match tests.run(target, &named.iter().collect::<Vec<_>>()) {
            Ended::Ran(ran) if ran.failed().is_empty() => {}
            Ended::Ran(ran) => return Ok(ran.failed()),
            other => return Err(format!("`{target}` {other}")),
        }
    }
    Err("no test that it names fails".to_owned())
}
