//! What a tester sees while the site is down stays out of the caches' answers to others.

use crate::app::{Fields, PUBLIC, Server, shop, without_our_headers};
use crate::fronts::{self, Front};
use crate::say::figure;
use crate::site::TestSite;
use crate::wire::Client;

const REQUESTS: usize = 1_000;

/// Enough to show a leak where there is one.
const SAMPLE: usize = 200;

/// The fields that let a tester in, after setting up the site for them.
///
/// The proxy is trusted: nginx and Varnish connect from 127.0.0.1, and stand behind
/// a balancer there, which names the visitor.
fn let_in(site: &TestSite, how: &str) -> Vec<(&'static str, String)> {
    let field = |name, value: &str| vec![(name, value.to_owned())];
    match how {
        "cookie" => field("Cookie", &format!("__Host-maint_bypass={}", site.token())),
        "ip" => {
            site.ignore_only("ip", "203.0.113.7");
            field("X-Forwarded-For", "203.0.113.7")
        }
        "header" => {
            site.ignore_only("header", "X-Probe: blue");
            field("X-Probe", "blue")
        }
        "user" => {
            site.ignore_only("user", "staff");
            field("X-Session", "staff")
        }
        other => panic!("{other}"),
    }
}

/// A tester, then the public, ask for the same paths; returns how many of the
/// public see the app.
fn leaks(site: &TestSite, front: &Front, how: &str, requests: usize) -> usize {
    let fields = let_in(site, how);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (mut tester, mut public) = (Client::new(front.port), Client::new(front.port));
    let mut leaks = 0;
    for number in 0..requests {
        let target = format!("/{how}/{number}");
        let seen = tester.get(&target, &fields);
        assert!(
            seen.status == 200 && !seen.is_of_maint(),
            "{} {how}: the tester is blocked: {seen:?}",
            front.name
        );
        let seen = public.get(&target, &[("X-Forwarded-For", "198.51.100.9")]);
        leaks += usize::from(!seen.is_of_maint());
    }
    site.maint(&["ignore", "clear"]);
    leaks
}

const WAYS: [&str; 4] = ["cookie", "ip", "header", "user"];

fn down() -> TestSite {
    let site = TestSite::new();
    site.maint(&["on"]);
    site.maint(&["proxy", "add", "127.0.0.1"]);
    site
}

#[test]
fn requirement_50_what_a_tester_sees_is_not_shared() {
    let site = down();
    let server = Server::new(shop(site.layer(), PUBLIC));
    for front in fronts::all(server.port) {
        for how in WAYS {
            let leaks = leaks(&site, &front, how, REQUESTS);
            figure(&format!("{}, by {how}: {leaks} leaks in {REQUESTS}", front.name));
            assert_eq!(leaks, 0, "{} {how}", front.name);
        }
    }
}

#[test]
fn requirement_57_what_is_not_said_to_be_private_is_found_with_others() {
    let site = down();
    let server = Server::new(without_our_headers(shop(site.layer(), PUBLIC), PUBLIC));
    for front in fronts::all(server.port) {
        for how in WAYS {
            let leaks = leaks(&site, &front, how, SAMPLE);
            figure(&format!(
                "{}, by {how}, control without our header: {leaks} leaks in {SAMPLE}",
                front.name
            ));
            assert_eq!(leaks, SAMPLE, "{} {how}", front.name);
        }
    }
}

/// Fields that outrank `Cache-Control` for some caches (RFC 9213).
const OUTRANKING: [Fields; 4] = [
    &[("x-accel-expires", "60")],
    &[("surrogate-control", "max-age=60"), ("cache-control", "public, max-age=60")],
    &[("cdn-cache-control", "max-age=60"), ("x-accel-expires", "@4102444800")],
    &[("expires", "Fri, 01 Jan 2100 00:00:00 GMT"), ("x-accel-expires", "60")],
];

#[test]
fn requirement_50_no_other_field_of_the_app_makes_a_cache_share_it() {
    let mut leaking = Vec::new();
    for fields in OUTRANKING {
        let site = down();
        let server = Server::new(shop(site.layer(), fields));
        for front in fronts::all(server.port) {
            let leaks = leaks(&site, &front, "header", SAMPLE);
            figure(&format!("{}, app says {fields:?}: {leaks} leaks in {SAMPLE}", front.name));
            leaking.extend((leaks > 0).then_some((front.name, fields)));
        }
    }
    assert!(leaking.is_empty(), "{leaking:?}");
}

#[test]
fn what_everybody_may_see_is_still_kept() {
    let site = down();
    let server = Server::new(shop(site.layer(), PUBLIC));
    site.ignore_only("path", "/public/**");
    for front in fronts::all(server.port) {
        let mut public = Client::new(front.port);
        public.get("/public/1", &[]);
        let seen = public.get("/public/1", &[]);
        assert!(seen.status == 200 && seen.is_kept(), "{}: {seen:?}", front.name);
    }
}
