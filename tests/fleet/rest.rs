//! An agent that has nothing to do, and one that had much to do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use maint::fleet::{Cas, Document, Engine, Revision};
use maint::internal::load;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::etcd::{Cluster, engine};
use crate::pace::{WITHIN, put, until};
use crate::redis_server::Server;
use crate::say::{amount, figure, skip};

/// A host whose agent follows an engine, and dies when this is dropped.
struct Host {
    agent: Child,
    temp: TempDir,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

impl Host {
    fn follow(url: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let made = maint(temp.path(), &["init", "--store", url]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let log = File::create_new(temp.path().join("log")).unwrap();
        let agent = maint(temp.path(), &["agent"]).stderr(log).spawn().unwrap();
        Self { agent, temp }
    }

    fn revision(&self) -> u64 {
        load::read(&self.temp.path().join(".maint/state.json")).unwrap().revision
    }

    /// What the process has open: kinds of descriptors, and how many there are of each.
    fn descriptors(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.agent.id())).unwrap() {
            // A descriptor may be closed meanwhile.
            let Ok(leads_to) = fs::read_link(entry.unwrap().path()) else { continue };
            let kind = leads_to.to_string_lossy().split(':').next().unwrap().to_owned();
            *all.entry(kind).or_default() += 1;
        }
        all
    }

    fn status(&self, field: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.agent.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

fn maint(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maint"));
    command.args(args).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"MAINT_") {
            command.env_remove(name);
        }
    }
    command
}

/// Changes the site again and again, as others do.
struct Others {
    engine: Box<dyn Engine>,
    revision: Revision,
    document: Document,
}

impl Others {
    fn of(url: &str) -> Self {
        let mut engine = engine(url);
        let snapshot = engine.load(WITHIN).unwrap().unwrap();
        let document = Document::from_json(&snapshot.document).unwrap();
        Self { engine, revision: snapshot.revision, document }
    }

    fn change(&mut self) -> u64 {
        let mut state = self.document.state.clone();
        state.revision += 1;
        state.name = Some(format!("shop {}", state.revision));
        let operation = state.revision.to_string();
        self.document = self.document.next(state, &operation, maint::jiff::Timestamp::now());
        let bytes = self.document.to_json().unwrap();
        match put(&mut *self.engine, Some(&self.revision), &bytes).unwrap() {
            Cas::Committed(revision) => self.revision = revision,
            Cas::Conflict => panic!("nobody else writes"),
        }
        self.document.state.revision
    }
}

fn after_many_changes(url: &str, changes: usize) {
    let host = Host::follow(url);
    let mut others = Others::of(url);
    for _ in 0..50 {
        let revision = others.change();
        until("the host has it", || host.revision() == revision);
    }
    // While it makes a change it has more open, so this waits for it to come to rest.
    let mut before = host.descriptors();
    until("the agent comes to rest", || {
        sleep(Duration::from_millis(300));
        let now = host.descriptors();
        let is_same = now == before;
        before = now;
        is_same
    });
    let (memory, threads) = (host.status("VmRSS"), host.status("Threads"));
    for _ in 0..changes {
        others.change();
    }
    until("the host has the last", || host.revision() == others.document.state.revision);
    until("as many descriptors as before", || host.descriptors() == before);
    until("as many threads as before", || host.status("Threads") == threads);
    let now = host.status("VmRSS");
    figure(&format!(
        "after {changes} changes {before:?}, {threads} threads, {memory} kB before and {now} kB now"
    ));
    assert!(now < memory + 4 * 1024, "{memory} kB became {now} kB");
}

#[test]
fn requirement_97_after_two_thousand_changes_an_agent_has_open_what_it_had_before() {
    let Some(redis) = Server::start(&["appendonly no"]) else { return };
    after_many_changes(&redis.address(""), 2_000);
    let Some(etcd) = Cluster::start(1) else { return };
    after_many_changes(&etcd.address("shop"), amount(200, 2_000));
}

/// What an agent calls when it does something, and never while it sleeps.
const AT_WORK: [&str; 22] = [
    "chmod",
    "clone",
    "clone3",
    "execve",
    "fchmod",
    "fdatasync",
    "flock",
    "fork",
    "fsync",
    "getdents64",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "symlink",
    "unlink",
    "unlinkat",
    "utimensat",
    "vfork",
];

/// The calls of an agent that follows this engine and has nothing to do.
fn at_rest(url: &str) {
    let host = Host::follow(url);
    let mut others = Others::of(url);
    let revision = others.change();
    until("the host has it", || host.revision() == revision);
    let has_reported = |engine: &mut dyn Engine| {
        let hosts = engine.hosts(WITHIN).unwrap();
        hosts.values().any(|report| {
            String::from_utf8_lossy(report).contains(&format!("\"revision\":{revision},"))
        })
    };
    until("the host has said so", || has_reported(&mut *others.engine));

    let log = host.temp.path().join("calls");
    let mut tracer = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .args(["-p", &host.agent.id().to_string()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    until("strace follows it", || host.status("TracerPid") != 0);
    let begun = Instant::now();
    sleep(Duration::from_secs(4));
    let watched = begun.elapsed();
    kill_process(Pid::from_child(&tracer), Signal::INT).unwrap();
    tracer.wait().unwrap();

    let text = fs::read_to_string(&log).unwrap();
    let mut calls: BTreeMap<&str, u32> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.contains(" resumed>")) {
        let Some((before, _)) = line.split_once('(') else { continue };
        let Some(name) = before.split_whitespace().last() else { continue };
        *calls.entry(name).or_default() += 1;
    }
    let all: u32 = calls.values().sum();
    figure(&format!("{all} calls in {:.1} s: {calls:?}", watched.as_secs_f64()));
    assert!(all > 0, "it looks: {text}");
    let work: Vec<_> = calls.keys().filter(|name| AT_WORK.contains(name)).collect();
    assert!(work.is_empty(), "{work:?} in {text}");
    // A busy machine makes it look less often, never more: five times a second at the files, each
    // third second at the flags, and at the engine.
    let most = watched.as_secs_f64() * 50.0 + 200.0;
    assert!(f64::from(all) < most, "{all} calls, and at most {most}: {calls:?}");
    assert!(!text.contains("O_CREAT") && !text.contains("O_WRONLY"), "{text}");
}

#[test]
fn requirement_97_an_agent_that_sleeps_only_looks() {
    if Command::new("strace").arg("-V").output().is_err() {
        skip("strace is not installed");
        return;
    }
    let Some(redis) = Server::start(&["appendonly no"]) else { return };
    at_rest(&redis.address(""));
    let Some(etcd) = Cluster::start(1) else { return };
    at_rest(&etcd.address("shop"));
}
