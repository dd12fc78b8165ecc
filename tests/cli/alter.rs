//! `maint set` and `maint extend`

use serde_json::{Value, json};

use crate::env::TestEnv;

fn window(env: &TestEnv, name: &str) -> Value {
    env.state()["windows"][name].clone()
}

#[test]
fn set_changes_what_is_given_and_nothing_else() {
    let mut env = TestEnv::new();
    env.ok(&["on", "shop", "-m", "one", "--for", "1h", "--path", "/shop/**", "--status", "500"]);
    let before = window(&env, "shop");
    env.set_now("2026-11-22T03:10:00Z");
    let text = env.ok(&["set", "shop", "-m", "two"]);
    assert!(text.starts_with("window `shop` is open, and changed\n"), "{text}");
    assert!(text.contains("~ window shop reason: one → two"), "{text}");
    let mut expected = before;
    expected["reason"] = json!("two");
    assert_eq!(window(&env, "shop"), expected);
    assert!(env.ok(&["set", "shop", "-m", "two"]).starts_with("unchanged: "), "the same again");
}

#[test]
fn set_takes_away_what_is_named() {
    let env = TestEnv::new();
    env.write("x.html", "<p>{{ reason }}</p>");
    env.ok(&["template", "add", "x", "x.html"]);
    let all = [
        "on",
        "-m",
        "x",
        "--for",
        "1h",
        "--estimate",
        "30m",
        "--path",
        "/a",
        "--method",
        "post",
        "--host",
        "a.example",
        "--status",
        "500",
        "--retry-after",
        "9s",
        "--template",
        "x",
        "--redirect",
        "/y",
    ];
    for (option, gone) in [
        ("--no-message", "/reason"),
        ("--no-end", "/end"),
        ("--no-estimate", "/estimate"),
        ("--no-path", "/scope/paths"),
        ("--no-method", "/scope/methods"),
        ("--no-host", "/scope/hosts"),
        ("--no-status", "/page/status"),
        ("--no-retry-after", "/page/retry_after"),
        ("--no-template", "/page/template"),
        ("--no-redirect", "/page/redirect"),
    ] {
        env.ok(&[&all[..], &["--yes"]].concat());
        let before = window(&env, "default");
        assert!(before.pointer(gone).is_some(), "{gone}: {before}");
        let changed = env.json(&["set", option]);
        assert_eq!(changed["changes"].as_array().unwrap().len(), 1, "{option}: {changed}");
        assert_eq!(window(&env, "default").pointer(gone), None, "{option}");
    }
    env.ok(&["on", "reads", "--read-only"]);
    env.ok(&["set", "reads", "--no-read-only"]);
    assert_eq!(window(&env, "reads").get("scope"), None);
}

#[test]
fn set_moves_a_window_that_is_to_come_and_not_one_that_is_open() {
    let env = TestEnv::new();
    env.ok(&["on", "nightly", "--at", "04:00", "--for", "1h"]);
    env.ok(&["set", "nightly", "--at", "04:30", "--for", "2h", "--estimate", "20m"]);
    let nightly = window(&env, "nightly");
    assert_eq!(nightly["start"], "2026-11-22T04:30:00Z");
    assert_eq!(nightly["end"], "2026-11-22T06:30:00Z");
    assert_eq!(nightly["estimate"], "2026-11-22T04:50:00Z", "from the start");
    let error = env.fails(2, &["set", "nightly", "--at", "07:00"]);
    assert_eq!(
        error,
        "maint: the end, 06:30 UTC, is not after the start, 07:00 UTC\n\
         hint: give the end as well: `--for DURATION`, `--until TIME` or `--no-end`\n"
    );
    env.ok(&["on"]);
    let error = env.fails(5, &["set", "--at", "04:00"]);
    assert!(error.contains("window `default` is open already"), "{error}");
}

#[test]
fn set_refuses_what_makes_no_sense_and_changes_nothing() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", "x", "--method", "post", "--for", "1h"]);
    let before = env.files();
    for (args, why) in [
        (&["set"][..], "nothing is given to change"),
        (&["set", "--read-only"], "--no-method"),
        (&["set", "nobody", "-m", "x"], "nobody"),
        (&["set", "--no-end", "--for", "1h"], "--no-end"),
        (&["set", "--estimate", "2h"], "is after the end"),
        (&["set", "--until", "2026-11-22T02:00:00Z"], "has passed"),
        (&["set", "--template", "missing"], "missing"),
    ] {
        let error = env.run(args);
        assert!(error.code == 2 || error.code == 3, "{args:?}: {error:?}");
        assert!(error.stderr.contains(why), "{args:?}: {error:?}");
    }
    assert_eq!(before, env.files());
    env.fails(5, &["set", "-m", "y", "--if-revision", "1"]);
    let shown = env.ok(&["set", "-m", "y", "--dry-run"]);
    assert!(shown.contains("would change") && shown.contains("x → y"), "{shown}");
    assert_eq!(before, env.files());
}

#[test]
fn the_time_that_is_set_counts_from_now() {
    let mut env = TestEnv::new();
    env.ok(&["on", "--for", "30m"]);
    env.set_now("2026-11-22T03:20:00Z");
    env.ok(&["set", "--for", "30m", "--estimate", "+10m"]);
    assert_eq!(window(&env, "default")["end"], "2026-11-22T03:50:00Z");
    assert_eq!(window(&env, "default")["estimate"], "2026-11-22T03:30:00Z");
}

#[test]
fn extend_moves_the_end_and_says_so() {
    let env = TestEnv::new();
    env.ok(&["on", "--for", "30m"]);
    let text = env.ok(&["extend", "30m"]);
    assert!(text.contains("until 04:00 UTC (in 1 h)"), "{text}");
    env.ok(&["extend", "default", "+15m"]);
    assert_eq!(window(&env, "default")["end"], "2026-11-22T04:15:00Z");
    env.ok(&["extend", "noon"]);
    assert_eq!(window(&env, "default")["end"], "2026-11-22T12:00:00Z");
    let changed = env.json(&["extend", "1h", "--dry-run"]);
    assert_eq!(changed["changes"][0]["at"], "/windows/default/end");
    assert_eq!(window(&env, "default")["end"], "2026-11-22T12:00:00Z");
}

#[test]
fn extend_moves_an_estimate_that_has_passed_from_now_on() {
    let mut env = TestEnv::new();
    env.ok(&["on", "--estimate", "20m"]);
    env.set_now("2026-11-22T03:40:00Z");
    let text = env.ok(&["status"]);
    assert!(text.contains("expected 03:20 UTC, 20 min ago"), "{text}");
    let text = env.ok(&["extend", "15m"]);
    assert!(text.contains("expected 03:55 UTC, in 15 min"), "{text}");
}

#[test]
fn extend_refuses_what_would_not_be_longer() {
    let mut env = TestEnv::new();
    env.ok(&["on", "--for", "1h"]);
    env.ok(&["on", "endless"]);
    let before = env.files();
    for (code, args, why) in [
        (2, &["extend", "03:30"][..], "is not after the end"),
        (2, &["extend", "30"], "30"),
        (2, &["extend", "1mo"], "months"),
        (2, &["extend", "nobody", "30m"], "nobody"),
        (2, &["extend"], "WHEN"),
        (5, &["extend", "endless", "30m"], "stays until it is closed"),
        (5, &["extend", "30m", "--if-revision", "1"], "revision"),
    ] {
        let error = env.fails(code, args);
        assert!(error.contains(why), "{args:?}: {error}");
    }
    let error = env.fails(5, &["extend", "endless", "30m"]);
    assert!(error.contains("hint: `maint set endless --for 30m` gives it an end"), "{error}");
    assert_eq!(before, env.files());
    env.set_now("2026-11-22T04:00:00Z");
    let error = env.fails(5, &["extend", "30m"]);
    assert!(error.contains("ended at 04:00 UTC\n"), "{error}");
    env.ok(&["on", "disks"]);
    let error = env.fails(2, &["extend", "disks"]);
    assert_eq!(
        error,
        "maint: how much longer `disks` stays is not given\nhint: for example `maint extend disks 30m`\n"
    );
}

#[test]
fn a_run_keeps_its_window_when_somebody_changes_it() {
    for (options, script) in [
        (&[][..], "maint -q set w -m two --estimate 1h; maint -q extend w 30m"),
        (
            &["--on-failure", "release"],
            "maint -q set w -m two --estimate 1h; maint -q extend w 30m",
        ),
    ] {
        let env = TestEnv::ticking();
        let show = format!("{script}; maint --json status >seen");
        let run = [&["run", "--name", "w"][..], options, &["--", "sh", "-c", &show]].concat();
        let ran = env.run(&run);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.stderr.contains("no longer holds it"), "{ran:?}");
        let seen = std::fs::read(env.dir().join("seen")).unwrap();
        let seen: Value = serde_json::from_slice(&seen).unwrap();
        let window = &seen["windows"][0];
        assert_eq!(window["reason"], "two");
        assert!(window["run"].is_string() && window["estimate"].is_string(), "{window}");
        assert_eq!(env.json(&["status"])["state"], "off", "it is closed as ever");
    }
}

#[test]
fn an_estimate_is_shown_wherever_a_window_is() {
    let mut env = TestEnv::new();
    let text = env.ok(&["on", "-m", "x", "--estimate", "04:00"]);
    assert!(text.contains("expected 04:00 UTC, in 1 h"), "{text}");
    let shown = env.run(&["check", "/"]);
    assert!(shown.stdout.contains("expected 04:00 UTC, in 1 h"), "{shown:?}");
    let status = env.json(&["status"]);
    assert_eq!(status["windows"][0]["estimate"], "2026-11-22T04:00:00Z");
    assert_eq!(status["windows"][0]["late"], false);
    env.set_now("2026-11-22T04:20:00Z");
    let status = env.json(&["status"]);
    assert_eq!((&status["windows"][0]["late"], &status["state"]), (&json!(true), &json!("on")));
    let doctor = env.run(&["doctor"]);
    assert!(doctor.stdout.contains("was expected to be over 20 minutes ago"), "{doctor:?}");
    env.ok(&["set", "--no-estimate"]);
    assert_eq!(env.json(&["status"])["windows"][0]["late"], false);
}

#[test]
fn a_run_can_be_expected_to_end() {
    let env = TestEnv::ticking();
    let script = "maint --json status >seen";
    env.ok(&["run", "--estimate", "20m", "--on-failure", "release", "--", "sh", "-c", script]);
    let seen: Value =
        serde_json::from_slice(&std::fs::read(env.dir().join("seen")).unwrap()).unwrap();
    assert!(seen["windows"][0]["estimate"].is_string(), "{seen}");
    assert!(seen["windows"][0]["lease"].is_number(), "{seen}");
}
