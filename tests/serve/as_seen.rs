//! Whatever a proxy makes of a target or a host: what the app sees decides.

use crate::app::HOST;
use crate::forged::exchange;
use crate::front::{CADDY, ENVOY, NGINX, Proxy, TRAEFIK};
use crate::rig::Serving;
use crate::say::figure;

/// Ways to write `/shop/1` and `/health`, and what looks like them.
const TARGETS: [&str; 42] = [
    "/shop/1",
    "/shop",
    "/shop/",
    "/health",
    "/health/",
    "/%73hop/1",
    "/shop%2f1",
    "/shop%2F1",
    "/%2fshop/1",
    "//shop/1",
    "/shop//1",
    "///shop///1",
    "//health/shop/1",
    "/./shop/1",
    "/health/../shop/1",
    "/health/./../shop/1",
    "/health/%2e%2e/shop/1",
    "/health/%2E%2e/shop/1",
    "/health/..%2fshop/1",
    "/health/%252e%252e/shop/1",
    "/health//../shop/1",
    "/health/..;/shop/1",
    "/health;/../shop/1",
    "/shop;x=1/1",
    "/shop/1;x",
    "/shop./1",
    "/shop/.",
    "/shop/..",
    "/shop/../health",
    "/shop/%2e%2e/health",
    "/shop/..%5chealth",
    "/shop\\1",
    "/health\\..\\shop\\1",
    "/SHOP/1",
    "/shop%20/1",
    "/shop%00/1",
    "/shop/%c0%ae%c0%ae/health",
    "/shop/%zz",
    "/shop/1?x=/health",
    "/health?/../shop/1",
    "/shop/1#/health",
    "http://shop.example.com/health/../shop/1",
];

/// A target or a host as the app has seen it, or none if the app was not asked.
fn seen(port: u16, target: &str, host: &str) -> (Option<String>, Option<String>) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = exchange(port, &request);
    let after = |text: &str, until| {
        let at = answer.to_ascii_lowercase().find(text)? + text.len();
        answer[at..].split(until).next().map(|it: &str| it.trim().to_owned())
    };
    (after("the app: get ", '\n'), after(&format!("{HOST}: "), '\r'))
}

/// Whether a request passes, by the endpoint itself.
fn passes(serving: &Serving, target: &str, host: &str) -> bool {
    let fields = [("X-Original-Method", "GET"), ("X-Original-URI", target), ("Host", host)];
    serving.ask("GET", "/auth", &fields).status == 204
}

fn paths_decide(proxy: Proxy) {
    let Some(front) = proxy.in_front(&[]) else { return };
    let (serving, software) = (&front.serving, proxy.name);
    let host = "shop.example.com";
    let up = TARGETS.map(|target| seen(front.port, target, host).0);
    let reached = up.iter().flatten().count();
    serving.maint(&["ignore", "add", "path", "/health/**"]);
    let mut blocked = 0;
    for window in [&["on", "--path", "/shop/**"][..], &["on"]] {
        serving.maint(window);
        for (target, up) in TARGETS.iter().zip(&up) {
            let down = seen(front.port, target, host).0;
            // What is not for the app is not, whoever refuses it.
            let meant = up.as_deref().filter(|path| passes(serving, path, host));
            assert_eq!(down.as_deref(), meant, "{software}: {window:?}: {target}: {up:?}");
            blocked += usize::from(up.is_some() && meant.is_none());
        }
        serving.maint(&["off"]);
    }
    figure(&format!("{software}: {reached} of 42 targets reach the app, {blocked} times blocked"));
    assert!(reached > 20 && blocked > 20, "{reached} {blocked}");
}

fn hosts_decide(proxy: Proxy) {
    let Some(front) = proxy.in_front(&[]) else { return };
    let (serving, software) = (&front.serving, proxy.name);
    let mut reached = 0;
    for (target, host) in [
        ("/", "shop.example.com"),
        ("/", "SHOP.example.com:80"),
        ("/", "shop.example.com."),
        ("/", "shop.example.com:x"),
        ("/", "shop.example.com, blog.example.com"),
        ("/", "blog.example.com\r\nX-Forwarded-Host: shop.example.com"),
        ("/", "shop.example.com\r\nX-Forwarded-Host: blog.example.com"),
        ("/", "shop.example.com\r\nX-Host: blog.example.com\r\nForwarded: host=blog.example.com"),
        ("/", "blog.example.com\r\nHost: shop.example.com"),
        ("/", "shop.example.com\r\nHost: blog.example.com"),
        ("/", "shop.example.com\r\nhost: shop.example.com"),
        ("/", "blog.example.com"),
        ("/", "blog.example.com/shop.example.com"),
        ("/", "blog@shop.example.com"),
        ("/", ""),
        ("http://shop.example.com/", "blog.example.com"),
        ("http://blog.example.com/", "shop.example.com"),
        ("http://blog@shop.example.com/", "blog.example.com"),
        ("http://shop.example.com:80/", "shop.example.com"),
        ("//shop.example.com/", "blog.example.com"),
    ] {
        let up = seen(front.port, target, host).1;
        reached += usize::from(up.is_some());
        serving.maint(&["on", "--host", "shop.example.com"]);
        let down = seen(front.port, target, host).1;
        // Where there is none, the app is told that of the app, and the endpoint of none.
        let meant = up.as_deref().filter(|seen| !host.is_empty() && passes(serving, "/", seen));
        assert_eq!(down.as_deref(), meant, "{software}: {target} {host:?}: {up:?}");
        serving.maint(&["off"]);
    }
    figure(&format!("{software}: {reached} of 20 requests reach the app"));
    assert!(reached > 8, "{reached}");
}

#[test]
fn requirement_86_the_path_that_the_app_sees_decides_behind_nginx() {
    paths_decide(NGINX);
}

#[test]
fn requirement_86_the_path_that_the_app_sees_decides_behind_caddy() {
    paths_decide(CADDY);
}

#[test]
fn requirement_86_the_path_that_the_app_sees_decides_behind_traefik() {
    paths_decide(TRAEFIK);
}

#[test]
fn requirement_86_the_path_that_the_app_sees_decides_behind_envoy() {
    paths_decide(ENVOY);
}

#[test]
fn requirement_86_the_host_that_the_app_sees_decides_behind_caddy() {
    hosts_decide(CADDY);
}

#[test]
fn requirement_86_the_host_that_the_app_sees_decides_behind_traefik() {
    hosts_decide(TRAEFIK);
}

#[test]
fn requirement_86_the_host_that_the_app_sees_decides_behind_envoy() {
    hosts_decide(ENVOY);
}
