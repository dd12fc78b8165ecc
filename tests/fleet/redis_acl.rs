//! Passwords, and the least that Redis must let its users do.

use std::thread;
use std::time::Duration;

use maint::fleet::{Cas, Engine, Failure, FailureKind, Revision, Seen, Write};

use crate::redis_server::{Server, assert_clear, engine_as};

const LONG: Duration = Duration::from_secs(30);

/// What agents may run, as docs/fleet.md says: they cannot change the document.
const AGENT: [&str; 10] = [
    "+role",
    "+xread",
    "+xrevrange",
    "+hget",
    "+hgetall",
    "+hset",
    "+hdel",
    "+time",
    "+eval",
    "+evalsha",
];

/// The keys of agents: they read all of a site, and write what hosts say of themselves.
const AGENT_KEYS: [&str; 2] = ["%R~maint:*", "~maint:*:hosts"];

/// What the command may run on top of that, and on all keys of a site.
const WRITER: [&str; 1] = ["+xadd"];

/// What `doctor` may run on top of that.
const DOCTOR: [&str; 2] = ["+info", "+config|get"];

fn user(server: &Server, name: &str, rights: &[&[&str]]) {
    let mut command =
        vec!["acl", "setuser", name, "reset", "on", ">tulip", "resetchannels", "-@all"];
    command.extend(rights.iter().copied().flatten());
    server.must(&command);
}

fn as_user(server: &Server, name: &str, query: &str) -> Box<dyn Engine> {
    let address = format!("redis://{name}@127.0.0.1:{}/shop{query}", server.port);
    engine_as(&address, Some("tulip")).unwrap()
}

/// All that an agent does, with what must come of it.
fn mirrors(engine: &mut dyn Engine, known: &Revision) -> Result<bool, Failure> {
    let found = engine.load(LONG)?.expect("a document");
    let seen = engine.wait(None, LONG)?;
    let nothing = engine.wait(Some(known), Duration::from_millis(10))?;
    let page = engine.beside("a", LONG)?;
    engine.report("web1", b"{}", LONG, LONG)?;
    let hosts = engine.hosts(LONG)?.len();
    engine.withdraw("web1", LONG)?;
    let are_gone = engine.hosts(LONG)?.is_empty();
    let is_seen = seen == Seen::Document(found) && nothing == Seen::Nothing;
    Ok(is_seen && page.as_deref() == Some(b"page") && hosts == 1 && are_gone)
}

/// All that a writer does: two changes, with something beside the first one.
fn changes(engine: &mut dyn Engine) -> Result<bool, Failure> {
    let before = engine.load(LONG)?.map(|snapshot| snapshot.revision);
    let beside = [("a".to_owned(), b"page".to_vec())];
    let first = Write { document: b"one", put: &beside, remove: &[] };
    let Cas::Committed(revision) = engine.cas(before.as_ref(), &first, LONG)? else {
        return Ok(false);
    };
    let is_there = engine.beside("a", LONG)?.is_some();
    let removed = ["a".to_owned()];
    let second = Write { document: b"two", put: &[], remove: &removed };
    let second = engine.cas(Some(&revision), &second, LONG)?;
    let is_gone = engine.beside("a", LONG)?.is_none();
    engine.hosts(LONG)?;
    Ok(is_there && is_gone && matches!(second, Cas::Committed(_)))
}

#[test]
fn the_documented_rights_are_enough_and_each_is_needed() {
    let Some(server) = Server::with_aof() else { return };
    let mut admin = server.engine();
    let beside = [("a".to_owned(), b"page".to_vec())];
    let write = Write { document: b"one", put: &beside, remove: &[] };
    let Cas::Committed(first) = admin.cas(None, &write, LONG).unwrap() else { panic!() };
    user(&server, "agent", &[&AGENT_KEYS, &AGENT]);
    assert_eq!(mirrors(&mut *as_user(&server, "agent", ""), &first), Ok(true));
    for without in AGENT {
        // A server that forgets no script would need no EVAL.
        server.must(&["script", "flush"]);
        let taken = without.replace('+', "-");
        user(&server, "agent", &[&AGENT_KEYS, &AGENT, &[&taken]]);
        let outcome = mirrors(&mut *as_user(&server, "agent", ""), &first);
        assert_ne!(outcome, Ok(true), "an agent needs no {without}");
        if let Err(failure) = outcome {
            assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
            let name = without.trim_start_matches('+');
            // Redis 7.0 does not say which command of a script it was.
            let names =
                [format!("may not run `{name}`"), "all commands that a change needs".to_owned()];
            assert!(names.iter().any(|part| failure.reason.ends_with(part)), "{failure:?}");
        }
    }
    // Whoever gets into a host cannot switch the site with what the agent has.
    user(&server, "agent", &[&AGENT_KEYS, &AGENT]);
    let mut agent = as_user(&server, "agent", "");
    let failure = agent.cas(Some(&first), &write, LONG).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
    assert_clear(&failure, "tulip");
    assert_eq!(admin.load(LONG).unwrap().unwrap().revision, first);

    user(&server, "ann", &[&["~maint:*"], &AGENT, &WRITER]);
    assert_eq!(changes(&mut *as_user(&server, "ann", "")), Ok(true));
    for without in AGENT.iter().chain(&WRITER).filter(|name| **name != "+xread") {
        server.must(&["script", "flush"]);
        let taken = without.replace('+', "-");
        user(&server, "ann", &[&["~maint:*"], &AGENT, &WRITER, &[&taken]]);
        let before = admin.load(LONG).unwrap();
        let outcome = changes(&mut *as_user(&server, "ann", ""));
        assert_ne!(outcome, Ok(true), "a writer needs no {without}");
        // A refused change left nothing.
        if ["+xadd", "+hset", "+eval", "+evalsha"].contains(without) {
            assert_eq!(outcome.unwrap_err().kind, FailureKind::Denied);
            assert_eq!(admin.load(LONG).unwrap(), before, "{without}");
        }
    }
    // Another prefix, another database.
    user(&server, "ann", &[&["~maint:*"], &AGENT, &WRITER]);
    let failure = as_user(&server, "ann", "?prefix=x:").load(LONG).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.reason.ends_with("may not touch the keys of the site"), "{failure:?}");
    let failure = as_user(&server, "ann", "?db=1").load(LONG).unwrap_err();
    assert!(failure.reason.ends_with("may not run `select`"), "{failure:?}");

    let codes = |rights: &[&[&str]]| {
        user(&server, "ann", rights);
        let concerns = as_user(&server, "ann", "").examine(LONG).unwrap();
        concerns.iter().map(|concern| concern.code).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(codes(&[&["~maint:*"], &AGENT, &WRITER, &DOCTOR]), none);
    assert_eq!(codes(&[&["~maint:*"], &AGENT, &WRITER]), ["redis-unseen"]);
    for seen in DOCTOR {
        assert_eq!(codes(&[&["~maint:*"], &AGENT, &WRITER, &[seen]]), ["redis-unseen"]);
    }
}

#[test]
fn requirement_95_a_wrong_password_is_denied_and_never_repeated() {
    let Some(server) = Server::start(&["requirepass tulip"]) else { return };
    server.must(&["acl", "setuser", "ann", "on", ">violet", "~*", "+@all"]);
    let fails = |user: &str, password: Option<&str>, part: &str| {
        let address = format!("redis://{user}127.0.0.1:{}/shop", server.port);
        let mut engine = engine_as(&address, password).unwrap();
        let write = Write { document: b"one", put: &[], remove: &[] };
        for failure in [
            engine.load(LONG).unwrap_err(),
            engine.wait(None, LONG).unwrap_err(),
            engine.cas(None, &write, LONG).unwrap_err(),
            engine.examine(LONG).unwrap_err(),
        ] {
            assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
            assert!(failure.reason.ends_with(part), "{failure:?}");
            assert!(failure.hint.is_some());
            assert_clear(&failure, "violet");
            assert_clear(&failure, "tulip");
        }
    };
    fails("", None, "it wants a password");
    fails("", Some("violet"), "it refuses the user or the password");
    fails("ann@", Some("tulip"), "it refuses the user or the password");
    fails("ann@", None, "it refuses the user or the password");
    fails("nobody@", Some("violet"), "it refuses the user or the password");
    for (user, password) in [("", "tulip"), ("default@", "tulip"), ("ann@", "violet")] {
        let address = format!("redis://{user}127.0.0.1:{}/shop", server.port);
        assert_eq!(engine_as(&address, Some(password)).unwrap().load(LONG).unwrap(), None);
    }
    // A password for a server that has none would be sent to whoever listens there.
    server.must(&["acl", "setuser", "default", "nopass"]);
    server.must(&["config", "set", "requirepass", ""]);
    fails("", Some("violet"), "it takes no such name or password");
    // A server that took AUTH away repeats what came with it.
    let Some(server) = Server::start(&["rename-command AUTH \"\""]) else { return };
    let failure = engine_as(&server.address(""), Some("violet")).unwrap().load(LONG).unwrap_err();
    assert_clear(&failure, "violet");
    assert_eq!(failure.kind, FailureKind::Denied);
}

#[test]
fn a_user_that_is_taken_away_is_noticed_by_a_waiter() {
    let Some(server) = Server::with_aof() else { return };
    user(&server, "agent", &[&AGENT_KEYS, &AGENT]);
    let mut waiter = as_user(&server, "agent", "");
    let failure = thread::scope(|scope| {
        let wait = scope.spawn(|| {
            let failure = waiter.wait(None, LONG).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
            waiter.wait(None, LONG).unwrap_err()
        });
        crate::redis_server::until("the waiter waits", || {
            server.cli(&["info", "clients"]).contains("blocked_clients:1")
        });
        assert_eq!(server.cli(&["acl", "deluser", "agent"]), "1");
        wait.join().unwrap()
    });
    assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
}
