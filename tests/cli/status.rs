//! `maint status`

use std::process::{Command, Stdio};

use crate::env::TestEnv;

#[test]
fn a_person_sees_what_why_since_when_by_whom_until_when_who_and_where() {
    let mut env = TestEnv::new();
    env.ok(&["on", "deploy-42", "-m", "Back at noon", "--for", "30m"]);
    env.ok(&["ignore", "add", "path", "/health"]);
    env.ok(&["bypass", "new"]);
    env.ok(&["on", "tonight", "--at", "23:00", "--read-only"]);
    env.set_now("2026-11-22T03:14:00Z");
    let text = env.ok(&["status"]);
    for part in [
        "● down window `deploy-42` is open",
        "“Back at noon”",
        "since 03:00 UTC (14 min) by ",
        "until 03:30 UTC (in 16 min)",
        "covers every request",
        "tonight",
        "from 23:00 UTC (in 19 h 46 min)",
        "covers writes only",
        "gets through path /health (r3), 1 bypass token",
        ".maint/state.json (revision 5, changed 03:00 UTC (14 min ago) by ",
    ] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn json_names_the_window_that_begins_next() {
    let mut env = TestEnv::new();
    let next = |env: &TestEnv| env.json(&["status"])["next"].clone();
    assert!(next(&env).is_null());
    env.ok(&["on", "a", "--at", "05:00"]);
    env.ok(&["on", "z", "--at", "04:00", "--for", "1h", "--read-only", "-m", "Bigger disks"]);
    env.ok(&["on", "open"]);
    let found = next(&env);
    assert_eq!((&found["name"], &found["phase"]), (&"z".into(), &"scheduled".into()));
    assert_eq!(found["start"], "2026-11-22T04:00:00Z");
    assert_eq!(found["end"], "2026-11-22T05:00:00Z");
    assert_eq!(
        (&found["reason"], &found["scope"]["read_only"]),
        (&"Bigger disks".into(), &true.into())
    );
    // At its start a window is open, and no longer to come.
    env.set_now("2026-11-22T04:00:00Z");
    assert_eq!(next(&env)["name"], "a");
}

#[test]
fn expect_answers_by_its_exit_code() {
    let env = TestEnv::new();
    let code = |state| env.run(&["status", "--expect", state, "-q"]).code;
    assert_eq!(["on", "off", "scheduled"].map(code), [1, 0, 1]);
    env.ok(&["on", "later", "--at", "05:00"]);
    assert_eq!(["on", "off", "scheduled"].map(code), [1, 0, 0]);
    env.ok(&["on"]);
    assert_eq!(["on", "off", "scheduled"].map(code), [0, 1, 0]);
}

#[test]
fn max_age_fails_when_left_on_too_long() {
    let mut env = TestEnv::new();
    env.ok(&["on"]);
    env.set_now("2026-11-22T05:00:00Z");
    assert_eq!(env.run(&["status", "--max-age", "2h"]).code, 0);
    env.set_now("2026-11-22T05:00:01Z");
    let ran = env.run(&["status", "--max-age", "2h"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("too old: window `default` has been open for 2 h, longer than 2 h"),
        "{ran:?}"
    );
    assert_eq!(env.run(&["--json", "status", "--max-age", "2h"]).code, 1);
}

#[test]
fn replacing_the_settings_does_not_make_a_window_younger() {
    let mut env = TestEnv::new();
    env.ok(&["on", "-m", "one"]);
    env.set_now("2026-11-22T06:00:00Z");
    env.ok(&["on", "-m", "two"]);
    assert_eq!(env.run(&["status", "--max-age", "2h"]).code, 1);
}

#[test]
fn a_missing_state_is_off() {
    let env = TestEnv::bare();
    assert_eq!(env.run(&["status", "--expect", "off"]).code, 0);
    assert!(!env.dir().join("home/.local").exists(), "looking creates nothing");
}

#[test]
fn requirement_51_a_hostile_message_cannot_drive_the_terminal() {
    let env = TestEnv::new();
    let text = "{\"version\":1,\"revision\":1,\"windows\":{\"x\":{\"opened_at\":\"2026-11-22T03:00:00Z\",\"reason\":\"a\u{202e}b\"}}}";
    env.write(".maint/state.json", text);
    let shown = env.ok(&["status"]);
    assert!(!shown.contains('\u{202e}') && shown.contains("\\u{202e}"), "{shown}");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", &"x".repeat(60_000)]);
    for line in [
        "maint status | head -1",
        "maint log | head -c 1",
        "maint --help | head -1",
        "maint --json status | true",
    ] {
        let mut shell = Command::new("sh");
        env.seal(shell.args(["-c", line]));
        let output = shell.stderr(Stdio::piped()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    }
}

#[test]
fn requirement_60_output_that_cannot_be_written_is_told() {
    let env = TestEnv::new();
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        env.seal(shell.args(["-c", line]));
        shell.output().unwrap()
    };
    let output = shell("maint status >/dev/full");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(9), "{error}");
    assert!(error.contains("could not write the answer: no space left"), "{error}");
    assert_eq!(shell("maint status >&-").status.code(), Some(0), "closed counts as /dev/null");
}

#[cfg(unix)]
#[test]
fn requirement_07_a_limit_on_file_sizes_is_told_and_not_a_silent_death() {
    let env = TestEnv::new();
    let mut shell = Command::new("sh");
    env.seal(shell.args(["-c", "ulimit -f 0; exec maint status >out"]));
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(9), "{output:?}");
}

#[test]
fn colour_is_for_terminals_and_for_who_asks() {
    let env = TestEnv::new();
    assert!(!env.ok(&["status"]).contains('\x1b'));
    assert!(env.ok(&["status", "--color", "always"]).contains('\x1b'));
    let mut command = env.command(&["status", "--color", "never"]);
    let output = command.env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn a_question_that_is_answered_with_no_says_why_even_to_cron() {
    let mut env = TestEnv::new();
    env.ok(&["on"]);
    env.set_now("2026-11-22T09:00:00Z");
    let ran = env.run(&["--quiet", "status", "--max-age", "1h"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("window `default` has been open for 6 h, longer than 1 h"),
        "{ran:?}"
    );
    let ran = env.run(&["--quiet", "status", "--expect", "off"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, "maint: expected off, found on\n"));
    // A good answer is silent.
    let ran = env.run(&["--quiet", "status", "--max-age", "1d", "--expect", "on"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
}
