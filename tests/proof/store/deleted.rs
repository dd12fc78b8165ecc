//! Requirement 14: the lock is deleted at the worst moment, between opening it and
//! holding it.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::can::can_trace;
use crate::env::{Run, TestSite, finished, wrapped};
use crate::lock::hold;
use crate::trace::{Call, traced};

/// The call by which a writer opens an existing lock: its name, and how many calls of
/// that name came up to it.
fn opening(args: &[&str]) -> (String, usize) {
    let site = TestSite::in_use();
    let lock = site.file("lock");
    let (done, calls) = traced(&site.dir, args, |_| ());
    assert_eq!(done.code, 0, "{done:?}");
    let opens =
        |call: &Call| call.is(&["open", "openat"]) && call.paths() == [lock.to_str().unwrap()];
    let at = calls.iter().position(opens).expect("it opens the lock");
    let name = &calls[at].name;
    (name.clone(), calls[..=at].iter().filter(|call| call.name == *name).count())
}

/// Runs a command, stops it once it has opened the lock, and does something meanwhile.
fn stopped<R>(
    site: &TestSite,
    (call, nth): &(String, usize),
    args: &[&str],
    meanwhile: impl FnOnce() -> R,
) -> (Run, R) {
    let log = site.project.join("trace");
    let _ = fs::remove_file(&log);
    let (trace, inject) =
        (format!("trace={call}"), format!("inject={call}:signal=STOP:when={nth}"));
    let path = log.to_str().unwrap();
    let strace = ["strace", "-f", "-o", path, "-e", &trace, "-e", &inject, "--"];
    let mut command = wrapped(&strace, &site.dir, args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = stop_in(&log);
    let result = meanwhile();
    kill_process(process, Signal::CONT).unwrap();
    (finished(&child.wait_with_output().unwrap()), result)
}

/// Waits until strace(1) sees a process stop, and returns it.
fn stop_in(log: &Path) -> Pid {
    let begun = Instant::now();
    loop {
        let trace = fs::read_to_string(log).unwrap_or_default();
        let stop = trace.lines().find(|line| line.contains("--- stopped by SIGSTOP ---"));
        if let Some(process) = stop.and_then(|line| line.split_whitespace().next()) {
            return Pid::from_raw(process.parse().unwrap()).unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it never stops: {trace}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn requirement_14_a_lock_that_was_deleted_meanwhile_guards_nothing() {
    if !can_trace() {
        return;
    }
    let args = ["on", "-m", "three"];
    let opening = opening(&args);
    let site = TestSite::in_use();
    let delete = || fs::remove_file(site.file("lock")).unwrap();

    // Another process holds the new lock, so this writer must wait.
    let (done, held) = stopped(&site, &opening, &["on", "-m", "three", "--no-wait"], || {
        delete();
        hold(&site)
    });
    assert_eq!(done.code, 4, "{done:?}");
    assert_eq!(site.reason().as_deref(), Some("two"));
    drop(held);

    // There is no new lock yet, so the writer makes one first.
    let (done, ()) = stopped(&site, &opening, &args, delete);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(site.file("lock").is_file(), "the change was made under a lock without a name");
    assert_eq!(site.reason().as_deref(), Some("three"));
}
