//! What is warned about.

use std::time::Duration;

use maint::fleet::Concern;

use crate::redis_server::{Server, engine, free_port, until};

const LONG: Duration = Duration::from_secs(30);

fn examined(address: &str) -> Vec<Concern> {
    let concerns = engine(address).examine(LONG).unwrap();
    for concern in &concerns {
        assert!(!concern.message.contains('\n') && !concern.fix.is_empty(), "{concern:?}");
    }
    concerns
}

fn codes(address: &str) -> Vec<&'static str> {
    examined(address).iter().map(|concern| concern.code).collect()
}

#[test]
fn requirement_89_debians_default_is_warned_about_by_name() {
    let Some(server) = Server::as_debian_has_it() else { return };
    let found = examined(&server.address(""));
    let [concern] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(concern.code, "redis-no-aof");
    assert!(concern.message.starts_with(&format!("127.0.0.1:{}: ", server.port)), "{concern:?}");
    assert!(concern.message.contains("as Debian installs it"), "{concern:?}");
    // What it says to do ends the concern.
    server.must(&["config", "set", "appendonly", "yes"]);
    assert_eq!(codes(&server.address("")), ["redis-fsync"]);
    server.must(&["config", "set", "appendfsync", "always"]);
    assert!(codes(&server.address("")).is_empty());
}

#[test]
fn a_policy_that_may_drop_the_site_is_warned_about() {
    let Some(server) = Server::with_aof() else { return };
    let address = server.address("");
    server.must(&["config", "set", "maxmemory", "100mb"]);
    assert!(codes(&address).is_empty());
    for (policy, is_bad) in
        [("allkeys-lru", true), ("volatile-lru", false), ("volatile-random", false)]
    {
        server.must(&["config", "set", "maxmemory-policy", policy]);
        assert_eq!(codes(&address), if is_bad { &["redis-eviction"][..] } else { &[] }, "{policy}");
    }
    // That a `volatile-…` policy drops none of these keys is so, and not only said.
    let mut engine = server.engine();
    let minute = Duration::from_secs(60);
    crate::redis_server::committed(&mut *engine, None, "one");
    engine.report("web1", b"{}", minute, LONG).unwrap();
    let keys = server.cli(&["keys", "*"]);
    let mut count = 0;
    for key in keys.lines() {
        assert_eq!(server.cli(&["ttl", key]), "-1", "{key}");
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn replicas_and_what_a_failover_may_lose_are_warned_about() {
    let Some(primary) = Server::with_aof() else { return };
    let follow = format!("replicaof 127.0.0.1 {}", primary.port);
    let replica = Server::start(&[&follow, "appendonly yes", "appendfsync always"]).unwrap();
    until("the replica follows", || {
        replica.cli(&["info", "replication"]).contains("master_link_status:up")
    });
    let both = format!("redis://127.0.0.1:{},127.0.0.1:{}/shop", primary.port, replica.port);
    assert_eq!(codes(&both), ["redis-failover"]);
    primary.must(&["config", "set", "min-replicas-to-write", "1"]);
    assert!(codes(&both).is_empty());
    assert_eq!(codes(&replica.address("")), ["redis-replica"]);
    let dead = format!("redis://127.0.0.1:{},127.0.0.1:{}/shop", primary.port, free_port());
    assert_eq!(codes(&dead), ["redis-unreachable"]);
    drop(primary);
    until("the replica has lost its primary", || {
        replica.cli(&["info", "replication"]).contains("master_link_status:down")
    });
    assert_eq!(codes(&replica.address("")), ["redis-orphan", "redis-replica"]);
}
