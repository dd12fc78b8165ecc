//! `make proof`: runs everything that shows a claim of docs/reliability.md, and writes
//! down there what was seen.
//!
//! Each part is a make target. What it prints is read in passing: the verdict of each
//! test, and the lines `figure: NAME: …` and `SKIPPED: NAME: …`, where NAME tells the
//! number of the claim, as in `requirement_03_…`.

mod gather;
mod page;
mod parts;
mod record;
mod steps;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use parts::{Lane, PARTS, Part, Size};
use record::Record;

const USAGE: &str = "\
usage: make proof [PARTS='tests fuzz …'] [MAINT_PROOF=short]
                       before a release: the long run of all parts, or of some
       make test [PARTS='tests …']
                       what each change has to pass: the short run of most parts, or of some
       make generate   no run: what the records say, written down again";

/// The committed pages: what people read, and the records behind it.
const PAGES: [&str; 2] = ["docs/reliability.md", "docs/reliability-records.md"];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let every = PARTS.map(|part| part.name);
    let (occasion, named) = match words.as_slice() {
        ["test", named @ ..] => (Occasion::Test, named),
        ["proof", named @ ..] => (Occasion::Release, named),
        ["page"] => return run(Occasion::Release, &[]),
        _ => return usage("say `test`, `proof` or `page`"),
    };
    if let Some(unknown) = named.iter().find(|name| !every.contains(name)) {
        return usage(&format!("there is no part `{unknown}`"));
    }
    let is_chosen = |part: &&Part| match named {
        [] => part.in_test || occasion == Occasion::Release,
        _ => named.contains(&part.name),
    };
    let chosen: Vec<&Part> = PARTS.iter().filter(is_chosen).collect();
    run(occasion, &chosen)
}

/// What a run is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// To see whether a change is good; nothing in the tree is touched.
    Test,
    /// To tell others what was seen: the records and the page are committed.
    Release,
}

impl Occasion {
    fn size(self) -> Size {
        let is_short = std::env::var_os("MAINT_PROOF").is_some_and(|size| size == "short");
        if self == Self::Test || is_short { Size::Short } else { Size::Long }
    }

    /// The folders where the records and the pages go.
    fn places(self, root: &Path) -> (PathBuf, PathBuf) {
        if self == Self::Release {
            return (root.join("tests/proof/records"), root.join("docs"));
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let folder = root.join(target).join("proof");
        // What a run before this one saw is not what this one did.
        let _ = std::fs::remove_dir_all(&folder);
        (folder.join("records"), folder)
    }
}

fn run(occasion: Occasion, chosen: &[&Part]) -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (size, (records, pages)) = (occasion.size(), occasion.places(root));
    let begun = Instant::now();
    // Whoever holds it may write the report.
    let pen = Mutex::new(Vec::new());
    let run_all = |lane: Vec<&Part>| {
        let mut failed = Vec::new();
        for part in lane {
            let (record, steps) = parts::run(part, size, root);
            if !record.passed {
                failed.push(part.name);
            }
            let mut table = pen.lock().unwrap();
            table.push(steps.row(part.name, record.seconds));
            record.write(&records);
            // Now, and not only at the end: a run of hours may be broken off.
            fill(root, &records, &pages);
        }
        failed
    };
    // A release does more, and its parts have the machine for themselves.
    let lanes: Vec<Vec<&Part>> = match occasion {
        Occasion::Release => vec![chosen.to_vec()],
        Occasion::Test => Lane::ALL
            .map(|lane| chosen.iter().copied().filter(|part| part.lane == lane).collect())
            .into(),
    };
    let failed = std::thread::scope(|scope| {
        let lanes: Vec<_> = lanes.into_iter().map(|lane| scope.spawn(|| run_all(lane))).collect();
        let failed = lanes.into_iter().map(|lane| lane.join().expect("no part panics"));
        failed.collect::<Vec<_>>().concat()
    });
    let verdicts = fill(root, &records, &pages);
    let table = pen.into_inner().unwrap();
    if !table.is_empty() {
        println!("\nproof: {} s, of them\n{}", begun.elapsed().as_secs(), table.join("\n"));
    }
    println!("\nproof: {verdicts}; see {}", pages.join("reliability.md").display());
    if !failed.is_empty() {
        println!("proof: failed: {}", failed.join(", "));
    }
    if failed.is_empty() && verdicts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage(why: &str) -> ExitCode {
    let parts = PARTS.map(|part| format!("  {:12} {}\n", part.name, part.shows)).concat();
    eprintln!("proof: {why}\n{USAGE}\n\nparts:\n{parts}");
    ExitCode::from(2)
}

/// Writes the pages: the words of the committed ones, and what the records say.
fn fill(root: &Path, records: &Path, pages: &Path) -> page::Verdicts {
    let records = Record::read_all(records);
    let verdicts = PAGES.map(|page| {
        let page = root.join(page);
        let document = std::fs::read_to_string(&page)
            .unwrap_or_else(|cause| panic!("{}: {cause}", page.display()));
        let (text, verdicts) = page::fill(&document, &records, &PARTS);
        write(&pages.join(page.file_name().expect("a file")), &text);
        verdicts
    });
    verdicts[0]
}

#[expect(clippy::disallowed_methods, reason = "a report, not the state")]
fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the report");
    std::fs::write(path, text).expect("the report");
}
