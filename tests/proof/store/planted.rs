//! Requirement 57: the oracle of requirement 1 must catch faulty traces.

use std::path::Path;

use crate::oracle::{changes, judge};
use crate::trace::parse;

const DIR: &str = "/srv/app/.maint";

/// A correct trace, to plant faults in.
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

#[test]
fn requirement_57_the_oracle_catches_a_verb_that_should_only_read() {
    let dir = Path::new(DIR);
    let count = |text: &str| parse(text).iter().filter(|call| changes(call, dir)).count();
    assert_eq!(count(GOOD[2]), 0, "the state is read");
    assert_eq!(count("7 close(3</srv/app/.maint/lock>) = 0"), 0);
    for line in GOOD.iter().take(10).filter(|line| **line != GOOD[2]) {
        assert_eq!(count(line), 1, "not caught: {line}");
    }
    for line in [
        r#"7 unlink("/srv/app/.maint/lock") = 0"#,
        r#"7 mkdir("/srv/app/.maint/templates", 0777) = -1 EEXIST (File exists)"#,
        r"7 utimensat(3</srv/app/.maint/state.json>, NULL, [UTIME_NOW, UTIME_NOW], 0) = 0",
    ] {
        assert_eq!(count(line), 1, "not caught: {line}");
    }
}
