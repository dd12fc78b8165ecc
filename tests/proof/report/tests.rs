//! What the report makes of what it reads. A report that could not say FAILED would
//! be worth nothing.

#[path = "busy.rs"]
mod busy;
#[path = "gather.rs"]
mod gather;
#[path = "page.rs"]
mod page;
#[allow(dead_code, reason = "the runner runs them")]
#[path = "parts.rs"]
mod parts;
#[allow(dead_code, reason = "the runner writes records, and here they are made up")]
#[path = "record.rs"]
mod record;
#[path = "steps.rs"]
mod steps;

use std::fs;
use std::path::Path;

use gather::{Gathered, fact, numbers};
use page::{Verdicts, fill};
use parts::PARTS;
use record::{Host, Record};
use steps::Steps;

const DOCUMENT: &str = "<!-- verdicts -->\n<!-- end -->\n<!-- parts -->\n<!-- end -->\n\
    ### 3. Kills\n<!-- claim 3 -->\n<!-- end -->\n### 8. Power\n<!-- claim 8 -->\nof before\n<!-- end -->\n\
    <!-- skipped -->\n<!-- end -->\n";

#[expect(clippy::disallowed_methods, reason = "a report, not the state")]
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

fn record(lines: &[&str], passed: bool) -> Record {
    let mut gathered = Gathered::default();
    for line in lines {
        gathered.line(line);
    }
    Record {
        part: "tests".to_owned(),
        command: "make unit".to_owned(),
        date: "2026-11-24".to_owned(),
        commit: "0123456789".to_owned(),
        host: Host { kernel: "linux 6.1".to_owned(), cores: 2 },
        seconds: 61,
        passed,
        gathered,
    }
}

fn verdicts(lines: &[&str], passed: bool) -> (Verdicts, String) {
    let (text, verdicts) = fill(DOCUMENT, &[record(lines, passed)], &PARTS);
    (verdicts, text)
}

#[test]
fn the_number_and_the_fact_of_a_test_are_in_its_name() {
    for (name, seen, words) in [
        ("storm::requirement_03_a_kill_is_harmless", &["3"][..], "a kill is harmless"),
        ("quiet::requirement_22_and_23_a_reader_looks_once", &["22", "23"], "a reader looks once"),
        ("site::requirement_35b_a_stranger", &["35b"], "a stranger"),
        ("requirement_08_power_cut", &["8"], "power cut"),
        ("storm::no_number", &[], "storm::no number"),
        ("requirement_of_nothing", &[], "of nothing"),
    ] {
        assert_eq!((&*numbers(name), &*fact(name)), (seen, words), "{name}");
    }
}

#[test]
fn a_passing_test_with_a_figure_holds_a_claim() {
    let lines = [
        "test storm::requirement_03_a_kill ... ok",
        "figure: storm::requirement_03_a_kill: 7 kills",
    ];
    let (seen, text) = verdicts(&lines, true);
    assert_eq!(seen, Verdicts { held: 1, not_run: 1, ..Verdicts::default() });
    assert!(text.contains("**Held.**") && text.contains("- a kill: 7 kills"), "{text}");
    assert!(text.contains("`cargo test --all-features requirement_03`, 1 test"), "{text}");
    assert!(text.contains("2 claims: 1 held") && !text.contains("of before"), "{text}");
    assert!(text.contains("| tests | `make unit` | 2026-11-24 | 0123456789 |"), "{text}");
}

#[test]
fn a_claim_of_the_long_run_is_shown_alone_by_what_the_long_run_is_made_of() {
    let mut long = record(&["test storm::requirement_03_a_kill ... ok"], true);
    long.command = "MAINT_PROOF=long make unit".to_owned();
    let (text, _) = fill(DOCUMENT, &[long], &PARTS);
    let command = "`MAINT_PROOF=long cargo test --profile proof --all-features requirement_03`";
    assert!(text.contains(command), "{text}");
}

#[test]
fn a_claim_is_held_by_tests_of_pytest_which_are_counted_once() {
    let lines = [
        "PASSED tests/test_a.py::test_requirement_03_kill",
        "PASSED tests/test_a.py::test_requirement_03_kill",
        "12 passed in 3.10s",
    ];
    let (seen, text) = verdicts(&lines, true);
    assert_eq!(seen, Verdicts { held: 1, not_run: 1, ..Verdicts::default() });
    assert!(text.contains("1 test") && text.contains(" | 12 | "), "{text}");
}

#[test]
fn requirement_57_whatever_failed_fails_its_claim() {
    for (planted, lines, passed) in [
        ("a test of cargo", &["test storm::requirement_03_a_kill ... FAILED"][..], true),
        (
            "in one of two builds",
            &["test requirement_03_a_kill ... FAILED", "test requirement_03_a_kill ... ok"],
            true,
        ),
        (
            "a test of pytest",
            &["FAILED tests/test_a.py::test_requirement_03_kill - assert 1"],
            true,
        ),
        ("a part that prints figures alone", &["figure: requirement_03_kill: 7 kills"], false),
    ] {
        let (seen, text) = verdicts(lines, passed);
        assert_eq!(seen, Verdicts { failed: 1, not_run: 1, ..Verdicts::default() }, "{planted}");
        assert!(text.contains("**FAILED.**"), "{planted}: {text}");
    }
}

#[test]
fn a_part_without_a_record_is_said_to_be_missing() {
    let (_, text) = verdicts(&[], true);
    assert!(text.contains("| fuzz | `MAINT_PROOF=long make fuzz` | | | | | | not run |"), "{text}");
    assert_eq!(text.matches(" | not run |").count(), PARTS.len() - 1, "{text}");
}

#[test]
fn the_longest_steps_of_a_part_are_named_with_their_seconds() {
    let mut steps = Steps::default();
    for line in [
        "     Running unittests src/lib.rs (target/debug/deps/maint-0123)",
        "     Running tests/proof/store/main.rs (target/debug/deps/store-0123)",
        "test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 12.41s",
        "test result: FAILED. 8 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 312.60s",
        "     Running tests/docs.rs (target/debug/deps/docs-0123)",
        "test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.41s",
        "1803 passed, 2 skipped in 260.17s (0:04:20)",
    ] {
        steps.line(line);
    }
    assert_eq!(steps.row("tests", 700), "  tests           700 s  store 313, pytest 260, lib 12");
    assert_eq!(Steps::default().row("fuzz", 61), "  fuzz             61 s");
}

#[test]
fn what_was_skipped_is_said_twice() {
    let why = "needs strace(1)";
    let skipped = format!("SKIPPED: crash::requirement_03_a_kill: {why}");
    let (seen, text) = verdicts(&["test crash::requirement_03_a_kill ... ok", &skipped], true);
    assert_eq!(seen, Verdicts { in_part: 1, not_run: 1, ..Verdicts::default() });
    assert_eq!(text.matches(why).count(), 2, "{text}");
    let (_, text) = verdicts(&["SKIPPED: could not install strace"], true);
    assert!(text.contains("- could not install strace"), "{text}");
}

#[test]
#[should_panic(expected = "a claim that nobody makes")]
fn a_test_of_an_unknown_claim_is_told() {
    verdicts(&["test requirement_99_what ... ok"], true);
}

#[test]
fn a_row_has_the_verdict_and_the_key_figure_of_its_claim() {
    let document = "| | promise | | |\n| --- | --- | --- | --- |\n\
        | [3](x.md#3) | Kills. <!-- reads --> | of before | of before |\n\
        | [8](x.md#8) | Power. | | |\n| [a link](x.md) | is | no claim |\n";
    let filled = |lines: &[&str]| fill(document, &[record(lines, true)], &PARTS);
    let lines = [
        "test storm::requirement_03_a_kill ... ok",
        "figure: requirement_03_a_kill: 7 kills",
        "figure: requirement_03_no_torn_reads: 0 of 9",
    ];
    let (text, seen) = filled(&lines);
    assert_eq!(seen, Verdicts { held: 1, not_run: 1, ..Verdicts::default() });
    assert!(text.contains("| [3](x.md#3) | Kills. <!-- reads --> | held | 0 of 9 |\n"), "{text}");
    assert!(text.contains("| [8](x.md#8) | Power. | not run |  |\n"), "{text}");
    assert!(text.ends_with("| [a link](x.md) | is | no claim |\n"), "{text}");
    assert!(filled(&lines[..2]).0.contains(" | held | 7 kills |"), "the first, without the key");
    assert!(filled(&lines[..1]).0.contains(" | held | 1 test |"), "no figure at all");
    assert!(filled(&["test requirement_03_a ... FAILED"]).0.contains(" | **FAILED** |"));
    assert_eq!(filled(&[&text]).0.len(), filled(&[]).0.len(), "a page can be filled again");
}

#[test]
fn the_committed_pages_are_those_of_the_committed_records() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let records = Record::read_all(&root.join("tests/proof/records"));
    let pages = ["docs/reliability.md", "docs/reliability-records.md"].map(|name| {
        let committed = fs::read_to_string(root.join(name)).unwrap();
        let (text, verdicts) = fill(&committed, &records, &PARTS);
        assert!(text == committed, "{name} is stale: `make generate` writes it");
        (text, verdicts)
    });
    let (page, verdicts) = &pages[0];
    assert_eq!(verdicts.failed, 0, "{verdicts}");
    assert_eq!(*verdicts, pages[1].1, "both pages have the same claims");
    assert!(page.lines().count() < 400, "docs/reliability.md is for reading");
    assert!(records.iter().all(|record| record.passed));
    let figures: Vec<String> = records
        .iter()
        .flat_map(|record| &record.gathered.figures)
        .map(|(name, text)| format!("{}: {text}", fact(name)))
        .collect();
    for key in page.split(" <!-- ").skip(1).map(|rest| rest.split_once(" -->").unwrap().0) {
        assert!(figures.iter().any(|figure| figure.contains(key)), "no figure has `{key}`");
    }
}
