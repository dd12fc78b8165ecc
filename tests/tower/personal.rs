//! Rules for people and rules for requests, as the layer finds them.

use std::net::IpAddr;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response as AxumResponse;
use axum::routing::any;
use maint::request::User;
use maint::tower::MaintenanceLayer;

use crate::client::{Client, Response};
use crate::env::{Server, TestSite};

const PUBLIC: &str = "public, max-age=3600";
const PRIVATE: &str = "private, no-store";

fn app(layer: MaintenanceLayer) -> Router {
    let page = async || ([("cache-control", PUBLIC), ("cdn-cache-control", PUBLIC)], "the shop");
    Router::new().fallback(any(page)).layer(layer)
}

/// The app's own log-in, in front of the gate: the header names the user.
async fn log_in(mut request: Request, next: Next) -> AxumResponse {
    let name = request.headers().get("x-test-login").and_then(|name| name.to_str().ok());
    let user = match name {
        Some(name) => User::authenticated().staff(name == "staff").superuser(name == "root"),
        None => User::anonymous(),
    };
    request.extensions_mut().insert(user);
    next.run(request).await
}

fn cache_control(response: &Response) -> Option<&str> {
    response.header("cache-control")
}

#[test]
fn requirement_50_what_a_rule_for_people_lets_through_is_private_and_other_things_are_not() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let layer = site.layer().user_from(|extensions| extensions.get::<User>().copied());
    let server = Server::start(app(layer).layer(from_fn(log_in)));
    let mut client = server.client();
    for (kind, value, cache, headers) in [
        ("ip", "127.0.0.0/8", PRIVATE, &[][..]),
        ("header", "X-Probe: blue", PRIVATE, &[("X-Probe", "blue")]),
        ("user", "staff", PRIVATE, &[("X-Test-Login", "staff")]),
        ("user", "anonymous", PRIVATE, &[]),
        ("path", "/shop", PUBLIC, &[]),
        ("path", "/**", PUBLIC, &[]),
        ("method", "GET", PUBLIC, &[]),
        ("host", "shop.example", PUBLIC, &[("Host", "shop.example")]),
    ] {
        let response = client.ask("GET", "/shop", headers);
        assert_eq!((response.status, cache_control(&response)), (503, Some("no-store")), "{kind}");
        site.ok(&["ignore", "add", kind, value, "--yes-everything"]);
        let response = client.ask("GET", "/shop", headers);
        assert_eq!((response.status, cache_control(&response)), (200, Some(cache)), "{kind}");
        let of_cdn = (cache != PRIVATE).then_some(PUBLIC);
        assert_eq!(response.header("cdn-cache-control"), of_cdn, "{kind}");
        assert_eq!(response.text(), "the shop");
        site.ok(&["ignore", "clear"]);
    }
}

#[test]
fn a_rule_for_users_needs_somebody_who_knows_them() {
    let site = TestSite::new();
    site.ok(&["on"]);
    site.ok(&["ignore", "add", "user", "superuser"]);
    let layer = site.layer().user_from(|extensions| extensions.get::<User>().copied());
    let knowing = Server::start(app(layer).layer(from_fn(log_in)));
    let unknowing = Server::start(app(site.layer()).layer(from_fn(log_in)));
    for (name, status) in [("ann", 503), ("staff", 503), ("root", 200)] {
        let headers = [("X-Test-Login", name)];
        assert_eq!(knowing.client().ask("GET", "/", &headers).status, status, "{name}");
        assert_eq!(unknowing.client().ask("GET", "/", &headers).status, 503, "{name}");
    }
    assert_eq!(knowing.client().get("/").status, 503);
}

fn from(client: &mut Client, forwarded: &[&str]) -> u16 {
    let headers: Vec<_> = forwarded.iter().map(|value| ("X-Forwarded-For", *value)).collect();
    client.ask("GET", "/", &headers).status
}

#[test]
fn requirement_39_a_proxy_is_believed_only_once_it_is_trusted() {
    let site = TestSite::new();
    site.ok(&["on"]);
    site.ok(&["ignore", "add", "ip", "203.0.113.7"]);
    let server = Server::start(app(site.layer()));
    let mut client = server.client();
    assert_eq!(from(&mut client, &["203.0.113.7"]), 503, "anyone can send that field");
    site.ok(&["proxy", "add", "127.0.0.1", "10.0.0.0/8"]);
    for (forwarded, status) in [
        (&["203.0.113.7"][..], 200),
        (&["203.0.113.7, 10.1.2.3"], 200),
        (&["203.0.113.7", "10.1.2.3"], 200),
        (&["::ffff:203.0.113.7"], 200),
        (&["203.0.113.7, 198.51.100.1"], 503),
        (&["203.0.113.7", "198.51.100.1"], 503),
        (&["203.0.113.7, unknown"], 503),
        (&["10.1.2.3"], 503),
        (&[""], 503),
        (&[], 503),
    ] {
        assert_eq!(from(&mut client, forwarded), status, "{forwarded:?}");
    }
    site.ok(&["proxy", "clear"]);
    assert_eq!(from(&mut client, &["203.0.113.7"]), 503);
}

#[test]
fn without_knowing_the_peer_no_address_matches() {
    let site = TestSite::new();
    site.ok(&["on"]);
    site.ok(&["ignore", "add", "ip", "127.0.0.0/8"]);
    let layer = MaintenanceLayer::new(site.layer().gate().clone());
    let blind = Server::start(app(layer.clone()));
    let fixed: IpAddr = "192.0.2.1".parse().unwrap();
    let elsewhere = Server::start(app(layer.peer_from(move |_| Some(fixed))));
    let seeing = Server::start(app(site.layer()));
    let status = |server: &Server| from(&mut server.client(), &["127.0.0.1"]);
    assert_eq!([&blind, &elsewhere, &seeing].map(status), [503, 503, 200]);
}
