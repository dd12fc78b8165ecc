//! The command behind a proxy that cuts its connections.

use std::thread;
use std::time::Duration;

use maint::Site;
use maint::fleet::MAX_OPERATIONS;
use maint::state::WindowSettings;
use maint::store::{self, Options};

use super::hosts::{Hosts, Ran};
use crate::cutting::Cutter;
use crate::etcd::Cluster;
use crate::redis_server::Server;
use crate::say::{amount, figure};

/// What was seen of changes whose connection was cut.
#[derive(Debug, Default)]
struct Seen {
    /// The command said that it is in force.
    done: usize,
    /// It said that it may be, and it was.
    unsure_applied: usize,
    /// The same, and it was not.
    unsure_lost: usize,
    /// It said that nothing changed.
    nothing: usize,
}

/// Where connections are cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Answer(usize),
    Request(usize),
}

/// A host behind the proxy, and CI before it.
struct Fleet {
    hosts: Hosts,
    cutter: Cutter,
    /// What a change passed last: bytes of requests, bytes of answers.
    passed: (usize, usize),
    is_on: bool,
}

impl Fleet {
    /// A fleet on an engine at this port, whose address is made of one.
    fn begin(port: u16, url: impl Fn(u16) -> String) -> Self {
        let cutter = Cutter::start(port);
        let hosts = Hosts::bare(&url(port));
        std::fs::create_dir(hosts.dir("one")).unwrap();
        hosts.ok("one", &["init", "--store", &url(cutter.port)]);
        let mut fleet = Self { hosts, cutter, passed: (0, 0), is_on: false };
        // As long as the document grows, a place in an answer means something else each time.
        let site = Site::at(fleet.hosts.dir("one").join(".maint"));
        for number in 0..MAX_OPERATIONS {
            let name = format!("w{}", number / 2);
            store::update(&site, &Options::new("x"), |state, stamp| match number % 2 {
                0 => state.open_window(&name, &WindowSettings::new(), stamp).map(drop),
                _ => state.close_window(&name, stamp.now).map(drop),
            })
            .unwrap();
        }
        // The first of these leaves the state before it as it will be from then on.
        for _ in 0..4 {
            fleet.measure();
        }
        fleet
    }

    /// One change without any cut.
    fn measure(&mut self) {
        self.cutter.let_pass();
        let before = self.revision();
        let ran = self.toggle("10s");
        assert_eq!((ran.code, self.revision()), (0, before + 1), "{ran:?}");
        self.passed = self.cutter.passed();
        self.is_on = !self.is_on;
    }

    fn toggle(&self, wait: &str) -> Ran {
        let verb = if self.is_on { "off" } else { "on" };
        match wait {
            "" => self.hosts.run("one", &["--json", "--no-wait", verb]),
            wait => self.hosts.run("one", &["--json", "--wait", wait, verb]),
        }
    }

    /// The revision of the fleet, asked past the proxy.
    fn revision(&self) -> u64 {
        self.hosts.json("ci", &["status"])["revision"].as_u64().unwrap()
    }

    fn cut(&self, cut: Cut) {
        match cut {
            Cut::Answer(after) => self.cutter.cut_answer(after),
            Cut::Request(after) => self.cutter.cut_request(after),
        }
    }

    /// A change whose connection is cut there and stays cut, and then the same again.
    fn stays_cut(&mut self, cut: Cut, seen: &mut Seen) {
        let before = self.revision();
        self.cut(cut);
        let ran = self.toggle("");
        self.cutter.let_pass();
        let made = self.revision() - before;
        let is_unsure = ran.stderr.contains("may be in force");
        match (ran.code, made) {
            (0, 1) => seen.done += 1,
            (11, 1) if is_unsure => seen.unsure_applied += 1,
            (11, 0) if is_unsure => seen.unsure_lost += 1,
            (11, 0) => seen.nothing += 1,
            _ => panic!("{cut:?} of {:?}: {made} changes and {ran:?}", self.passed),
        }
        // Whoever types it again has it once.
        let again = self.toggle("10s");
        assert_eq!((again.code, self.revision()), (0, before + 1), "{cut:?}: {ran:?}, {again:?}");
        self.is_on = !self.is_on;
        assert_eq!(self.hosts.windows("one").len(), usize::from(self.is_on), "{again:?}");
    }

    /// A change whose connections are cut there for a moment, and which goes on until it is sure.
    fn heals(&mut self, cut: Cut) {
        let before = self.revision();
        self.cut(cut);
        let ran = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(150));
                self.cutter.let_pass();
            });
            self.toggle("60s")
        });
        assert_eq!((ran.code, self.revision()), (0, before + 1), "{cut:?}: {ran:?}");
        assert_eq!(ran.revision(), before + 1, "{cut:?}: {ran:?}");
        assert!(ran.stdout.contains("\"changed\":true"), "it knows its own change: {ran:?}");
        self.is_on = !self.is_on;
    }

    fn is_cut_everywhere(&mut self) {
        let (requests, answers) = self.passed;
        // The answer to the write comes last, and is short: that of Redis has some 25 bytes.
        let (last, end) = (answers.saturating_sub(amount(240, 600)), answers.saturating_sub(64));
        let early = (0..last).step_by(amount(last / 6 + 1, 13));
        let late = (last..end).step_by(amount(29, 1));
        let end = (end..answers + 8).step_by(amount(7, 1));
        let answers: Vec<Cut> = early.chain(late).chain(end).map(Cut::Answer).collect();
        let requests: Vec<Cut> =
            (0..requests + 8).step_by(amount(requests / 8 + 1, 29)).map(Cut::Request).collect();
        let mut seen = Seen::default();
        for &cut in answers.iter().chain(&requests) {
            self.stays_cut(cut, &mut seen);
        }
        assert!(seen.done > 0 && seen.unsure_applied > 0 && seen.nothing > 0, "{seen:?}");
        let all = [&answers[..], &requests[..]].concat();
        for &cut in all.iter().step_by(amount(3, 2)) {
            self.heals(cut);
        }
        figure(&format!(
            "cut at {} places of {} B of answers, at {} of {} B of requests: 0 twice, 0 lost, each \
             exit code right; {seen:?}",
            answers.len(),
            self.passed.1,
            requests.len(),
            self.passed.0
        ));
    }
}

#[test]
fn requirement_91_a_change_by_the_command_is_made_once_wherever_etcd_is_cut_off() {
    let Some(cluster) = Cluster::start(1) else { return };
    let url = |port| format!("etcd://127.0.0.1:{port}/shop");
    Fleet::begin(cluster.members[0].port, url).is_cut_everywhere();
}

#[test]
fn requirement_91_a_change_by_the_command_is_made_once_wherever_redis_is_cut_off() {
    let Some(redis) = Server::with_aof() else { return };
    let url = |port| format!("redis://127.0.0.1:{port}/shop");
    Fleet::begin(redis.port, url).is_cut_everywhere();
}
