//! etcd over TLS: what works, and one clear line for each thing that is wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use maint::fleet::{Address, FailureKind, Seen, open};

use crate::certificates::Certificates;
use crate::etcd::{Cluster, ServerTls, engine, engine_with};
use crate::pace::{WITHIN, next, replace};

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

fn server(certificates: &Certificates, name: &str, wants_clients: bool) -> ServerTls {
    ServerTls {
        certificate: certificates.path(&format!("{name}.pem")),
        key: certificates.path(&format!("{name}.key")),
        clients: wants_clients.then(|| certificates.path("ca.pem")),
    }
}

/// What loading from this address fails with.
fn failure_of(address: &str) -> (FailureKind, String, String) {
    let address = Address::parse(address).unwrap();
    let failure = match open(&address, None) {
        Ok(mut engine) => engine.load(WITHIN).unwrap_err(),
        Err(failure) => failure,
    };
    let hint = failure.hint.clone().unwrap_or_default();
    for line in [&failure.reason, &hint] {
        assert!(!line.contains('\n'), "one line: {failure:?}");
    }
    (failure.kind, failure.reason, hint)
}

#[track_caller]
fn expect(address: &str, kind: FailureKind, reason: &str, hint: &str) {
    let found = failure_of(address);
    assert!(
        found.0 == kind && found.1.contains(reason) && found.2.contains(hint),
        "{address}: {found:?} and not {kind:?} {reason} / {hint}"
    );
}

#[test]
fn requirement_96_each_fault_of_a_certificate_has_a_line_of_its_own() {
    let Some(certificates) = Certificates::make() else { return };
    certificates
        .sign("server", "/O=maint", NAMES, 30)
        .sign("elsewhere", "/O=maint", "DNS:elsewhere.example,DNS:*.far.example", 30)
        .sign_expired("expired", NAMES);
    let path = |name: &str| certificates.path(name).display().to_string();
    let ca = format!("shop?ca={}", path("ca.pem"));
    let Some(cluster) = Cluster::start_with(1, Some(&server(&certificates, "server", false)))
    else {
        return;
    };
    let mut etcd = engine(&cluster.address(&ca));
    let known = replace(&mut *etcd, b"one");
    let mut waiter = engine(&cluster.address(&ca));
    assert_eq!(next(&mut *waiter, None).revision, known);
    assert_eq!(waiter.wait(Some(&known), Duration::from_millis(300)).unwrap(), Seen::Nothing);
    let after = replace(&mut *etcd, b"two");
    let Seen::Document(seen) = waiter.wait(Some(&known), WITHIN).unwrap() else { panic!() };
    assert_eq!((&seen.revision, seen.document.as_slice()), (&after, &b"two"[..]));
    let known = after;
    let by_name = cluster.address(&ca).replace("127.0.0.1", "localhost");
    assert_eq!(engine(&by_name).load(WITHIN).unwrap().unwrap().revision, known);

    let other = format!("shop?ca={}", path("other.pem"));
    let denied = FailureKind::Denied;
    let unknown = "signed by no authority that is trusted here";
    expect(&cluster.address(&other), denied, unknown, "?ca=FILE");
    expect(&cluster.address("shop"), denied, unknown, "?ca=FILE");
    let plain = cluster.address("shop").replace("etcds://", "etcd://");
    expect(&plain, FailureKind::Unavailable, "the connection was closed", "if it speaks TLS there");
    let nobody = format!("shop?ca={}", path("server.key"));
    expect(&cluster.address(&nobody), denied, "holds no certificate in PEM", "");
    let missing = format!("shop?ca={}", path("missing.pem"));
    expect(&cluster.address(&missing), denied, "no such file or directory", "");

    let Some(cluster) = Cluster::start_with(1, Some(&server(&certificates, "elsewhere", false)))
    else {
        return;
    };
    let reason = "is for `elsewhere.example`, `*.far.example`, and not for `127.0.0.1`";
    expect(&cluster.address(&ca), denied, reason, "one of those names");
    let Some(cluster) = Cluster::start_with(1, Some(&server(&certificates, "expired", false)))
    else {
        return;
    };
    expect(&cluster.address(&ca), denied, "its certificate expired at 2021-01-01", "renew it");
    let Some(cluster) = Cluster::start(1) else { return };
    let encrypted = cluster.address(&ca).replace("etcd://", "etcds://");
    expect(
        &encrypted,
        FailureKind::Unavailable,
        "it ended the connection before TLS began",
        "the scheme without it",
    );
}

#[test]
fn requirement_96_a_client_certificate_with_a_name_and_users_do_not_go_together() {
    let Some(certificates) = Certificates::make() else { return };
    certificates
        .sign("server", "/O=maint", NAMES, 30)
        .sign("client", "/O=maint", NAMES, 30)
        .sign("named", "/CN=ann", NAMES, 30);
    let path = |name: &str| certificates.path(name).display().to_string();
    let Some(cluster) = Cluster::start_with(1, Some(&server(&certificates, "server", true))) else {
        return;
    };
    cluster.enable_users();
    let as_ann = |name: &str| {
        let (ca, key) = (path("ca.pem"), path(&format!("{name}.key")));
        let certificate = path(&format!("{name}.pem"));
        let rest = format!("shop?ca={ca}&cert={certificate}&key={key}");
        engine_with(&cluster.address_of("ann", &rest), "tulip")
    };
    replace(&mut *as_ann("client"), b"one");
    let failure = as_ann("named").load(WITHIN).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
    assert!(failure.reason.contains("with a common name"), "{failure:?}");
}

#[test]
fn requirement_96_a_client_that_has_to_show_who_it_is_hears_so() {
    let Some(certificates) = Certificates::make() else { return };
    certificates
        .sign("server", "/O=maint", NAMES, 30)
        .sign("client", "/O=maint", NAMES, 30)
        .sign("named", "/CN=ann", NAMES, 30);
    let path = |name: &str| certificates.path(name).display().to_string();
    let Some(cluster) = Cluster::start_with(1, Some(&server(&certificates, "server", true))) else {
        return;
    };
    let address = |certificate: &str, key: &str| {
        let (ca, certificate, key) = (path("ca.pem"), path(certificate), path(key));
        cluster.address(&format!("shop?ca={ca}&cert={certificate}&key={key}"))
    };
    let mut etcd = engine(&address("client.pem", "client.key"));
    let known = replace(&mut *etcd, b"one");
    assert_eq!(next(&mut *engine(&address("named.pem", "named.key")), None).revision, known);

    let denied = FailureKind::Denied;
    let without = cluster.address(&format!("shop?ca={}", path("ca.pem")));
    // Which of several packets is the first to be lost is a matter of luck.
    for _ in 0..20 {
        expect(&without, denied, "it wants a certificate of this client", "?cert=FILE&key=FILE");
        let foreign = address("other.pem", "other.key");
        expect(&foreign, denied, "it refuses the certificate of this client", "");
        let mut without = engine(&without);
        let put = crate::pace::put(&mut *without, Some(&known), b"two").unwrap_err();
        assert_eq!(put.kind, denied, "nothing was written: {put:?}");
    }
    expect(&address("client.pem", "named.key"), denied, "does not fit the certificate", "");
    let wide = certificates.path("client.key");
    std::fs::set_permissions(&wide, std::fs::Permissions::from_mode(0o640)).unwrap();
    let address = address("client.pem", "client.key");
    expect(&address, denied, "can be read by others: its mode is 0640", "chmod 600");
    assert!(certificates.directory().exists());
    assert_eq!(etcd.load(WITHIN).unwrap().unwrap().document, b"one");
}
