//! What other software takes for a reason to let a visitor in, and maint does not.

use axum::extract::Request;
use tower::util::MapRequestLayer;

use crate::app::{PUBLIC, Server, shop};
use crate::fronts;
use crate::say::figure;
use crate::site::TestSite;
use crate::wire::{Answer, Client};

/// Header fields that name what the rules of the site let through, or that have
/// made a server or framework skip its checks.
const FIELDS: [(&str, &str); 52] = [
    // CVE-2025-29927: the framework's own mark for a request it has already seen.
    ("x-middleware-subrequest", "middleware:middleware:middleware:middleware:middleware"),
    ("x-middleware-prefetch", "1"),
    ("x-middleware-rewrite", "/health"),
    ("x-nextjs-data", "1"),
    // The path, repeated (CVE-2018-14773 and its kin).
    ("X-Original-URL", "/health"),
    ("X-Rewrite-URL", "/health"),
    ("X-Original-URI", "/health"),
    ("X-Forwarded-Uri", "/health"),
    ("X-Forwarded-Path", "/health"),
    ("X-Forwarded-Prefix", "/health"),
    ("X-Envoy-Original-Path", "/health"),
    ("X-Override-URL", "/health"),
    ("X-Accel-Redirect", "/health"),
    ("X-Sendfile", "/health"),
    ("Referer", "http://shop.example/health"),
    ("Content-Location", "/health"),
    ("Destination", "/health"),
    // The address, from a peer that is not trusted.
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Real-IP", "203.0.113.7"),
    ("X-Client-IP", "203.0.113.7"),
    ("X-Cluster-Client-IP", "203.0.113.7"),
    ("X-Originating-IP", "203.0.113.7"),
    ("X-Remote-IP", "203.0.113.7"),
    ("X-Remote-Addr", "203.0.113.7"),
    ("X-Custom-IP-Authorization", "203.0.113.7"),
    ("True-Client-IP", "203.0.113.7"),
    ("CF-Connecting-IP", "203.0.113.7"),
    ("Fastly-Client-IP", "203.0.113.7"),
    ("Client-IP", "203.0.113.7"),
    ("Forwarded", "for=203.0.113.7;host=staging.example;proto=https"),
    ("X_Forwarded_For", "203.0.113.7"),
    // The host.
    ("X-Forwarded-Host", "staging.example"),
    ("X-Forwarded-Server", "staging.example"),
    ("X-Host", "staging.example"),
    ("X-HTTP-Host-Override", "staging.example"),
    // The method.
    ("X-HTTP-Method-Override", "OPTIONS"),
    ("X-HTTP-Method", "OPTIONS"),
    ("X-Method-Override", "OPTIONS"),
    // The field of the header rule, with another name or another value.
    ("X_Probe", "blue"),
    ("X-Probe", "Blue"),
    ("X-Probe", "blue, blue"),
    ("X-Probe-", "blue"),
    // Health checks, by their usual names.
    ("User-Agent", "kube-probe/1.30"),
    ("User-Agent", "ELB-HealthChecker/2.0"),
    ("User-Agent", "GoogleHC/1.0"),
    ("User-Agent", "Googlebot/2.1 (+http://www.google.com/bot.html)"),
    ("User-Agent", "UptimeRobot/2.0"),
    // Claims about who the visitor is.
    ("X-Remote-User", "staff"),
    ("X-Forwarded-User", "superuser"),
    ("Authorization", "Basic c3RhZmY6c3RhZmY="),
    ("Cookie", "maint_bypass=1; __Host-maint_bypass=true; maintenance=off; laravel_maintenance=1"),
    ("Maint-Decision", "pass"),
];

const QUERIES: [&str; 14] = [
    "bypass",
    "bypass=1",
    "maint_bypass",
    "maint_bypass=1",
    "maint_bypass=true&maint_bypass=b1",
    "maintenance=off",
    "secret=1",
    "preview=true",
    "debug=1",
    "health",
    "path=/health",
    "_method=OPTIONS",
    "_url=/health",
    "x-middleware-subrequest=middleware",
];

/// A site that is down, and what its rules let through.
fn down() -> TestSite {
    let site = TestSite::new();
    site.maint(&["on"]);
    for (kind, value) in [
        ("path", "/health"),
        ("ip", "203.0.113.7"),
        ("method", "OPTIONS"),
        ("host", "staging.example"),
        ("header", "X-Probe: blue"),
        ("user", "staff"),
    ] {
        site.maint(&["ignore", "add", kind, value]);
    }
    site
}

/// Sends each server every disguise: how many requests that were, and which passed.
fn try_all(ports: &[(&'static str, u16)]) -> (usize, Vec<String>) {
    let (mut asked, mut passed) = (0, Vec::new());
    let mut note = |name: &str, answer: &Answer, what: &str| {
        asked += 1;
        if !(answer.status == 503 && answer.is_of_maint()) {
            passed.push(format!("{name}: {what}"));
        }
    };
    for (name, port) in ports {
        let mut client = Client::new(*port);
        for (field, value) in FIELDS {
            for target in ["/admin", "/admin?full=1"] {
                note(name, &client.get(target, &[(field, value)]), field);
            }
        }
        for query in QUERIES {
            note(name, &client.get(&format!("/admin?{query}"), &[]), query);
        }
        // All fields that may stand beside the others, at once.
        note(name, &client.get("/admin", &FIELDS), "all together");
    }
    (asked, passed)
}

#[test]
fn requirement_57_a_server_that_obeys_a_disguise_is_found() {
    let site = down();
    // Like some servers, it takes the path from a field, for the sake of a proxy.
    let app = shop(site.layer(), PUBLIC).layer(MapRequestLayer::new(|mut request: Request| {
        let told = request.headers().get("x-original-url").cloned();
        if let Some(path) = told.and_then(|value| value.to_str().ok()?.parse().ok()) {
            *request.uri_mut() = path;
        }
        request
    }));
    let (asked, passed) = try_all(&[("axum", Server::new(app).port)]);
    figure(&format!("{} of {asked} requests passed where X-Original-URL counts", passed.len()));
    let is_known = |what: &String| what.contains("X-Original-URL") || what.contains("all together");
    assert!(passed.len() >= 2 && passed.iter().all(is_known), "{passed:?}");
}

#[test]
fn requirement_48_no_name_that_others_obey_grants_passage() {
    let site = down();
    let token = site.token();
    let server = Server::new(shop(site.layer(), PUBLIC));
    let fronts = fronts::nginx(server.port);
    let mut ports = vec![("axum", server.port)];
    ports.extend(fronts.iter().map(|front| (front.name, front.port)));
    let (asked, passed) = try_all(&ports);
    let names = FIELDS.len() + QUERIES.len();
    figure(&format!("{} of {asked} requests with {names} disguises passed", passed.len()));
    assert!(passed.is_empty(), "{passed:?}");

    // Each rule does let through what it names.
    let mut client = Client::new(server.port);
    let cookie = format!("maint_bypass={token}");
    for (method, target, field) in [
        ("GET", "/health", ("Accept", "*/*")),
        ("OPTIONS", "/admin", ("Accept", "*/*")),
        ("GET", "/admin", ("Host", "staging.example")),
        ("GET", "/admin", ("X-Probe", "blue")),
        ("GET", "/admin", ("X-Session", "staff")),
        ("GET", "/admin", ("Cookie", &cookie)),
    ] {
        let answer = client.ask(method, target, &[field]);
        assert_eq!(answer.status, 200, "{method} {target} {field:?}");
    }
    site.maint(&["proxy", "add", "127.0.0.1"]);
    assert_eq!(client.get("/admin", &[("X-Forwarded-For", "203.0.113.7")]).status, 200);
}
