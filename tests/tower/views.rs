//! Views that are always down or never down, and layers in layers.

use axum::Router;
use axum::routing::get;

use crate::client::Client;
use crate::env::{Server, TestSite};
use crate::golden::{expected, fields};

fn serve(site: &TestSite) -> Server {
    let layer = site.layer().ignore("/health").unwrap();
    let app = Router::new()
        .route("/", get(async || "shop"))
        .route("/health", get(async || "alive"))
        .route("/new", get(async || "new").layer(layer.clone().force_on()))
        .layer(layer.clone())
        .route("/outside", get(async || "outside"))
        .route("/always", get(async || "always").layer(layer.force_on()));
    Server::start(app)
}

fn statuses(client: &mut Client) -> [u16; 5] {
    ["/", "/new", "/outside", "/health", "/always"].map(|path| client.get(path).status)
}

#[test]
fn what_is_no_host_is_covered_by_a_scope_of_hosts() {
    let site = TestSite::new();
    site.ok(&["on", "--host", "shop.example"]);
    let server = Server::start(Router::new().fallback(get(async || "app")).layer(site.layer()));
    let mut client = server.client();
    for host in
        ["blog.example", "blog.example:8080", "BLOG.example.", "[2001:db8::1]", "203.0.113.7"]
    {
        assert_eq!(client.ask("GET", "/", &[("Host", host)]).status, 200, "{host}");
    }
    for host in
        ["", "blog.example:x", "user@blog.example", "blog.example/", "127.1", "blog%2eexample"]
    {
        // A server may refuse it, too.
        let status = client.ask("GET", "/", &[("Host", host)]).status;
        assert!(matches!(status, 400 | 503), "{host:?}: {status}");
        client = server.client();
    }
    let two = [("Host", "blog.example"), ("Host", "blog.example")];
    assert_ne!(client.ask("GET", "/", &two).status, 200, "two of them");
    let mut client = server.client();
    let other = client.ask("GET", "http://blog.example/", &[("Host", "shop.example")]).status;
    assert_ne!(other, 200, "the target and the field differ");
}

#[test]
fn a_view_is_down_or_up_whatever_the_state_says() {
    let site = TestSite::new();
    let server = serve(&site);
    let mut client = server.client();
    assert_eq!(statuses(&mut client), [200, 503, 200, 200, 503]);
    site.ok(&["on"]);
    assert_eq!(statuses(&mut client), [503, 503, 200, 200, 503]);
    // A view that is not ready stays down for everyone.
    site.ok(&["ignore", "add", "path", "/**", "--yes-everything"]);
    let token = site.ok(&["bypass", "new"]);
    assert_eq!(statuses(&mut client), [200, 503, 200, 200, 503]);
    let cookie = format!("maint_bypass={}", token.trim());
    assert_eq!(client.ask("GET", "/new", &[("Cookie", &cookie)]).status, 503);
    site.ok(&["off"]);
    assert_eq!(statuses(&mut client), [200, 503, 200, 200, 503]);
}

#[test]
fn a_view_that_is_always_down_has_the_page_of_the_site_and_no_window() {
    let site = TestSite::new();
    let server = serve(&site);
    let response = server.client().ask("GET", "/always", &[("Accept", "application/json")]);
    let length = response.body.len().to_string();
    let others = [("retry-after", "120"), ("content-language", "en")];
    let expected = expected(Some("application/problem+json"), &length, &others);
    assert_eq!(fields(&response), expected);
    let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(
        problem,
        serde_json::json!({
            "type": "about:blank", "title": "Down for maintenance", "status": 503,
            "start": null, "end": null,
        })
    );
}

#[test]
fn a_window_for_a_part_of_the_site_leaves_the_rest_up() {
    let site = TestSite::new();
    site.ok(&["on", "--path", "/shop/**", "--read-only"]);
    let app = Router::new().fallback(axum::routing::any(async || "app")).layer(site.layer());
    let server = Server::start(app);
    let mut client = server.client();
    for (method, path, status) in [
        ("GET", "/shop/cart", 200),
        ("HEAD", "/shop", 200),
        ("POST", "/shop/cart", 503),
        ("DELETE", "/shop", 503),
        ("POST", "/blog", 200),
        ("POST", "/shopping", 200),
        ("POST", "/blog/../shop/cart", 503),
        ("POST", "/%73hop/cart", 503),
    ] {
        assert_eq!(client.ask(method, path, &[]).status, status, "{method} {path}");
    }
}
