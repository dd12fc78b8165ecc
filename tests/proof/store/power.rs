//! Requirement 2: what a disk may hold after a power failure at any moment, and that
//! the next command can work with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::can::can_trace;
use crate::cuts::{BACKUP, STATE, survives};
use crate::disk::Files;
use crate::env::{TestSite, on_two_threads, write};
use crate::say::figure;
use crate::trace::{Call, parse, traced};
use crate::verbs::{BEGINNING, CHANGING, editor, filled_in};

#[test]
fn requirement_02_a_power_cut_at_any_moment_leaves_the_old_state_or_the_new_one() {
    if !can_trace() {
        return;
    }
    let mut cuts = Cuts::default();
    let site = TestSite::new();
    cuts.during(&site, &[BEGINNING]);
    for (args, _) in CHANGING {
        cuts.during(&site, args);
    }
    // The first template has no directory yet.
    cuts.during(&TestSite::new(), &["template", "add", "page"]);
    let Cuts { commands, moments, sites } = cuts;
    let sites: Vec<Files> = sites.into_iter().collect();
    let faults: Vec<String> = on_two_threads(&sites, goes_on).into_iter().flatten().collect();
    figure(&format!(
        "{} crash states of {commands} commands, cut at {moments} moments: 0 torn, 0 lost, {} in which \
         the next command fails",
        sites.len(),
        faults.len()
    ));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The totals of several commands.
#[derive(Default)]
struct Cuts {
    commands: usize,
    moments: usize,
    sites: BTreeSet<Files>,
}

impl Cuts {
    /// Runs a command, and cuts the power at every moment.
    fn during(&mut self, site: &TestSite, args: &[&str]) {
        let args = filled_in(args, site);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let editor = editor(site);
        let before = files(site);
        let (done, calls) = traced(&site.dir, &args, |command| {
            command.env("EDITOR", &editor);
        });
        assert!(matches!(done.code, 0 | 1), "{args:?}: {done:?}");
        match survives(&calls, &site.dir, &before) {
            Ok(survivors) => {
                self.commands += 1;
                self.moments += survivors.moments;
                self.sites.extend(survivors.sites);
            }
            Err(fault) => panic!("{args:?}: {fault}"),
        }
    }
}

/// The files of a site as the model takes them.
fn files(site: &TestSite) -> Files {
    let mut files = site.snapshot();
    if site.file("lock").exists() {
        files.insert("lock".to_owned(), Vec::new());
    }
    files
}

/// What is wrong after a command has run on what the power failure left, if anything.
fn goes_on(left: &Files) -> Option<String> {
    // The power stays on here, so memory will do where there is any.
    let memory = Path::new("/dev/shm");
    let site = if memory.is_dir() { TestSite::under(memory) } else { TestSite::new() };
    for (name, bytes) in left {
        let path = site.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, bytes);
    }
    let names: Vec<&String> = left.keys().collect();
    let before = site.state();
    if let Err(error) = crate::env::change(&site, "after the cut") {
        return Some(format!("{names:?}: {error}"));
    }
    let after = site.state();
    let window = after.windows.get("default").and_then(|window| window.reason.as_deref());
    let history = maint::internal::history::read(&maint::Site::at(&site.dir).files().unwrap());
    let last = history.ok().and_then(|(records, _)| records.last().map(|last| last.revision.after));
    let is_kept = before.revision == 0
        || maint::internal::load::read(&site.file(BACKUP)).ok() == Some(before);
    let is_fine = window == Some("after the cut")
        && is_kept
        && last == Some(after.revision)
        && site.leftovers().is_empty();
    (!is_fine)
        .then(|| format!("{names:?}: {window:?}, {is_kept}, {last:?}, {:?}", site.leftovers()))
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

const TORN: &str = "neither old nor new";
const LOST: &str = "may be lost";

#[test]
fn requirement_57_the_model_catches_planted_faults() {
    let before = Files::from([(STATE.to_owned(), b"old".to_vec())]);
    let verdict = |lines: &[&str]| survives(&parse(&lines.join("\n")), Path::new("/s"), &before);
    let without = |at: usize| -> Vec<&str> { [&GOOD[..at], &GOOD[at + 1..]].concat() };
    assert!(verdict(&GOOD).is_ok());
    let unlinked = [&[r#"7 unlink("/s/state.json") = 0"#], &GOOD[..]].concat();
    let late = [GOOD[0], GOOD[1], GOOD[3], GOOD[2], GOOD[4], GOOD[5]];
    for (planted, verdict, fault) in [
        ("no fsync", verdict(&without(2)), TORN),
        ("no directory fsync", verdict(&without(4)), LOST),
        ("in place", verdict(&IN_PLACE), TORN),
        ("rename before fsync", verdict(&late), TORN),
        ("unlink before rename", verdict(&unlinked), TORN),
    ] {
        let found = verdict.err().expect(planted);
        assert!(found.contains(fault), "{planted}: {found}");
    }
}

#[test]
fn requirement_57_the_model_catches_faults_planted_in_what_the_command_did() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let before = files(&site);
    let (_, calls) = traced(&site.dir, &["on", "-m", "three"], |_| ());
    let dir = site.dir.to_str().unwrap();
    let state = format!("{dir}/{STATE}");
    let is_temp = |call: &Call| {
        call.descriptor()
            .is_some_and(|path| path.contains("/.state.json.") && !path.contains("bak"))
    };
    let without = |is_left_out: &dyn Fn(&Call) -> bool| -> Vec<Call> {
        let kept: Vec<Call> = calls.iter().filter(|call| !is_left_out(call)).cloned().collect();
        assert!(kept.len() < calls.len());
        kept
    };
    let no_fsync = without(&|call| call.name == "fsync" && is_temp(call));
    let no_directory = without(&|call| call.name == "fsync" && call.descriptor() == Some(dir));
    // The same writes, directly to the state file.
    let in_place: Vec<Call> = without(&|call| call.name.starts_with("rename"))
        .into_iter()
        .map(|mut call| {
            if call.is(&["open", "openat"]) && call.paths()[0].contains("/.state.json.") {
                call.arguments = format!(r#"AT_FDCWD, "{state}", O_WRONLY|O_TRUNC"#);
            } else if is_temp(&call) {
                let rest = call.arguments.split_once('>').unwrap().1.to_owned();
                call.arguments = format!("9<{state}>{rest}");
            }
            call
        })
        .collect();
    assert!(survives(&calls, &site.dir, &before).is_ok(), "as it was done");
    for (planted, calls, fault) in [
        ("no fsync", no_fsync, TORN),
        ("no directory fsync", no_directory, LOST),
        ("in place", in_place, TORN),
    ] {
        let found = survives(&calls, &site.dir, &before).err().expect(planted);
        assert!(found.contains(fault), "{planted}: {found}");
    }
    figure("3 of 3 variants caught: no fsync, no directory fsync, in place");
}
