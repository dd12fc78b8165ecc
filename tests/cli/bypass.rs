//! `maint bypass`

use std::fs;

use crate::env::TestEnv;

#[test]
fn requirement_44_the_token_is_shown_once_and_stored_nowhere() {
    let env = TestEnv::new();
    let token = env.ok(&["bypass", "new", "--note", "ann"]);
    let token = token.trim();
    assert!(token.starts_with("maint_") && token.len() >= 6 + 32, "{token}");
    for (path, bytes) in env.files() {
        assert!(!String::from_utf8_lossy(&bytes).contains(token), "in {}", path.display());
    }
    assert!(!fs::read_to_string(env.site().join("lock")).unwrap().contains(token));
    assert!(!env.ok(&["bypass", "list"]).contains(token));
    let digest = env.state()["bypass"]["b2"]["sha256"].as_str().unwrap().to_owned();
    assert_eq!(digest, maint::internal::state::digest(token));
}

#[test]
fn the_token_stands_alone_on_standard_output() {
    let env = TestEnv::new();
    let ran = env.run(&["bypass", "new", "--for", "1h"]);
    assert_eq!(ran.stdout.lines().count(), 1);
    assert!(ran.stderr.contains("bypass token `b2`, shown only once"), "{ran:?}");
    assert!(ran.stderr.contains("04:00 UTC"), "{ran:?}");
}

#[test]
fn requirement_46_how_to_use_a_token_is_told_without_it() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    let ran = env.run(&["bypass", "new"]);
    assert!(ran.stderr.contains("https://YOUR-SITE/?maint_bypass=TOKEN"), "{ran:?}");
    assert!(ran.stderr.contains("the cookie maint_bypass=TOKEN"), "{ran:?}");
    assert!(!ran.stderr.contains(ran.stdout.trim()), "standard error ends up in logs");

    let object = env.json(&["bypass", "new"]);
    let (token, link) = (object["token"].as_str().unwrap(), object["link"].as_str().unwrap());
    assert_eq!(link, format!("/?maint_bypass={token}"));
    // The printed values work as they are, for people and for programs.
    let gate = maint::Gate::open(&maint::Site::at(env.site())).unwrap();
    let opened = gate.answer(&maint::request::RequestParts::new("GET", link));
    let maint::gate::Answer::Reply(reply) = opened else { panic!("{opened:?}") };
    assert_eq!((reply.status(), reply.header("location").as_deref()), (303, Some("/")));
    let cookie = format!("maint_bypass={token}");
    let request = maint::request::RequestParts::new("GET", "/").with("cookie", &cookie);
    assert!(matches!(gate.answer(&request), maint::gate::Answer::Pass(_)));
}

#[test]
fn a_revoked_token_is_gone_and_restore_does_not_bring_it_back() {
    let env = TestEnv::new();
    env.ok(&["bypass", "new"]);
    env.ok(&["bypass", "revoke", "b2"]);
    env.fails(2, &["bypass", "revoke", "b2"]);
    env.ok(&["restore"]);
    assert_eq!(env.state().get("bypass"), None);
}

#[test]
fn a_token_that_would_be_expired_is_not_made() {
    let env = TestEnv::new();
    env.fails(2, &["bypass", "new", "--until", "2020-01-01T00:00Z"]);
}

#[test]
fn a_link_is_whole_and_keeps_the_page_that_was_named() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    for (url, before, after) in [
        ("https://shop.example.com", "https://shop.example.com/?maint_bypass=", ""),
        (
            "https://shop.example.com:8443/cart/7",
            "https://shop.example.com:8443/cart/7?maint_bypass=",
            "",
        ),
        ("HTTPS://[2001:db8::1]/a?b=1&c#d", "HTTPS://[2001:db8::1]/a?b=1&c&maint_bypass=", "#d"),
        ("https://h/?maint_bypass=maint_old", "https://h/?maint_bypass=", ""),
        ("http://localhost:8000", "http://localhost:8000/?maint_bypass=", ""),
    ] {
        let ran = env.run(&["bypass", "new", "--url", url]);
        assert_eq!((ran.code, ran.stdout.lines().count()), (0, 1), "{ran:?}");
        let link = ran.stdout.trim_end();
        let token = link.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let token = token.unwrap_or_else(|| panic!("{url}: {link}"));
        assert!(token.starts_with("maint_") && token.len() == 46, "{link}");
        assert!(ran.stderr.contains("people open this link once") && !ran.stderr.contains(token));
        assert!(!ran.stderr.contains("warning"), "{ran:?}");
        let object = env.json(&["bypass", "new", "--url", url]);
        let url = object["url"].as_str().unwrap();
        assert_eq!(url, format!("{before}{}{after}", object["token"].as_str().unwrap()));
    }
    assert_eq!(env.json(&["bypass", "new"])["url"], serde_json::Value::Null);
    let ran = env.run(&["bypass", "new", "--url", "http://shop.example.com/"]);
    assert!(ran.stderr.contains("warning: anybody on the way can read"), "{ran:?}");
    assert!(!env.ok(&["log"]).contains(ran.stdout.trim_end()));
}

#[test]
fn a_link_to_no_page_of_a_site_is_refused_before_there_is_a_token() {
    let env = TestEnv::new();
    for url in [
        "shop.example.com",
        "/cart",
        "ftp://h/",
        "https://",
        "https:///x",
        "https://a b/",
        "",
        "https://user:pass@h/",
        "https://h/\u{e9}",
        "javascript:alert(1)",
        "https://h/\n",
        // What browsers read in different ways, as in every other link.
        "https://h\\@evil.example/",
        "https://h:+80/",
        "https://*.example.com/",
    ] {
        let error = env.fails(2, &["bypass", "new", "--url", url]);
        assert!(error.contains("hint: write it as in a browser"), "{url}: {error}");
    }
}
