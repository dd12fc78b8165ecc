//! Requirements 13, 14 and 36: many writers at once.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, thread};

use crate::can::can_trace;
use crate::env::{Run, TestSite, maint, run, wrapped};
use crate::meanwhile::Meanwhile;
use crate::say::{amount, figure};

const PROCESSES: usize = 8;

/// The pause between deletions of the lock. Without one, no writer would ever hold it.
const PAUSE: Duration = Duration::from_micros(500);

/// Adds rules from several processes at once, each with its own spelling of the path.
fn add_rules(spellings: &[PathBuf], processes: usize, each: usize) {
    add(processes, each, |process, args| {
        let done = run(&mut maint(&spellings[process % spellings.len()], args));
        assert_eq!(done.code, 0, "{args:?}: {done:?}");
        done
    });
}

fn add(processes: usize, each: usize, start: impl Fn(usize, &[&str]) -> Run + Sync) {
    thread::scope(|scope| {
        for process in 0..processes {
            let start = &start;
            scope.spawn(move || {
                for number in 0..each {
                    let rule = format!("/{process}/{number}");
                    start(process, &["ignore", "add", "path", &rule, "--wait", "50s"]);
                }
            });
        }
    });
}

/// Runs a test while a thread keeps deleting the lock; returns how often. This process
/// never writes to the site, so to the writers it is another process.
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

/// What is missing of this many rules, each of which made a revision.
fn loss(site: &TestSite, rules: usize) -> Option<String> {
    let state = site.state();
    let revisions: Vec<u64> = (1..=rules as u64 + 1).collect();
    if state.ignore.len() != rules {
        return Some(format!("{} of {rules} rules", state.ignore.len()));
    }
    if state.revision != rules as u64 + 1 || site.recorded() != revisions {
        return Some(format!("revision {}, {:?}", state.revision, site.recorded()));
    }
    (!site.leftovers().is_empty()).then(|| format!("{:?}", site.leftovers()))
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
    let each = amount(125, 500);
    add_rules(&[site.dir.clone(), linked, release.clone(), dotted], PROCESSES, each);
    assert_eq!(loss(&site, PROCESSES * each), None);
    assert!(release.join("state.json").is_symlink(), "the link is still a link");
    assert_eq!(crate::env::names(&release), ["state.json"], "one lock for all");
    let all = PROCESSES * each;
    figure(&format!("{all} of {all} rules by {PROCESSES} processes"));
}

#[test]
fn requirement_14_writes_survive_somebody_who_keeps_deleting_the_lock() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let each = amount(40, 500);
    let deleted = while_the_lock_is_deleted(&site, || {
        add_rules(std::slice::from_ref(&site.dir), PROCESSES, each);
    });
    let all = PROCESSES * each;
    assert_eq!(loss(&site, all), None);
    assert!(deleted > 0, "nothing was deleted");
    figure(&format!("{all} of {all} rules, the lock was deleted {deleted} times"));
}

#[test]
fn requirement_14_first_writers_survive_it_too() {
    // Without a state there is no second lock; only one writer may create the file.
    let sites = amount(10, 100);
    for _ in 0..sites {
        let site = TestSite::new();
        while_the_lock_is_deleted(&site, || add_rules(std::slice::from_ref(&site.dir), 6, 1));
        let state = site.state();
        assert_eq!((state.ignore.len(), state.revision), (6, 6));
        assert_eq!(site.recorded(), (1..=6).collect::<Vec<_>>());
    }
    figure(&format!("6 of 6 rules on each of {sites} new sites"));
}

#[test]
fn requirement_57_rules_are_missed_that_writers_without_a_lock_lose() {
    if !can_trace() {
        return;
    }
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=flock", "-e"];
    let words = [&strace[..], &["inject=flock:error=ENOLCK", "--"]].concat();
    for round in 1..=20 {
        let site = TestSite::new();
        site.ok(&["on"]);
        add(PROCESSES, 5, |_, args| {
            run(&mut wrapped(&words, &site.dir, &[args, &["--no-lock"]].concat()))
        });
        if let Some(loss) = loss(&site, PROCESSES * 5) {
            figure(&format!("caught in round {round}: {loss}"));
            return;
        }
    }
    panic!("writers without any lock lost nothing, or no loss was found");
}

#[test]
fn requirement_36_two_sites_toggled_at_once_do_not_touch_each_other() {
    let sites = [TestSite::new(), TestSite::new()];
    let rounds = amount(100, 500);
    let effects = toggled([&sites[0], &sites[1]], rounds);
    assert_eq!(effects, Vec::<String>::new());
    for site in &sites {
        assert_eq!(site.recorded(), (1..=2 * rounds).collect::<Vec<_>>());
    }
    figure(&format!("2 sites, each on and off {rounds} times: 0 cross-effects"));
}

#[test]
fn requirement_57_the_effects_of_one_app_on_another_are_noticed() {
    let site = TestSite::new();
    assert!(!toggled([&site, &site], 20).is_empty(), "two apps on one site passed as two sites");
}

/// Takes both sites into maintenance and back at once; returns the first thing on each
/// that it did not do itself.
fn toggled(sites: [&TestSite; 2], rounds: u64) -> Vec<String> {
    let toggle = |number: usize, site: &TestSite| {
        for round in 0..rounds {
            let text = format!("site {number}, round {round}");
            site.run(&["on", "-m", &text]);
            if site.reason().as_ref() != Some(&text) {
                return Some(format!("{text}: the reason is {:?}", site.reason()));
            }
            site.run(&["off"]);
            if site.state().revision != 2 * round + 2 {
                return Some(format!("{text}: revision {}", site.state().revision));
            }
        }
        None
    };
    thread::scope(|scope| {
        let threads = [0, 1].map(|number| scope.spawn(move || toggle(number, sites[number])));
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    })
}
