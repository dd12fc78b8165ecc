//! Redis over TLS, and one clear line for each thing that is wrong with it.

use std::time::Duration;

use maint::fleet::{Failure, FailureKind, Seen};

use crate::certificates::Certificates;
use crate::redis_server::{Server, Watched, assert_clear, committed, engine, engine_as, text};

const LONG: Duration = Duration::from_secs(30);

/// An authority, and what it signed: for servers on loopback and for hosts.
fn made() -> Option<Certificates> {
    let made = Certificates::make()?;
    let names = "DNS:localhost,IP:127.0.0.1";
    made.sign("server", "/O=maint", names, 30);
    made.sign("elsewhere", "/O=maint", "DNS:elsewhere.example", 30);
    made.sign_expired("expired", names);
    made.sign("client", "/O=maint", "DNS:web1", 30);
    Some(made)
}

fn path(certificates: &Certificates, name: &str) -> String {
    certificates.path(name).display().to_string()
}

/// The lines of a server that speaks TLS only.
fn config(certificates: &Certificates, name: &str, clients: &str) -> Vec<String> {
    let file = |name: &str| path(certificates, name);
    vec![
        "port 0".to_owned(),
        "tls-port PORT".to_owned(),
        format!("tls-cert-file {}", file(&format!("{name}.pem"))),
        format!("tls-key-file {}", file(&format!("{name}.key"))),
        format!("tls-ca-cert-file {}", file("ca.pem")),
        format!("tls-auth-clients {clients}"),
    ]
}

fn serve(certificates: &Certificates, name: &str, clients: &str) -> Option<Server> {
    let lines = config(certificates, name, clients);
    Server::start(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The address of a server, with `ca=`, and with `cert=` and `key=` if a client is named.
fn url(
    certificates: &Certificates,
    server: &Server,
    host: &str,
    authority: &str,
    client: Option<(&Certificates, &str)>,
) -> String {
    let authority = path(certificates, authority);
    let mut address = format!("rediss://{host}:{}/shop?ca={authority}", server.port);
    if let Some((certificates, client)) = client {
        let file = |extension| path(certificates, &format!("{client}.{extension}"));
        let (certificate, key) = (file("pem"), file("key"));
        address += &format!("&cert={certificate}&key={key}");
    }
    address
}

/// The failure of a load and of a wait, which is the same.
fn failure(address: &str) -> Failure {
    let mut engine = engine(address);
    let first = engine.load(LONG).unwrap_err();
    let second = engine.wait(None, LONG).unwrap_err();
    assert_eq!(first, second);
    assert_clear(&first, "PRIVATE KEY");
    let change = crate::redis_server::put(&mut *engine, None, "one").unwrap_err();
    assert_eq!(change, first);
    first
}

#[test]
fn a_site_is_changed_and_followed_over_tls() {
    let Some(certificates) = made() else { return };
    let Some(server) = serve(&certificates, "server", "no") else { return };
    for (round, host) in ["127.0.0.1", "localhost"].into_iter().enumerate() {
        let address = url(&certificates, &server, host, "ca.pem", None);
        let mut writer = engine(&address);
        let before = writer.load(LONG).unwrap().map(|snapshot| snapshot.revision);
        // More than one record of TLS.
        let long = round.to_string().repeat(100_000);
        committed(&mut *writer, before.as_ref(), &long);
        let mut waiter = engine(&address);
        let Seen::Document(seen) = waiter.wait(before.as_ref(), LONG).unwrap() else { panic!() };
        assert_eq!(text(&seen), long);
        let idle = Duration::from_millis(20);
        assert_eq!(waiter.wait(Some(&seen.revision), idle).unwrap(), Seen::Nothing);
    }
    let locked = serve(&certificates, "server", "yes").unwrap();
    let address =
        url(&certificates, &locked, "localhost", "ca.pem", Some((&certificates, "client")));
    committed(&mut *engine(&address), None, "one");
}

#[test]
fn requirement_96_each_trouble_with_certificates_is_one_clear_line() {
    let Some(certificates) = made() else { return };
    let Some(server) = serve(&certificates, "server", "no") else { return };
    let elsewhere = serve(&certificates, "elsewhere", "no").unwrap();
    let expired = serve(&certificates, "expired", "no").unwrap();
    let locked = serve(&certificates, "server", "yes").unwrap();
    // A client that another authority signed.
    let strangers = Certificates::make().unwrap();
    strangers.sign("stranger", "/O=maint", "DNS:web1", 30);
    let plain = Server::start(&[]).unwrap();
    let at = |server: &Server, authority: &str, client| {
        url(&certificates, server, "127.0.0.1", authority, client)
    };
    let denied = |address: &str, part: &str| {
        let failure = failure(address);
        assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
        assert!(failure.reason.contains(part), "{failure:?}");
        assert!(failure.hint.is_some(), "{failure:?}");
    };
    denied(&at(&server, "other.pem", None), "signed by no authority that is trusted here");
    let untrusted = format!("rediss://127.0.0.1:{}/shop", server.port);
    denied(&untrusted, "signed by no authority that is trusted here");
    denied(
        &at(&elsewhere, "ca.pem", None),
        "its certificate is for `elsewhere.example`, and not for `127.0.0.1`",
    );
    denied(&at(&expired, "ca.pem", None), "its certificate expired at ");
    denied(&at(&locked, "ca.pem", None), "it wants a certificate of this client");
    denied(
        &at(&locked, "ca.pem", Some((&strangers, "stranger"))),
        "it refuses the certificate of this client",
    );
    // Redis takes the greeting of TLS for the begin of a line, and waits for the rest.
    let mut silent = engine(&at(&plain, "ca.pem", None));
    let failed = silent.load(Duration::from_secs(2)).unwrap_err();
    assert!(!failed.reason.contains('\n'), "{failed:?}");
    if failed.kind == FailureKind::Unavailable {
        assert!(failed.reason.ends_with("it does not answer"), "{failed:?}");
        assert!(
            failed.hint.is_some_and(|hint| hint.starts_with("if it speaks no TLS on this port"))
        );
    } else {
        assert!(failed.reason.ends_with("it does not speak TLS on this port"), "{failed:?}");
    }
    let failed = failure(&server.address(""));
    assert_eq!(failed.kind, FailureKind::Unavailable, "{failed:?}");
    assert!(failed.hint.as_ref().is_some_and(|hint| hint.contains("`rediss`")), "{failed:?}");
    // Files that do not fit are found before anything is sent.
    let missing = format!("rediss://127.0.0.1:{}/shop?ca=/nonexistent/ca.pem", server.port);
    let failed = engine_as(&missing, None).err().unwrap();
    assert_eq!(failed.kind, FailureKind::Denied);
    let reversed = format!(
        "{}&cert={}&key={}",
        at(&server, "ca.pem", None),
        path(&certificates, "client.pem"),
        path(&certificates, "server.key")
    );
    let failed = engine_as(&reversed, None).err().unwrap();
    assert_eq!(failed.kind, FailureKind::Denied);
    assert_clear(&failed, "PRIVATE KEY");
}

#[test]
fn sentinel_is_asked_over_tls() {
    let Some(certificates) = made() else { return };
    let mut lines = config(&certificates, "server", "no");
    lines.extend(["tls-replication yes".to_owned(), "appendonly yes".to_owned()]);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let sentinel: Vec<&str> =
        lines.iter().filter(|line| !line.starts_with("appendonly")).copied().collect();
    let Some(watched) = Watched::start(&lines, &sentinel) else { return };
    let ca = format!("&ca={}", path(&certificates, "ca.pem"));
    let address = watched.address("rediss+sentinel", &ca);
    let mut engine = engine(&address);
    let first = committed(&mut *engine, None, "one");
    assert_eq!(engine.load(LONG).unwrap().unwrap().revision, first);
    let failure = failure(&watched.address("redis+sentinel", ""));
    assert!(failure.hint.is_some_and(|hint| hint.contains("`rediss`")));
}
