//! etcd that lets in only whom it knows.

use std::time::Duration;

use maint::fleet::{Address, FailureKind, Seen, open};

use crate::etcd::{Cluster, engine_with};
use crate::pace::{WITHIN, next, put, replace};

#[test]
fn requirement_90_whoever_is_not_let_in_hears_why() {
    let Some(cluster) = Cluster::start(1) else { return };
    cluster.enable_users();
    let as_user = |user: &str, site: &str, password: &str| {
        engine_with(&cluster.address_of(user, site), password)
    };
    let mut ann = as_user("ann", "shop", "tulip");
    let known = replace(&mut *ann, b"one");
    for (mut engine, reason) in [
        (as_user("ann", "shop", "wrong-tulip"), "the user or the password is wrong"),
        (as_user("nobody", "shop", "tulip"), "the user or the password is wrong"),
        (as_user("bob", "shop", "poppy"), "lacks the right"),
        (as_user("ann", "shop?prefix=%2Felsewhere%2F", "tulip"), "lacks the right"),
        (cluster.engine("shop"), "etcd wants a user"),
    ] {
        for failure in [
            engine.load(WITHIN).unwrap_err(),
            put(&mut *engine, Some(&known), b"two").unwrap_err(),
            engine.wait(Some(&known), WITHIN).unwrap_err(),
            engine.report("web1", b"", WITHIN, WITHIN).unwrap_err(),
        ] {
            assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
            assert!(failure.reason.contains(reason), "{failure:?}");
            for secret in ["tulip", "poppy"] {
                assert!(!format!("{failure:?}").contains(secret), "requirement 95: {failure:?}");
            }
        }
    }
    assert_eq!(ann.load(WITHIN).unwrap().unwrap().document, b"one");
    let address = Address::parse(&cluster.address_of("ann", "shop")).unwrap();
    let Err(failure) = open(&address, None) else { panic!("a user needs a password") };
    assert!(failure.reason.contains("no password"), "{failure:?}");
    let concerns = ann.examine(WITHIN).unwrap();
    let codes: Vec<_> = concerns.iter().map(|concern| concern.code).collect();
    assert!(codes.contains(&"etcd-watch-rights"), "Debian's etcd is open to it: {concerns:?}");
}

#[test]
fn requirement_93_a_token_that_was_lost_is_got_anew() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    cluster.enable_users();
    let ann = || engine_with(&cluster.address_of("ann", "shop"), "tulip");
    let (mut writer, mut loader, mut waiter) = (ann(), ann(), ann());
    let first = replace(&mut *writer, b"one");
    assert_eq!(loader.load(WITHIN).unwrap().unwrap().revision, first);
    assert_eq!(next(&mut *waiter, None).revision, first);
    assert_eq!(waiter.wait(Some(&first), Duration::from_millis(100)).unwrap(), Seen::Nothing);
    writer.report("web1", b"here", WITHIN, WITHIN).unwrap();
    // Simple tokens are in the memory of a member.
    cluster.members[0].restart();
    let second = match put(&mut *writer, Some(&first), b"two").unwrap() {
        maint::fleet::Cas::Committed(revision) => revision,
        maint::fleet::Cas::Conflict => panic!("nobody else writes"),
    };
    assert_eq!(loader.load(WITHIN).unwrap().unwrap().revision, second);
    assert_eq!(next(&mut *waiter, Some(&first)).revision, second);
    writer.report("web1", b"still", WITHIN, WITHIN).unwrap();
    assert_eq!(loader.hosts(WITHIN).unwrap()["web1"], b"still");
    // An engine that changes its users makes tokens old as well.
    cluster.members[0].restart();
    assert_eq!(loader.beside("templates/none", WITHIN).unwrap(), None);
}

#[test]
fn a_user_of_an_engine_that_lets_everybody_in_is_let_in() {
    let Some(cluster) = Cluster::start(1) else { return };
    let mut ann = engine_with(&cluster.address_of("ann", "shop"), "tulip");
    replace(&mut *ann, b"one");
    let concerns = ann.examine(WITHIN).unwrap();
    assert!(concerns.iter().any(|concern| concern.code == "etcd-no-users"), "{concerns:?}");
}
