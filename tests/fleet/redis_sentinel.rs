//! Redis under Sentinel: who the primary is, and what a failover costs.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use maint::fleet::{Cas, FailureKind, Seen};

use crate::redis_server::{
    SOON, Server, Watched, assert_clear, committed, engine, engine_as, put, text, until,
};
use crate::say::figure;

const LONG: Duration = Duration::from_secs(30);

/// What keeps acknowledged changes over a crash.
const KEPT: [&str; 2] = ["appendonly yes", "appendfsync always"];

#[test]
fn requirement_93_a_failover_is_found_and_heals() {
    let Some(mut watched) = Watched::start(&KEPT, &[]) else { return };
    let address = watched.address("redis+sentinel", "");
    let mut writer = engine(&address);
    let mut waiter = engine(&address);
    let mut known = committed(&mut *writer, None, "0");
    let Seen::Document(_) = waiter.wait(None, LONG).unwrap() else { panic!() };
    let begin = Instant::now();
    let (gap, lost, silence) = thread::scope(|scope| {
        let count = 200_u32;
        let wait = scope.spawn({
            let known = known.clone();
            move || {
                let (mut known, mut heard, mut silence) = (known, Instant::now(), Duration::ZERO);
                while heard.elapsed() < SOON {
                    match waiter.wait(Some(&known), LONG) {
                        Ok(Seen::Document(snapshot)) => {
                            silence = silence.max(heard.elapsed());
                            heard = Instant::now();
                            if text(&snapshot) == count.to_string() {
                                return silence;
                            }
                            known = snapshot.revision;
                        }
                        Ok(Seen::Nothing) => {}
                        Ok(Seen::Missing) => panic!("the new primary has nothing"),
                        Err(_) => thread::sleep(Duration::from_millis(20)),
                    }
                }
                panic!("the waiter hears nothing any more");
            }
        });
        let (mut acknowledged, mut gap, mut lost) = (Instant::now(), Duration::ZERO, 0);
        for next in 1..=count {
            if next == 100 {
                watched.servers[0].kill();
            }
            loop {
                match put(&mut *writer, Some(&known), &next.to_string()) {
                    Ok(Cas::Committed(revision)) => {
                        known = revision;
                        break;
                    }
                    Ok(Cas::Conflict) | Err(_) => {
                        assert!(acknowledged.elapsed() < SOON, "no change is taken any more");
                        thread::sleep(Duration::from_millis(20));
                        let Ok(Some(found)) = writer.load(Duration::from_secs(2)) else { continue };
                        let there: u32 = text(&found).parse().unwrap();
                        known = found.revision;
                        if there == next {
                            break;
                        }
                        lost += next - 1 - there;
                    }
                }
            }
            gap = gap.max(acknowledged.elapsed());
            acknowledged = Instant::now();
        }
        (gap, lost, wait.join().unwrap())
    });
    assert_eq!(lost, 0, "acknowledged changes are lost");
    figure(&format!(
        "200 changes in {:?}, primary killed -9: {lost} lost, {gap:?} without a change, a waiter was \
         without news for {silence:?}",
        begin.elapsed()
    ));
    // The old primary comes back, and is a replica then.
    watched.servers[0].restart();
    until("the old primary follows", || {
        watched.servers[0].cli(&["info", "replication"]).contains("role:slave")
    });
    committed(&mut *writer, Some(&known), "201");
    let found = engine(&address).load(LONG).unwrap().unwrap();
    let roles = watched.servers.iter().map(|server| server.cli(&["role"])).collect::<Vec<_>>();
    assert_eq!(text(&found), "201", "while the servers say {roles:?}");
}

#[test]
fn a_primary_that_was_cut_off_and_lives_on_is_left() {
    let Some(watched) = Watched::start(&KEPT, &[]) else { return };
    let address = watched.address("redis+sentinel", "");
    let mut waiter = engine(&address);
    let mut writer = engine(&address);
    let first = committed(&mut *writer, None, "one");
    let Seen::Document(_) = waiter.wait(None, LONG).unwrap() else { panic!() };
    // The old one does not obey Sentinel, as if it was cut off from it and not from the hosts.
    let old = &watched.servers[0];
    old.must(&["acl", "setuser", "default", "-replicaof", "-slaveof", "-client"]);
    let begin = Instant::now();
    until("another one is promoted", || {
        watched.sentinels[0].cli(&["sentinel", "failover", "mymaster"]);
        let named = watched.sentinels[0].cli(&["sentinel", "get-master-addr-by-name", "mymaster"]);
        !named.ends_with(&old.port.to_string())
    });
    assert!(old.cli(&["role"]).starts_with("master"));
    let failure = waiter.wait(Some(&first), SOON + SOON).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.reason.contains("Sentinel names another primary"), "{failure:?}");
    figure(&format!("a deposed primary is left after {:?}", begin.elapsed()));
    // The writer takes the new one, although its connection to the old one lives.
    until("the writer has the new one", || {
        let mut engine = engine(&address);
        engine.load(LONG).is_ok_and(|found| found.is_some_and(|found| found.revision == first))
    });
    let second = committed(&mut *writer, Some(&first), "two");
    assert_eq!(old.cli(&["xrevrange", "maint:{shop}", "+", "-"]).lines().nth(2), Some("one"));
    let Seen::Document(seen) = waiter.wait(Some(&first), LONG).unwrap() else { panic!() };
    assert_eq!(seen.revision, second);
}

#[test]
fn what_sentinel_does_not_know_is_named() {
    let Some(watched) = Watched::start(&KEPT, &[]) else { return };
    let port = watched.sentinels[0].port;
    let fails = |address: &str, part: &str| {
        let failure = engine(address).load(Duration::from_secs(5)).unwrap_err();
        assert!(failure.reason.contains(part), "{failure:?}");
        failure.kind
    };
    let other = format!("redis+sentinel://127.0.0.1:{port}/shop?master=other");
    assert_eq!(fails(&other, "it watches no primary `other`"), FailureKind::Protocol);
    let data = format!("redis+sentinel://127.0.0.1:{}/shop?master=x", watched.servers[0].port);
    assert_eq!(fails(&data, "it is no Sentinel"), FailureKind::Protocol);
    // One that is dead and one that is frozen do not hide the third.
    committed(&mut *engine(&watched.address("redis+sentinel", "")), None, "one");
    let frozen = Server::start(&[]).unwrap();
    frozen.freeze();
    let dead = crate::redis_server::free_port();
    let some = format!(
        "redis+sentinel://127.0.0.1:{dead},127.0.0.1:{},127.0.0.1:{port}/shop?master=mymaster",
        frozen.port
    );
    assert_eq!(text(&engine(&some).load(Duration::from_secs(8)).unwrap().unwrap()), "one");
    // One that was cut off with the old primary is outvoted, although it is asked first.
    let old = Server::with_aof().unwrap();
    committed(&mut *old.engine(), None, "old");
    let port_of_old = old.port.to_string();
    let liar = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let liars_port = liar.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in liar.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1000]);
            let length = port_of_old.len();
            let answer = format!("*2\r\n$9\r\n127.0.0.1\r\n${length}\r\n{port_of_old}\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let ports = [liars_port, port, watched.sentinels[1].port];
    let hosts = ports.map(|port| format!("127.0.0.1:{port}")).join(",");
    let most = format!("redis+sentinel://{hosts}/shop?master=mymaster");
    assert_eq!(text(&engine(&most).load(LONG).unwrap().unwrap()), "one");
    let alone = format!("redis+sentinel://127.0.0.1:{liars_port}/shop?master=mymaster");
    assert_eq!(text(&engine(&alone).load(LONG).unwrap().unwrap()), "old");
    // Without `min-replicas-to-write` a failover may lose something.
    let concerns = engine(&watched.address("redis+sentinel", "")).examine(LONG).unwrap();
    assert_eq!(concerns.iter().map(|found| found.code).collect::<Vec<_>>(), ["redis-failover"]);
}

#[test]
fn servers_with_a_password_are_found_through_sentinels_with_and_without_one() {
    let lines = ["appendonly yes", "requirepass tulip", "masterauth tulip"];
    let open = ["sentinel auth-pass mymaster tulip"];
    let locked = [open[0], "requirepass tulip", "sentinel sentinel-pass tulip"];
    for sentinel in [&open[..], &locked] {
        let Some(watched) = Watched::start(&lines, sentinel) else { return };
        let address = watched.address("redis+sentinel", "");
        committed(&mut *engine_as(&address, Some("tulip")).unwrap(), None, "one");
        let failure = engine_as(&address, Some("violet")).unwrap().load(LONG).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
        assert_clear(&failure, "violet");
        let failure = engine(&address).load(LONG).unwrap_err();
        assert!(failure.reason.contains("it wants a password"), "{failure:?}");
    }
}
