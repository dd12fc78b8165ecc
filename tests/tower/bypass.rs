//! A bypass link, and what follows from it.

use axum::Router;
use axum::routing::any;
use serde_json::{Map, Value};

use crate::client::{Client, Response};
use crate::env::{Server, TestSite};

/// An app that lets any cache keep its answers.
fn serve(site: &TestSite) -> Server {
    let page = async || ([("cache-control", "public, max-age=3600")], "the shop");
    Server::start(Router::new().fallback(any(page)).layer(site.layer()))
}

fn token(site: &TestSite, args: &[&str]) -> String {
    let args: Vec<&str> = ["bypass", "new"].iter().chain(args).copied().collect();
    site.ok(&args).trim().to_owned()
}

/// What the state holds of each token, by its id.
fn tokens(site: &TestSite) -> Map<String, Value> {
    let state = std::fs::read(site.directory().join("state.json")).unwrap();
    let state: Value = serde_json::from_slice(&state).unwrap();
    state["bypass"].as_object().unwrap().clone()
}

fn with_cookie(client: &mut Client, cookie: &str) -> Response {
    client.ask("GET", "/shop", &[("Cookie", cookie)])
}

/// Follows a link and returns the name and the value of the cookie, and its attributes.
fn follow(client: &mut Client, host: &str, target: &str) -> (String, String) {
    let response = client.ask("GET", target, &[("Host", host)]);
    assert_eq!(response.status, 303, "{response:?}");
    let cookie = response.header("set-cookie").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    (pair.to_owned(), attributes.to_owned())
}

#[test]
fn requirement_46_a_link_leads_to_the_clean_place_with_a_cookie_that_passes() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let token = token(&site, &[]);
    let server = serve(&site);
    let mut client = server.client();
    let link = format!("/shop?a=1&maint_bypass={token}&b=2");
    let response = client.ask("GET", &link, &[("Host", "shop.example")]);
    assert_eq!(response.status, 303);
    for (name, value) in [
        ("location", "/shop?a=1&b=2"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-length", "0"),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
    let cookie = response.header("set-cookie").unwrap();
    let attributes = "Path=/; HttpOnly; SameSite=Lax; Secure";
    assert_eq!(cookie, format!("__Host-maint_bypass={token}; {attributes}"));

    let pair = cookie.split(';').next().unwrap();
    let response = with_cookie(&mut client, pair);
    assert_eq!((response.status, response.text()), (200, "the shop"));
    assert_eq!(with_cookie(&mut client, &format!("a=b; {pair}; c=d")).status, 200);
    assert_eq!(client.get("/shop").status, 503, "without it the site is down");
}

#[test]
fn requirement_44_without_encryption_the_cookie_is_one_that_a_browser_takes() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let token = token(&site, &["--for", "1h"]);
    let link = format!("/?maint_bypass={token}");
    let server = serve(&site);
    let mut client = server.client();
    let (pair, attributes) = follow(&mut client, "127.0.0.1:3000", &link);
    assert_eq!(pair, format!("maint_bypass={token}"));
    assert!(!attributes.contains("Secure"), "{attributes}");
    let age: u32 = attributes.rsplit_once("Max-Age=").unwrap().1.parse().unwrap();
    assert!((3_500..=3_600).contains(&age), "{attributes}");
    assert_eq!(with_cookie(&mut client, &pair).status, 200);

    let app = Router::new().fallback(any(async || "app")).layer(site.layer().plain_http());
    let server = Server::start(app);
    let (pair, attributes) = follow(&mut server.client(), "shop.intern", &link);
    assert!(pair.starts_with("maint_bypass=") && !attributes.contains("Secure"), "{attributes}");
}

#[test]
fn requirement_50_what_a_token_lets_through_is_kept_by_no_cache_of_others() {
    let site = TestSite::new();
    let token = token(&site, &["--keep"]);
    let server = serve(&site);
    let mut client = server.client();
    let cookie = format!("maint_bypass={token}");
    let cache_control = |response: &Response| response.header("cache-control").unwrap().to_owned();
    let up = with_cookie(&mut client, &cookie);
    assert_eq!(cache_control(&up), "public, max-age=3600", "others would pass too");
    site.ok(&["on"]);
    let passed = with_cookie(&mut client, &cookie);
    assert_eq!((passed.status, cache_control(&passed).as_str()), (200, "private, no-store"));
    site.ok(&["off"]);
    let up = with_cookie(&mut client, &cookie);
    assert_eq!(cache_control(&up), "public, max-age=3600");
}

#[test]
fn requirement_44_off_revokes_a_token_unless_it_is_kept() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let (lost, kept) = (token(&site, &[]), token(&site, &["--keep"]));
    let server = serve(&site);
    let mut client = server.client();
    let mut statuses = |name: &str| {
        [&lost, &kept].map(|token| with_cookie(&mut client, &format!("{name}={token}")).status)
    };
    for name in ["maint_bypass", "__Host-maint_bypass"] {
        assert_eq!(statuses(name), [200, 200], "{name}");
    }
    site.ok(&["off"]);
    site.ok(&["on"]);
    assert_eq!(statuses("maint_bypass"), [503, 200]);
    let revoked = client.get(&format!("/?maint_bypass={lost}"));
    assert_eq!(revoked.status, 503, "its link is dead too");
    let id = tokens(&site).keys().next().unwrap().to_owned();
    site.ok(&["bypass", "revoke", &id]);
    assert_eq!(with_cookie(&mut client, &format!("maint_bypass={kept}")).status, 503);
}

#[test]
fn requirement_44_what_is_almost_a_token_is_none() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let token = token(&site, &[]);
    let server = serve(&site);
    let mut client = server.client();
    let digest = tokens(&site).values().next().unwrap()["sha256"].clone();
    let shorter = &token[..token.len() - 1];
    for value in [
        "",
        shorter,
        &format!("{token}0"),
        &token.to_uppercase(),
        &format!("{shorter}g"),
        digest.as_str().unwrap(),
        "maint_",
        "1",
    ] {
        for name in ["maint_bypass", "__Host-maint_bypass"] {
            let response = with_cookie(&mut client, &format!("{name}={value}"));
            assert_eq!(response.status, 503, "{name}={value}");
        }
        let response = client.get(&format!("/?maint_bypass={value}"));
        assert_eq!(response.status, 503, "{value} in a link");
    }
    assert_eq!(with_cookie(&mut client, &format!("Maint_Bypass={token}")).status, 503);
    assert_eq!(client.ask("POST", &format!("/?maint_bypass={token}"), &[]).status, 503);
    assert_eq!(with_cookie(&mut client, &format!("maint_bypass={token}")).status, 200);
}
