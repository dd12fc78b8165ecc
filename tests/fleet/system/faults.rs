//! Engines that are away, frozen, or cut off, and two writers of one host.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use maint::gate::Answer;
use maint::request::RequestParts;
use maint::{Gate, Site};

use super::hosts::{Ends, Hosts};
use super::network::{Network, Place};
use super::story::Members;
use crate::etcd::Cluster;
use crate::pace::until;
use crate::redis_server::Server;
use crate::say::{amount, figure};

/// What a slow machine may take beyond the time that a command was given.
const SLACK: Duration = Duration::from_secs(15);

/// A fleet of hosts that is down, and readers on each, which must go on.
struct Readers {
    gates: Vec<Gate>,
}

impl Readers {
    fn of(hosts: &Hosts, names: &[&str]) -> Self {
        let open = |name: &&str| Gate::open(&Site::at(hosts.dir(name).join(".maint"))).unwrap();
        Self { gates: names.iter().map(open).collect() }
    }

    /// Whether each says that the site is down.
    fn all_say(&self, is_down: bool) -> bool {
        let asked = |gate: &Gate| gate.answer(&RequestParts::new("GET", "/"));
        self.gates.iter().all(|gate| matches!(asked(gate), Answer::Reply(_)) == is_down)
    }
}

/// While the engine is away, readers go on with what they have, and writers give up in time.
fn holds(hosts: &Hosts, names: &[&str], readers: &Readers, least: Duration) {
    let begun = Instant::now();
    let mut commands = 0;
    while commands == 0 || begun.elapsed() < least {
        for name in names.iter().chain(&["ci"]) {
            let asked = Instant::now();
            let refused = hosts.fails(name, 11, &["--wait", "2s", "off"]);
            let took = asked.elapsed();
            assert!(took < Duration::from_secs(2) + SLACK, "{took:?}: {refused:?}");
            assert!(refused.stderr.contains("hint:"), "{refused:?}");
            commands += 1;
        }
        for name in names {
            assert!(hosts.ok(name, &["status"]).contains("● down"), "{name}");
        }
        assert!(readers.all_say(true));
    }
    for name in names {
        until("the agent says so", || {
            hosts.json(name, &["agent", "status"])["last"]["fleet"]["problem"].is_string()
        });
    }
}

/// All is well again, without a restart of anybody; how long that took.
fn heals(hosts: &mut Hosts, names: &[&str], readers: &Readers) -> Duration {
    let back = Instant::now();
    let off = hosts.run("ci", &["--json", "--wait", "60s", "off"]);
    assert_eq!(off.code, 0, "{off:?}");
    hosts.until_all_have(names, off.revision());
    let took = back.elapsed();
    until("readers see it", || readers.all_say(false));
    for name in names {
        until("the agent is content", || {
            hosts.json(name, &["agent", "status"])["last"]["fleet"]["problem"].is_null()
        });
    }
    hosts.ok("ci", &["wait", "off", "--all", "--timeout", "60s"]);
    hosts.assert_no_agent_ended();
    took
}

fn down(url: &str) -> Hosts {
    let mut hosts = Hosts::of(url, &["one", "two"]);
    hosts.start_agent("one");
    hosts.start_agent("two");
    hosts.ok("ci", &["on"]);
    hosts.ok("ci", &["wait", "on", "--all", "--timeout", "60s"]);
    hosts
}

#[test]
fn requirement_93_a_lost_majority_holds_everything_and_heals_by_itself() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    let names = ["one", "two"];
    let mut hosts = down(&cluster.address("shop"));
    let readers = Readers::of(&hosts, &names);
    let least = Duration::from_secs(amount(4, 12));
    cluster.members[0].freeze();
    cluster.members[1].freeze();
    holds(&hosts, &names, &readers, least);
    cluster.members[0].thaw();
    cluster.members[1].thaw();
    let frozen = heals(&mut hosts, &names, &readers);
    hosts.ok("ci", &["on"]);
    hosts.ok("ci", &["wait", "on", "--all", "--timeout", "60s"]);
    cluster.members[0].kill();
    cluster.members[2].kill();
    holds(&hosts, &names, &readers, least);
    // A majority of two needs both to start.
    let mut dead = cluster.members.iter_mut().step_by(2);
    let (first, second) = (dead.next().unwrap(), dead.next().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| first.restart());
        second.restart();
    });
    let killed = heals(&mut hosts, &names, &readers);
    figure(&format!(
        "two of three members away for {} s: readers go on, commands exit 11; a change was on all \
         hosts {:.2} s after they were thawed, {:.2} s after they were started again",
        least.as_secs(),
        frozen.as_secs_f64(),
        killed.as_secs_f64()
    ));
}

#[test]
fn requirement_93_a_frozen_etcd_holds_everything_and_heals_by_itself() {
    let Some(cluster) = Cluster::start(1) else { return };
    let names = ["one", "two"];
    let mut hosts = down(&cluster.address("shop"));
    let readers = Readers::of(&hosts, &names);
    cluster.members[0].freeze();
    holds(&hosts, &names, &readers, Duration::from_secs(amount(1, 12)));
    cluster.members[0].thaw();
    let took = heals(&mut hosts, &names, &readers);
    figure(&format!("a change was on all hosts {:.2} s after etcd went on", took.as_secs_f64()));
}

#[test]
fn requirement_93_a_frozen_redis_holds_everything_and_heals_by_itself() {
    let Some(redis) = Server::with_aof() else { return };
    let names = ["one", "two"];
    let mut hosts = down(&redis.address(""));
    let readers = Readers::of(&hosts, &names);
    redis.freeze();
    holds(&hosts, &names, &readers, Duration::from_secs(amount(1, 12)));
    redis.thaw();
    let took = heals(&mut hosts, &names, &readers);
    figure(&format!("a change was on all hosts {:.2} s after Redis went on", took.as_secs_f64()));
}

#[test]
fn requirement_93_a_host_that_is_cut_off_keeps_what_it_has_and_comes_back_by_itself() {
    let Some(network) = Network::of(3) else { return };
    let Some(members) = Members::start(&network) else { return };
    let names = ["h0", "h1", "h2"];
    let mut hosts = Hosts::bare(&members.url("shop"));
    for (number, name) in names.iter().enumerate() {
        network.within(Place::Host(number), || {
            hosts.join(name);
            hosts.start_agent(name);
        });
    }
    let ci = |hosts: &Hosts, args: &[&str]| network.within(Place::Lan, || hosts.ok("ci", args));
    ci(&hosts, &["on"]);
    ci(&hosts, &["wait", "on", "--all", "--timeout", "60s"]);
    let readers = Readers::of(&hosts, &["h2"]);
    network.cut(2);
    let cut = Instant::now();
    // The others go on.
    ci(&hosts, &["--wait", "60s", "off"]);
    let status = network.within(Place::Lan, || hosts.json("ci", &["status"]));
    let revision = status["revision"].as_u64().unwrap();
    hosts.until_all_have(&["h0", "h1"], revision);
    let waited = network
        .within(Place::Lan, || hosts.run("ci", &["wait", "off", "--all", "--timeout", "2s"]));
    if waited.code == 0 {
        // A host that has been silent for 35 s is not waited for; a busy machine takes as long.
        assert!(cut.elapsed() > Duration::from_secs(20), "{waited:?}");
        assert!(waited.stderr.contains("heard of for a while: h2"), "{waited:?}");
    } else {
        assert_eq!(waited.code, 1, "{waited:?}");
        assert!(waited.stdout.contains("h2 has revision"), "{waited:?}");
    }
    let asked = Instant::now();
    network.within(Place::Host(2), || holds(&hosts, &["h2"], &readers, Duration::ZERO));
    let held = asked.elapsed();
    let least = Duration::from_secs(amount(0, 12));
    thread::sleep(least.saturating_sub(cut.elapsed()));
    network.heal(2);
    let healed = Instant::now();
    hosts.until_all_have(&["h2"], revision);
    let took = healed.elapsed();
    ci(&hosts, &["wait", "off", "--all", "--timeout", "60s"]);
    assert!(readers.all_say(false));
    hosts.assert_no_agent_ended();
    figure(&format!(
        "cut off for {:.1} s, of which two commands and the agent needed {:.1} to notice; the host had what it missed {:.2} s after it was back",
        healed.duration_since(cut).as_secs_f64(),
        held.as_secs_f64(),
        took.as_secs_f64()
    ));
}

/// One host is written to by its agent, by its command, and by others through the engine.
fn two_writers(url: &str) {
    let count = amount(30, 200);
    let mut hosts = Hosts::of(url, &["one", "two"]);
    hosts.start_agent("one");
    hosts.start_agent("two");
    let is_over = AtomicBool::new(false);
    let (there, is_over) = (&hosts, &is_over);
    thread::scope(|scope| {
        let ends = Ends(is_over);
        // What is here never goes back, whoever wrote it, and local windows stay.
        let looking = scope.spawn(move || {
            let (mut last, mut seen) = ((0, 0), BTreeSet::new());
            while !is_over.load(Ordering::SeqCst) {
                let state = there.state("one");
                let now =
                    (state["mirror"]["seq"].as_u64().unwrap(), state["revision"].as_u64().unwrap());
                assert!(now >= last, "it went back from {last:?} to {now:?}");
                last = now;
                seen.insert(now.1);
                thread::sleep(Duration::from_millis(2));
            }
            seen.len()
        });
        let others = scope.spawn(|| {
            for number in 0..count {
                let verb = ["on", "off"][number % 2];
                let ran = there.run("two", &["--json", "--wait", "60s", verb, "theirs"]);
                assert_eq!(ran.code, 0, "{ran:?}");
            }
        });
        let mut is_local = false;
        let windows = |wanted: &[(&str, bool)], what: &str| {
            let windows = there.windows("one");
            for (name, is_open) in wanted {
                let is_there = windows.iter().any(|window| window == name);
                assert_eq!(is_there, *is_open, "{what}: {name} among {windows:?}");
            }
        };
        for number in 0..count {
            let is_on = number % 2 == 0;
            let verb = if is_on { "on" } else { "off" };
            let ran = there.run("one", &["--json", "--wait", "60s", verb, "mine"]);
            assert_eq!(ran.code, 0, "{ran:?}");
            windows(&[("mine", is_on), ("disk.local", is_local)], "after a change");
            if number % 3 == 0 {
                is_local = !is_local;
                let verb = if is_local { "on" } else { "off" };
                there.ok("one", &["--wait", "60s", verb, "disk", "--local"]);
                windows(&[("mine", is_on), ("disk.local", is_local)], "after a local one");
            }
        }
        if !is_local {
            there.ok("one", &["on", "disk", "--local"]);
        }
        let others = others.join();
        let last = there.run("ci", &["--json", "on", "last"]).revision();
        there.until_all_have(&["one", "two"], last);
        drop(ends);
        let seen = looking.join().unwrap();
        others.unwrap();
        windows(&[("last", true), ("disk.local", true)], "at the end");
        assert!(!there.windows("two").contains(&"disk.local".to_owned()));
        there.ok("one", &["off", "--all"]);
        windows(&[("last", false), ("disk.local", true)], "after `off --all`");
        there.ok("one", &["off", "disk", "--local"]);
        windows(&[("disk.local", false)], "after `off --local`");
        there.assert_no_alarm();
        figure(&format!(
            "{} changes by two hosts, with a local window on and off between them: none undone, \
             {seen} states seen on the way",
            2 * count
        ));
    });
    hosts.assert_no_agent_ended();
}

#[test]
fn requirement_94_the_command_and_the_agent_of_a_host_never_undo_each_other_on_etcd() {
    let Some(cluster) = Cluster::start(1) else { return };
    two_writers(&cluster.address("shop"));
}

#[test]
fn requirement_94_the_command_and_the_agent_of_a_host_never_undo_each_other_on_redis() {
    let Some(redis) = Server::with_aof() else { return };
    two_writers(&redis.address(""));
}
