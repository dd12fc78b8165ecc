//! Requirements 13, 14 and 36: many writers at once.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, thread};

use crate::env::{Meanwhile, TestSite, maint, run};
use crate::say::figure;

/// How often the lock is deleted. Without a pause nobody would ever hold one.
const PAUSE: Duration = Duration::from_micros(500);

/// Adds rules from several processes at once, each by its own spelling of the path.
fn add_rules(spellings: &[PathBuf], processes: usize, each: usize) {
    thread::scope(|scope| {
        for process in 0..processes {
            let path = &spellings[process % spellings.len()];
            scope.spawn(move || {
                for number in 0..each {
                    let rule = format!("/{process}/{number}");
                    let args = ["ignore", "add", "path", &rule, "--wait", "50s"];
                    let done = run(&mut maint(path, &args));
                    assert_eq!(done.code, 0, "{rule}: {done:?}");
                }
            });
        }
    });
}

/// Runs a test next to somebody who deletes the lock all the time; how often.
fn while_the_lock_is_deleted(site: &TestSite, test: impl FnOnce()) -> usize {
    let meanwhile = Meanwhile::new();
    thread::scope(|scope| {
        let vandal = scope.spawn(|| {
            let mut deleted = 0;
            while meanwhile.goes_on() {
                deleted += usize::from(fs::remove_file(site.file("lock")).is_ok());
                thread::sleep(PAUSE);
            }
            deleted
        });
        meanwhile.of(test);
        vandal.join().unwrap()
    })
}

/// Every rule is there, and the history has each revision once.
fn assert_all(site: &TestSite, processes: usize, each: usize) {
    let state = site.state();
    assert_eq!(state.ignore.len(), processes * each, "rules lost");
    assert_eq!(state.revision, (processes * each) as u64 + 1);
    assert_eq!(site.recorded(), (1..=state.revision).collect::<Vec<_>>());
    assert_eq!(site.leftovers(), Vec::<String>::new());
}

#[test]
fn requirement_13_a_thousand_writes_by_eight_processes_and_four_spellings_all_count() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let linked = site.project.join("linked");
    symlink(&site.dir, &linked).unwrap();
    let release = site.project.join("releases/7/.maint");
    fs::create_dir_all(&release).unwrap();
    symlink("../../../.maint/state.json", release.join("state.json")).unwrap();
    let dotted = site.project.join("./releases/../.maint/.");
    add_rules(&[site.dir.clone(), linked, release.clone(), dotted], 8, 125);
    assert_all(&site, 8, 125);
    assert!(release.join("state.json").is_symlink(), "the link is still a link");
    assert_eq!(crate::env::names(&release), ["state.json"], "one lock for all");
    figure("1000 of 1000 rules");
}

#[test]
fn requirement_14_writes_survive_somebody_who_keeps_deleting_the_lock() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let deleted = while_the_lock_is_deleted(&site, || {
        add_rules(std::slice::from_ref(&site.dir), 8, 40);
    });
    assert_all(&site, 8, 40);
    assert!(deleted > 0, "nothing was deleted");
    figure(&format!("320 of 320 rules, the lock was deleted {deleted} times"));
}

#[test]
fn requirement_14_first_writers_survive_it_too() {
    // Without a state there is no second lock, only one that may make the file.
    for _ in 0..10 {
        let site = TestSite::new();
        while_the_lock_is_deleted(&site, || add_rules(std::slice::from_ref(&site.dir), 6, 1));
        let state = site.state();
        assert_eq!((state.ignore.len(), state.revision), (6, 6));
        assert_eq!(site.recorded(), (1..=6).collect::<Vec<_>>());
    }
}

#[test]
fn requirement_36_two_sites_toggled_at_once_do_not_touch_each_other() {
    let sites = [TestSite::new(), TestSite::new()];
    thread::scope(|scope| {
        for (number, site) in sites.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..100_u64 {
                    let text = format!("site {number}, round {round}");
                    site.ok(&["on", "-m", &text]);
                    assert_eq!(site.reason().as_ref(), Some(&text));
                    site.ok(&["off"]);
                    assert_eq!(site.state().revision, 2 * round + 2);
                }
            });
        }
    });
    for site in &sites {
        assert_eq!(site.recorded(), (1..=200).collect::<Vec<_>>());
    }
}
