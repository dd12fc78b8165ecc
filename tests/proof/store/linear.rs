//! Requirement 16: commands that overlap take effect one after the other.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::can::can_trace;
use crate::env::{Run, TestSite, run, wrapped, write};
use crate::order::{Content, Effect, Seen, What, violation, writes};
use crate::say::{amount, figure};

const PROCESSES: usize = 8;

/// A site at revision 2, and the content of its two revisions as far as it is followed.
fn begun() -> (TestSite, [Content; 2]) {
    let site = TestSite::new();
    let answers = [&["on", "kept", "-m", "before"][..], &["ignore", "add", "path", "/before"]];
    let contents = answers.map(|args| {
        site.ok(args);
        content(&answer(&site.ok(&["status", "--json"])))
    });
    (site, contents)
}

/// The command for turn `number` of a process, which knows one revision.
fn turn(
    process: usize,
    number: usize,
    known: u64,
    site: &TestSite,
) -> (Vec<String>, Option<Effect>) {
    let text = format!("{process}/{number}");
    let own = format!("w{process}");
    let other = format!("w{}", (process + 1) % PROCESSES);
    let path = format!("/{text}");
    let known = known.to_string();
    let page = site.project.join(format!("{process}.html"));
    let (args, effect): (&[&str], _) = match number % 12 {
        0 => (&["on", &own, "-m", &text], Some(Effect::Open(own.clone(), text.clone()))),
        1 | 6 => (&["ignore", "add", "path", &path], Some(Effect::Add(path.clone()))),
        2 | 9 => (&["status"], None),
        3 => (
            &["on", &own, "-m", &text, "--if-revision", &known],
            Some(Effect::Open(own.clone(), text.clone())),
        ),
        4 => (&["off", &other, "--if-open"], Some(Effect::Close(other.clone()))),
        5 => (&["on", "kept", "-m", "before"], None),
        7 => (&["restore"], Some(Effect::Restore)),
        8 => (&["bypass", "new", "--note", &text], Some(Effect::Elsewhere)),
        10 => {
            write(&page, &text);
            let page = page.to_str().unwrap();
            (&["template", "add", &own, page, "--replace"], Some(Effect::Elsewhere))
        }
        _ => (&["ignore", "clear"], Some(Effect::Clear)),
    };
    let waits = ["--json", "--wait", "50s"];
    (args.iter().chain(&waits).map(|&word| word.to_owned()).collect(), effect)
}

/// What every command reported, and how many swaps lost cleanly; any other outcome is
/// for `odd` to judge.
fn record(
    site: &TestSite,
    turns: usize,
    start: impl Fn(&[&str]) -> Run + Sync,
    odd: impl Fn(&[&str], &Run) + Sync,
) -> (Vec<Seen>, usize) {
    let all = Mutex::new((Vec::new(), 0));
    let clock = Instant::now();
    let now = || u64::try_from(clock.elapsed().as_nanos()).unwrap();
    thread::scope(|scope| {
        for process in 0..PROCESSES {
            let (all, start, odd) = (&all, &start, &odd);
            scope.spawn(move || {
                let mut known = 2;
                for number in 0..turns {
                    let (args, effect) = turn(process, number, known, site);
                    let args: Vec<&str> = args.iter().map(String::as_str).collect();
                    let is_swap = args.contains(&"--if-revision");
                    let begun = now();
                    let done = start(&args);
                    let ended = now();
                    if is_swap && done.code == 5 {
                        all.lock().unwrap().1 += 1;
                        continue;
                    }
                    if done.code != 0 {
                        odd(&args, &done);
                        continue;
                    }
                    let answer = answer(&done);
                    let revision = answer["revision"].as_u64().unwrap();
                    let what = match (answer["changed"].as_bool(), effect) {
                        (Some(true), Some(effect)) if is_swap => What::Swap { from: known, effect },
                        (Some(true), effect) => What::Write(effect.unwrap_or(Effect::Elsewhere)),
                        (Some(false), _) => What::Read,
                        (None, _) => What::Listed(content(&answer)),
                    };
                    known = revision;
                    all.lock().unwrap().0.push(Seen { begun, ended, revision, what });
                }
            });
        }
    });
    all.into_inner().unwrap()
}

fn answer(done: &Run) -> Value {
    serde_json::from_str(&done.stdout).unwrap()
}

/// The followed part of what `status` shows.
fn content(status: &Value) -> Content {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let windows = status["windows"].as_array().unwrap().iter();
    let rules = status["ignore"].as_array().unwrap().iter();
    Content {
        windows: windows.map(|one| (text(&one["name"]), text(&one["reason"]))).collect(),
        rules: rules.map(|one| text(&one["value"])).collect(),
    }
}

#[test]
fn requirement_16_overlapping_commands_are_linearizable() {
    let (site, contents) = begun();
    let turns = amount(132, 600);
    let fails = |args: &[&str], done: &Run| panic!("{args:?}: {done:?}");
    let (mut seen, lost) = record(&site, turns, |args| site.run(args), fails);
    let commands = seen.len() + lost;
    assert_eq!(commands, PROCESSES * turns);
    let end = answer(&site.ok(&["status", "--json"]));
    let newest = end["revision"].as_u64().unwrap();
    let what = What::Listed(content(&end));
    seen.push(Seen { begun: u64::MAX, ended: u64::MAX, revision: newest, what });
    let found = violation(&seen, 2, contents);
    let writes = writes(&seen);
    figure(&format!(
        "{commands} commands by {PROCESSES} processes, {writes} writes, {lost} swaps lost cleanly: {} violations",
        u8::from(found.is_some())
    ));
    assert_eq!(found, None);
    assert_eq!(newest, writes as u64 + 2);
    assert_eq!(site.recorded(), (1..=newest).collect::<Vec<_>>(), "the history has each once");
}

#[test]
fn requirement_57_the_checker_catches_writers_without_a_lock() {
    if !can_trace() {
        return;
    }
    // `--no-lock` alone is not enough: writers also lock the state file they read.
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=flock", "-e"];
    let words = [&strace[..], &["inject=flock:error=ENOLCK", "--"]].concat();
    for round in 1..=20 {
        let (site, contents) = begun();
        let start =
            |args: &[&str]| run(&mut wrapped(&words, &site.dir, &[args, &["--no-lock"]].concat()));
        let (seen, _) = record(&site, 12, start, |_, _| ());
        if let Some(found) = violation(&seen, 2, contents) {
            figure(&format!("caught in round {round}: {found}"));
            return;
        }
    }
    panic!("writers without any lock passed for linearizable");
}

#[test]
fn requirement_16_a_swap_loses_cleanly() {
    let site = TestSite::in_use();
    let before = site.snapshot();
    let done = site.run(&["on", "-m", "three", "--if-revision", "1"]);
    assert_eq!(done.code, 5, "{done:?}");
    assert!(done.stderr.contains("revision 2"), "{done:?}");
    assert_eq!(site.snapshot(), before);
    site.ok(&["on", "-m", "three", "--if-revision", "2"]);
    assert_eq!(site.run(&["off", "--if-revision", "2"]).code, 5);
    site.ok(&["off", "--if-revision", "3"]);
}
