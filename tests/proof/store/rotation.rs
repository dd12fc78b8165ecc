//! Requirement 68: the history says each change once, over rotation too.

use std::fs;

use crate::can::can_trace;
use crate::env::{TestSite, run, wrapped, write};
use crate::say::figure;

/// Puts 8 MiB of older records in front of a history, so that the next change sets it aside.
pub(crate) fn grow(site: &TestSite) {
    let path = site.file("history.jsonl");
    let newest = fs::read_to_string(&path).unwrap();
    let first: serde_json::Value = serde_json::from_str(newest.lines().next().unwrap()).unwrap();
    let before = &first["revision"]["before"];
    let older = format!(
        r#"{{"time":"2026-01-01T00:00:00Z","revision":{{"after":{before}}},"actor":{{"user":"ann","host":"web1","pid":1}},"command":"{}"}}"#,
        "x".repeat(1_000)
    );
    let mut text = format!("{older}\n").repeat(8 * 1024 * 1024 / (older.len() + 1) + 1);
    text += &newest;
    write(&path, text);
}

/// The revisions that the history has, without the older records.
fn recorded(site: &TestSite) -> Vec<u64> {
    let files = maint::Site::at(&site.dir).files().unwrap();
    let (records, torn) = maint::internal::history::read(&files).unwrap();
    assert_eq!(torn, 0);
    let real = records.into_iter().filter(|record| !record.command.starts_with('x'));
    real.map(|record| record.revision.after).collect()
}

#[test]
fn requirement_68_each_change_is_there_once_over_three_rotations() {
    let site = TestSite::in_use();
    let mut first = 1;
    for rotation in 1..=3 {
        grow(&site);
        let before = site.state().revision;
        for text in ["a", "b", "c"] {
            site.ok(&["on", "-m", &format!("{text}{rotation}")]);
            let revisions: Vec<u64> = (first..=site.state().revision).collect();
            assert_eq!(recorded(&site), revisions, "rotation {rotation}");
        }
        let doctor = site.run(&["doctor", "--json"]);
        assert!(!doctor.stdout.contains("history-"), "{doctor:?}");
        // One older part is kept.
        first = before + 1;
        let aside = fs::metadata(site.file("history.jsonl.1")).unwrap().len();
        assert!(aside > 8 * 1024 * 1024, "it was not set aside");
    }
    figure("0 doubles and 0 alarms over 3 rotations");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a history made by hand")]
fn requirement_68_a_line_owed_over_a_rotation_is_added_once() {
    // The last writer died after it set the history aside, with its line or before it.
    for is_owed in [false, true] {
        let site = TestSite::in_use();
        grow(&site);
        let path = site.file("history.jsonl");
        if is_owed {
            let text = fs::read_to_string(&path).unwrap();
            let (rest, _) = text.trim_end().rsplit_once('\n').unwrap();
            write(&path, format!("{rest}\n"));
        }
        fs::rename(&path, site.file("history.jsonl.1")).unwrap();
        site.ok(&["on", "-m", "three"]);
        assert_eq!(recorded(&site), [1, 2, 3], "owed: {is_owed}");
    }
}

#[test]
fn requirement_68_the_newest_changes_are_read_from_the_end() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let trace = site.project.join("trace");
    let strace = ["strace", "-y", "-o", trace.to_str().unwrap(), "-e", "trace=read,pread64", "--"];
    let cost = || {
        let done = run(&mut wrapped(&strace, &site.dir, &["log", "-n", "1", "--json"]));
        assert_eq!(done.stdout.lines().count(), 1, "{done:?}");
        let calls = fs::read_to_string(&trace).unwrap();
        let reads = calls.lines().filter(|call| call.contains("/history.jsonl>"));
        reads.map(|call| call.rsplit(" = ").next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    let short = cost();
    grow(&site);
    let long = cost();
    assert!(short > 0 && long <= 16 * 1024, "{short} and {long} bytes");
    figure(&format!("log -n 1 reads {short} bytes of a short history, {long} of one of 8 MiB"));
}
