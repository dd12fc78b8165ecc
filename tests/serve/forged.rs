//! What visitors say of themselves in the fields that proxies use.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::app::OURS;
use crate::front::{CADDY, ENVOY, NGINX, Proxy, TRAEFIK};
use crate::say::figure;

/// Header fields, as they go over the wire. 192.0.2.7, any user, the host
/// `trusted.example.com`, the path `/health` and reads would pass.
const FORGED: [&str; 44] = [
    "X-Original-URI: /health",
    "x-original-uri: /health\r\nX-ORIGINAL-URI: /health",
    "X-Original-Method: GET",
    "X-Original-Method: GET\r\nX-Original-Method: HEAD",
    "X-Original-URL: /health\r\nX-Rewrite-URL: /health",
    "X_Original_URI: /health\r\nX_Original_Method: GET",
    "X-Original_URI: /health",
    "X-Original-URI : /health",
    "X-Original-URI:\r\n /health",
    "X-Junk: a\r\n X-Original-URI: /health",
    "X-Original-Host: trusted.example.com\r\nX-Host: trusted.example.com",
    "Connection: X-Original-URI, X-Original-Method",
    "Connection: close, X-Forwarded-For, X-Forwarded-Uri, X-Forwarded-Method",
    "Connection: Host, Cookie\r\nTE: trailers",
    "X-Forwarded-For: 192.0.2.7",
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.7",
    "X-Forwarded-For: 192.0.2.7,",
    "X-Forwarded-For: 192.0.2.7, 192.0.2.7, 192.0.2.7",
    "X-Forwarded-For: \"192.0.2.7\"",
    "x_forwarded_for: 192.0.2.7",
    "X-Forwarded-For:\r\n\t192.0.2.7",
    "X-Forwarded-Uri: /health",
    "X-Forwarded-Uri: /health\r\nX-Forwarded-Uri: /health",
    "X-Forwarded-Method: GET",
    "X-Forwarded-Host: trusted.example.com",
    "X-Forwarded-Host: trusted.example.com, trusted.example.com",
    "X-Forwarded-Server: trusted.example.com\r\nX-Forwarded-Port: 443",
    "X-Forwarded-Prefix: /health\r\nX-Forwarded-Path: /health",
    "X-Forwarded-Proto: https\r\nX-Forwarded-User: ann",
    "Forwarded: for=192.0.2.7;host=trusted.example.com;proto=https",
    "Forwarded: for=192.0.2.7\r\nforwarded: for=192.0.2.7",
    "X-Real-IP: 192.0.2.7\r\nX-Client-IP: 192.0.2.7\r\nTrue-Client-IP: 192.0.2.7",
    "CF-Connecting-IP: 192.0.2.7\r\nX-Cluster-Client-IP: 192.0.2.7",
    "X-HTTP-Method-Override: GET\r\nX-Method-Override: GET",
    "X-Who: ann",
    "X-WHO: ann\r\nx-who: ann",
    "X_Who: ann",
    "Authorization: Basic YW5uOmFubg==\r\nRemote-User: ann",
    "Maint-Decision: pass\r\nMaint-Revision: 1",
    "Maint-Decision: read-only\r\nCache-Control: private, no-store",
    "Cookie: maint_bypass=maint_0000000000000000000000000000000000000000",
    "Cookie: __Host-maint_bypass=; maint_decision=pass",
    "Expect: 100-continue",
    "Upgrade: websocket\r\nConnection: Upgrade",
];

/// Targets and hosts, where the proxy and the app could see another request than the gate.
const REQUESTS: [(&str, &str); 8] = [
    ("http://shop.example.com/shop/1", "trusted.example.com"),
    ("http://trusted.example.com@shop.example.com/shop/1", "trusted.example.com"),
    ("/shop/1?x=/health", "shop.example.com"),
    ("/shop/1#/health", "shop.example.com"),
    ("/health/../shop/1", "shop.example.com"),
    ("/health/%2e%2e/shop/1", "shop.example.com"),
    ("/%73hop/1", "shop.example.com"),
    ("/shop/1", "shop.example.com\r\nHost: trusted.example.com"),
];

/// The whole answer, as text.
pub(crate) fn exchange(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A proxy may cut off what it refuses to read.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn passes_none(proxy: Proxy) {
    let Some(front) = proxy.in_front(&["--user-field", "X-Who"]) else { return };
    let (serving, software) = (&front.serving, proxy.name);
    for (kind, value) in [
        ("ip", "192.0.2.7"),
        ("user", "authenticated"),
        ("host", "trusted.example.com"),
        ("path", "/health"),
    ] {
        serving.maint(&["ignore", "add", kind, value]);
    }
    let requests = |method: &str| {
        let fields = FORGED.iter().map(|field| ("/shop/1", "shop.example.com", *field));
        let targets = REQUESTS.iter().map(|(target, host)| (*target, *host, "X-Junk: a"));
        let all = fields.chain(targets).map(|(target, host, field)| {
            format!(
                "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{field}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
        });
        all.collect::<Vec<_>>()
    };
    let is_of_the_app =
        |request: &str| exchange(front.port, request).to_ascii_lowercase().contains(OURS);
    let honest = |method: &str, target: &str, host: &str| {
        is_of_the_app(&format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        ))
    };
    let mut tried = 0;
    for (window, method) in [
        (&["on"][..], "GET"),
        (&["on", "--path", "/shop/**"], "POST"),
        (&["on", "--read-only", "--path", "/shop/**"], "POST"),
    ] {
        serving.maint(window);
        // What is forged would pass if it were so.
        assert!(honest(method, "/health", "shop.example.com"), "{window:?}");
        assert!(honest(method, "/shop/1", "trusted.example.com"), "{window:?}");
        assert!(!honest(method, "/shop/1", "shop.example.com"), "{window:?}");
        for request in requests(method) {
            assert!(!is_of_the_app(&request), "{software}: {window:?}: {request:?}");
            tried += 1;
        }
        serving.maint(&["off"]);
    }
    figure(&format!("{software}: {tried} forged requests, 0 passes"));
}

#[test]
fn requirement_86_no_forged_field_passes_nginx() {
    passes_none(NGINX);
}

#[test]
fn requirement_86_no_forged_field_passes_caddy() {
    passes_none(CADDY);
}

#[test]
fn requirement_86_no_forged_field_passes_traefik() {
    passes_none(TRAEFIK);
}

#[test]
fn requirement_86_no_forged_field_passes_traefik_in_its_open_form() {
    // There it asks by way of itself.
    passes_none(TRAEFIK.open());
}

#[test]
fn requirement_86_no_forged_field_passes_envoy() {
    passes_none(ENVOY);
}
