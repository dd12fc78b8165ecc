//! `maint on`

use serde_json::json;

use crate::env::{Ran, TestEnv};
use crate::say::figure;

#[test]
fn on_opens_the_default_window_and_says_where_it_is_written() {
    let env = TestEnv::new();
    let text = env.ok(&["on", "-m", "Back at noon"]);
    assert!(text.starts_with("● down window `default` is open\n"), "{text}");
    assert!(text.contains("“Back at noon”"), "{text}");
    assert!(text.contains(".maint/state.json (revision 2)"), "{text}");
    assert_eq!(env.state()["windows"]["default"]["reason"], "Back at noon");
}

#[test]
fn a_window_opened_now_has_no_start_so_that_no_clock_can_deny_it() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    assert_eq!(env.state()["windows"]["default"].get("start"), None);
}

#[test]
fn on_again_replaces_the_settings_keeps_the_beginning_and_says_so() {
    let mut env = TestEnv::new();
    env.ok(&["on", "-m", "one", "--for", "1h", "--path", "/shop/**"]);
    env.set_now("2026-11-22T03:10:00Z");
    let text = env.ok(&["on", "-m", "two", "--yes"]);
    assert!(
        text.contains("window `default` was open already; its settings are replaced"),
        "{text}"
    );
    assert!(text.contains("~ window default reason: one → two"), "{text}");
    let window = &env.state()["windows"]["default"];
    assert_eq!(window["opened_at"], "2026-11-22T03:00:00Z");
    assert_eq!((window.get("end"), window.get("scope")), (None, None));
}

#[test]
fn what_an_open_window_would_lose_is_said_before_it_is_in_force() {
    let mut env = TestEnv::new();
    env.ok(&["on", "-m", "one", "--for", "1h", "--path", "/shop/**"]);
    env.set_now("2026-11-22T03:10:00Z");
    let before = env.files();
    let error = env.fails(2, &["on", "-m", "two"]);
    assert!(
        error.contains(
            "window `default` is open, and this would lose its scope (paths /shop/**, and then every \
             request); its end 04:00 UTC"
        ),
        "{error}"
    );
    assert!(
        error.contains("hint: `maint set default` changes only what is given; `--yes`"),
        "{error}"
    );
    let error = env.fails(2, &["on", "--for", "1h", "--path", "/shop/**"]);
    assert!(error.contains("lose its message “one”"), "{error}");
    let error =
        env.fails(2, &["on", "--path", "/shop/**", "-m", "x", "--at", "05:00", "--for", "1h"]);
    assert!(error.contains("its start (03:00 UTC, and then 05:00 UTC)"), "{error}");
    assert_eq!(before, env.files(), "nothing changed");
    let shown = env.ok(&["on", "-m", "two", "--dry-run"]);
    assert!(shown.contains("it would lose") && shown.contains("  end 04:00 UTC\n"), "{shown}");
    assert_eq!(env.json(&["on", "-n"])["lost"][0]["setting"], "scope");
    let done = env.json(&["on", "-m", "two", "--yes"]);
    let lost: Vec<&str> = done["lost"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["setting"].as_str().unwrap())
        .collect();
    assert_eq!(lost, ["scope", "end"]);
}

#[test]
fn a_script_that_says_the_same_twice_goes_on_working() {
    let mut env = TestEnv::new();
    let same =
        ["on", "deploy", "-m", "Deploying", "--for", "30m", "--estimate", "10m", "--read-only"];
    env.ok(&same);
    env.set_now("2026-11-22T03:05:00Z");
    env.ok(&same);
    env.ok(&[
        "on",
        "deploy",
        "-m",
        "other words",
        "--until",
        "05:00",
        "--estimate",
        "04:00",
        "--read-only",
    ]);
    env.set_now("2026-11-22T06:00:00Z");
    env.ok(&["on", "deploy"]);
}

#[test]
#[cfg(unix)]
fn on_a_terminal_it_asks() {
    if !crate::env::has("script") {
        return;
    }
    let env = TestEnv::new();
    env.ok(&["on", "-m", "one"]);
    let before = env.files();
    let asked = env.on_a_terminal("maint on --for 1h", "n\n");
    assert_eq!(asked.code, 2, "{asked:?}");
    assert!(asked.stdout.contains("message “one”"), "{asked:?}");
    assert!(asked.stdout.contains("Replace them? [y/N]"), "{asked:?}");
    assert_eq!(before, env.files());
    let asked = env.on_a_terminal("maint on --for 1h", "y\n");
    assert_eq!(asked.code, 0, "{asked:?}");
    assert_eq!(env.state()["windows"]["default"].get("reason"), None);
    let asked = env.on_a_terminal("maint on --for 1h", "");
    assert_eq!(asked.code, 0, "the same again is no question: {asked:?}");
}

#[test]
fn times_are_read_as_people_say_them() {
    let env = TestEnv::new(); // Sunday, 03:00 UTC
    for (given, start) in [
        ("noon", "2026-11-22T12:00:00Z"),
        ("tomorrow 3:00", "2026-11-23T03:00:00Z"),
        ("sat 3:00", "2026-11-28T03:00:00Z"),
        ("+10m", "2026-11-22T03:10:00Z"),
    ] {
        env.ok(&["on", "--at", given]);
        assert_eq!(env.state()["windows"]["default"]["start"], start, "{given}");
    }
    let error = env.fails(2, &["on", "--at", "sunday 5:00"]);
    assert!(error.contains("today or in a week") && error.contains("`today 05:00`"), "{error}");
    let error = env.fails(2, &["on", "--at", "+10m", "--until", "+40m"]);
    assert!(error.contains("from now or from the start"), "{error}");
}

#[test]
fn requirement_09_the_same_once_more_changes_nothing() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", "x"]);
    let before = env.files();
    let text = env.ok(&["on", "-m", "x"]);
    assert!(text.starts_with("unchanged:"), "{text}");
    assert_eq!(before, env.files());
}

#[test]
fn every_setting_reaches_the_state() {
    let env = TestEnv::new();
    env.write("sorry.html", "<p>{{ reason }}</p>");
    env.ok(&["template", "add", "sorry", "sorry.html"]);
    env.ok(&[
        "on",
        "deploy-42",
        "-m",
        "x",
        "--at",
        "04:00",
        "--until",
        "2026-11-22T06:00:00+01:00",
        "--path",
        "/a",
        "--path",
        "/b/**",
        "--method",
        "post",
        "--host",
        "Example.com",
        "--status",
        "500",
        "--retry-after",
        "2m",
        "--template",
        "sorry",
        "--redirect",
        "/sorry",
    ]);
    let window = &env.state()["windows"]["deploy-42"];
    assert_eq!(window["start"], "2026-11-22T04:00:00Z");
    assert_eq!(window["end"], "2026-11-22T05:00:00Z");
    assert_eq!(
        window["scope"],
        json!({"paths": ["/a", "/b/**"], "methods": ["POST"], "hosts": ["example.com"]})
    );
    assert_eq!(
        window["page"],
        json!({"status": 500, "retry_after": 120, "template": "sorry", "redirect": "/sorry"})
    );
}

#[test]
fn a_duration_counts_from_the_start() {
    let env = TestEnv::new();
    env.ok(&["on", "--at", "04:00", "--for", "1h30m"]);
    assert_eq!(env.state()["windows"]["default"]["end"], "2026-11-22T05:30:00Z");
}

#[test]
fn an_end_by_the_time_of_day_is_the_next_one_after_the_start() {
    let mut env = TestEnv::new();
    env.set_now("2026-11-22T03:30:00Z");
    env.ok(&["on", "--at", "03:00", "--until", "04:30"]);
    assert_eq!(env.state()["windows"]["default"]["start"], "2026-11-23T03:00:00Z");
    assert_eq!(env.state()["windows"]["default"]["end"], "2026-11-23T04:30:00Z");
}

#[test]
fn a_scheduled_window_opens_and_closes_by_the_clock_with_the_file_untouched() {
    let mut env = TestEnv::new();
    let text = env.ok(&["on", "--at", "04:00", "--for", "1h"]);
    assert!(text.starts_with("● up window `default` is scheduled"), "{text}");
    let before = env.files();
    for (now, state) in [
        ("2026-11-22T03:59:59.999Z", "scheduled"),
        ("2026-11-22T04:00:00Z", "on"),
        ("2026-11-22T04:59:59.999Z", "on"),
        ("2026-11-22T05:00:00Z", "off"),
    ] {
        env.set_now(now);
        assert_eq!(env.json(&["status"])["state"], state, "{now}");
    }
    assert_eq!(before, env.files());
}

#[test]
fn requirement_16_if_revision_loses_cleanly() {
    let env = TestEnv::new();
    env.ok(&["on", "--if-revision", "1"]);
    let error = env.fails(5, &["on", "-m", "x", "--if-revision", "1"]);
    assert!(error.contains("the state has revision 2, not 1"), "{error}");
}

#[test]
fn a_dry_run_shows_the_difference_and_writes_nothing() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", "one"]);
    let before = env.files();
    let text = env.ok(&["on", "-m", "two", "--dry-run"]);
    assert!(text.contains("would change") && text.contains("one → two"), "{text}");
    assert_eq!(env.ok(&["on", "-m", "one", "-n"]), "nothing would change\n");
    assert_eq!(before, env.files());
}

#[test]
fn tokens_that_go_with_a_maintenance_the_clock_ended_are_named() {
    let env = TestEnv::after_a_maintenance();
    let planned = env.json(&["on", "next", "--dry-run"]);
    assert_eq!(planned["revoked"], json!(["b3"]));
    let text = env.ok(&["on", "next"]);
    assert!(text.contains("tokens of the previous maintenance are revoked: b3"), "{text}");
    assert_eq!(env.json(&["on", "again"])["revoked"], json!([]));
}

#[test]
fn local_times_are_echoed_with_their_zone() {
    let env = TestEnv::new();
    let output =
        env.command(&["on", "--at", "05:00", "--for", "30m"]).env("TZ", "CET-1").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("from 05:00 CET (in 1 h)"), "{text}");
    assert_eq!(env.state()["windows"]["default"]["start"], "2026-11-22T04:00:00Z");
}

#[test]
fn requirement_73_a_local_time_needs_a_known_zone() {
    let env = TestEnv::new();
    env.write("not-a-zone", "TZif? no");
    let file = env.dir().join("not-a-zone").into_os_string().into_string().unwrap();
    let run = |tz: &str, tzdir: Option<&str>, args: &[&str]| {
        let mut command = env.command(args);
        command.env("TZ", tz);
        tzdir.map(|dir| command.env("TZDIR", dir));
        Ran::from(command.output().unwrap())
    };
    let unknown = [
        ("Europe/Nowhere", None, "Europe/Nowhere"),
        ("/no/such/zone", None, "does not exist"),
        (file.as_str(), None, "not a zone file"),
        ("Europe/Paris", Some("/no/zone/data"), "no zone data"),
    ];
    for (tz, tzdir, part) in unknown {
        for args in [
            ["on", "--until", "05:00"].as_slice(),
            &["on", "--at", "2026-11-23 05:00"],
            &["ignore", "add", "path", "/x", "--until", "05:00"],
            &["check", "/", "--at", "05:00"],
        ] {
            let before = env.files();
            let ran = run(tz, tzdir, args);
            assert_eq!(ran.code, 2, "{tz} {args:?}: {ran:?}");
            assert!(ran.stderr.contains("the time zone is unknown"), "{tz}: {ran:?}");
            assert!(ran.stderr.contains(part) && ran.stderr.contains("hint: "), "{tz}: {ran:?}");
            assert_eq!(before, env.files(), "{tz} {args:?}");
        }
        for args in [
            ["on", "--until", "2026-11-22T05:00:00+01:00"].as_slice(),
            &["on", "--for", "1h"],
            &["status"],
            &["log"],
        ] {
            let ran = run(tz, tzdir, args);
            assert_eq!(ran.code, 0, "{tz} {args:?}: {ran:?}");
            assert!(ran.stdout.contains("UTC"), "{tz} {args:?}: {ran:?}");
        }
    }
    for (tz, tzdir, end) in [
        ("EST5EDT,M3.2.0,M11.1.0", None, "2026-11-22T10:00:00Z"),
        ("CET-1", None, "2026-11-22T04:00:00Z"),
        ("UTC", Some("/no/zone/data"), "2026-11-22T05:00:00Z"),
        ("", None, "2026-11-22T05:00:00Z"),
    ] {
        let ran = run(tz, tzdir, &["on", "--until", "05:00"]);
        assert_eq!(ran.code, 0, "{tz}: {ran:?}");
        assert_eq!(env.state()["windows"]["default"]["end"], end, "{tz}");
    }
    figure(&format!("{0} of {0} unknown zones read no local time", unknown.len()));
}

#[test]
fn requirement_37_an_end_that_is_not_after_the_start_is_refused() {
    let env = TestEnv::new();
    for args in [
        ["on", "--until", "2026-11-22T02:00:00Z"].as_slice(),
        &["on", "--until", "2026-11-22T03:00:00Z"],
        &["on", "--at", "05:00", "--until", "2026-11-22 04:00"],
        &["on", "--at", "2026-11-22T05:00Z", "--until", "2026-11-22T05:00Z"],
    ] {
        env.fails(2, args);
    }
}

#[test]
fn a_start_that_has_passed_is_refused_unless_it_is_meant() {
    let mut env = TestEnv::new();
    let before = env.files();
    for args in
        [&["on", "--at", "2026-11-22T02:58:59Z"][..], &["on", "-n", "--at", "2026-11-21 04:00"]]
    {
        let error = env.fails(2, args);
        assert!(error.contains("has passed\nhint: without `--at` it opens now"), "{error}");
    }
    assert_eq!(before, env.files());
    env.ok(&["on", "a-moment-ago", "--at", "2026-11-22T02:59:00Z"]);
    env.ok(&["on", "meant", "--at", "2026-11-22T02:00:00Z", "--yes"]);
    assert_eq!(env.state()["windows"]["meant"]["start"], "2026-11-22T02:00:00Z");
    let again =
        ["on", "nightly", "--at", "2026-11-22T03:30:00Z", "--until", "2026-11-22T05:00:00Z"];
    env.ok(&again);
    env.set_now("2026-11-22T04:00:00Z");
    // A script says the same again.
    env.ok(&again);
    assert_eq!(env.state()["windows"]["nightly"]["start"], "2026-11-22T03:30:00Z");
}

#[test]
fn an_error_shows_times_in_the_time_zone_of_the_reader_and_to_programs_in_utc() {
    let env = TestEnv::new();
    let run = |args: &[&str]| Ran::from(env.command(args).env("TZ", "EST5").output().unwrap());
    let error = run(&["on", "--until", "2026-11-22T02:00:00Z"]).stderr;
    assert_eq!(error, "maint: the end, 21:00 EST, has passed\n");
    let error = run(&["--json", "on", "--until", "2026-11-22T02:00:00Z"]).stderr;
    assert!(error.contains("the end, 2026-11-22T02:00:00Z, has passed"), "{error}");
}

#[test]
fn a_status_that_is_no_error_is_warned_about() {
    let env = TestEnv::new();
    let ran = env.run(&["on", "--status", "200"]);
    assert!(ran.code == 0 && ran.stderr.contains("search engines"), "{ran:?}");
    let told = "page: status 200 for GET and HEAD, 503 for all else";
    assert!(ran.stdout.contains(told), "{ran:?}");
    let text = env.ok(&["on", "--status", "404"]);
    assert!(text.contains("page: status 404\n"), "{text}");
}

#[test]
fn the_mark_is_that_of_the_site() {
    let env = TestEnv::new();
    let mark = |args: &[&str]| {
        let text = env.ok(args);
        text.split(" window").next().unwrap().to_owned()
    };
    assert_eq!(mark(&["on", "a", "--path", "/a/**"]), "● partly down");
    assert_eq!(mark(&["on", "b", "--at", "05:00"]), "● partly down");
    assert_eq!(mark(&["on", "c", "--path", "/**"]), "● down");
    assert_eq!(mark(&["on", "d", "--path", "/d/**"]), "● down");
    assert_eq!(mark(&["on", "e", "--at", "05:00"]), "● down");
    assert!(env.ok(&["off", "c"]).contains("● partly down 2 windows"));
    env.ok(&["off", "--all"]);
    assert_eq!(mark(&["on", "f", "--at", "05:00"]), "● up");
    assert!(env.ok(&["status"]).starts_with("● up"));
}

#[test]
fn a_scope_narrower_than_meant_says_what_stays_up() {
    let env = TestEnv::new();
    for (scope, hint) in [
        (["--path", "/shop"], "everything below it stay up; to cover that too: --path '/shop/**'"),
        (["--host", "a.com"], "such as `www.a.com`, stay up; to cover that too: --host '*.a.com'"),
        (["--method", "POST"], "stay up; to cover that too: --method PUT --method PATCH"),
    ] {
        let text = env.ok(&[&["on", "--yes"][..], &scope].concat());
        assert!(text.contains(hint), "{text}");
        let dry = env.ok(&[&["on", "x", "--dry-run"][..], &scope].concat());
        assert!(dry.contains(hint), "{dry}");
        let ran = env.run(&[&["run"][..], &scope, &["--", "true"]].concat());
        assert!(ran.stderr.contains(hint), "{ran:?}");
        let object = env.json(&[&["on"][..], &scope].concat());
        assert_eq!(object["stays_up"].as_array().unwrap().len(), 1);
    }
    let many: Vec<String> = (0..9).map(|number| format!("--path=/{number}")).collect();
    let args: Vec<&str> =
        ["on", "--yes"].into_iter().chain(many.iter().map(String::as_str)).collect();
    assert!(env.ok(&args).contains("  and 4 more like these\n"));
    assert!(!env.ok(&["on", "--yes", "--path", "/shop", "--path", "/shop/**"]).contains("stay up"));
}

#[test]
fn a_person_is_told_once_that_no_rule_lets_a_health_check_through() {
    if !crate::env::has("script") {
        return;
    }
    let says = |env: &TestEnv, line: &str| {
        let ran = env.on_a_terminal(line, "");
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        ran.stdout.contains("`maint ignore add path /health`")
    };
    let env = TestEnv::new();
    assert!(!env.run(&["on", "script"]).stderr.contains("health"), "a script reads no hints");
    let env = TestEnv::new();
    assert!(says(&env, "maint on"));
    assert!(!says(&env, "maint on other"), "once is enough");
    let fresh = |before: &[&str], line: &str| {
        let env = TestEnv::new();
        if !before.is_empty() {
            env.ok(before);
        }
        says(&env, line)
    };
    for quiet in [
        "maint on --quiet",
        "maint on --json",
        "maint on -n",
        "maint on --read-only",
        "maint on --path /shop",
        "maint on --status 200",
    ] {
        assert!(!fresh(&[], quiet), "{quiet}");
    }
    assert!(!fresh(&["ignore", "add", "path", "/up"], "maint on"));
    assert!(!fresh(&["ignore", "add", "header", "X-Probe: 1"], "maint on"));
    assert!(fresh(&["ignore", "add", "ip", "203.0.113.7"], "maint on"), "that is an operator's");
}
