//! Requirement 16: commands that overlap take effect one after the other, at
//! some moment between their start and their end.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::env::TestSite;
use crate::say::figure;

const PROCESSES: u64 = 8;
const COMMANDS: u64 = 52;

/// What a command was told about the state, and when.
#[derive(Clone, Copy, Debug)]
struct Seen {
    begun: u64,
    ended: u64,
    revision: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// It made this revision.
    Write,
    /// It made this revision, and asked for that to follow another.
    Swap { from: u64 },
    /// It found this revision and left it.
    Read,
}

/// The first thing that contradicts "one after the other", if there is one.
fn violation(seen: &[Seen], first: u64) -> Option<String> {
    let writes: Vec<&Seen> = seen.iter().filter(|one| one.kind != Kind::Read).collect();
    let revisions: BTreeSet<u64> = writes.iter().map(|one| one.revision).collect();
    if revisions.len() != writes.len() {
        return Some("a revision was made twice".to_owned());
    }
    if let Some(gap) =
        (first..first + writes.len() as u64).find(|number| !revisions.contains(number))
    {
        return Some(format!("nobody made revision {gap}"));
    }
    for one in seen {
        if let Kind::Swap { from } = one.kind
            && one.revision != from + 1
        {
            return Some(format!("the swap does not follow {from}: {one:?}"));
        }
        for other in seen.iter().filter(|other| one.ended < other.begun) {
            let is_later = match other.kind {
                Kind::Read => other.revision >= one.revision,
                Kind::Write | Kind::Swap { .. } => other.revision > one.revision,
            };
            if !is_later {
                return Some(format!("{other:?} began after {one:?} had ended"));
            }
        }
    }
    None
}

#[test]
fn requirement_16_overlapping_commands_are_linearizable() {
    let site = TestSite::new();
    site.ok(&["on", "-m", "before"]);
    let seen = Mutex::new(Vec::new());
    let lost = Mutex::new(0);
    let clock = Instant::now();
    let now = || u64::try_from(clock.elapsed().as_nanos()).unwrap();
    thread::scope(|scope| {
        for process in 0..PROCESSES {
            let (site, seen, lost, now) = (&site, &seen, &lost, &now);
            scope.spawn(move || {
                let mut known = 1;
                for number in 0..COMMANDS {
                    let text = format!("{process}/{number}");
                    let window = format!("w{process}");
                    let path = format!("/{text}");
                    let expected = known.to_string();
                    let args: &[&str] = match number % 5 {
                        0 => &["on", &window, "-m", &text],
                        1 => &["ignore", "add", "path", &path],
                        2 => &["status"],
                        3 => &["on", &window, "-m", &text, "--if-revision", &expected],
                        _ => &["on", "-m", "before"],
                    };
                    let begun = now();
                    let done = site.run(&[args, &["--json", "--wait", "50s"]].concat());
                    let ended = now();
                    if number % 5 == 3 && done.code == 5 {
                        *lost.lock().unwrap() += 1;
                        continue;
                    }
                    assert_eq!(done.code, 0, "{args:?}: {done:?}");
                    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
                    let revision = answer["revision"].as_u64().unwrap();
                    let kind = match (answer["changed"].as_bool(), number % 5) {
                        (Some(true), 3) => Kind::Swap { from: known },
                        (Some(true), _) => Kind::Write,
                        _ => Kind::Read,
                    };
                    known = revision;
                    seen.lock().unwrap().push(Seen { begun, ended, revision, kind });
                }
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    let lost = lost.into_inner().unwrap();
    let writes = seen.iter().filter(|one| one.kind != Kind::Read).count();
    figure(&format!("{} commands, {writes} writes, {lost} swaps lost cleanly", seen.len() + lost));
    assert_eq!(seen.len() + lost, usize::try_from(PROCESSES * COMMANDS).unwrap());
    assert_eq!(violation(&seen, 2), None);
    let newest = writes as u64 + 1;
    assert_eq!(site.state().revision, newest);
    assert_eq!(site.recorded(), (1..=newest).collect::<Vec<_>>(), "the history has each once");
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

#[test]
fn requirement_57_the_checker_catches_planted_violations() {
    let seen = |begun, ended, revision, kind| Seen { begun, ended, revision, kind };
    let write = |begun, ended, revision| seen(begun, ended, revision, Kind::Write);
    let good = [
        write(0, 10, 2),
        write(5, 15, 1),
        seen(16, 20, 2, Kind::Read),
        seen(17, 30, 3, Kind::Swap { from: 2 }),
    ];
    assert_eq!(violation(&good, 1), None, "what overlaps may come in either order");
    for (planted, history) in [
        ("lost update", vec![write(0, 1, 1), write(0, 1, 1)]),
        ("gap", vec![write(0, 1, 1), write(2, 3, 3)]),
        ("against the clock", vec![write(0, 1, 2), write(2, 3, 1)]),
        ("stale read", vec![write(0, 1, 1), write(0, 1, 2), seen(5, 6, 1, Kind::Read)]),
        ("read from the future", vec![seen(0, 1, 1, Kind::Read), write(2, 3, 1)]),
        (
            "swap over a change",
            vec![write(0, 9, 1), write(0, 9, 2), seen(1, 9, 3, Kind::Swap { from: 1 })],
        ),
    ] {
        assert!(violation(&history, 1).is_some(), "not caught: {planted}");
    }
}
