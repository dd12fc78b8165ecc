//! Requirements 3, 4 and 10: writers are killed at random, under the eyes of a
//! reader that never stops.

use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::env::{Meanwhile, TestSite, write};
use crate::say::figure;

const KILLS: u64 = 150;

#[test]
fn requirement_03_writers_killed_at_random_lose_nothing_they_acknowledged() {
    let site = TestSite::new();
    site.ok(&["on", "-m", "before"]);
    let begun = Instant::now();
    site.ok(&["ignore", "add", "path", "/first"]);
    let whole = begun.elapsed();
    let mut acknowledged = Vec::new();
    let mut killed = 0;
    let mut left_behind = 0;
    let meanwhile = Meanwhile::new();
    let (reads, seen) = thread::scope(|scope| {
        let reader = scope.spawn(|| watch(&site, &meanwhile));
        meanwhile.of(|| {
            for number in 0..KILLS {
                let path = format!("/kill/{number}");
                let mut command = site.command(&["ignore", "add", "path", &path]);
                let mut child = command.stdout(Stdio::null()).spawn().unwrap();
                // Anywhere within the life of a writer; whatever comes of it must hold.
                thread::sleep(whole.mul_f64(f64::from(random()) / 100.0));
                let _ = child.kill();
                if child.wait().unwrap().success() {
                    acknowledged.push(path);
                } else {
                    killed += 1;
                }
                left_behind += usize::from(!site.leftovers().is_empty());
                let rules = site.state().ignore;
                for path in &acknowledged {
                    let is_there = rules.values().any(|rule| rule.value == *path);
                    assert!(is_there, "{path} was acknowledged and is lost");
                }
            }
        });
        reader.join().unwrap()
    });
    site.ok(&["ignore", "add", "path", "/last"]);
    assert_eq!(site.leftovers(), Vec::<String>::new(), "after one successful command");
    let revision = site.state().revision;
    assert_eq!(site.recorded(), (1..=revision).collect::<Vec<_>>(), "every revision once");
    assert!(seen <= revision);
    figure(&format!(
        "{killed} killed of {KILLS}, {} acknowledged, leftovers seen {left_behind} times, {reads} whole reads",
        acknowledged.len()
    ));
}

/// Reads without pause; every read must be whole and no older than the one before.
fn watch(site: &TestSite, meanwhile: &Meanwhile) -> (usize, u64) {
    let (mut reads, mut revision) = (0, 0);
    while meanwhile.goes_on() {
        let state = site.state();
        assert!(state.revision >= revision, "{} after {revision}", state.revision);
        revision = state.revision;
        maint::load::read(&site.file("state.json.bak")).expect("a backup that parses");
        reads += 1;
        thread::sleep(Duration::from_micros(200));
    }
    (reads, revision)
}

fn random() -> u8 {
    let mut byte = [0];
    getrandom::fill(&mut byte).unwrap();
    byte[0]
}

#[test]
fn requirement_04_a_writer_removes_its_own_kind_of_leftovers_and_nothing_else() {
    let site = TestSite::in_use();
    fs::create_dir(site.file("templates")).unwrap();
    write(&site.file("templates/page.html"), "<p>hello</p>");
    let ours = [
        ".state.json.0123456789abcdef.tmp",
        ".state.json.bak.fedcba9876543210.tmp",
        "templates/.page.html.0011223344556677.tmp",
    ];
    let decoys = [
        "state.tmp",
        ".state.json.tmp",
        ".state.json.1234.tmp",
        ".state.json.0123456789abcdef.tmp~",
        ".other.json.0123456789abcdef.tmp",
        "state.json.0123456789abcdef.tmp",
        "templates/.theirs.html.swp",
    ];
    for name in ours.iter().chain(&decoys) {
        write(&site.file(name), "x");
    }
    let directory = site.file(".state.json.1111111111111111.tmp");
    let link = site.file(".state.json.2222222222222222.tmp");
    let fifo = site.file(".state.json.3333333333333333.tmp");
    fs::create_dir(&directory).unwrap();
    let target = site.project.join("precious");
    write(&target, "x");
    symlink(&target, &link).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();

    site.ok(&["on", "-m", "three"]);
    for name in ours {
        assert!(!site.file(name).exists(), "{name} is left");
    }
    for name in decoys {
        assert!(site.file(name).exists(), "{name} was somebody else's");
    }
    assert!(directory.is_dir() && link.is_symlink() && target.exists());
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
}

#[test]
fn requirement_04_a_command_that_changes_nothing_cleans_up_too() {
    let site = TestSite::in_use();
    write(&site.file(".state.json.0123456789abcdef.tmp"), "x");
    let done = site.ok(&["on", "-m", "two"]);
    assert!(done.stdout.contains("unchanged"), "{done:?}");
    assert_eq!(site.leftovers(), Vec::<String>::new());
}
