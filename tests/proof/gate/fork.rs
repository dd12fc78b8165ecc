//! A process that is forked while its threads read the state again: the child has
//! none of these threads, and must not wait for them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use maint::Site;
use maint::gate::{Gate, OnError, Options};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::{Value, json};

use crate::env::{HANG, TestSite, down};
use crate::roles::{Program, command, given_site};
use crate::say::{amount, figure, skip};

/// How often it forks.
fn forks() -> u64 {
    amount(60, 20_000)
}

/// Many rules, so that reading the state again takes long enough to be forked in.
const RULES: u64 = 400;

/// Many windows, so that many pages are made.
const WINDOWS: u64 = 50;

#[test]
fn requirement_66_a_process_forked_off_while_the_state_is_read_goes_on_by_itself() {
    let temp = tempfile::tempdir().unwrap();
    let shim = temp.path().join("fork.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proof/gate/fork.c");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&shim)
        .arg(&source)
        .arg("-ldl")
        .output();
    match made {
        Ok(done) if done.status.success() => {}
        other => return skip(&format!("cc(1) does not make a library here: {other:?}")),
    }
    let site = TestSite::new();
    site.put(1, &parts(1));
    let program = Program::new();
    let mut forker = command(&[], &program.playing("roles::forks"), &site.dir, 0);
    let done = forker.env("LD_PRELOAD", &shim).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let figures = said.lines().find_map(|line| line.split_once("children: ")).unwrap();
    figure(figures.1);
}

fn parts(revision: u64) -> Value {
    let rule = |n: u64| {
        let value = format!("/rule/{n}/of/{revision}");
        (format!("r{n}"), json!({ "kind": "path", "value": value }))
    };
    let mut parts = down("x");
    // Every other state has many rules.
    let number = if revision.is_multiple_of(2) { RULES } else { 2 };
    parts["ignore"] = Value::Object((1..=number).map(rule).collect());
    for n in 0..WINDOWS {
        let mut window = parts["windows"]["w"].clone();
        window["reason"] = json!(format!("{n} of {revision}"));
        parts["windows"][format!("w{n}")] = window;
    }
    parts
}

/// What the process does that is forked.
#[expect(clippy::disallowed_methods, reason = "the child shows that it can write")]
pub(crate) fn play() {
    let site = Site::at(given_site());
    let desk = TestSite::new();
    // States as files, so that each only has to be moved into place.
    for revision in 1..=8 {
        desk.put(revision, &parts(revision));
        fs::copy(desk.state_file(), desk.dir.join(revision.to_string())).unwrap();
    }
    // Now and then trouble is reported on standard error, the default.
    let gate = Gate::open_with(&site, Options::default()).unwrap();
    let parent = std::process::id();
    let is_over = AtomicBool::new(false);
    let forked = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let _ends = Ends(&is_over);
        scope.spawn(|| {
            let mut revision = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                revision = revision % 8 + 1;
                let draft = site.dir().join("draft");
                fs::copy(desk.dir.join(revision.to_string()), &draft).unwrap();
                rustix::fs::rename(&draft, site.state_file()).unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = gate.revision();
                    let _ = std::io::Write::write_all(&mut std::io::stderr(), b".");
                }
            });
        }
        for number in 0..forks() {
            assert!(fs::canonicalize("/maint-test-fork").is_err());
            if std::process::id() != parent {
                child(&gate, number);
            }
            forked.fetch_add(u64::from(is_done()), Ordering::Relaxed);
        }
    });
    println!("children: {} of {} went on by themselves", forked.into_inner(), forks());
}

/// Stops what runs beside a test, even if the test fails.
struct Ends<'e>(&'e AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the child does, in which there is one thread alone.
fn child(gate: &Gate, number: u64) -> ! {
    for _ in 0..5 {
        let _ = gate.revision();
    }
    // The child can report trouble, even if another thread held standard error at the fork.
    let options = Options::new().on_error(OnError::Open);
    let is_open = number % 2 == 1 || Gate::open_with(&Site::at("/no/such/site"), options).is_ok();
    std::process::exit(i32::from(!is_open));
}

/// Waits for the only child; kills it if it hangs.
fn is_done() -> bool {
    let begun = Instant::now();
    let mut hung: Option<Pid> = None;
    loop {
        match waitpid(None, WaitOptions::NOHANG).unwrap() {
            Some((_, status)) => {
                assert_eq!((status.exit_status(), hung), (Some(0), None), "a child failed");
                return true;
            }
            None if begun.elapsed() > HANG => {
                hung = only_child();
                let _ = kill_process(hung.expect("there is one"), Signal::KILL);
            }
            None => std::thread::sleep(Duration::from_micros(500)),
        }
    }
}

/// The child of this process, as /proc knows it.
fn only_child() -> Option<Pid> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let children =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let first = children.collect::<String>().split_whitespace().next()?.parse().ok()?;
    Pid::from_raw(first)
}
