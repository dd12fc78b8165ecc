//! etcd when something breaks: kills, freezes, a lost majority, and cut connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use maint::fleet::{Cas, FailureKind, Seen, Write};

use crate::cutting::{Cuts, Cutter};
use crate::etcd::{Cluster, engine};
use crate::pace::{Met, WITHIN, append, ends, next, put, replace, text, until};
use crate::say::{amount, figure};

#[test]
fn requirement_89_nothing_acknowledged_is_lost_by_kill_9() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let (count, kills) = (amount(150, 600), amount(1, 3));
    let is_over = AtomicBool::new(false);
    let (mut writer, mut waiter) = (cluster.engine("shop"), cluster.engine("shop"));
    let (met, seen) = thread::scope(|scope| {
        let is_over = &is_over;
        let watching = scope.spawn(move || {
            let mut known = None;
            let mut lines = 0;
            while lines < count {
                let snapshot = next(&mut *waiter, known.as_ref());
                let now = text(&snapshot.document).lines().count();
                assert!(now > lines, "the document went back from {lines} to {now} lines");
                (lines, known) = (now, Some(snapshot.revision));
            }
            Instant::now()
        });
        let writing = scope.spawn(move || {
            let mut met = Met::default();
            for number in 0..count {
                append(&mut *writer, &number.to_string(), &mut met);
                thread::sleep(Duration::from_millis(5));
            }
            is_over.store(true, Ordering::Relaxed);
            (met, Instant::now())
        });
        for _ in 0..kills {
            thread::sleep(Duration::from_millis(300));
            cluster.members[0].kill();
            thread::sleep(Duration::from_millis(200));
            cluster.members[0].restart();
        }
        let (met, written) = writing.join().unwrap();
        let seen = watching.join().unwrap();
        (met, seen.saturating_duration_since(written))
    });
    assert!(is_over.load(Ordering::Relaxed));
    let document = cluster.engine("shop").load(WITHIN).unwrap().unwrap().document;
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(text(&document).lines().collect::<Vec<_>>(), expected);
    figure(&format!(
        "{kills} kills during {count} writes: 0 lost, 0 twice, {} without an answer, {} of them \
         applied; the waiter had the last one {:.0} ms after it",
        met.ambiguous,
        met.applied,
        seen.as_secs_f64() * 1e3
    ));
}

#[test]
fn requirement_89_the_leader_may_die() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    let (count, kills) = (amount(150, 700), amount(1, 2));
    let (mut writer, mut waiter) = (cluster.engine("shop"), cluster.engine("shop"));
    let (met, gap) = thread::scope(|scope| {
        let watching = scope.spawn(move || {
            let (mut known, mut lines) = (None, 0);
            while lines < count {
                let snapshot = next(&mut *waiter, known.as_ref());
                let now = text(&snapshot.document).lines().count();
                assert!(now > lines, "the document went back from {lines} to {now} lines");
                (lines, known) = (now, Some(snapshot.revision));
            }
        });
        let writing = scope.spawn(move || {
            let mut met = Met::default();
            let mut gap = Duration::ZERO;
            for number in 0..count {
                let began = Instant::now();
                append(&mut *writer, &number.to_string(), &mut met);
                gap = gap.max(began.elapsed());
                thread::sleep(Duration::from_millis(5));
            }
            (met, gap)
        });
        for _ in 0..kills {
            thread::sleep(Duration::from_millis(300));
            let leader = cluster.members.iter().position(crate::etcd::Member::is_leader).unwrap();
            cluster.members[leader].kill();
            until("there is another leader", || {
                cluster.members.iter().any(crate::etcd::Member::is_leader)
            });
            cluster.members[leader].restart();
        }
        let result = writing.join().unwrap();
        watching.join().unwrap();
        result
    });
    let document = cluster.engine("shop").load(WITHIN).unwrap().unwrap().document;
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(text(&document).lines().collect::<Vec<_>>(), expected);
    figure(&format!(
        "leader killed {kills} times during {count} writes: 0 lost, 0 twice, longest gap {:.0} ms, \
         {} without an answer, {} of them applied",
        gap.as_secs_f64() * 1e3,
        met.ambiguous,
        met.applied
    ));
}

#[test]
fn requirement_93_a_frozen_engine_is_found() {
    let Some(cluster) = Cluster::start(1) else { return };
    let (mut writer, mut waiter) = (cluster.engine("shop"), cluster.engine("shop"));
    let known = replace(&mut *writer, b"one");
    assert_eq!(next(&mut *waiter, None).revision, known);
    assert_eq!(waiter.wait(Some(&known), Duration::from_millis(100)).unwrap(), Seen::Nothing);
    cluster.members[0].freeze();
    let frozen = Instant::now();
    let (mut waiter, failure, known) = ends(move || {
        let failure = waiter.wait(Some(&known), Duration::from_secs(600)).unwrap_err();
        (waiter, failure, known)
    });
    let found = frozen.elapsed();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    assert!(failure.reason.contains("no answer within"), "{failure:?}");
    let within = Duration::from_secs(1);
    let began = Instant::now();
    let failure = writer.load(within).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    let write = Write { document: b"two", put: &[], remove: &[] };
    let failure = writer.cas(Some(&known), &write, within).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Ambiguous, "{failure:?}");
    let ended = began.elapsed();
    cluster.members[0].thaw();
    let thawed = Instant::now();
    // The write without an answer may be in force by now, or come to be so, or never.
    let mut met = Met::default();
    append(&mut *writer, "three", &mut met);
    let mut seen = next(&mut *waiter, Some(&known));
    while !text(&seen.document).ends_with("three\n") {
        seen = next(&mut *waiter, Some(&seen.revision));
    }
    figure(&format!(
        "found after {:.1} s; a read and a write of 1 s each ended after {:.1} s; resumed {:.0} ms \
         after it went on",
        found.as_secs_f64(),
        ended.as_secs_f64(),
        thawed.elapsed().as_secs_f64() * 1e3
    ));
}

#[test]
fn requirement_93_a_frozen_member_takes_only_its_share() {
    let Some(cluster) = Cluster::start(3) else { return };
    let mut etcd = cluster.engine("shop");
    replace(&mut *etcd, b"one");
    for frozen in 0..3 {
        cluster.members[frozen].freeze();
        until("the others have a leader", || {
            let mut others =
                cluster.members.iter().enumerate().filter(|(index, _)| *index != frozen);
            others.any(|(_, member)| member.is_leader())
        });
        let loaded = etcd.load(Duration::from_secs(9)).unwrap().unwrap();
        assert_eq!(loaded.document, b"one");
        cluster.members[frozen].thaw();
        until("it is back", || cluster.members[frozen].is_healthy());
    }
}

#[test]
fn requirement_93_a_member_without_a_leader_is_found() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    let alone = format!("etcd://127.0.0.1:{}/shop", cluster.members[2].port);
    let (mut writer, mut waiter) = (engine(&alone), engine(&alone));
    let known = replace(&mut *writer, b"one");
    assert_eq!(next(&mut *waiter, None).revision, known);
    assert_eq!(waiter.wait(Some(&known), Duration::from_millis(100)).unwrap(), Seen::Nothing);
    cluster.members[0].kill();
    cluster.members[1].kill();
    let killed = Instant::now();
    let (mut waiter, failure, known) = ends(move || {
        let failure = waiter.wait(Some(&known), Duration::from_secs(600)).unwrap_err();
        (waiter, failure, known)
    });
    let found = killed.elapsed();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    assert!(failure.reason.contains("it ended the watch"), "{failure:?}");
    let failure = writer.load(Duration::from_secs(1)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    let restarting: Vec<_> = cluster.members.drain(..2).collect();
    let restarted = Instant::now();
    let restarting = restarting.into_iter().map(|mut member| {
        thread::spawn(move || {
            member.restart();
            member
        })
    });
    let restarting: Vec<_> = restarting.collect();
    let members: Vec<_> = restarting.into_iter().map(|thread| thread.join().unwrap()).collect();
    let last = replace(&mut *writer, b"two");
    assert_eq!(next(&mut *waiter, Some(&known)).revision, last);
    figure(&format!(
        "found after {:.1} s; resumed {:.1} s after the majority was started again",
        found.as_secs_f64(),
        restarted.elapsed().as_secs_f64()
    ));
    drop(members);
}

#[test]
fn requirement_93_an_engine_that_is_not_there_is_unavailable() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let mut etcd = cluster.engine("shop");
    let known = replace(&mut *etcd, b"one");
    cluster.members[0].kill();
    let write = Write { document: b"two", put: &[], remove: &[] };
    for failure in [
        etcd.load(WITHIN).unwrap_err(),
        etcd.cas(Some(&known), &write, WITHIN).unwrap_err(),
        etcd.wait(Some(&known), WITHIN).unwrap_err(),
        etcd.report("web1", b"", WITHIN, WITHIN).unwrap_err(),
        etcd.examine(WITHIN).unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
        assert!(failure.reason.contains("connection refused"), "{failure:?}");
    }
    let nowhere = engine("etcd://no-such-host.invalid/shop").load(WITHIN).unwrap_err();
    assert_eq!(nowhere.kind, FailureKind::Unavailable, "{nowhere:?}");
}

#[test]
fn requirement_91_a_write_whose_answer_is_cut_anywhere_is_called_ambiguous() {
    let Some(cluster) = Cluster::start(1) else { return };
    let cutter = Cutter::start(cluster.members[0].port);
    let address = format!("etcd://127.0.0.1:{}/shop", cutter.port);
    let mut direct = cluster.engine("shop");
    let mut known = replace(&mut *direct, b"begin");
    cutter.let_pass();
    let Cas::Committed(first) = put(&mut *engine(&address), Some(&known), b"whole").unwrap() else {
        panic!()
    };
    known = first;
    let (request, answer) = cutter.passed();
    let mut cuts = Cuts::default();
    // The answers differ in length by the digits of their numbers.
    for after in 0..answer + 16 {
        cutter.cut_answer(after);
        let document = format!("answer {after}");
        let done = put(&mut *engine(&address), Some(&known), document.as_bytes());
        let there = direct.load(WITHIN).unwrap().unwrap();
        assert_eq!(text(&there.document), document, "cut after {after} of {answer}: {done:?}");
        match done {
            Ok(Cas::Committed(revision)) => {
                assert_eq!(revision, there.revision);
                cuts.committed += 1;
            }
            Err(failure) if failure.kind == FailureKind::Ambiguous => cuts.ambiguous += 1,
            other => panic!("cut after {after} of {answer}: {other:?}"),
        }
        known = there.revision;
    }
    assert!(cuts.ambiguous + 8 > answer && cuts.committed > 0, "{cuts:?} of {answer}");
    let answers = format!("{cuts:?}");
    let mut cuts = Cuts::default();
    for after in (0..request + 16).step_by(amount(7, 1)) {
        cutter.cut_request(after);
        let document = format!("request {after}");
        let done = put(&mut *engine(&address), Some(&known), document.as_bytes());
        let there = direct.load(WITHIN).unwrap().unwrap();
        let is_there = text(&there.document) == document;
        match done {
            Ok(Cas::Committed(revision)) => {
                assert_eq!(revision, there.revision);
                cuts.committed += 1;
            }
            Err(failure) if failure.kind == FailureKind::Ambiguous => {
                cuts.ambiguous += 1;
                cuts.applied += usize::from(is_there);
            }
            Err(failure) if failure.kind == FailureKind::Unavailable => {
                assert!(!is_there, "cut after {after} of {request}: {failure:?}");
                cuts.surely_not += 1;
            }
            other => panic!("cut after {after} of {request}: {other:?}"),
        }
        known = there.revision;
    }
    figure(&format!(
        "cut after each byte of {answer} of an answer: {answers}; of {request} of a request: {cuts:?}"
    ));
}

#[test]
fn requirement_91_a_change_is_made_once_however_often_its_answer_is_cut() {
    let Some(cluster) = Cluster::start(1) else { return };
    let cutter = Cutter::start(cluster.members[0].port);
    let address = format!("etcd://127.0.0.1:{}/shop", cutter.port);
    let mut met = Met::default();
    let count = amount(60, 600);
    for number in 0..count {
        // Somewhere in the answers of a load and a write, each on a connection of its own or not.
        cutter.cut_answer(number * 37 % 900);
        let mut etcd = engine(&address);
        let line = number.to_string();
        thread::scope(|scope| {
            let healing = scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                cutter.let_pass();
            });
            append(&mut *etcd, &line, &mut met);
            healing.join().unwrap();
        });
    }
    let document = cluster.engine("shop").load(WITHIN).unwrap().unwrap().document;
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(text(&document).lines().collect::<Vec<_>>(), expected);
    figure(&format!("{count} changes, 0 lost, 0 twice: {met:?}"));
}

#[test]
fn a_watch_that_is_cut_loses_nothing() {
    let Some(cluster) = Cluster::start(1) else { return };
    let cutter = Cutter::start(cluster.members[0].port);
    let address = format!("etcd://127.0.0.1:{}/shop", cutter.port);
    let (mut writer, mut waiter) = (cluster.engine("shop"), engine(&address));
    let mut known = replace(&mut *writer, b"begin");
    assert_eq!(next(&mut *waiter, None).revision, known);
    for number in 0..amount(20, 200) {
        assert_eq!(waiter.wait(Some(&known), Duration::from_millis(1)).unwrap(), Seen::Nothing);
        cutter.drop_connections();
        let revision = replace(&mut *writer, number.to_string().as_bytes());
        assert_eq!(next(&mut *waiter, Some(&known)).revision, revision);
        known = revision;
    }
}
