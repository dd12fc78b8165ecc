//! `Retry-After`, the status, and redirects for browsers.

use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use jiff::Timestamp;

use crate::client::Client;
use crate::env::{Server, TestSite, eventually};
use crate::golden::{AXIOS, BROWSER, expected, fields};
use crate::say::figure;

const WEEK: i64 = 7 * 24 * 3600;

fn serve(site: &TestSite) -> Server {
    Server::start(Router::new().fallback(any(async || "app")).layer(site.layer()))
}

#[track_caller]
fn retry_after(client: &mut Client) -> i64 {
    let response = client.get("/");
    assert!(response.is_from_the_gate(), "{response:?}");
    response.header("retry-after").unwrap().parse().unwrap()
}

#[test]
fn requirement_49_retry_after_is_what_is_left_rounded_up() {
    let site = TestSite::new();
    let server = serve(&site);
    let mut client = server.client();
    // An end between two full seconds, to show the rounding.
    let end = Timestamp::now() + Duration::from_millis(4_400);
    site.ok(&["on", "--until", &end.to_string()]);
    let left = |now: Timestamp| {
        let left = end.duration_since(now);
        left.as_secs() + i64::from(left.subsec_nanos() > 0)
    };
    let mut seen = Vec::new();
    loop {
        let before = Timestamp::now();
        let response = client.get("/");
        let after = Timestamp::now();
        if response.status == 200 {
            assert!(after >= end, "up before the end");
            break;
        }
        assert!(before < end, "down after the end: {response:?}");
        let seconds: i64 = response.header("retry-after").unwrap().parse().unwrap();
        let possible = left(after).max(1)..=left(before);
        assert!(possible.contains(&seconds), "{seconds} is not within {possible:?}");
        if seen.last() != Some(&seconds) {
            seen.push(seconds);
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(seen.last(), Some(&1), "at least one, to the very end: {seen:?}");
}

#[test]
fn requirement_49_retry_after_has_a_default_and_is_a_week_at_most() {
    let site = TestSite::new();
    let server = serve(&site);
    let mut client = server.client();
    for (args, expected) in [
        (&["on"][..], 120..=120),
        (&["on", "--retry-after", "5m"], 300..=300),
        (&["on", "--retry-after", "1s"], 1..=1),
        // A known end takes precedence.
        (&["on", "--for", "30m", "--retry-after", "5m"], 1_700..=1_800),
        (&["on", "--for", "30d"], WEEK..=WEEK),
        (&["on", "--for", "7d"], WEEK - 100..=WEEK),
    ] {
        site.ok(&[args, &["--yes"]].concat());
        let seconds = retry_after(&mut client);
        assert!(expected.contains(&seconds), "{args:?}: {seconds}");
    }
}

#[test]
fn an_estimate_goes_before_the_end_and_opens_nothing() {
    let site = TestSite::new();
    let server = serve(&site);
    let mut client = server.client();
    site.ok(&["on", "--for", "2h", "--estimate", "1h"]);
    assert!((3_500..=3_600).contains(&retry_after(&mut client)));
    site.ok(&["set", "--estimate", "1s"]);
    assert_eq!(retry_after(&mut client), 1);
    // It passes, the page stays, and what is told falls back.
    eventually("the end counts", || (7_000..=7_200).contains(&retry_after(&mut client)));
    site.ok(&["set", "--no-end"]);
    assert_eq!(retry_after(&mut client), 120);
    site.ok(&["off"]);
}

#[test]
fn requirement_49_of_two_windows_the_one_that_ends_last_is_told() {
    let site = TestSite::new();
    let server = serve(&site);
    let mut client = server.client();
    site.ok(&["on", "one", "--for", "1h"]);
    site.ok(&["on", "two", "--for", "2h"]);
    assert!((7_100..=7_200).contains(&retry_after(&mut client)));
    site.ok(&["on", "three"]);
    assert_eq!(retry_after(&mut client), 120, "the end of that one is unknown");
    site.ok(&["off", "three"]);
    site.ok(&["off", "two"]);
    assert!((3_500..=3_600).contains(&retry_after(&mut client)));
}

#[test]
fn the_status_is_the_one_that_was_asked_for_and_the_rest_stays() {
    let site = TestSite::new();
    let server = serve(&site);
    let mut client = server.client();
    for status in ["200", "404", "500", "599"] {
        site.ok(&["on", "--status", status]);
        let response = client.ask("GET", "/", &[("Accept", "application/json")]);
        assert_eq!(response.status.to_string(), status);
        let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(problem["status"].to_string(), status);
        let length = response.body.len().to_string();
        let others = [("retry-after", "120"), ("content-language", "en")];
        let fixed = expected(Some("application/problem+json"), &length, &others);
        assert_eq!(fields(&response), fixed);
    }
}

#[test]
fn requirement_72_a_success_code_is_for_reading() {
    let site = TestSite::new();
    let server = serve(&site);
    let mut client = server.client();
    site.ok(&["on", "--status", "200", "--retry-after", "5m"]);
    let kinds = [
        (BROWSER, "text/html; charset=utf-8"),
        ("application/json", "application/problem+json"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
    ];
    let (mut taken, mut asked) = (Vec::new(), 0);
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "MKCOL", "OPTIONS"] {
        for (accept, kind) in kinds {
            let response = client.ask(method, "/hooks/payment", &[("Accept", accept)]);
            asked += 1;
            if response.status < 400 {
                taken.push((method, accept, response.status));
                continue;
            }
            assert_eq!(response.status, 503, "{method} {accept}");
            assert_eq!(response.header("content-type"), Some(kind), "{method} {accept}");
            assert_eq!(response.header("retry-after"), Some("300"), "{method} {accept}");
            if kind.ends_with("json") {
                let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
                assert_eq!(problem["status"], 503, "{method}");
            } else {
                assert!(response.text().contains("has not been processed"), "{method} {accept}");
            }
        }
    }
    for (method, (accept, _)) in
        ["GET", "HEAD"].iter().flat_map(|method| kinds.map(|kind| (method, kind)))
    {
        let response = client.ask(method, "/", &[("Accept", accept)]);
        assert_eq!(response.status, 200, "{method} {accept}");
    }
    assert!(taken.is_empty(), "taken for success: {taken:?}");
    figure(&format!("{asked} of {asked} requests of seven methods are not told of success"));
}

#[test]
fn requirement_49_only_browsers_are_redirected_and_only_for_now() {
    let site = TestSite::new();
    let server = serve(&site);
    let mut client = server.client();
    let url = "https://status.example.com/now";
    site.ok(&["on", "--redirect", url]);
    let browser = ("Accept", BROWSER);
    for headers in [
        &[browser][..],
        &[browser, ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")],
        &[("Accept", "text/html")],
    ] {
        for method in ["GET", "HEAD"] {
            let response = client.ask(method, "/shop?id=7", headers);
            assert_eq!(response.status, 302, "{method} {headers:?}: {response:?}");
            let body = format!("Down for maintenance: {url}\n");
            let length = body.len().to_string();
            let others = [("location", url), ("retry-after", "120")];
            let expected = expected(Some("text/plain; charset=utf-8"), &length, &others);
            assert_eq!(fields(&response), expected, "{method} {headers:?}");
            assert_eq!(response.text(), if method == "HEAD" { "" } else { &body });
        }
    }
    // What sends something would take the target's 200 for its answer.
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "MKCOL", "OPTIONS"] {
        let response = client.ask(method, "/shop", &[browser]);
        assert_eq!((response.status, response.header("location")), (503, None), "{method}");
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"), "{method}");
    }
    for headers in [
        &[("Accept", AXIOS)][..],
        &[("Accept", "application/json")],
        &[("Accept", "text/plain")],
        &[("Accept", "*/*")],
        &[],
        &[browser, ("Sec-Fetch-Mode", "cors")],
        &[browser, ("Sec-Fetch-Mode", "no-cors")],
        &[browser, ("Sec-Fetch-Mode", "same-origin")],
        &[browser, ("X-Requested-With", "XMLHttpRequest")],
    ] {
        let response = client.ask("GET", "/shop", headers);
        assert_eq!(response.status, 503, "{headers:?}: {response:?}");
        assert_eq!(response.header("location"), None, "{headers:?}");
        assert_eq!(response.header("retry-after"), Some("120"), "{headers:?}");
    }
}

#[test]
fn requirement_49_no_redirect_leads_to_where_the_visitor_is() {
    let site = TestSite::new();
    let server = serve(&site);
    let mut client = server.client();
    let browser = ("Accept", BROWSER);
    let host = ("Host", "shop.example");
    for (url, here, elsewhere) in [
        ("/sorry", "/sorry", "/"),
        ("/sorry?from=shop", "/sorry?from=shop", "/sorry/"),
        ("/sorry", "/sorry?again", "/sorr"),
        ("https://shop.example/sorry", "/sorry", "/"),
        ("http://SHOP.example", "/", "/sorry"),
    ] {
        site.ok(&["on", "--redirect", url]);
        let response = client.ask("GET", here, &[browser, host]);
        assert_eq!(response.status, 503, "{url} from {here}");
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        let response = client.ask("GET", elsewhere, &[browser, host]);
        assert_eq!((response.status, response.header("location")), (302, Some(url)), "{elsewhere}");
    }
    site.ok(&["on", "--redirect", "https://other.example/sorry"]);
    assert_eq!(client.ask("GET", "/sorry", &[browser, host]).status, 302);
    site.ok(&["off"]);
    eventually("the redirect is over", || client.ask("GET", "/", &[browser]).status == 200);
}
