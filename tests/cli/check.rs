//! `maint check`

use std::io::Write as _;
use std::process::Stdio;

use crate::env::{Ran, TestEnv};

fn with_shop_closed() -> TestEnv {
    let env = TestEnv::new();
    env.ok(&["on", "shop", "-m", "Back at noon", "--path", "/shop/**"]);
    env.ok(&["ignore", "add", "path", "/shop/health"]);
    env.ok(&["ignore", "add", "ip", "203.0.113.0/24"]);
    env.ok(&["ignore", "add", "user", "staff"]);
    env
}

#[test]
fn a_decision_names_what_decided_and_answers_by_its_exit_code() {
    let env = with_shop_closed();
    for (args, code, part) in [
        (["/about"].as_slice(), 0, "● passes: no open window covers it"),
        (&["/shop/1"], 1, "● blocked: window `shop` covers it"),
        (&["/shop/1"], 1, "“Back at noon”"),
        (&["/shop/health"], 0, "● passes: rule `r3` (path /shop/health) lets it through"),
        (&["/shop/1", "--ip", "203.0.113.7"], 0, "rule `r4` (ip 203.0.113.0/24)"),
        (&["/shop/1", "--ip", "203.0.114.7"], 1, "● blocked"),
        (&["/shop/1", "--user", "staff"], 0, "rule `r5` (user staff)"),
        (&["/shop/1", "--user", "superuser"], 0, "rule `r5`"),
        (&["/shop/1", "--user", "authenticated"], 1, "● blocked"),
        (&["https://shop.example.com/shop/1?x=/about"], 1, "● blocked"),
    ] {
        let args: Vec<&str> = ["check"].iter().chain(args).copied().collect();
        let ran = env.run(&args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(ran.stdout.contains(part), "{args:?}: {ran:?}");
    }
}

#[test]
fn requirement_72_the_status_of_the_answer_is_told() {
    let env = TestEnv::new();
    env.ok(&["on", "--status", "200", "--path", "/shop"]);
    for (args, status) in [
        (["/shop"].as_slice(), Some(200)),
        (&["/shop", "--method", "HEAD"], Some(200)),
        (&["/shop", "--method", "POST"], Some(503)),
        (&["/shop", "--method", "OPTIONS"], Some(503)),
        (&["/shop", "--method", "POST", "--header", "Content-Type: application/grpc"], Some(200)),
        (&["/"], None),
    ] {
        let args: Vec<&str> = ["check"].iter().chain(args).copied().collect();
        let ran = env.run(&args);
        let told = status.map(|status| format!("  it is answered with status {status}\n"));
        assert!(told.is_none_or(|told| ran.stdout.contains(&told)), "{args:?}: {ran:?}");
        let json: Vec<&str> = ["--json"].iter().chain(&args).copied().collect();
        let object: serde_json::Value = serde_json::from_str(&env.run(&json).stdout).unwrap();
        assert_eq!(object["status"], serde_json::json!(status), "{args:?}");
    }
}

#[test]
#[cfg(not(feature = "fleet"))]
fn a_build_that_asks_no_site_lists_it_and_says_how_to_get_it() {
    let env = TestEnv::new();
    assert!(env.ok(&["check", "--help"]).contains("--live"));
    let message = env.fails(2, &["check", "--live", "http://127.0.0.1/"]);
    assert!(message.contains("lacks the feature `fleet`"), "{message}");
    assert!(message.contains("--features full"), "{message}");
}

#[test]
fn what_is_no_host_is_explained() {
    let env = TestEnv::new();
    env.ok(&["on", "--host", "shop.example"]);
    for host in ["user@other.example", "other.example:x", "", "other.example/", "a, b"] {
        let ran = env.run(&["check", "/", "--host", host]);
        assert_eq!(ran.code, 1, "{host}: {ran:?}");
        assert!(ran.stdout.contains("is no host"), "{host}: {ran:?}");
    }
    for url in ["https://other.example/", "https://user@other.example/"] {
        let ran = env.run(&["check", url]);
        assert!(ran.code == 0 && !ran.stdout.contains("is no host"), "{url}: {ran:?}");
    }
}

#[test]
fn requirement_41_an_ambiguous_path_is_explained() {
    let env = with_shop_closed();
    for path in
        ["/shop/../shop/health", "/shop//health", "/shop/%2e/health", "/about/..%2fshop/health"]
    {
        let ran = env.run(&["check", path]);
        assert_eq!(ran.code, 1, "{path}: {ran:?}");
        assert!(ran.stdout.contains("no path rule lets it through"), "{path}: {ran:?}");
    }
}

#[test]
fn a_decision_can_be_asked_for_another_time() {
    let env = TestEnv::new();
    env.ok(&["on", "--at", "04:00", "--for", "1h"]);
    for (at, code) in [("03:59", 0), ("04:00", 1), ("04:59", 1), ("05:00", 0)] {
        assert_eq!(env.run(&["check", "/", "--at", at]).code, code, "{at}");
    }
    assert!(env.run(&["check", "/", "--at", "04:00"]).stdout.starts_with("● blocked at 04:00 UTC"));
}

#[test]
fn requirement_46_a_token_is_read_from_standard_input() {
    let env = with_shop_closed();
    let token = env.ok(&["bypass", "new"]);
    for (given, code) in [(token.as_str(), 0), ("maint_0000", 1), ("", 1)] {
        let mut child = env
            .command(&["check", "/shop/1", "--token-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, code, "{ran:?}");
    }
}

#[test]
fn a_bypass_link_is_decided_as_the_gate_does_and_its_token_is_not_printed() {
    let env = with_shop_closed();
    let token = env.ok(&["bypass", "new"]);
    let link = format!("https://shop.example.com/shop/1?a=1&maint_bypass={}", token.trim());
    let ran = env.run(&["check", &link]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("bypass token `b6` lets it through"), "{ran:?}");
    assert!(ran.stderr.contains("--token-stdin"), "{ran:?}");
    assert!(!format!("{ran:?}").contains(token.trim()), "{ran:?}");
    assert_eq!(env.json(&["check", &link])["path"], "/shop/1", "without the query");
    assert_eq!(env.run(&["check", &link, "--method", "POST"]).code, 1, "a link is a GET");
    assert_eq!(env.run(&["check", "/shop/1?maint_bypass=maint_00"]).code, 1);
}

#[test]
fn a_url_is_read_as_a_browser_would_send_it() {
    let env = TestEnv::new();
    for (url, path) in [
        ("https://shop.example.com", "/"),
        ("https://shop.example.com?a=1", "/"),
        ("https://shop.example.com/cart?a=1#top", "/cart"),
        ("http://shop.example.com#top", "/"),
    ] {
        let object = env.json(&["check", url]);
        assert_eq!((&object["path"], &object["ambiguous"]), (&path.into(), &false.into()), "{url}");
        assert_eq!(object["host"], "shop.example.com");
    }
}

#[test]
fn requirement_39_an_address_behind_a_trusted_proxy_is_the_one_it_tells() {
    let env = with_shop_closed();
    env.ok(&["proxy", "add", "10.0.0.0/8"]);
    let check = |headers: &[&str]| {
        let mut args = vec!["check", "/shop/1", "--ip", "10.0.0.1"];
        for header in headers {
            args.extend(["--header", header]);
        }
        env.run(&args)
    };
    assert_eq!(check(&["X-Forwarded-For: 203.0.113.7"]).code, 0);
    assert_eq!(
        check(&["X-Forwarded-For: 203.0.113.7, 198.51.100.1"]).code,
        1,
        "the left entry is spoofed"
    );
    let ran = check(&[]);
    assert!(ran.code == 1 && ran.stdout.contains("the client's address is unknown"), "{ran:?}");
}

#[test]
fn requirement_48_no_header_of_anybody_grants_passage() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    for header in [
        "X-Original-URL: /health",
        "X-Rewrite-URL: /health",
        "X-Forwarded-Uri: /health",
        "X-Forwarded-For: 127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "x-middleware-subrequest: middleware",
        "User-Agent: kube-probe/1.31",
        "X-Maint-Bypass: 1",
    ] {
        assert_eq!(env.run(&["check", "/", "--header", header]).code, 1, "{header}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let env = TestEnv::new();
    for args in [
        ["check", "health"].as_slice(),
        &["check", ""],
        &["check", "/", "--ip", "10.0.0.0/8"],
        &["check", "/", "--method", "GET POST"],
        &["check", "/", "--header", "X-Probe"],
        &["check", "/", "--user", "root"],
        &["check", "/", "--at", "soon"],
    ] {
        env.fails(2, args);
    }
}

#[test]
fn a_broken_state_is_no_decision() {
    let env = TestEnv::new();
    env.write(".maint/state.json", "{");
    env.fails(8, &["check", "/"]);
}
