//! `maint log`

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::env::TestEnv;

#[test]
fn each_change_is_one_line_with_when_who_what_and_both_revisions() {
    let env = TestEnv::new();
    let output = env
        .command(&["on", "-m", "Back at noon"])
        .env("SUDO_USER", "daemon")
        .env("SUDO_UID", "1")
        .output()
        .unwrap();
    assert!(output.status.success());
    env.ok(&["on", "-m", "Back at noon"]); // unchanged: no line
    let text = env.ok(&["--json", "log"]);
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2, "{text}");
    let record = &records[1];
    assert_eq!(record["time"], "2026-11-22T03:00:00Z");
    assert_eq!(
        (&record["revision"]["before"], &record["revision"]["after"]),
        (&1.into(), &2.into())
    );
    // An ordinary user could set the variable to anything.
    let is_root =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    let believed = if is_root { Value::from("daemon") } else { Value::Null };
    assert_eq!(record["actor"].get("sudo_user").unwrap_or(&Value::Null), &believed);
    assert!(record["actor"]["pid"].as_u64().unwrap() > 0 && record["actor"]["host"] != "");
    assert_eq!(record["command"], "on -m 'Back at noon'");
    assert_eq!(record["changes"][0]["at"], "/windows/default");
    let text = env.ok(&["log", "-n", "1"]);
    assert!(
        text.contains(if is_root { "#2  daemon@" } else { "#2  " })
            && text.contains("+ window default: reason “Back at noon”"),
        "{text}"
    );
}

#[test]
fn a_line_that_a_killed_writer_owed_is_written_by_the_next() {
    let env = TestEnv::new();
    let before = std::fs::read_to_string(env.site().join("history.jsonl")).unwrap();
    env.ok(&["on", "-m", "x"]);
    // As if the writer had died between the state and the history.
    env.write(".maint/history.jsonl", &before);
    env.ok(&["off"]);
    let text = env.ok(&["log"]);
    assert!(
        text.contains("#2") && text.contains("maint on -m x  (recovered from the state)"),
        "{text}"
    );
    assert!(text.contains("#3"), "{text}");
}

#[test]
fn a_torn_line_is_passed_over_and_not_continued() {
    let env = TestEnv::new();
    let before = std::fs::read_to_string(env.site().join("history.jsonl")).unwrap();
    env.write(".maint/history.jsonl", &format!("{before}{{\"time\":\"2026"));
    env.ok(&["on"]);
    let ran = env.run(&["--json", "log"]);
    assert_eq!((ran.stdout.lines().count(), ran.stderr.as_str()), (2, ""), "{ran:?}");
    let ran = env.run(&["log"]);
    assert!(ran.stderr.contains("1 lines of the history cannot be read"), "{ran:?}");
}

#[test]
fn follow_prints_changes_as_they_happen() {
    let env = TestEnv::ticking();
    let mut child =
        env.command(&["--json", "log", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["revision"]["after"], 1);
    env.ok(&["on"]);
    assert_eq!(next()["revision"]["after"], 2);
    env.ok(&["off"]);
    assert_eq!(next()["revision"]["after"], 3);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_empty_history_is_no_error() {
    let env = TestEnv::bare();
    assert_eq!(env.ok(&["log"]), "");
}
