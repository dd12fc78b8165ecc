//! Requirements 15, 18 and 19: waiting for the lock, and working without one.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

use crate::can::{can_be_others, can_trace};
use crate::env::{DEPLOY, NOBODY, TestSite, as_user, chmod, mode, run, wrapped};
use crate::say::figure;
use crate::trace::traced;

/// Holds the lock of a site as another `maint` would, until dropped.
pub(crate) fn hold(site: &TestSite) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(site.file("lock")).unwrap();
    flock(&file, FlockOperation::LockExclusive).unwrap();
    let holder =
        r#"{"pid":4242,"host":"web7","command":"run -- ./migrate","since":"2026-11-22T03:00:00Z"}"#;
    writeln!(file, "{holder}").unwrap();
    file
}

const HOLDER: &str = "`maint run -- migrate` (process 4242 on web7)";

#[test]
fn requirement_15_without_patience_a_held_lock_is_busy_and_its_holder_named() {
    let site = TestSite::in_use();
    let before = site.snapshot();
    let lock = hold(&site);
    let begun = Instant::now();
    let done = site.run(&["on", "-m", "three", "--no-wait"]);
    figure(&format!("--no-wait gave up after {} ms, exit 4", begun.elapsed().as_millis()));
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.stderr.contains(HOLDER), "{done:?}");
    assert!(done.stderr.contains(site.file("lock").to_str().unwrap()), "{done:?}");
    drop(lock);
    assert_eq!(site.snapshot(), before);
    site.ok(&["on", "-m", "three", "--no-wait"]);
}

#[test]
fn requirement_15_patience_ends() {
    let site = TestSite::in_use();
    let _lock = hold(&site);
    let begun = Instant::now();
    let done = site.run(&["on", "-m", "three", "--wait", "300ms"]);
    let waited = begun.elapsed();
    assert_eq!(done.code, 4, "{done:?}");
    assert!(done.stderr.contains(HOLDER) && done.stderr.contains("gave up after "), "{done:?}");
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    // Unless the machine made a long one of it.
    let is_mentioned = done.stderr.contains("waiting");
    assert!(!is_mentioned || waited >= Duration::from_secs(1), "so short a wait: {done:?}");
    // People judge how close it comes: on a busy machine everything is late.
    let late = waited.as_secs_f64() / 0.3 * 100.0 - 100.0;
    figure(&format!("--wait 300ms gave up after {} ms, +{late:.1} %", waited.as_millis()));
}

#[test]
fn requirement_15_who_waits_does_not_keep_a_processor_busy() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let _lock = hold(&site);
    let (done, calls) = traced(&site.dir, &["on", "-m", "three", "--wait", "300ms"], |_| ());
    assert_eq!(done.code, 4, "{done:?}");
    // The pauses grow from 1 ms to 50 ms; a busy machine only makes the tries fewer.
    let tries = calls.iter().filter(|call| call.name == "flock").count();
    assert!((2..=50).contains(&tries), "{tries} tries in 300 ms");
}

#[test]
fn requirement_15_who_waits_longer_is_told_for_whom_and_gets_its_turn() {
    let site = TestSite::in_use();
    let lock = hold(&site);
    let mut child = waiting(site.command(&["on", "-m", "three", "--wait", "50s"]));
    let line = first_line(&mut child);
    assert!(line.contains("waiting") && line.contains(HOLDER), "{line}");
    drop(lock);
    assert!(child.wait().unwrap().success());
    assert_eq!(site.reason().as_deref(), Some("three"));
}

#[test]
fn requirement_15_a_storm_of_signals_does_not_end_the_wait() {
    let site = TestSite::in_use();
    let lock = hold(&site);
    // An alarm without a handler ends a process. `trap ''` makes it ignored; stopping
    // and continuing interrupt the sleep.
    let words = ["sh", "-c", r#"trap "" ALRM; exec "$0" "$@""#];
    let mut child = waiting(wrapped(&words, &site.dir, &["on", "-m", "three", "--wait", "50s"]));
    let line = first_line(&mut child);
    assert!(line.contains("waiting"), "{line}");
    let process = Pid::from_child(&child);
    let signals = [Signal::ALARM, Signal::STOP, Signal::CONT];
    for _ in 0..STORM {
        for signal in signals {
            kill_process(process, signal).unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(child.try_wait().unwrap().is_none(), "it waits on");
    drop(lock);
    assert!(child.wait().unwrap().success());
    assert_eq!(site.reason().as_deref(), Some("three"));
    figure(&format!("{} signals, it waited on and got its turn", STORM * signals.len()));
}

/// The number of times each signal is sent.
const STORM: usize = 200;

pub(crate) fn waiting(mut command: std::process::Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0).spawn().unwrap()
}

pub(crate) fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

/// Runs a command in which every flock(2), or each that `when` picks, fails.
fn without_flock(site: &TestSite, error: &str, when: &str, args: &[&str]) -> crate::env::Run {
    let inject = format!("inject=flock:error={error}{when}");
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", "trace=flock", "-e", &inject, "--"];
    run(&mut wrapped(&strace, &site.dir, args))
}

#[test]
fn requirement_15_an_interrupted_try_is_tried_again_even_without_patience() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let done = without_flock(&site, "EINTR", ":when=1..3", &["on", "-m", "three", "--no-wait"]);
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn requirement_19_a_file_system_without_locks_is_refused_with_advice() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let errors = ["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EBADF"];
    for error in errors {
        let before = fs::read(site.state_file()).unwrap();
        let done = without_flock(&site, error, "", &["on", "-m", error]);
        assert_eq!(done.code, 3, "{error}: {done:?}");
        assert!(
            done.stderr.contains("lock") && done.stderr.contains("--no-lock"),
            "{error}: {done:?}"
        );
        assert_eq!(fs::read(site.state_file()).unwrap(), before, "{error}");

        let done = without_flock(&site, error, "", &["on", "-m", error, "--no-lock"]);
        assert_eq!(done.code, 0, "{error}: {done:?}");
        assert!(done.stderr.contains("no lock was taken"), "{error}: {done:?}");
        assert_eq!(site.reason().as_deref(), Some(error));
    }
    figure(&format!("{} of {} refused", errors.len(), errors.len()));
}

#[test]
fn requirement_19_doing_without_a_lock_is_advised_only_where_there_is_none() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let done = without_flock(&site, "EIO", "", &["on", "-m", "three"]);
    assert_eq!((done.code, site.reason().as_deref()), (3, Some("two")), "{done:?}");
    assert!(done.stderr.contains("lock") && !done.stderr.contains("--no-lock"), "{done:?}");
}

#[test]
fn requirement_19_only_the_lock_proper_is_needed() {
    if !can_trace() {
        return;
    }
    // A second lock is taken while it writes, where that is possible.
    let site = TestSite::in_use();
    let done = without_flock(&site, "ENOLCK", ":when=2+", &["on", "-m", "three"]);
    assert_eq!((done.code, site.reason().as_deref()), (0, Some("three")), "{done:?}");
    assert!(!site.file(".state.json.turn").exists());
}

#[test]
fn requirement_18_the_lock_is_for_those_who_may_write() {
    for (directory, lock) in [(0o755, 0o600), (0o700, 0o600), (0o775, 0o660)] {
        let site = TestSite::new();
        chmod(&site.dir, directory);
        site.ok(&["on"]);
        assert_eq!(mode(&site.file("lock")), lock, "in a directory of mode {directory:o}");
    }
}

#[test]
fn requirement_18_a_stranger_can_read_the_state_but_not_hold_the_lock() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::in_use();
    let lock = site.file("lock");
    let path = lock.to_str().unwrap();
    let nobody = crate::env::drop_to(NOBODY);
    let words: Vec<&str> = nobody.iter().map(String::as_str).collect();
    let done = run(std::process::Command::new(words[0]).args(&words[1..]).args(["cat", path]));
    assert!(done.code != 0 && done.stderr.contains("Permission denied"), "{done:?}");
    assert_eq!(run(&mut as_user(NOBODY, &site.dir, &["status"])).code, 0);
    let done = run(&mut as_user(NOBODY, &site.dir, &["on", "-m", "three"]));
    assert_eq!(done.code, 3, "{done:?}");
    assert!(done.stderr.contains(path) && done.stderr.contains("permission denied"), "{done:?}");
    figure("another uid: the lock EACCES, the state read, a change refused");
}

#[test]
fn requirement_18_a_lock_that_can_only_be_read_still_locks_and_is_mentioned() {
    if !can_be_others() {
        return;
    }
    let site = TestSite::new();
    site.ok(&["on", "-m", "one"]);
    chmod(&site.file("lock"), 0o644);
    // All but the lock, which root made.
    site.give_to(DEPLOY);
    std::os::unix::fs::chown(site.file("lock"), Some(0), Some(0)).unwrap();
    let done = run(&mut as_user(DEPLOY, &site.dir, &["on", "-m", "two"]));
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("for reading only"), "{done:?}");
    let _held = hold(&site);
    let done = run(&mut as_user(DEPLOY, &site.dir, &["on", "-m", "three", "--no-wait"]));
    assert_eq!(done.code, 4, "{done:?}");
}

#[test]
fn requirement_64_who_may_only_read_holds_nobody_up() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let (done, calls) = traced(&site.dir, &["on", "-m", "three"], |_| ());
    assert_eq!(done.code, 0, "{done:?}");
    let mut locked: Vec<&str> = Vec::new();
    for call in calls.iter().filter(|call| call.name == "flock") {
        let file = call.arguments.split('>').next().unwrap();
        locked.push(file.rsplit('/').next().unwrap());
    }
    locked.sort_unstable();
    locked.dedup();
    assert_eq!(locked, [".state.json.turn", "lock"]);
    // Both are private from the call on that makes them: see lock.rs.
    figure("2 locks are taken, and a stranger can open neither");
}

#[test]
fn requirement_64_eight_writers_at_once_pass_a_reader_who_locks_each_state() {
    let site = TestSite::in_use();
    let is_over = AtomicBool::new(false);
    let held = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut held = Vec::new();
            while !is_over.load(Ordering::Relaxed) && held.len() < 500 {
                let kind = [
                    FlockOperation::NonBlockingLockShared,
                    FlockOperation::NonBlockingLockExclusive,
                ];
                if let Ok(state) = File::open(site.state_file())
                    && flock(&state, kind[held.len() % 2]).is_ok()
                {
                    held.push(state);
                }
            }
            held.len()
        });
        let site = &site;
        let writers: Vec<_> = (0..8)
            .map(|n| scope.spawn(move || site.run(&["ignore", "add", "path", &format!("/{n}")])))
            .collect();
        for writer in writers {
            let done = writer.join().unwrap();
            assert_eq!(done.code, 0, "{done:?}");
        }
        site.ok(&["on", "-m", "three", "--no-wait"]);
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(held > 0, "the reader never held a lock");
    assert_eq!((site.state().ignore.len(), site.reason().as_deref()), (8, Some("three")));
    figure(&format!("8 of 8 writers at once, exit 0, while a reader held {held} locks"));
}
