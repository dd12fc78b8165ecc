//! What is answered to whom.

use crate::rig::Serving;

const NGINX: [(&str, &str); 2] = [("X-Original-Method", "GET"), ("X-Original-URI", "/cart?id=7")];

#[test]
fn auth_says_in_two_codes_whether_a_request_passes() {
    let serving = Serving::start(&[]);
    let answer = serving.ask("GET", "/auth", &NGINX);
    assert_eq!((answer.status, answer.field("maint-decision")), (204, Some("pass")));
    assert!(answer.body.is_empty() && answer.field("cache-control").is_none());
    serving.maint(&["on"]);
    let answer = serving.ask("GET", "/auth", &NGINX);
    assert_eq!((answer.status, answer.field("maint-decision")), (403, Some("block")));
    assert_eq!(answer.field("retry-after"), Some("120"));
    assert!(answer.body.is_empty());
}

#[test]
fn who_passes_by_a_rule_is_kept_out_of_caches() {
    let serving = Serving::start(&[]);
    serving.maint(&["ignore", "add", "ip", "192.0.2.7"]);
    serving.maint(&["on"]);
    let of = |address: &str| {
        let fields = [NGINX[0], NGINX[1], ("X-Forwarded-For", address)];
        let answer = serving.ask("GET", "/auth", &fields);
        (answer.status, answer.field("cache-control").map(str::to_owned))
    };
    assert_eq!(of("192.0.2.7"), (204, Some("private, no-store".to_owned())));
    assert_eq!(of("192.0.2.8"), (403, Some("no-store".to_owned())));
    // A client writes what it likes, and the proxy appends who it is.
    assert_eq!(of("192.0.2.7, 192.0.2.8").0, 403);
    assert_eq!(of("192.0.2.8, 192.0.2.7").0, 204);
    assert_eq!(of("192.0.2.7,").0, 403);
}

#[test]
fn forward_auth_and_page_answer_with_what_the_client_gets() {
    let serving = Serving::start(&[]);
    let caddy = [
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/cart"),
        ("X-Forwarded-Host", "shop.example.com"),
        ("Accept", "text/plain"),
    ];
    let nginx = [NGINX[0], NGINX[1], ("Accept", "text/plain")];
    let envoy = [("Host", "shop.example.com"), ("Accept", "text/plain")];
    for (status, question) in [(204, "/forward-auth"), (200, "/ext-authz")] {
        let answer = serving.ask("GET", question, &caddy);
        assert_eq!((answer.status, answer.field("maint-decision")), (status, Some("pass")));
    }
    serving.maint(&["on", "-m", "Bigger disks"]);
    for (status, answer) in [
        (503, serving.ask("GET", "/forward-auth", &caddy)),
        // Envoy would take a 5xx for a failure of the endpoint.
        (429, serving.ask("GET", "/ext-authz", &caddy)),
        (429, serving.ask("GET", "/ext-authz/cart?id=7", &envoy)),
        (503, serving.ask("GET", "/page", &nginx)),
    ] {
        assert_eq!((answer.status, answer.field("maint-decision")), (status, Some("block")));
        assert_eq!(answer.field("retry-after"), Some("120"));
        assert!(String::from_utf8_lossy(&answer.body).contains("Bigger disks"));
    }
}

#[test]
fn a_request_that_is_told_in_part_is_not_decided() {
    let serving = Serving::start(&[]);
    for fields in [
        &[][..],
        &[("X-Original-Method", "GET")],
        &[("X-Original-URI", "/")],
        &[NGINX[0], NGINX[1], ("X-Original-URI", "/other")],
        &[NGINX[0], NGINX[1], ("X-Original-Method", "POST")],
        &[("X-Original-Method", "GET /"), ("X-Original-URI", "/")],
    ] {
        assert_eq!(serving.ask("GET", "/auth", fields).status, 400, "{fields:?}");
    }
}
