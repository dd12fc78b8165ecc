//! Redis as an engine: compare-and-set, waiting, and what comes back after a crash.

use std::thread;
use std::time::{Duration, Instant};

use maint::fleet::{Cas, Engine, FailureKind, Revision, Seen, Snapshot, Write};

use crate::redis_server::{SOON, Server, committed, engine, put, text, until};
use crate::say::{amount, figure};

/// For a call that is to find a server that is there.
const LONG: Duration = Duration::from_secs(30);

fn document(seen: Seen) -> Snapshot {
    match seen {
        Seen::Document(snapshot) => snapshot,
        other => panic!("no document, but {other:?}"),
    }
}

/// Waits again until something other than nothing or a failure is seen.
fn patiently(engine: &mut dyn Engine, known: Option<&Revision>) -> Seen {
    let deadline = Instant::now() + SOON;
    loop {
        match engine.wait(known, Duration::from_secs(2)) {
            Ok(Seen::Nothing) => {}
            Ok(seen) => return seen,
            Err(failure) => {
                assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
                thread::sleep(Duration::from_millis(20));
            }
        }
        assert!(Instant::now() < deadline, "nothing is seen in time");
    }
}

#[test]
fn a_document_is_replaced_only_where_the_expected_one_is() {
    let Some(server) = Server::with_aof() else { return };
    let mut engine = server.engine();
    assert_eq!(engine.load(LONG).unwrap(), None);
    let first = committed(&mut *engine, None, "one");
    assert_eq!(put(&mut *engine, None, "other").unwrap(), Cas::Conflict);
    let second = committed(&mut *engine, Some(&first), "two");
    assert_ne!(first, second);
    assert_eq!(put(&mut *engine, Some(&first), "other").unwrap(), Cas::Conflict);
    let odd = Revision("odd".to_owned());
    assert_eq!(put(&mut *engine, Some(&odd), "other").unwrap(), Cas::Conflict);
    let found = engine.load(LONG).unwrap().unwrap();
    assert_eq!((text(&found), &found.revision), ("two", &second));
    assert_eq!(server.cli(&["xlen", "maint:{shop}"]), "1");
    // A server that has restarted, or was told to, has no scripts.
    server.must(&["script", "flush"]);
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let write = Write { document: &bytes, put: &[], remove: &[] };
    assert!(matches!(engine.cas(Some(&second), &write, LONG).unwrap(), Cas::Committed(_)));
    assert_eq!(engine.load(LONG).unwrap().unwrap().document, bytes);
}

#[test]
fn the_second_change_sends_no_script() {
    let Some(server) = Server::with_aof() else { return };
    let mut engine = server.engine();
    let first = committed(&mut *engine, None, "one");
    let second = committed(&mut *engine, Some(&first), "two");
    committed(&mut *engine, Some(&second), "three");
    let calls = |name: &str| {
        let all = server.cli(&["info", "commandstats"]);
        let line = all.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
        line.and_then(|line| line.split(&['=', ','][..]).nth(1)?.parse::<u32>().ok()).unwrap_or(0)
    };
    assert_eq!((calls("eval"), calls("evalsha")), (1, 3));
}

#[test]
fn what_is_beside_a_document_comes_and_goes_with_it() {
    let Some(server) = Server::with_aof() else { return };
    let mut engine = server.engine();
    let entry = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    let change = |engine: &mut dyn Engine, expected: Option<&Revision>, put: &[_], remove: &[_]| {
        engine.cas(expected, &Write { document: b"{}", put, remove }, LONG).unwrap()
    };
    let both = [entry("a", "page \0 a"), entry("b", "page b")];
    let Cas::Committed(first) = change(&mut *engine, None, &both, &[]) else { panic!() };
    assert_eq!(engine.beside("a", LONG).unwrap().unwrap(), b"page \0 a");
    // A conflict leaves everything as it is.
    let removed = ["a".to_owned()];
    let third = [entry("c", "page c")];
    assert_eq!(change(&mut *engine, None, &third, &removed), Cas::Conflict);
    assert_eq!(engine.beside("c", LONG).unwrap(), None);
    assert!(engine.beside("a", LONG).unwrap().is_some());
    assert!(matches!(change(&mut *engine, Some(&first), &third, &removed), Cas::Committed(_)));
    assert_eq!(engine.beside("a", LONG).unwrap(), None);
    assert_eq!(engine.beside("b", LONG).unwrap().unwrap(), b"page b");
    assert_eq!(engine.beside("c", LONG).unwrap().unwrap(), b"page c");
}

#[test]
fn a_server_that_takes_no_writes_leaves_nothing_half_done() {
    let Some(server) = Server::with_aof() else { return };
    let mut engine = server.engine();
    let first = committed(&mut *engine, None, "one");
    let beside = [("a".to_owned(), b"page".to_vec())];
    let write = Write { document: b"two", put: &beside, remove: &[] };
    for (setting, bad, good, part) in [
        ("maxmemory", "1", "0", "its memory is full"),
        ("min-replicas-to-write", "1", "0", "min-replicas-to-write"),
    ] {
        server.must(&["config", "set", setting, bad]);
        let failure = engine.cas(Some(&first), &write, LONG).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
        assert!(failure.reason.contains(part), "{failure:?}");
        server.must(&["config", "set", setting, good]);
        assert_eq!(engine.load(LONG).unwrap().unwrap().revision, first);
        assert_eq!(engine.beside("a", LONG).unwrap(), None);
    }
    // Somebody else's key under the name of the site.
    server.must(&["set", "x:{shop}", "1"]);
    let mut other = crate::redis_server::engine(&server.address("?prefix=x:"));
    let failure = other.load(LONG).unwrap_err();
    assert!(failure.reason.contains("somebody else"), "{failure:?}");
    assert_eq!(other.cas(None, &write, LONG).unwrap_err().kind, FailureKind::Protocol);
    assert_eq!(other.wait(None, LONG).unwrap_err().kind, FailureKind::Protocol);
}

#[test]
fn a_snapshot_that_fails_is_named() {
    let Some(server) = Server::start(&["save 3600 1", "dbfilename dump.rdb"]) else { return };
    let mut engine = server.engine();
    let first = committed(&mut *engine, None, "one");
    // A directory in the place of the snapshot lets no user write it, not even root.
    let directory = server.cli(&["config", "get", "dir"]);
    let directory = directory.lines().nth(1).unwrap();
    std::fs::create_dir(format!("{directory}/dump.rdb")).unwrap();
    server.cli(&["bgsave"]);
    until("the snapshot has failed", || {
        server.cli(&["info", "persistence"]).contains("rdb_last_bgsave_status:err")
    });
    let failure = put(&mut *engine, Some(&first), "two").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.reason.ends_with("it cannot save to its disk"), "{failure:?}");
}

#[test]
fn databases_and_prefixes_are_sites_of_their_own() {
    let Some(server) = Server::with_aof() else { return };
    let addresses = ["", "?db=3", "?prefix=a:", "?prefix=a:&db=3"];
    for (index, query) in addresses.into_iter().enumerate() {
        committed(&mut *engine(&server.address(query)), None, &index.to_string());
    }
    for (index, query) in addresses.into_iter().enumerate() {
        let found = engine(&server.address(query)).load(LONG).unwrap().unwrap();
        assert_eq!(text(&found), index.to_string());
    }
    assert_eq!(server.cli(&["-n", "3", "xlen", "a:{shop}"]), "1");
    let failure = engine(&server.address("?db=99")).load(LONG).unwrap_err();
    assert!(failure.reason.ends_with("it has no database 99"), "{failure:?}");
}

#[test]
fn hosts_are_forgotten_when_they_say_no_more() {
    let Some(server) = Server::with_aof() else { return };
    let mut engine = server.engine();
    assert!(engine.hosts(LONG).unwrap().is_empty());
    let minute = Duration::from_secs(60);
    engine.report("web1", b"{\"revision\": 1}", minute, LONG).unwrap();
    engine.report("web2", b"\0 2", Duration::from_millis(1), LONG).unwrap();
    engine.report("web3", b"three", minute, LONG).unwrap();
    engine.report("web1", b"{\"revision\": 2}", minute, LONG).unwrap();
    thread::sleep(Duration::from_millis(5));
    let hosts = engine.hosts(LONG).unwrap();
    assert_eq!(hosts.keys().collect::<Vec<_>>(), ["web1", "web3"]);
    assert_eq!(hosts["web1"], b"{\"revision\": 2}");
    engine.withdraw("web3", LONG).unwrap();
    engine.withdraw("web9", LONG).unwrap();
    assert_eq!(engine.hosts(LONG).unwrap().len(), 1);
    // What is over takes no room for ever: a minute later the next report removes it.
    let fields = || server.cli(&["hkeys", "maint:{shop}:hosts"]);
    assert!(fields().contains("web2"));
    server.cli(&["hset", "maint:{shop}:hosts", "", "1"]);
    engine.report("web1", b"{}", minute, LONG).unwrap();
    assert!(!fields().contains("web2"), "{}", fields());
    assert_eq!(engine.hosts(LONG).unwrap().len(), 1);
}

#[test]
fn requirement_92_eight_writers_lose_no_update() {
    let Some(server) = Server::with_aof() else { return };
    committed(&mut *server.engine(), None, "0");
    let each = amount(50, 200);
    let begin = Instant::now();
    let conflicts: u32 = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut engine = server.engine();
                    let mut conflicts = 0;
                    for _ in 0..each {
                        loop {
                            let now = engine.load(LONG).unwrap().unwrap();
                            let next: u64 = text(&now).parse::<u64>().unwrap() + 1;
                            let written = put(&mut *engine, Some(&now.revision), &next.to_string());
                            match written.unwrap() {
                                Cas::Committed(_) => break,
                                Cas::Conflict => conflicts += 1,
                            }
                        }
                    }
                    conflicts
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let found = server.engine().load(LONG).unwrap().unwrap();
    let count = 8 * each;
    assert_eq!(text(&found), count.to_string());
    let seconds = begin.elapsed().as_secs_f64();
    figure(&format!(
        "{count} increments by 8 writers, 0 lost, {conflicts} conflicts, {:.0}/s",
        f64::from(count) / seconds
    ));
}

#[test]
fn a_waiter_hears_of_each_last_change_at_once() {
    let Some(server) = Server::with_aof() else { return };
    let mut waiter = server.engine();
    assert_eq!(waiter.wait(None, Duration::from_millis(50)).unwrap(), Seen::Missing);
    let mut times = Vec::new();
    let mut known: Option<Revision> = None;
    for round in 0..amount(50, 500) {
        let seen = thread::scope(|scope| {
            let known = known.as_ref();
            let waiter = &mut waiter;
            let wait = scope.spawn(move || (waiter.wait(known, LONG).unwrap(), Instant::now()));
            let waits = || server.cli(&["info", "clients"]).contains("blocked_clients:1");
            if round < 5 {
                until("the waiter waits", waits);
            } else {
                thread::sleep(Duration::from_millis(5));
            }
            let mut writer = server.engine();
            let before = writer.load(LONG).unwrap().map(|snapshot| snapshot.revision);
            committed(&mut *writer, before.as_ref(), &round.to_string());
            let written = Instant::now();
            let (seen, at) = wait.join().unwrap();
            times.push(at.saturating_duration_since(written));
            seen
        });
        let seen = document(seen);
        assert_eq!(text(&seen), round.to_string());
        known = Some(seen.revision);
    }
    assert_eq!(waiter.wait(known.as_ref(), Duration::from_millis(50)).unwrap(), Seen::Nothing);
    times.sort();
    figure(&format!(
        "acknowledged until seen: p50 {:?}, last of {} {:?}",
        times[times.len() / 2],
        times.len(),
        times[times.len() - 1]
    ));
}

#[test]
fn a_waiter_is_given_at_once_what_it_does_not_know() {
    let Some(server) = Server::with_aof() else { return };
    let mut writer = server.engine();
    let mut waiter = server.engine();
    let first = committed(&mut *writer, None, "one");
    assert_eq!(text(&document(waiter.wait(None, LONG).unwrap())), "one");
    let second = committed(&mut *writer, Some(&first), "two");
    assert_eq!(text(&document(waiter.wait(Some(&first), LONG).unwrap())), "two");
    // What it claims to know may be newer than what is there: a store that stepped back.
    let newer = Revision("9999999999999-0".to_owned());
    assert_eq!(text(&document(waiter.wait(Some(&newer), LONG).unwrap())), "two");
    assert_eq!(waiter.wait(Some(&second), Duration::ZERO).unwrap(), Seen::Nothing);
    // Several changes coalesce to the last.
    let third = committed(&mut *writer, Some(&second), "three");
    committed(&mut *writer, Some(&third), "four");
    assert_eq!(text(&document(waiter.wait(Some(&second), LONG).unwrap())), "four");
}

#[test]
fn requirement_89_acknowledged_changes_survive_kill_9_with_aof() {
    let Some(mut server) = Server::with_aof() else { return };
    let mut writer = server.engine();
    let mut waiter = server.engine();
    let (mut acknowledged, mut unclear, mut applied) = (0_u32, 0_u32, 0_u32);
    let mut known = committed(&mut *writer, None, "0");
    let mut resumed = Vec::new();
    for _ in 0..3 {
        for _ in 0..amount(50, 200) {
            acknowledged += 1;
            known = committed(&mut *writer, Some(&known), &acknowledged.to_string());
        }
        assert_eq!(text(&document(patiently(&mut *waiter, None))), acknowledged.to_string());
        // It dies while changes are on the way.
        let (last, back) = thread::scope(|scope| {
            let crash = scope.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                server.kill();
                thread::sleep(Duration::from_millis(300));
                server.restart();
                Instant::now()
            });
            loop {
                let next = (acknowledged + 1).to_string();
                match put(&mut *writer, Some(&known), &next) {
                    Ok(Cas::Committed(revision)) => known = revision,
                    Ok(Cas::Conflict) => panic!("an acknowledged change is lost"),
                    Err(failure) => {
                        let back = crash.join().unwrap();
                        let found = writer.load(LONG).unwrap().unwrap();
                        let is_applied = text(&found) == next;
                        assert!(is_applied || found.revision == known, "{found:?}");
                        unclear += u32::from(failure.kind == FailureKind::Ambiguous);
                        applied += u32::from(is_applied);
                        assert!(!is_applied || failure.kind == FailureKind::Ambiguous);
                        acknowledged += u32::from(is_applied);
                        known = found.revision;
                        break (text_of(acknowledged), back);
                    }
                }
                acknowledged += 1;
            }
        });
        let seen = loop {
            let seen = document(patiently(&mut *waiter, None));
            if text(&seen) == last {
                break seen;
            }
        };
        assert_eq!(seen.revision, known);
        resumed.push(back.elapsed());
    }
    figure(&format!(
        "3 × kill -9 in {acknowledged} acknowledged changes, 0 lost; {unclear} without an answer, of \
         which {applied} were in force; seen again after {:?}",
        resumed.iter().max().unwrap()
    ));
}

fn text_of(number: u32) -> String {
    number.to_string()
}

#[test]
fn a_waiter_resumes_when_the_server_is_back() {
    let Some(mut server) = Server::with_aof() else { return };
    let mut waiter = server.engine();
    let first = committed(&mut *server.engine(), None, "one");
    document(waiter.wait(None, LONG).unwrap());
    let (lost, resumed) = thread::scope(|scope| {
        let wait = scope.spawn(|| {
            let failure = waiter.wait(Some(&first), LONG).unwrap_err();
            let lost = Instant::now();
            assert_eq!(failure.kind, FailureKind::Unavailable);
            assert!(failure.reason.ends_with("it ended the connection"), "{failure:?}");
            let seen = document(patiently(&mut *waiter, Some(&first)));
            assert_eq!(text(&seen), "two");
            (lost, Instant::now())
        });
        until("the waiter waits", || {
            server.cli(&["info", "clients"]).contains("blocked_clients:1")
        });
        let killed = Instant::now();
        server.kill();
        thread::sleep(Duration::from_millis(300));
        server.restart();
        let back = Instant::now();
        committed(&mut *server.engine(), Some(&first), "two");
        let (lost, resumed) = wait.join().unwrap();
        (lost - killed, resumed - back)
    });
    figure(&format!("death found after {lost:?}; back until the next change is seen {resumed:?}"));
}

#[test]
fn requirement_90_a_server_that_came_back_empty_is_not_slept_over() {
    let Some(mut server) = Server::as_debian_has_it() else { return };
    let mut waiter = server.engine();
    let first = committed(&mut *server.engine(), None, "one");
    document(waiter.wait(None, LONG).unwrap());
    server.kill();
    server.restart_empty();
    assert_eq!(waiter.wait(Some(&first), LONG).unwrap_err().kind, FailureKind::Unavailable);
    assert_eq!(patiently(&mut *waiter, Some(&first)), Seen::Missing);
    assert_eq!(waiter.load(LONG).unwrap(), None);
    // A clock that was set back gives ids that are smaller than the known one.
    server.cli(&["xadd", "maint:{shop}", "5-1", "d", "older"]);
    let older = document(patiently(&mut *waiter, Some(&first)));
    assert_eq!((text(&older), older.revision.0.as_str()), ("older", "5-1"));
}

#[test]
fn requirement_90_a_stream_that_is_deleted_under_a_waiter_is_not_slept_over() {
    let Some(server) = Server::with_aof() else { return };
    let both: Vec<(Duration, Seen)> = thread::scope(|scope| {
        let waits = ["?prefix=a:", "?prefix=b:"].map(|query| {
            let address = server.address(query);
            scope.spawn(move || {
                let mut waiter = engine(&address);
                let first = committed(&mut *waiter, None, "one");
                document(waiter.wait(None, LONG).unwrap());
                let begin = Instant::now();
                let seen = waiter.wait(Some(&first), SOON).unwrap();
                (begin.elapsed(), seen)
            })
        });
        until("both wait", || server.cli(&["info", "clients"]).contains("blocked_clients:2"));
        assert_eq!(server.cli(&["del", "a:{shop}", "b:{shop}"]), "2");
        server.cli(&["xadd", "b:{shop}", "5-1", "d", "older"]);
        waits.into_iter().map(|wait| wait.join().unwrap()).collect()
    });
    assert_eq!(both[0].1, Seen::Missing);
    let Seen::Document(older) = &both[1].1 else { panic!("{both:?}") };
    assert_eq!(text(older), "older");
    figure(&format!("seen after {:?} and {:?}", both[0].0, both[1].0));
}

#[test]
fn requirement_93_a_frozen_server_is_found_in_time_and_heals() {
    let Some(server) = Server::with_aof() else { return };
    let mut waiter = server.engine();
    let mut writer = server.engine();
    let first = committed(&mut *writer, None, "one");
    document(waiter.wait(None, LONG).unwrap());
    server.freeze();
    let begin = Instant::now();
    let failure = waiter.wait(Some(&first), LONG).unwrap_err();
    let found = begin.elapsed();
    assert!(failure.reason.ends_with("it does not answer"), "{failure:?}");
    assert!(found < SOON, "{found:?}");
    // Nothing of a change is sent before the server has answered something else.
    let begin = Instant::now();
    let write = Write { document: b"two", put: &[], remove: &[] };
    let failure = writer.cas(Some(&first), &write, Duration::from_secs(1)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    let failure = engine(&server.address("")).load(Duration::from_secs(1)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    assert!(begin.elapsed() < SOON, "each had a second: {:?}", begin.elapsed());
    server.thaw();
    let begin = Instant::now();
    assert_eq!(writer.load(LONG).unwrap().unwrap().revision, first);
    committed(&mut *writer, Some(&first), "three");
    assert_eq!(text(&document(patiently(&mut *waiter, Some(&first)))), "three");
    figure(&format!(
        "frozen: found after {found:?}; thawed: written and seen {:?}",
        begin.elapsed()
    ));
}

#[test]
fn a_frozen_endpoint_leaves_time_for_the_next() {
    let Some(primary) = Server::with_aof() else { return };
    let frozen = Server::with_aof().unwrap();
    committed(&mut *primary.engine(), None, "one");
    frozen.freeze();
    let dead = crate::redis_server::free_port();
    let address = format!(
        "redis://127.0.0.1:{dead},127.0.0.1:{},127.0.0.1:{}/shop",
        frozen.port, primary.port
    );
    let mut engine = engine(&address);
    // It would not be found if the frozen one had all of the time.
    let found = engine.load(Duration::from_secs(8)).unwrap().unwrap();
    assert_eq!(text(&found), "one");
    assert!(matches!(put(&mut *engine, Some(&found.revision), "two"), Ok(Cas::Committed(_))));
    frozen.thaw();
}

#[test]
fn replicas_serve_waiters_and_the_primary_serves_writers() {
    let Some(mut primary) = Server::with_aof() else { return };
    let follow = format!("replicaof 127.0.0.1 {}", primary.port);
    let replica = Server::start(&[&follow]).unwrap();
    until("the replica follows", || {
        replica.cli(&["info", "replication"]).contains("master_link_status:up")
    });
    let both = format!("redis://127.0.0.1:{},127.0.0.1:{}/shop", replica.port, primary.port);
    let mut engine = engine(&both);
    let beside = [("a".to_owned(), b"page".to_vec())];
    let write = Write { document: b"one", put: &beside, remove: &[] };
    let Cas::Committed(first) = engine.cas(None, &write, LONG).unwrap() else { panic!() };
    // A waiter of its own stays at the replica, which is named first.
    let mut waiter = crate::redis_server::engine(&both);
    let seen = document(patiently(&mut *waiter, None));
    let seen = if seen.revision == first { seen } else { document(patiently(&mut *waiter, None)) };
    assert_eq!(text(&seen), "one");
    assert_eq!(waiter.beside("a", LONG).unwrap().unwrap(), b"page");
    waiter.report("web1", b"{}", Duration::from_secs(60), LONG).unwrap();
    assert_eq!(waiter.hosts(LONG).unwrap().len(), 1);
    assert_eq!(replica.cli(&["info", "commandstats"]).matches("cmdstat_hget:").count(), 1);
    let second = committed(&mut *engine, Some(&first), "two");
    assert_eq!(document(patiently(&mut *waiter, Some(&first))).revision, second);
    // Alone, a replica takes no change, and says so.
    let mut alone = replica.engine();
    assert_eq!(alone.load(LONG).unwrap_err().kind, FailureKind::Unavailable);
    let failure = put(&mut *alone, Some(&second), "three").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.reason.ends_with("it is a replica"), "{failure:?}");
    assert_eq!(failure.hint.as_deref(), Some("name the primary in the address, too"));
    // It lives on without its primary, but nothing new would come from it.
    primary.kill();
    let begin = Instant::now();
    let failure = waiter.wait(Some(&second), LONG).unwrap_err();
    assert!(failure.reason.ends_with("a replica that has lost its primary"), "{failure:?}");
    figure(&format!("a replica without its primary: found after {:?}", begin.elapsed()));
    primary.restart();
    committed(&mut *engine, Some(&second), "three");
    assert_eq!(text(&document(patiently(&mut *waiter, Some(&second)))), "three");
}
