//! Requirement 2: what a disk may hold after the power failed at any moment.
//!
//! A model of a file system that promises no more than POSIX does: data is there
//! after fsync(2) of the file, names after fsync(2) of the directory. Until then
//! any part of the data and any of the changes of names may be there or not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::can::can_trace;
use crate::env::TestSite;
use crate::say::figure;
use crate::trace::{Call, parse, traced};

/// The size that files have before; only that it differs from others matters.
const OLD: u64 = u64::MAX;

type Names = BTreeMap<String, usize>;

/// A change of names.
#[derive(Clone, Debug)]
enum Change {
    Create(String, usize),
    Link(String, String),
    Rename(String, String),
    Exchange(String, String),
    Unlink(String),
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Create(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Link(from, to) => {
                if let Some(&file) = names.get(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Exchange(one, other) => {
                if let (Some(&first), Some(&second)) = (names.get(one), names.get(other)) {
                    names.insert(one.clone(), second);
                    names.insert(other.clone(), first);
                }
            }
            Self::Unlink(name) => drop(names.remove(name)),
        }
    }
}

/// How much of a file was written, and how much of that is certain.
#[derive(Clone, Copy, Debug)]
struct File {
    written: u64,
    certain: u64,
}

/// A directory on a disk, as programs see it and as it is certain to be.
struct Disk {
    names: Names,
    certain: Names,
    pending: Vec<Change>,
    files: Vec<File>,
}

/// What there can be in place of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Missing,
    File { number: usize, size: u64 },
}

impl Disk {
    fn new(existing: &[&str]) -> Self {
        let names: Names =
            existing.iter().enumerate().map(|(file, name)| ((*name).to_owned(), file)).collect();
        let files = vec![File { written: OLD, certain: OLD }; existing.len()];
        Self { certain: names.clone(), names, pending: Vec::new(), files }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn run(&mut self, call: &Call, dir: &Path) {
        if !call.succeeded() {
            return;
        }
        let here = |path: &str| -> Option<String> {
            let path = Path::new(path);
            (path.parent() == Some(dir))
                .then(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        };
        let paths: Vec<Option<String>> = call.paths().into_iter().map(here).collect();
        let open = call.descriptor().and_then(here).and_then(|name| self.names.get(&name).copied());
        match (call.name.as_str(), paths.as_slice()) {
            ("openat" | "open" | "creat", [Some(name)]) => match self.names.get(name) {
                Some(&file) if call.arguments.contains("O_TRUNC") => {
                    self.files[file] = File { written: 0, certain: 0 };
                }
                None if call.arguments.contains("O_CREAT") => {
                    self.files.push(File { written: 0, certain: 0 });
                    self.change(Change::Create(name.clone(), self.files.len() - 1));
                }
                _ => {}
            },
            ("write" | "pwrite64", _) => {
                if let Some(file) = open.map(|file| &mut self.files[file])
                    && file.written != OLD
                {
                    file.written += call.result.parse::<u64>().unwrap_or(0);
                }
            }
            ("fsync", _) if call.descriptor() == dir.to_str() => {
                self.certain = self.names.clone();
                self.pending.clear();
            }
            ("fsync" | "fdatasync", _) => {
                if let Some(file) = open.map(|file| &mut self.files[file]) {
                    file.certain = file.written;
                }
            }
            ("rename" | "renameat" | "renameat2", [Some(from), Some(to)]) => {
                let (from, to) = (from.clone(), to.clone());
                self.change(if call.arguments.contains("RENAME_EXCHANGE") {
                    Change::Exchange(from, to)
                } else {
                    Change::Rename(from, to)
                });
            }
            ("link" | "linkat", [Some(from), Some(to)]) => {
                self.change(Change::Link(from.clone(), to.clone()));
            }
            ("unlink" | "unlinkat", [Some(name)]) => self.change(Change::Unlink(name.clone())),
            _ => {}
        }
    }

    /// Everything that may stand in place of the state if the power fails now.
    fn after_a_cut(&self) -> BTreeSet<Found> {
        let mut found = BTreeSet::new();
        for chosen in 0..1_usize << self.pending.len() {
            let mut names = self.certain.clone();
            for (number, change) in self.pending.iter().enumerate() {
                if chosen & (1 << number) != 0 {
                    change.apply(&mut names);
                }
            }
            let Some(&number) = names.get("state.json") else {
                found.insert(Found::Missing);
                continue;
            };
            let File { written, certain } = self.files[number];
            for size in [certain, certain + (written - certain) / 2, written] {
                found.insert(Found::File { number, size });
            }
        }
        found
    }
}

/// How many states the disk may be in at all, if each is the old or the new one,
/// and after the end only the new one.
fn survives(calls: &[Call], dir: &Path, existing: &[&str]) -> Result<usize, String> {
    let mut finished = Disk::new(existing);
    for call in calls {
        finished.run(call, dir);
    }
    let new = finished
        .names
        .get("state.json")
        .map(|&number| Found::File { number, size: finished.files[number].written });
    let new = new.unwrap_or(Found::Missing);
    let mut disk = Disk::new(existing);
    let old = disk.after_a_cut();
    let mut states = 0;
    for call in calls {
        disk.run(call, dir);
        let found = disk.after_a_cut();
        if let Some(torn) = found.iter().find(|state| **state != new && !old.contains(state)) {
            return Err(format!("{torn:?} is neither old nor new, after {call:?}"));
        }
        if call.name == "exit_group" && found.iter().any(|state| *state != new) {
            return Err("it was acknowledged and may be lost".to_owned());
        }
        states += found.len();
    }
    Ok(states)
}

#[test]
fn requirement_02_a_power_cut_at_any_moment_leaves_the_old_state_or_the_new_one() {
    if !can_trace() {
        return;
    }
    let site = TestSite::new();
    let mut states = 0;
    for args in [
        &["on", "-m", "one"][..],
        &["on", "-m", "two"],
        &["ignore", "add", "path", "/health"],
        &["template", "add", "page"],
        &["template", "use", "page"],
        &["off"],
        &["restore"],
    ] {
        let before = crate::env::names(&site.dir);
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let (done, calls) = traced(&site.dir, args, |_| ());
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        match survives(&calls, &site.dir, &before) {
            Ok(number) => states += number,
            Err(fault) => panic!("{args:?}: {fault}"),
        }
    }
    figure(&format!("{states} states of the disk, each of them old or new"));
}

const GOOD: [&str; 6] = [
    r#"7 openat(AT_FDCWD, "/s/.state.json.0a.tmp", O_WRONLY|O_CREAT|O_EXCL, 0600) = 5</s/.state.json.0a.tmp>"#,
    r#"7 write(5</s/.state.json.0a.tmp>, "{}\n", 3) = 3"#,
    r"7 fsync(5</s/.state.json.0a.tmp>) = 0",
    r#"7 renameat(AT_FDCWD, "/s/.state.json.0a.tmp", AT_FDCWD, "/s/state.json") = 0"#,
    r"7 fsync(6</s>) = 0",
    r"7 exit_group(0) = ?",
];

const IN_PLACE: [&str; 4] = [
    r#"7 openat(AT_FDCWD, "/s/state.json", O_WRONLY|O_TRUNC) = 5</s/state.json>"#,
    r#"7 write(5</s/state.json>, "{}\n", 3) = 3"#,
    r"7 fsync(5</s/state.json>) = 0",
    r"7 exit_group(0) = ?",
];

#[test]
fn requirement_57_the_model_catches_planted_faults() {
    let verdict =
        |lines: &[&str]| survives(&parse(&lines.join("\n")), Path::new("/s"), &["state.json"]);
    let without = |at: usize| -> Vec<&str> { [&GOOD[..at], &GOOD[at + 1..]].concat() };
    assert!(verdict(&GOOD).is_ok(), "{:?}", verdict(&GOOD));
    let torn = "neither old nor new";
    for (planted, verdict, fault) in [
        ("no fsync", verdict(&without(2)), torn),
        ("no directory fsync", verdict(&without(4)), "may be lost"),
        ("in place", verdict(&IN_PLACE), torn),
        (
            "rename before fsync",
            verdict(&[GOOD[0], GOOD[1], GOOD[3], GOOD[2], GOOD[4], GOOD[5]]),
            torn,
        ),
        (
            "unlink before rename",
            verdict(&[
                r#"7 unlink("/s/state.json") = 0"#,
                GOOD[0],
                GOOD[1],
                GOOD[2],
                GOOD[3],
                GOOD[4],
                GOOD[5],
            ]),
            torn,
        ),
    ] {
        let found = verdict.expect_err(planted);
        assert!(found.contains(fault), "{planted}: {found}");
    }
}
