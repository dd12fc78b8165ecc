//! The app still answers a health check whose path is ignored.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::get;

use crate::env::{Server, TestSite, eventually};
use crate::meanwhile::Meanwhile;
use crate::say::figure;

/// How often the site goes down and comes back.
const TURNS: u64 = 50;

/// The least number of probes in each state of the site.
const PROBES: u64 = 5;

fn app(site: &TestSite) -> Server {
    let app = Router::new()
        .route("/", get(async || "the shop"))
        .route("/healthz", get(async || "ok"))
        .layer(site.layer());
    Server::start(app)
}

/// Probes without pause while the site goes down and comes back this many times;
/// returns how many probes there were, and how many failed.
fn probe_across(site: &TestSite, turns: u64) -> (u64, u64) {
    let server = app(site);
    let probes = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    let meanwhile = Meanwhile::new();
    let probe = || {
        let mut kept = server.client();
        while meanwhile.goes_on() {
            let mut fresh = server.client();
            let agent = [("User-Agent", "kube-probe/1.31"), ("Accept", "*/*")];
            for (client, method) in [(&mut kept, "GET"), (&mut fresh, "HEAD")] {
                let sent = client.head(method, "/healthz", &agent);
                let is_alive = sent.and_then(|()| client.receive(method)).is_ok_and(|response| {
                    response.status == 200 && (method == "HEAD" || response.body == b"ok")
                });
                probes.fetch_add(1, Ordering::SeqCst);
                failed.fetch_add(u64::from(!is_alive), Ordering::SeqCst);
            }
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::scope(|scope| {
        scope.spawn(probe);
        meanwhile.of(|| {
            let mut visitor = server.client();
            for _ in 0..turns {
                for (command, status) in [("on", 503), ("off", 200)] {
                    site.ok(&[command]);
                    assert_eq!(visitor.get("/").status, status);
                    let before = probes.load(Ordering::SeqCst);
                    eventually("the probes go on", || {
                        probes.load(Ordering::SeqCst) >= before + PROBES
                    });
                }
            }
        });
    });
    (probes.into_inner(), failed.into_inner())
}

#[test]
fn requirement_54_no_probe_of_an_ignored_path_fails_across_toggles() {
    let site = TestSite::new();
    site.ok(&["ignore", "add", "path", "/healthz"]);
    let (probes, failed) = probe_across(&site, TURNS);
    assert_eq!(failed, 0, "of {probes} probes");
    figure(&format!("{probes} probes, {} toggles: {failed} failed", 2 * TURNS));
}

#[test]
fn requirement_57_a_probe_that_meets_the_page_is_found() {
    let site = TestSite::new();
    // Almost the path of the probe.
    site.ok(&["ignore", "add", "path", "/healthz/"]);
    let (probes, failed) = probe_across(&site, 5);
    assert!(failed >= 5 * PROBES, "{failed} of {probes}");
    figure(&format!("{failed} of {probes} probes failed where the rule is for `/healthz/`"));
}

#[test]
fn requirement_54_a_rule_for_an_exact_path_covers_that_path_alone() {
    let site = TestSite::new();
    site.ok(&["ignore", "add", "path", "/healthz"]);
    site.ok(&["on"]);
    let server = app(&site);
    let mut client = server.client();
    let table = [
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        // The query is not part of the path.
        ("GET", "/healthz?x", 200),
        ("GET", "/healthz?/../x", 200),
        // A rule for a path covers every method; the app decides which it has.
        ("POST", "/healthz", 405),
        ("OPTIONS", "/healthz", 405),
        ("GET", "/healthz/", 503),
        ("GET", "/healthz/../x", 503),
        ("GET", "/healthz/..", 503),
        ("GET", "/x/../healthz", 503),
        ("GET", "/healthz/x", 503),
        ("GET", "/healthz;x", 503),
        ("GET", "/healthz%2f", 503),
        ("GET", "//healthz", 503),
        ("GET", "/./healthz", 503),
        ("GET", "/HEALTHZ", 503),
        ("GET", "/healthzz", 503),
        ("GET", "/?/healthz", 503),
    ];
    for (method, target, status) in table {
        let response = client.ask(method, target, &[]);
        assert_eq!(response.status, status, "{method} {target}: {response:?}");
        assert_eq!(response.is_from_the_gate(), status == 503, "{method} {target}");
    }
    figure(&format!("{0} of {0} requests as the table says", table.len()));
}

#[test]
fn requirement_48_nothing_but_the_path_makes_a_health_check() {
    let site = TestSite::new();
    site.ok(&["ignore", "add", "path", "/healthz"]);
    site.ok(&["on"]);
    let server = app(&site);
    let mut client = server.client();
    for (name, value) in [
        ("User-Agent", "kube-probe/1.31"),
        ("User-Agent", "GoogleHC/1.0"),
        ("User-Agent", "ELB-HealthChecker/2.0"),
        ("X-Original-URL", "/healthz"),
        ("X-Rewrite-URL", "/healthz"),
        ("X-Forwarded-Uri", "/healthz"),
        ("X-Forwarded-Path", "/healthz"),
        ("X-HTTP-Method-Override", "HEAD"),
        ("X-Middleware-Subrequest", "middleware"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Referer", "/healthz"),
    ] {
        let response = client.ask("GET", "/", &[(name, value)]);
        assert_eq!(response.status, 503, "{name}: {value}");
    }
}
