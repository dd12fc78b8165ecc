//! Nothing acknowledged is lost, whatever becomes of the engine, and no two writers get in each
//! other's way.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use maint::fleet::{Address, Document, open};

use super::hosts::{Ends, Hosts, Ran, names};
use crate::etcd::{Cluster, Member};
use crate::pace::{WITHIN, until};
use crate::redis_server::Server;
use crate::say::{amount, figure};

/// How often it is looked what the hosts have.
const LOOK: Duration = Duration::from_millis(20);

/// A change that was acknowledged.
struct Acknowledged {
    at: Instant,
    revision: u64,
}

/// What one host had, and since when.
type Timeline = Vec<(Instant, u64)>;

/// Switches a fleet on and off by the command, while `strike` brings down the engine so many
/// times. It returns when the engine is back.
fn toggle(url: &str, kills: usize, mut strike: impl FnMut() -> Instant) {
    let (count, size) = (amount(45, 600), amount(4, 20));
    let mut hosts = Hosts::many(url, size);
    let all: Vec<String> = (0..size).map(|number| format!("h{number}")).collect();
    let all = names(&all);
    for host in &all {
        hosts.start_agent(host);
    }
    let first = hosts.json("ci", &["status"])["revision"].as_u64().unwrap();
    let done = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let (there, done, is_over) = (&hosts, &done, &is_over);
    let (acknowledged, lines, backs) = thread::scope(|scope| {
        let ends = Ends(is_over);
        let looking = scope.spawn(|| look(there, &all, is_over));
        let writing = scope.spawn(|| {
            let toggle = |number: usize| {
                let verb = ["on", "off"][number % 2];
                // CI and each host in turn.
                let place = [&["ci"][..], &all[..]].concat()[number % (size + 1)];
                let ran = there.run(place, &["--json", "--wait", "60s", verb]);
                assert!([0, 10].contains(&ran.code), "{number}: {place} {verb}: {ran:?}");
                done.fetch_add(1, Ordering::SeqCst);
                Acknowledged { at: Instant::now(), revision: ran.revision() }
            };
            (0..count).map(toggle).collect::<Vec<_>>()
        });
        let mut backs = Vec::new();
        for number in 0..kills {
            let begin = count * (number + 1) / (kills + 1);
            // The commands have deadlines of their own.
            while done.load(Ordering::SeqCst) < begin && !writing.is_finished() {
                thread::sleep(LOOK);
            }
            backs.push(strike());
        }
        let acknowledged = writing.join().unwrap();
        let last = acknowledged.last().unwrap().revision;
        let took = there.until_all_have(&all, last);
        drop(ends);
        let mut lines = looking.join().unwrap();
        // Between the last look and the end.
        for line in &mut lines {
            line.push((Instant::now(), last));
        }
        figure(&format!("the last change was on all {size} hosts {} ms later", took.as_millis()));
        (acknowledged, lines, backs)
    });
    for (number, one) in acknowledged.iter().enumerate() {
        // A change that was lost would give its number to the next one, one made twice takes two.
        assert_eq!(one.revision, first + number as u64 + 1, "change {number} of {count}");
    }
    let last = first + count as u64;
    assert_eq!(hosts.json("ci", &["status"])["revision"], last);
    let document = document(url);
    let revisions: Vec<u64> = document.operations.iter().map(|made| made.revision).collect();
    let kept = revisions.len() as u64;
    assert_eq!(revisions, (last - kept + 1..=last).collect::<Vec<_>>());
    for (host, line) in all.iter().zip(&lines) {
        assert!(line.is_sorted_by_key(|(_, revision)| *revision), "{host} went back: {line:?}");
    }
    hosts.assert_no_agent_ended();
    let waits: Vec<String> =
        backs.iter().map(|&back| wait_of(back, &acknowledged, &lines)).collect();
    figure(&format!(
        "{count} switches by the command, {size} agents, {kills} kills: 0 lost, 0 twice, no host \
         went back; all hosts had the first change after the engine was back {} s after that",
        waits.join(", ")
    ));
}

/// How long it took until all hosts had the first change that was acknowledged after this.
fn wait_of(back: Instant, acknowledged: &[Acknowledged], lines: &[Timeline]) -> String {
    let Some(next) = acknowledged.iter().find(|one| one.at >= back) else { return "?".to_owned() };
    let has = |line: &Timeline| {
        line.iter().find(|(_, revision)| *revision >= next.revision).map(|(at, _)| *at).unwrap()
    };
    let last = lines.iter().map(has).max().unwrap();
    format!("{:.2}", last.saturating_duration_since(back).as_secs_f64())
}

fn look(hosts: &Hosts, all: &[&str], is_over: &AtomicBool) -> Vec<Timeline> {
    let mut lines = vec![Timeline::new(); all.len()];
    while !is_over.load(Ordering::SeqCst) {
        for (host, line) in all.iter().zip(&mut lines) {
            let revision = hosts.revision(host);
            if line.last().is_none_or(|(_, last)| *last != revision) {
                line.push((Instant::now(), revision));
            }
        }
        thread::sleep(LOOK);
    }
    lines
}

/// What the engine holds.
fn document(url: &str) -> Document {
    let mut engine = open(&Address::parse(url).unwrap(), None).unwrap();
    Document::from_json(&engine.load(WITHIN).unwrap().unwrap().document).unwrap()
}

#[test]
fn requirement_89_no_change_by_the_command_is_lost_if_etcd_is_killed() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    toggle(&cluster.address("shop"), amount(1, 3), || {
        cluster.members[0].kill();
        thread::sleep(amount(Duration::from_millis(300), Duration::from_millis(1500)));
        cluster.members[0].restart();
        Instant::now()
    });
}

#[test]
fn requirement_89_no_change_by_the_command_is_lost_if_the_leader_of_three_is_killed() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    let url = cluster.address("shop");
    toggle(&url, amount(1, 2), || {
        let leader = cluster.members.iter().position(Member::is_leader).unwrap();
        cluster.members[leader].kill();
        until("there is another leader", || cluster.members.iter().any(Member::is_leader));
        let back = Instant::now();
        cluster.members[leader].restart();
        back
    });
}

#[test]
fn requirement_89_no_change_by_the_command_is_lost_if_redis_is_killed() {
    let Some(mut redis) = Server::with_aof() else { return };
    toggle(&redis.address(""), amount(1, 3), || {
        redis.kill();
        thread::sleep(amount(Duration::from_millis(300), Duration::from_millis(1500)));
        redis.restart();
        Instant::now()
    });
}

/// Eight writers on four hosts, each with a window of its own, whose reason it counts up.
fn write_at_once(url: &str) {
    let (writers, each) = (8, amount(12, 200_u64));
    let mut hosts = Hosts::many(url, 4);
    for host in ["h0", "h1", "h2", "h3"] {
        hosts.start_agent(host);
    }
    let first = hosts.json("ci", &["status"])["revision"].as_u64().unwrap();
    let there = &hosts;
    let began = Instant::now();
    let revisions = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for writer in 0..writers {
            let revisions = &revisions;
            scope.spawn(move || {
                let (host, name) = (format!("h{}", writer % 4), format!("w{writer}"));
                for number in 0..each {
                    let reason = format!("{writer} {number}");
                    let args = ["--json", "--wait", "120s", "on", &name, "-m", &reason];
                    let ran: Ran = there.run(&host, &args);
                    assert_eq!(ran.code, 0, "{ran:?}");
                    let revision = ran.revision();
                    assert!(there.revision(&host) >= revision, "the host has it at once");
                    revisions.lock().unwrap().push(revision);
                }
            });
        }
    });
    let took = began.elapsed();
    let revisions = revisions.into_inner().unwrap();
    let count = writers * each;
    let unique: BTreeSet<u64> = revisions.iter().copied().collect();
    assert_eq!(unique.len(), revisions.len(), "each revision is that of one change");
    assert!(unique.into_iter().eq(first + 1..=first + count), "without a gap");
    let document = document(url);
    assert_eq!(document.state.revision, first + count);
    for writer in 0..writers {
        let window = &document.state.windows[&format!("w{writer}")];
        let last = format!("{writer} {}", each - 1);
        assert_eq!(window.reason.as_deref(), Some(&*last), "its last change is in force");
    }
    hosts.until_all_have(&["h0", "h1", "h2", "h3"], first + count);
    hosts.assert_no_agent_ended();
    hosts.assert_no_alarm();
    figure(&format!(
        "{count} changes by {writers} writers on 4 hosts: revisions unique and without a gap, 0 \
         lost, {:.0} a second",
        f64::from(u32::try_from(count).unwrap()) / took.as_secs_f64()
    ));
}

#[test]
fn requirement_92_eight_writers_by_the_command_lose_nothing_in_etcd() {
    let Some(cluster) = Cluster::start(1) else { return };
    write_at_once(&cluster.address("shop"));
}

#[test]
fn requirement_92_eight_writers_by_the_command_lose_nothing_in_redis() {
    let Some(redis) = Server::with_aof() else { return };
    write_at_once(&redis.address(""));
}
