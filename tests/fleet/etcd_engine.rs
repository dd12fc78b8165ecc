//! etcd when all is well: what is written, watched, reported and examined.

use std::thread;
use std::time::{Duration, Instant};

use maint::fleet::{Cas, Engine, FailureKind, Revision, Seen, Write};

use crate::etcd::{Cluster, engine};
use crate::pace::{Met, WITHIN, append, next, put, replace, text, until};
use crate::say::{amount, figure};

#[test]
fn a_document_is_replaced_only_where_the_expected_one_is() {
    let Some(cluster) = Cluster::start(1) else { return };
    let mut etcd = cluster.engine("shop");
    assert_eq!(etcd.load(WITHIN).unwrap(), None);
    let Cas::Committed(first) = put(&mut *etcd, None, b"one").unwrap() else { panic!() };
    assert_eq!(put(&mut *etcd, None, b"two").unwrap(), Cas::Conflict);
    let loaded = etcd.load(WITHIN).unwrap().unwrap();
    assert_eq!((&loaded.revision, &*loaded.document), (&first, &b"one"[..]));
    let Cas::Committed(second) = put(&mut *etcd, Some(&first), b"two").unwrap() else { panic!() };
    assert_eq!(put(&mut *etcd, Some(&first), b"three").unwrap(), Cas::Conflict);
    let strange = Revision("1795330912732-0".to_owned());
    assert_eq!(put(&mut *etcd, Some(&strange), b"three").unwrap(), Cas::Conflict);
    let loaded = etcd.load(WITHIN).unwrap().unwrap();
    assert_eq!((&loaded.revision, &*loaded.document), (&second, &b"two"[..]));
    for other in ["blog", "shop?prefix=%2Felsewhere%2F"] {
        assert_eq!(cluster.engine(other).load(WITHIN).unwrap(), None, "{other}");
    }
}

#[test]
fn what_is_beside_a_document_changes_with_it_or_not_at_all() {
    let Some(cluster) = Cluster::start(1) else { return };
    let mut etcd = cluster.engine("shop");
    let page = |name: &str, text: &str| (format!("templates/{name}"), text.as_bytes().to_vec());
    let names =
        |names: &[&str]| names.iter().map(|name| format!("templates/{name}")).collect::<Vec<_>>();
    let put = [page("a", "A"), page("b", "B"), page("b", "B2")];
    let write = Write { document: b"one", put: &put, remove: &names(&["b", "b", "c"]) };
    let Cas::Committed(first) = etcd.cas(None, &write, WITHIN).unwrap() else { panic!() };
    let beside = |name: &str| {
        let found = cluster.engine("shop").beside(&format!("templates/{name}"), WITHIN).unwrap();
        found.map(|bytes| text(&bytes).to_owned())
    };
    assert_eq!(beside("a").as_deref(), Some("A"));
    assert_eq!(
        beside("b").as_deref(),
        Some("B2"),
        "what is put is there, and its last word counts"
    );
    let put = [page("c", "C")];
    let write = Write { document: b"two", put: &put, remove: &names(&["a"]) };
    assert_eq!(etcd.cas(None, &write, WITHIN).unwrap(), Cas::Conflict);
    assert_eq!((beside("a").as_deref(), beside("c")), (Some("A"), None));
    assert!(matches!(etcd.cas(Some(&first), &write, WITHIN).unwrap(), Cas::Committed(_)));
    assert_eq!((beside("a"), beside("c").as_deref()), (None, Some("C")));
    assert_eq!(etcd.load(WITHIN).unwrap().unwrap().document, b"two");
}

#[test]
fn requirement_92_eight_writers_lose_no_update() {
    let Some(cluster) = Cluster::start(1) else { return };
    let each = amount(50, 200);
    let began = Instant::now();
    let met: Vec<Met> = thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let mut etcd = cluster.engine("shop");
                scope.spawn(move || {
                    let mut met = Met::default();
                    for count in 0..each {
                        append(&mut *etcd, &format!("{writer} {count}"), &mut met);
                    }
                    met
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let took = began.elapsed();
    let document = cluster.engine("shop").load(WITHIN).unwrap().unwrap().document;
    let lines: Vec<&str> = text(&document).lines().collect();
    for writer in 0..8 {
        let own = lines.iter().filter_map(|line| line.strip_prefix(&format!("{writer} ")));
        let expected: Vec<String> = (0..each).map(|count| count.to_string()).collect();
        assert_eq!(own.collect::<Vec<_>>(), expected, "writer {writer}");
    }
    assert_eq!(lines.len(), 8 * each);
    let conflicts: usize = met.iter().map(|met| met.conflicts).sum();
    let unsure: usize = met.iter().map(|met| met.ambiguous + met.unreachable).sum();
    figure(&format!(
        "{} updates by 8 writers, 0 lost, {conflicts} conflicts, {unsure} without an answer, in {:.1} s",
        8 * each,
        took.as_secs_f64()
    ));
}

#[test]
fn a_waiter_sees_each_kind_of_change() {
    let Some(cluster) = Cluster::start(1) else { return };
    let (mut writer, mut waiter) = (cluster.engine("shop"), cluster.engine("shop"));
    let short = Duration::from_millis(300);
    assert_eq!(waiter.wait(None, short).unwrap(), Seen::Missing);
    let first = replace(&mut *writer, b"one");
    let seen = next(&mut *waiter, None);
    assert_eq!((&seen.revision, &*seen.document), (&first, &b"one"[..]));
    let began = Instant::now();
    assert_eq!(waiter.wait(Some(&first), short).unwrap(), Seen::Nothing);
    assert!(began.elapsed() >= short);
    // The watch outlives its silence, and the question whether anybody is there.
    assert_eq!(waiter.wait(Some(&first), Duration::from_secs(4)).unwrap(), Seen::Nothing);
    let second = replace(&mut *writer, b"one and a half");
    let Seen::Document(seen) = waiter.wait(Some(&first), WITHIN).unwrap() else { panic!() };
    assert_eq!(seen.revision, second);
    let first = second;
    // Changes while nobody waits coalesce.
    replace(&mut *writer, b"two");
    let third = replace(&mut *writer, b"three");
    let mut known = first;
    while known != third {
        known = next(&mut *waiter, Some(&known)).revision;
    }
    cluster.post("/v3/kv/deleterange", r#"{"key":"L21haW50L3Nob3A="}"#);
    assert_eq!(waiter.wait(Some(&third), WITHIN).unwrap(), Seen::Missing);
    replace(&mut *writer, b"four");
    assert_eq!(next(&mut *waiter, None).document, b"four");
}

#[test]
fn a_change_arrives_while_somebody_waits() {
    let Some(cluster) = Cluster::start(1) else { return };
    let (mut writer, mut waiter) = (cluster.engine("shop"), cluster.engine("shop"));
    let mut known = replace(&mut *writer, b"0");
    assert_eq!(next(&mut *waiter, None).revision, known);
    let count = amount(50, 500);
    let (sender, receiver) = std::sync::mpsc::channel();
    let watching = thread::spawn(move || {
        for _ in 0..count {
            known = next(&mut *waiter, Some(&known)).revision;
            sender.send((known.clone(), Instant::now())).unwrap();
        }
    });
    let mut delays = Vec::new();
    for number in 1..=count {
        let revision = replace(&mut *writer, number.to_string().as_bytes());
        let committed = Instant::now();
        let (seen, at) = receiver.recv_timeout(crate::etcd::PATIENCE).unwrap();
        assert_eq!(seen, revision);
        delays.push(at.saturating_duration_since(committed));
    }
    watching.join().unwrap();
    delays.sort_unstable();
    figure(&format!(
        "{count} changes, committed → seen by a waiter: p50 {:.2} ms, max {:.2} ms",
        delays[count / 2].as_secs_f64() * 1e3,
        delays[count - 1].as_secs_f64() * 1e3
    ));
}

#[test]
fn requirement_90_a_history_that_was_compacted_away_is_no_obstacle() {
    let Some(cluster) = Cluster::start(1) else { return };
    let (mut writer, mut waiter) = (cluster.engine("shop"), cluster.engine("shop"));
    let first = replace(&mut *writer, b"0");
    // It goes on from here, without a watch as yet.
    assert_eq!(next(&mut *waiter, None).revision, first);
    let mut last = first.clone();
    for number in 1..=10 {
        last = replace(&mut *writer, number.to_string().as_bytes());
    }
    cluster.post("/v3/kv/compaction", &format!(r#"{{"revision":"{}","physical":true}}"#, last.0));
    // No failure on the way: a compaction is nothing that an operator has to hear of.
    let Seen::Document(seen) = waiter.wait(Some(&first), WITHIN).unwrap() else { panic!() };
    assert_eq!((seen.revision, &*seen.document), (last.clone(), &b"10"[..]));
    let after = replace(&mut *writer, b"11");
    assert_eq!(next(&mut *waiter, Some(&last)).revision, after);
}

#[test]
fn reports_of_hosts_are_kept_as_long_as_they_are_repeated() {
    let Some(cluster) = Cluster::start(1) else { return };
    let (mut one, mut two) = (cluster.engine("shop"), cluster.engine("shop"));
    let keep = Duration::from_secs(2);
    let hosts = || {
        let hosts = cluster.engine("shop").hosts(WITHIN).unwrap();
        let hosts = hosts.into_iter().map(|(host, report)| format!("{host}={}", text(&report)));
        hosts.collect::<Vec<_>>().join(" ")
    };
    two.report("web2", b"once", keep, WITHIN).unwrap();
    let until_gone = Instant::now();
    let mut count = 0;
    until("the host that fell silent is forgotten", || {
        count += 1;
        one.report("web1.example", format!("{count}").as_bytes(), keep, WITHIN).unwrap();
        let hosts = hosts();
        assert!(hosts.contains(&format!("web1.example={count}")), "{hosts}");
        !hosts.contains("web2")
    });
    figure(&format!("forgotten after {:.1} s of {keep:?}", until_gone.elapsed().as_secs_f64()));
    assert!(until_gone.elapsed() >= keep);
    // Its lease is gone, which is no reason to fail.
    two.report("web2", b"again", keep, WITHIN).unwrap();
    assert_eq!(hosts(), format!("web1.example={count} web2=again"));
    one.withdraw("web1.example", WITHIN).unwrap();
    assert_eq!(hosts(), "web2=again");
    assert_eq!(cluster.engine("shop").load(WITHIN).unwrap(), None);
    assert_eq!(cluster.engine("sho").hosts(WITHIN).unwrap().len(), 0);
}

#[test]
fn what_is_larger_than_etcd_takes_is_refused_in_one_line() {
    let Some(cluster) = Cluster::start(1) else { return };
    let mut etcd = cluster.engine("shop");
    let first = replace(&mut *etcd, b"small");
    for size in [1_600_000, 5_000_000] {
        let large = vec![b'x'; size];
        let failure = put(&mut *etcd, Some(&first), &large).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Protocol, "{failure:?}");
        assert!(failure.reason.contains("the document is larger than etcd takes"), "{failure:?}");
        assert!(failure.reason.contains(&size.to_string()), "{failure:?}");
        assert!(failure.hint.as_ref().unwrap().contains("1.5 MiB"), "{failure:?}");
        assert!(!failure.reason.contains('\n'), "{failure:?}");
    }
    let many: Vec<(String, Vec<u8>)> = (0..200).map(|name| (name.to_string(), vec![1])).collect();
    let write = Write { document: b"many", put: &many, remove: &[] };
    let failure = etcd.cas(Some(&first), &write, WITHIN).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Protocol, "{failure:?}");
    assert!(failure.reason.contains("201 keys"), "{failure:?}");
    assert_eq!(etcd.load(WITHIN).unwrap().unwrap().document, b"small");
    let large = vec![b'x'; 1_000_000];
    assert!(matches!(put(&mut *etcd, Some(&first), &large).unwrap(), Cas::Committed(_)));
    assert_eq!(etcd.load(WITHIN).unwrap().unwrap().document, large);
}

/// The codes of what an engine is concerned about.
fn codes(etcd: &mut dyn Engine) -> Vec<&'static str> {
    let concerns = etcd.examine(WITHIN).unwrap();
    for concern in &concerns {
        assert!(!concern.message.contains('\n') && !concern.fix.is_empty(), "{concern:?}");
    }
    concerns.iter().map(|concern| concern.code).collect()
}

#[test]
fn settings_that_put_a_fleet_at_risk_are_named() {
    let Some(cluster) = Cluster::start(1) else { return };
    let mut etcd = cluster.engine("shop");
    assert_eq!(codes(&mut *etcd), ["etcd-one-member"]);
    put(&mut *etcd, None, &vec![b'x'; 1_000_000]).unwrap();
    assert_eq!(codes(&mut *etcd), ["etcd-one-member", "etcd-large-document"]);
    cluster
        .post("/v3/maintenance/alarm", r#"{"action":"ACTIVATE","memberID":"0","alarm":"NOSPACE"}"#);
    assert!(codes(&mut *etcd).contains(&"etcd-no-space"), "{:?}", codes(&mut *etcd));
    let there = etcd.load(WITHIN).unwrap().map(|snapshot| snapshot.revision);
    let failure = put(&mut *etcd, there.as_ref(), b"two").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Protocol, "{failure:?}");
    assert!(failure.reason.contains("full"), "{failure:?}");
}

#[test]
fn members_that_are_down_are_named() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    let mut etcd = cluster.engine("shop");
    put(&mut *etcd, None, b"one").unwrap();
    assert_eq!(codes(&mut *etcd), [""; 0]);
    let one = format!("etcd://127.0.0.1:{}/shop", cluster.members[0].port);
    assert_eq!(codes(&mut *engine(&one)), ["etcd-one-endpoint"]);
    cluster.members[1].kill();
    assert_eq!(codes(&mut *etcd), ["etcd-member-down"]);
    cluster.members[2].kill();
    until("the last member notices that it is alone", || {
        codes(&mut *etcd).contains(&"etcd-no-quorum")
    });
}

#[test]
fn a_proxy_of_the_environment_is_not_asked() {
    const ADDRESS: &str = "MAINT_TEST_STORE";
    if let Ok(address) = std::env::var(ADDRESS) {
        assert_eq!(engine(&address).load(WITHIN).unwrap(), None);
        return;
    }
    let Some(cluster) = Cluster::start(1) else { return };
    // Nobody is there.
    let proxy = "http://127.0.0.1:1";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "etcd_engine::a_proxy_of_the_environment_is_not_asked"])
        .env(ADDRESS, cluster.address("shop"))
        .envs(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, proxy)))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
