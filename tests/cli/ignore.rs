//! `maint ignore`

use crate::env::TestEnv;
use crate::say::figure;

#[test]
fn all_six_kinds_are_added_and_say_whom_they_let_in() {
    let env = TestEnv::new();
    for (kind, value, lets_in) in [
        ("path", "/static/**", "`/static` and everything below it, but not `/staticx`"),
        ("ip", "10.0.0.0/8", "16 777 216 addresses, 10.0.0.0 to 10.255.255.255"),
        ("method", "get", "every `GET` request"),
        ("host", "*.example.com", "any host below `example.com`"),
        ("user", "staff", "users whom the framework knows as staff"),
        ("header", "X-Probe: blue", "requests with the header `x-probe: blue`"),
    ] {
        let text = env.ok(&["ignore", "add", kind, value, "--note", "why"]);
        assert!(text.contains(lets_in), "{kind}: {text}");
    }
    let rules = env.json(&["ignore", "list"])["ignore"].clone();
    let ids: Vec<&str> =
        rules.as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["r2", "r3", "r4", "r5", "r6", "r7"]);
    assert_eq!(rules[2]["value"], "GET");
}

#[test]
fn requirement_43_a_rule_for_everyone_must_be_meant() {
    let env = TestEnv::new();
    for (kind, value) in
        [("path", "/**"), ("path", "/"), ("ip", "0.0.0.0/0"), ("ip", "::/0"), ("host", "*")]
    {
        let error = env.fails(2, &["ignore", "add", kind, value]);
        assert!(error.contains("--yes-everything"), "{error}");
        env.ok(&["ignore", "add", kind, value, "--yes-everything"]);
    }
}

#[test]
fn requirement_43_mistakes_are_refused_and_change_nothing() {
    let env = TestEnv::new();
    let mistakes = [
        ("path", ""),
        ("path", "**"),
        ("path", "health"),
        ("path", "/a?b"),
        ("path", "/a/../b"),
        ("path", "/a//b"),
        ("path", "re:"),
        ("path", "re:("),
        ("ip", ""),
        ("ip", "10.0.0.1/8"),
        ("ip", "10.0.0"),
        ("method", ""),
        ("method", "GET POST"),
        ("host", ""),
        ("host", "http://example.com"),
        ("user", ""),
        ("user", "root"),
        ("header", "X-Probe"),
        ("header", "Authorization: x"),
        ("cookie", "x"),
    ];
    for (kind, value) in mistakes {
        env.fails(2, &["ignore", "add", kind, value]);
    }
    figure(&format!("{0} of {0} mistakes refused, the state unchanged", mistakes.len()));
    let error = env.fails(2, &["ignore", "add", "ip", "10.0.0.1/8"]);
    assert!(
        error.contains("hint: write `10.0.0.0/8` for the network or `10.0.0.1` for the address"),
        "{error}"
    );
    env.fails(2, &["ignore", "add", "path", "/a", "--until", "2020-01-01T00:00Z"]);
    env.fails(2, &["ignore", "add", "path", "/a", "--note", "a\u{7}b"]);
}

#[test]
fn the_same_rule_again_changes_its_note_alone() {
    let env = TestEnv::new();
    env.ok(&["ignore", "add", "path", "/health"]);
    let text = env.ok(&["ignore", "add", "path", "/health"]);
    assert!(text.contains("rule `r2` unchanged"), "{text}");
    let text = env.ok(&["ignore", "add", "path", "/health", "--note", "probe"]);
    assert!(text.contains("rule `r2` existed; its note and expiry are replaced"), "{text}");
    assert_eq!(env.json(&["ignore", "list"])["ignore"].as_array().unwrap().len(), 1);
}

#[test]
fn an_expired_rule_is_shown_as_expired_and_lets_nobody_in() {
    let mut env = TestEnv::new();
    env.ok(&["ignore", "add", "ip", "203.0.113.7", "--for", "2h"]);
    assert!(env.ok(&["status"]).contains("gets through ip 203.0.113.7"));
    env.set_now("2026-11-22T05:00:00Z");
    assert!(!env.ok(&["status"]).contains("gets through"));
    assert!(env.ok(&["ignore", "list"]).contains("expired 05:00 UTC"));
}

#[test]
fn rules_are_removed_one_by_one_by_kind_or_all() {
    let env = TestEnv::new();
    for (kind, value) in [("path", "/a"), ("path", "/b"), ("ip", "10.0.0.1"), ("ip", "10.0.0.2")] {
        env.ok(&["ignore", "add", kind, value]);
    }
    env.ok(&["ignore", "remove", "r2"]);
    let error = env.fails(2, &["ignore", "remove", "r2"]);
    assert!(error.contains("there are `r3`, `r4`, `r5`"), "{error}");
    let text = env.ok(&["ignore", "clear", "--kind", "ip", "--dry-run"]);
    assert!(text.contains("- rule r4") && text.contains("- rule r5"), "{text}");
    assert!(env.ok(&["ignore", "clear", "--kind", "ip"]).starts_with("2 rules removed"));
    assert!(env.ok(&["ignore", "clear"]).starts_with("1 rule removed"));
    assert!(env.ok(&["ignore", "clear"]).starts_with("unchanged"));
}

#[test]
fn an_id_is_never_used_twice() {
    let env = TestEnv::new();
    env.ok(&["ignore", "add", "path", "/a"]);
    env.ok(&["ignore", "remove", "r2"]);
    let added = env.json(&["ignore", "add", "path", "/b"]);
    assert_eq!(added["id"], "r4");
}

#[test]
fn a_rule_that_can_never_match_says_so_whichever_came_first() {
    for (first, second) in [
        (["ignore", "add", "ip", "10.1.2.3"].as_slice(), ["proxy", "add", "10.0.0.0/8"].as_slice()),
        (&["proxy", "add", "10.0.0.0/8"], &["ignore", "add", "ip", "10.1.2.3"]),
    ] {
        let env = TestEnv::new();
        assert_eq!(env.run(first).stderr, "");
        let ran = env.run(second);
        assert_eq!(ran.code, 0, "{ran:?}");
        let says = "(ip 10.1.2.3) lets nobody in: `10.0.0.0/8` is trusted as proxies";
        assert!(ran.stderr.contains(says), "{ran:?}");
        assert!(env.run(&["doctor"]).stdout.contains("ip `10.1.2.3`, lets nobody in"));
    }
    let env = TestEnv::new();
    env.ok(&["proxy", "add", "10.0.0.0/8"]);
    // A wider rule matches the clients that are no proxies.
    assert_eq!(env.run(&["ignore", "add", "ip", "8.0.0.0/6"]).stderr, "");
}

#[test]
fn a_misspelt_method_is_told_with_the_one_that_was_meant() {
    let env = TestEnv::new();
    let ran = env.run(&["on", "--method", "PSOT"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("did you mean `POST`?"), "{ran:?}");
    assert!(env.run(&["ignore", "add", "method", "GTE"]).stderr.contains("did you mean `GET`?"));
    assert!(env.run(&["check", "/", "--method", "psot"]).stderr.contains("did you mean `POST`?"));
    let object = env.ok(&["--json", "on", "--method", "PSOT"]);
    assert!(object.contains("no registered method"), "{object}");
    for known in ["POST", "purge", "PROPFIND"] {
        assert_eq!(env.run(&["on", "--yes", "--method", known]).stderr, "");
    }
}

#[test]
fn whom_a_rule_lets_in_fits_on_a_terminal() {
    let env = TestEnv::new();
    for (kind, value) in [
        ("path", "/static/**"),
        ("ip", "2001:db8::/32"),
        ("header", "X-Probe: blue"),
        ("user", "staff"),
    ] {
        let ran = env.run(&["ignore", "add", kind, value]);
        let text = ran.stdout;
        let shown = text.lines().filter(|line| !line.contains("state.json"));
        for line in shown {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn a_placeholder_of_a_router_is_told_of_wherever_a_path_is_given() {
    let env = TestEnv::new();
    for (arguments, segment) in [
        (&["ignore", "add", "path", "/items/{id}"][..], "{id}"),
        (&["on", "--path", "/users/:name/**"], ":name"),
        (&["run", "--path", "/a/{x}", "--", "true"], "{x}"),
    ] {
        let told = env.run(arguments).stderr;
        assert!(told.contains(&format!("`{segment}` stands for itself")), "{arguments:?}: {told}");
        assert!(told.contains("write `*` for any one segment"), "{told}");
    }
    for plain in ["/items/*", "/v1/items:batch", "re:/items/[0-9]{2}"] {
        let told = env.run(&["ignore", "add", "path", plain]).stderr;
        assert!(!told.contains("stands for itself"), "{plain}: {told}");
    }
}

#[test]
fn the_address_of_this_ssh_session_need_not_be_typed() {
    let env = TestEnv::new();
    let add = |name: &str, value: &str| {
        let mut command = env.command(&["ignore", "add", "ip", "--for", "2h"]);
        crate::env::Ran::from(command.env(name, value).output().unwrap())
    };
    let ran = add("SSH_CONNECTION", "203.0.113.7 50022 192.0.2.1 22");
    assert!(ran.stderr.contains("this SSH session comes from 203.0.113.7"), "{ran:?}");
    assert!(ran.stdout.contains("lets in the client 203.0.113.7 alone"), "{ran:?}");
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
    let ran = add("SSH_CLIENT", "2001:db8::7 50022 22");
    assert!(ran.stdout.contains("2001:db8::7"), "{ran:?}");
    let ran = add("SSH_CONNECTION", "::ffff:203.0.113.8 50022 ::ffff:192.0.2.1 22");
    assert!(ran.stdout.contains("lets in the client 203.0.113.8 alone"), "{ran:?}");
    // A tunnel or a private network: visitors' requests come another way.
    let ran = add("SSH_CONNECTION", "10.0.0.9 50022 10.0.0.1 22");
    assert!(ran.stderr.contains("warning: 10.0.0.9 is a private address"), "{ran:?}");
    let ran = add("SSH_CONNECTION", "fe80::1%eth0 50022 fe80::2%eth0 22");
    assert!(ran.code == 2 && ran.stderr.contains("cannot be read from"), "{ran:?}");

    let error = env.fails(2, &["ignore", "add", "ip"]);
    assert!(
        error.contains("this is no SSH session") && error.contains("hint: name the address"),
        "{error}"
    );
    let ran = add("SUDO_USER", "ann");
    assert!(ran.code == 2 && ran.stderr.contains("sudo --preserve-env=SSH_CONNECTION"), "{ran:?}");
    let error = env.fails(2, &["ignore", "add", "path"]);
    assert!(error.contains("<VALUE>"), "{error}");
}

#[test]
fn a_rule_is_removed_by_what_it_lets_in() {
    let env = TestEnv::new();
    env.ok(&["ignore", "add", "path", "/health"]);
    env.ok(&["ignore", "add", "ip", "203.0.113.7"]);
    env.ok(&["ignore", "add", "host", "shop.example.com"]);
    env.ok(&["ignore", "add", "header", "X-Probe: blue"]);
    let text = env.ok(&["ignore", "remove", "/health"]);
    assert!(text.starts_with("rule `r2` (path /health) removed\n"), "{text}");
    env.ok(&["ignore", "remove", "ip", "203.0.113.7/32"]);
    let object = env.json(&["ignore", "remove", "SHOP.example.com"]);
    assert_eq!(object["id"], "r4");
    env.ok(&["ignore", "remove", "X-Probe:  blue"]);
    assert!(env.json(&["ignore", "list"])["ignore"].as_array().unwrap().is_empty());

    // A host may have the name of a rule, and a value several kinds.
    env.ok(&["ignore", "add", "path", "/a"]);
    env.ok(&["ignore", "add", "host", "r10"]);
    let id = env.json(&["ignore", "list"])["ignore"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(id, "r10");
    let error = env.fails(2, &["ignore", "remove", "r10"]);
    assert_eq!(
        error,
        "maint: several ignore rules are `r10`: `r10` (path), `r11` (host)\n\
         hint: name its kind as well\n"
    );
    env.ok(&["ignore", "remove", "host", "r10"]);
    env.ok(&["ignore", "remove", "r10"]);
    assert!(env.fails(2, &["ignore", "remove", "/health"]).contains("there is none"));
    let error = env.fails(2, &["ignore", "remove", "path", "/health"]);
    assert!(error.contains("no ignore rule of the kind `path`"), "{error}");
}

#[test]
fn a_value_in_place_of_its_kind_is_understood() {
    let env = TestEnv::new();
    for (value, tip) in [
        ("/health", "tip: did you mean `path`? `maint ignore add path /health`"),
        ("10.0.0.0/8", "tip: did you mean `ip`? `maint ignore add ip 10.0.0.0/8`"),
    ] {
        let error = env.fails(2, &["ignore", "add", value]);
        assert!(error.contains(tip), "{error}");
        let object = env.fails(2, &["--json", "ignore", "add", value]);
        assert!(object.contains("did you mean"), "{object}");
    }
    assert!(!env.fails(2, &["ignore", "add", "nothing"]).contains("did you mean"));
}
