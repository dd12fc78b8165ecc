//! Requirement 1: in which order the state is replaced, whatever the verb.

use std::path::Path;

use crate::can::can_trace;
use crate::env::{MAINT, TestSite, chmod, run, write};
use crate::say::figure;
use crate::trace::{judge, parse, traced};

/// Every verb that changes the state, in an order in which each has something to do.
/// `{rule}` and `{token}` stand for the id of one that exists. With each, how often
/// it replaces the state.
const VERBS: [(&[&str], usize); 22] = [
    (&["on", "-m", "Back at noon"], 1),
    (&["on", "deploy", "--for", "1h"], 1),
    (&["on", "-m", "Back at one"], 1),
    (&["off", "deploy"], 1),
    (&["off", "--all"], 1),
    (&["ignore", "add", "path", "/health"], 1),
    (&["ignore", "add", "ip", "192.0.2.0/24"], 1),
    (&["ignore", "remove", "{rule}"], 1),
    (&["ignore", "clear"], 1),
    (&["bypass", "new", "--keep"], 1),
    (&["bypass", "revoke", "{token}"], 1),
    (&["template", "add", "page", "--format", "html"], 1),
    (&["template", "edit", "page"], 1),
    (&["template", "use", "page"], 1),
    (&["template", "use", "--builtin"], 1),
    (&["template", "remove", "page"], 1),
    (&["proxy", "add", "10.0.0.0/8", "192.168.0.0/16"], 1),
    (&["proxy", "remove", "10.0.0.0/8"], 1),
    (&["proxy", "clear"], 1),
    (&["restore"], 1),
    (&["run", "--", "true"], 2),
    (&["run", "--on-failure", "release", "--", "false"], 2),
];

#[test]
fn requirement_01_every_changing_verb_replaces_the_state_in_order() {
    if !can_trace() {
        return;
    }
    let site = TestSite::new();
    let editor = site.project.join("editor");
    write(&editor, "#!/bin/sh\necho more >> \"$1\"\n");
    chmod(&editor, 0o755);
    let mut replacements = 0;
    for (args, expected) in VERBS {
        let args: Vec<String> = args.iter().map(|word| filled_in(word, &site)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (done, calls) = traced(&site.dir, &args, |command| {
            command.env("EDITOR", &editor);
        });
        let wanted = i32::from(args.contains(&"false"));
        assert_eq!(done.code, wanted, "{args:?}: {done:?}");
        match judge(&calls, &site.dir) {
            Ok(number) => assert_eq!(number, expected, "{args:?} replaced it {number} times"),
            Err(fault) => panic!("{args:?}: {fault}"),
        }
        replacements += expected;
    }
    figure(&format!("{} verbs, {replacements} replacements in order", VERBS.len()));
}

#[test]
fn requirement_01_init_replaces_the_state_in_order() {
    if !can_trace() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let project = std::fs::canonicalize(temp.path()).unwrap();
    let log = project.join("trace");
    let trace = format!("trace={}", crate::trace::CALLS);
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-y", "-s", "4096", "-e", &trace, "-o"]).arg(&log).arg(MAINT);
    let done = run(command.args(["init"]).arg(&project).current_dir("/").env_remove("MAINT_SITE"));
    assert_eq!(done.code, 0, "{done:?}");
    let calls = parse(&std::fs::read_to_string(log).unwrap());
    let replacements = judge(&calls, &project.join(".maint")).unwrap();
    assert_eq!(replacements, 1);
}

fn filled_in(word: &str, site: &TestSite) -> String {
    let first = |mut keys: Vec<String>| keys.pop().expect("there is one");
    match word {
        "{rule}" => first(site.state().ignore.into_keys().collect()),
        "{token}" => first(site.state().bypass.into_keys().collect()),
        other => other.to_owned(),
    }
}

const DIR: &str = "/srv/app/.maint";

/// A trace as it should be, to plant faults in.
const GOOD: [&str; 12] = [
    r#"7 openat(AT_FDCWD, "/srv/app/.maint/lock", O_RDWR|O_NOFOLLOW|O_CLOEXEC) = 3</srv/app/.maint/lock>"#,
    r"7 flock(3</srv/app/.maint/lock>, LOCK_EX|LOCK_NB) = 0",
    r#"7 openat(AT_FDCWD, "/srv/app/.maint/state.json", O_RDONLY|O_CLOEXEC) = 4</srv/app/.maint/state.json>"#,
    r#"7 openat(AT_FDCWD, "/srv/app/.maint/.state.json.0a.tmp", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 5</srv/app/.maint/.state.json.0a.tmp>"#,
    r#"7 write(5</srv/app/.maint/.state.json.0a.tmp>, "{}\n", 3) = 3"#,
    r"7 fchown(5</srv/app/.maint/.state.json.0a.tmp>, 33, 33) = 0",
    r"7 fchmod(5</srv/app/.maint/.state.json.0a.tmp>, 0644) = 0",
    r"7 fsync(5</srv/app/.maint/.state.json.0a.tmp>) = 0",
    r#"7 renameat(AT_FDCWD, "/srv/app/.maint/.state.json.0a.tmp", AT_FDCWD, "/srv/app/.maint/state.json") = 0"#,
    r"7 fsync(6</srv/app/.maint>) = 0",
    r"7 close(3</srv/app/.maint/lock>) = 0",
    r"7 exit_group(0) = ?",
];

fn verdict(lines: &[&str]) -> Result<usize, String> {
    judge(&parse(&lines.join("\n")), Path::new(DIR))
}

#[test]
fn requirement_01_the_oracle_accepts_a_trace_in_order() {
    assert_eq!(verdict(&GOOD), Ok(1));
    assert_eq!(verdict(&GOOD[..3]), Ok(0), "nothing was replaced");
}

#[test]
fn requirement_57_the_oracle_catches_planted_faults() {
    let without = |part: &str| -> Vec<&str> {
        assert!(GOOD.iter().any(|line| line.contains(part)), "{part}");
        GOOD.into_iter().filter(|line| !line.contains(part)).collect()
    };
    let moved = |from: usize, to: usize| {
        let mut lines = GOOD.to_vec();
        let line = lines.remove(from);
        lines.insert(to, line);
        lines
    };
    let with = |at: usize, line: &'static str| {
        let mut lines = GOOD.to_vec();
        lines.insert(at, line);
        lines
    };
    let in_place = r#"7 openat(AT_FDCWD, "/srv/app/.maint/state.json", O_WRONLY|O_TRUNC) = 9"#;
    let elsewhere: Vec<String> = GOOD
        .iter()
        .map(|line| line.replace("/srv/app/.maint/.state.json.0a.tmp", "/tmp/.state.json.0a.tmp"))
        .collect();
    let failed: Vec<String> = GOOD
        .iter()
        .map(|line| match line.strip_suffix(".0a.tmp>) = 0") {
            Some(fsync) => format!("{fsync}.0a.tmp>) = -1 EIO (Input/output error)"),
            None => (*line).to_owned(),
        })
        .collect();
    let public: Vec<String> = GOOD.iter().map(|line| line.replace("0600", "0666")).collect();
    let words = |lines: &[String]| -> Result<usize, String> {
        verdict(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (planted, verdict) in [
        ("no fsync", verdict(&without("fsync(5"))),
        ("an fsync that failed", words(&failed)),
        ("no directory fsync", verdict(&without("fsync(6"))),
        ("directory fsync before the rename", verdict(&moved(9, 8))),
        ("rename before fsync", verdict(&moved(8, 7))),
        ("write after fsync", verdict(&moved(4, 7))),
        ("mode after fsync", verdict(&moved(6, 7))),
        ("owner after mode", verdict(&moved(5, 6))),
        ("no lock", verdict(&without("flock"))),
        ("lock given up before the rename", verdict(&moved(10, 7))),
        ("lock given up before the directory is durable", verdict(&moved(10, 9))),
        ("exit before the directory is durable", verdict(&moved(11, 9))),
        ("in place", verdict(&with(4, in_place))),
        ("temporary file elsewhere", words(&elsewhere)),
        ("temporary file open to all", words(&public)),
    ] {
        assert!(verdict.is_err(), "not caught: {planted}");
    }
}
