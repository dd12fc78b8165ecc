//! Bad input: one clear line, the right exit code, and nothing changed.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::env::{Ran, TestEnv};

/// A message, and at most one hint.
#[track_caller]
fn assert_brief(error: &str) {
    let lines: Vec<&str> = error.lines().collect();
    assert!(lines[0].starts_with("maint: "), "{error}");
    assert!(lines.len() == 1 || (lines.len() == 2 && lines[1].starts_with("hint: ")), "{error}");
    assert!(!error.contains("os error"), "{error}");
}

#[test]
fn requirement_60_values_that_make_no_sense_exit_2() {
    let env = TestEnv::new();
    for args in [
        ["on", "--for", "30"].as_slice(),
        &["on", "--for=-5m"],
        &["on", "--for", "0s"],
        &["on", "--for", "99999999h"],
        &["on", "--at", "tomorrow"],
        &["on", "--until", "2026-02-30 03:00"],
        &["on", "--status", "302"],
        &["on", "--retry-after", "8d"],
        &["on", "--redirect", "//evil.example"],
        &["on", "--path", "shop"],
        &["on", "--method", "GET POST"],
        &["on", "--host", "a b"],
        &["on", "a/b"],
        &["on", ""],
        &["on", "-m", "a\u{1b}[2Jb"],
        &["status", "--max-age", "soon"],
        &["wait", "on", "--timeout", "x"],
        &["--wait", "x", "on"],
        &["run", "--lease", "1s", "--", "true"],
    ] {
        let error = env.fails(2, args);
        assert_brief(&error);
    }
}

#[test]
fn a_message_that_is_too_long_is_refused() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", &"x".repeat(64 * 1024)]);
    env.fails(2, &["on", "-m", &"x".repeat(64 * 1024 + 1)]);
}

#[test]
fn mistakes_of_usage_exit_2_with_a_pointer() {
    let env = TestEnv::new();
    for args in [
        ["of"].as_slice(),
        &["on", "--bogus"],
        &["on", "--for", "1h", "--until", "05:00"],
        &["on", "--read-only", "--method", "GET"],
        &["off", "x", "--all"],
        &["wait"],
        &["wait", "maybe"],
        &["run"],
        &["ignore"],
        &["ignore", "add", "cookie", "x"],
        &["template", "use"],
        &["completions", "tcsh"],
        &["status", "--expect", "down"],
    ] {
        let error = env.fails(2, args);
        assert!(error.contains("--help") || error.contains("Usage"), "{args:?}: {error}");
    }
    assert!(env.run(&["of"]).stderr.contains("'off'"), "the closest verb is suggested");
}

#[test]
fn requirement_60_errors_are_json_where_json_was_asked_for() {
    let env = TestEnv::new();
    for (code, word, args) in [
        (2, "usage", ["off", "nope"].as_slice()),
        (2, "usage", &["on", "--bogus"]),
        (5, "conflict", &["on", "--if-revision", "7"]),
        (2, "usage", &["--site", "nope", "on"]),
    ] {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        let error: Value = serde_json::from_str(&env.fails(code, &args)).unwrap();
        assert_eq!(error["error"]["code"], word, "{args:?}");
        assert_eq!(error["error"]["exit"], code, "{args:?}");
        assert!(error["error"]["message"].is_string() && error["error"].get("hint").is_some());
    }
    env.write(".maint/state.json", "{");
    let error: Value = serde_json::from_str(&env.fails(8, &["--json", "status"])).unwrap();
    assert_eq!(error["error"]["code"], "corrupt");
    assert_eq!(error["error"]["path"], env.site().join("state.json").to_str().unwrap());
}

#[test]
fn requirement_11_a_broken_state_exits_8_in_every_verb_that_needs_it() {
    let env = TestEnv::new();
    let deep = format!("{{\"version\":1,\"revision\":1,\"x\":{}", "[".repeat(10_000));
    let mut refused = 0;
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{\"version\":1,\"revision\":1,\"revision\":2}",
        &deep,
        "{\"version\":9,\"revision\":1}",
    ] {
        env.write(".maint/state.json", text);
        for args in [
            ["on"].as_slice(),
            &["off"],
            &["off", "--all"],
            &["status"],
            &["wait", "on"],
            &["run", "--", "touch", "ran"],
            &["ignore", "add", "path", "/a"],
            &["ignore", "list"],
            &["ignore", "clear"],
            &["bypass", "new"],
            &["proxy", "add", "10.0.0.1"],
            &["template", "list"],
            &["init"],
        ] {
            let error = env.fails(8, args);
            assert_brief(&error);
            assert!(error.contains("state.json"), "{error}");
            refused += 1;
        }
    }
    assert!(!env.dir().join("ran").exists(), "no command runs outside its window");
    crate::say::figure(&format!("{refused} commands on broken states, all exit 8"));
}

#[test]
fn requirement_26_a_state_of_a_newer_version_is_not_rewritten() {
    let env = TestEnv::new();
    env.write(".maint/state.json", "{\"version\":2,\"min_reader\":1,\"revision\":4}");
    env.ok(&["status"]);
    let error = env.fails(8, &["on"]);
    assert!(
        error.contains("needs version 2") && error.contains("hint: install the newer maint"),
        "{error}"
    );
}

#[test]
fn requirement_11_a_state_that_is_too_large_is_refused_before_it_is_read() {
    let env = TestEnv::new();
    let file = fs::OpenOptions::new().write(true).open(env.site().join("state.json")).unwrap();
    file.set_len(8 * 1024 * 1024 + 1).unwrap();
    let error = env.run(&["status"]);
    assert_eq!(error.code, 8);
    assert!(error.stderr.contains("8388609 bytes"), "{error:?}");
}

#[cfg(unix)]
#[test]
fn requirement_60_a_state_that_may_not_be_read_exits_7() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::new();
    let state = env.site().join("state.json");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o000)).unwrap();
    let binary = env!("CARGO_BIN_EXE_maint");
    let is_root = rustix::process::geteuid().is_root();
    let mut command = if is_root {
        fs::set_permissions(env.dir(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--clear-groups", binary, "--site", ".maint", "status"]);
        command
    } else {
        let mut command = Command::new(binary);
        command.args(["--site", ".maint", "status"]);
        command
    };
    env.seal(&mut command);
    let ran = Ran::from(command.output().unwrap());
    if ran.code == 126 || ran.code == 127 {
        return crate::say::skip("another user cannot run the binary where it lies");
    }
    assert_eq!(ran.code, 7, "{ran:?}");
    assert_brief(&ran.stderr);
    assert!(
        ran.stderr.contains("permission denied") && ran.stderr.contains("belongs to"),
        "{ran:?}"
    );
}

#[test]
fn text_that_is_not_utf8_is_no_panic() {
    #[cfg(unix)]
    {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let env = TestEnv::new();
        for args in [["on", "-m"].as_slice(), &["off"], &["--site"], &["template", "add", "x"]] {
            let output = env.command(args).arg(OsStr::from_bytes(b"a\xffb")).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?}");
        }
    }
}

#[test]
fn errors_have_the_colours_of_claps_own_where_colour_is_wanted() {
    let env = TestEnv::new();
    let red = "\u{1b}[31;1mmaint:\u{1b}[0m no window named `x`\n\u{1b}[32mhint:\u{1b}[0m ";
    let ran = env.run(&["--color", "always", "off", "x"]);
    assert!(ran.stderr.starts_with(red), "{ran:?}");
    for quiet in [&["off", "x"][..], &["--color", "never", "off", "x"]] {
        assert!(!env.run(quiet).stderr.contains('\u{1b}'), "{quiet:?}");
    }
    let ran = env.run(&["--json", "--color", "always", "off", "x"]);
    assert!(ran.stderr.starts_with("{\"error\":"), "{ran:?}");
    let ran = env.run(&["--color", "always", "run", "--", "false"]);
    assert!(ran.stderr.contains("\u{1b}[31;1mmaint:\u{1b}[0m the command failed"), "{ran:?}");
}
