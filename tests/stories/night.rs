//! An operator at night, at a terminal.

use std::process::Command;

use jiff::Timestamp;

use crate::env::{Ran, TestEnv, has};
use crate::say::figure;

/// What a terminal shows, without its colours.
fn plain(shown: &str) -> String {
    let mut parts = shown.split("\x1b[");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// What the person at the keyboard sees after a line, and an answer to what it asks.
fn typed(env: &TestEnv, line: &str, answer: &str) -> Ran {
    env.on_a_terminal(&format!("export TERM=xterm; {line}"), answer)
}

/// The site at 3 a.m., with the window of a colleague.
fn at_night() -> TestEnv {
    let env = TestEnv::new();
    let colleague = ["on", "disks", "-m", "Bigger disks", "--path", "/shop/**", "--until", "05:00"];
    env.ok(&colleague);
    env
}

/// Before: `maint on disks` at 3 a.m. took the whole site down in place of the shop alone, without the
/// colleague's message and end. What had been there could be read afterwards, as a difference with `T03:00:00Z` in it.
#[test]
fn the_window_of_a_colleague_is_asked_about() {
    if !has("script") {
        return;
    }
    let env = at_night();
    let before = env.files();
    let asked = typed(&env, "maint on disks -m 'Back soon'", "n\n");
    assert_eq!(asked.code, 2, "{asked:?}");
    let shown = plain(&asked.stdout);
    for part in ["paths /shop/**", "05:00 UTC", "Replace them? [y/N]"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(before, env.files(), "`n` leaves it");
    for answer in ["\n", "what?\n", ""] {
        let asked = typed(&env, "maint on disks -m 'Back soon'", answer);
        assert_eq!((asked.code, env.files() == before), (2, true), "{answer:?}: {asked:?}");
    }
    // What was wanted is one verb away.
    env.ok(&["set", "disks", "-m", "Back soon"]);
    let window = &env.state()["windows"]["disks"];
    assert_eq!(
        (&window["reason"], &window["end"]),
        (&"Back soon".into(), &"2026-11-22T05:00:00Z".into())
    );
    assert_eq!(window["scope"]["paths"][0], "/shop/**");
    figure(
        "n, an empty answer, another word and the end of the input leave a colleague's window as it is",
    );
}

/// Before: `maint off` said "unchanged: there is no window", exited 0, and the site stayed down.
#[test]
fn off_without_the_right_name_says_which_windows_are_open() {
    if !has("script") {
        return;
    }
    let env = at_night();
    env.ok(&["on", "search", "--path", "/search"]);
    let ran = typed(&env, "maint off", "");
    let shown = plain(&ran.stdout);
    assert_eq!(ran.code, 2, "{shown}");
    assert!(shown.contains("`disks`") && shown.contains("`search`"), "{shown}");
    let ran = typed(&env, "maint off disk", "");
    assert!(ran.code == 2 && plain(&ran.stdout).contains("`disks`"), "{ran:?}");
    let ran = typed(&env, "maint off disks", "");
    let shown = plain(&ran.stdout);
    assert!(ran.code == 0 && shown.contains("search"), "what still holds: {shown}");
    env.ok(&["off", "search"]);
    assert_eq!(env.json(&["status"])["state"], "off");
}

/// Before: `noon`, `3:00` and `tomorrow 03:00` were `not a time`, with a hint that left the arithmetic
/// to somebody who had just been woken.
#[test]
fn times_are_said_as_people_say_them_and_what_is_ambiguous_has_a_way_out() {
    let mut env = TestEnv::new(); // a Sunday
    env.set_now("2026-11-22T02:50:00Z");
    let end = |until: &str| {
        env.ok(&["on", "--until", until]);
        env.state()["windows"]["default"]["end"].as_str().unwrap().to_owned()
    };
    for (until, expected) in [
        ("3:00", "2026-11-22T03:00:00Z"),
        ("noon", "2026-11-22T12:00:00Z"),
        ("tomorrow 03:00", "2026-11-23T03:00:00Z"),
        ("monday 03:00", "2026-11-23T03:00:00Z"),
        ("+10m", "2026-11-22T03:00:00Z"),
    ] {
        assert_eq!(end(until), expected, "{until}");
    }
    let mut hints = 0;
    for (until, why) in [
        ("12", "a time of day or a duration"),
        ("sunday 3:00", "today or in a week"),
        ("sunday noon", "today or in a week"),
        ("sunday 1:00", "today or in a week"),
        ("tomorrow midnight", "begins or ends with"),
        ("3 am", "3:00"),
    ] {
        let error = env.fails(2, &["on", "x", "--until", until]);
        assert!(error.contains(why), "{until}: {error}");
        // Everything between backticks in the hint can be typed in its place.
        let hint = error.lines().find(|line| line.starts_with("hint: ")).unwrap();
        for typed in hint.split('`').skip(1).step_by(2) {
            let ran = env.run(&["on", "x", "--until", typed]);
            assert_eq!(ran.code, 0, "{until}: {hint}: {typed}: {ran:?}");
            hints += 1;
        }
    }
    // At the zone of the person, and said so.
    let mut command = env.command(&["on", "y", "--until", "noon"]);
    let ran = Ran::from(command.env("TZ", "CET-1").output().unwrap());
    assert!(ran.stdout.contains("until 12:00 CET"), "{ran:?}");
    figure(&format!("{hints} of {hints} times that a hint names can be typed"));
}

/// What sudo(8) does with the environment, where there is none.
const SUDO: &str = r#"case $1 in
    --preserve-env=*) name=${1#*=}; eval "kept=\$$name"; shift; set -- "$name=$kept" "$@" ;;
esac
exec env -i "PATH=$PATH" "HOME=$HOME" SUDO_USER=ann SUDO_UID=1000 "$@"
"#;

fn works(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

/// Before: to let themselves in, people asked a search engine for their address, typed it, and later typed
/// the id of the rule, which `ignore list` had to be asked for.
#[test]
fn the_way_in_from_an_ssh_session_and_out_again() {
    let env = at_night();
    let session = ("SSH_CONNECTION", "203.0.113.7 50022 192.0.2.1 22");
    let mut command = env.command(&["ignore", "add", "ip", "--for", "2h", "--note", "Ann"]);
    let ran = Ran::from(command.env(session.0, session.1).output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("this SSH session comes from 203.0.113.7"), "{ran:?}");
    let passes = |address: &str| env.run(&["check", "-q", "/shop/1", "--ip", address]).code == 0;
    assert!(passes("203.0.113.7") && !passes("203.0.113.8"));
    let text = env.ok(&["ignore", "remove", "203.0.113.7"]);
    assert!(text.contains("(ip 203.0.113.7) removed"), "{text}");
    assert!(!passes("203.0.113.7"));

    // `sudo` hides the session. What its hint says works.
    let sudo = |hint: &[&str]| {
        let mut command = Command::new("sudo");
        if !works("sudo", &["-n", "true"]) {
            env.write("sudo", SUDO);
            command = Command::new("sh");
            command.arg(env.dir().join("sudo"));
        }
        env.seal(command.args(hint).arg(env!("CARGO_BIN_EXE_maint")));
        command.args(["ignore", "add", "ip"]).env(session.0, session.1);
        Ran::from(command.output().unwrap())
    };
    let ran = sudo(&[]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let (_, hint) = ran.stderr.split_once("`sudo ").unwrap();
    let (hint, _) = hint.split_once(" maint ignore add ip`").unwrap();
    let ran = sudo(&hint.split(' ').collect::<Vec<_>>());
    assert_eq!(ran.code, 0, "{hint}: {ran:?}");
    assert!(passes("203.0.113.7"));
}

/// Before: nothing told how long it was meant to take. Whoever came on duty saw `since 01:00` and called the colleague.
#[test]
fn who_comes_on_duty_sees_that_it_is_late_and_who_is_at_it() {
    if !has("script") {
        return;
    }
    let mut env = TestEnv::new();
    env.set_now("2026-11-22T01:00:00Z");
    env.ok(&["on", "disks", "-m", "Bigger disks", "--estimate", "1h"]);
    env.set_now("2026-11-22T03:10:00Z");
    let shown = plain(&typed(&env, "maint status", "").stdout);
    assert!(shown.contains("since 01:00 UTC (2 h 10 min) by "), "{shown}");
    assert!(shown.contains("expected 02:00 UTC, 1 h 10 min ago"), "{shown}");
    // What it says can be typed. The estimate moves from now on, not from one in the past.
    let (_, hint) = shown.split_once("`maint extend ").unwrap();
    let (hint, _) = hint.split_once('`').unwrap();
    let ran = typed(&env, &format!("maint extend {hint}"), "");
    assert_eq!(ran.code, 0, "maint extend {hint}: {ran:?}");
    let status = env.json(&["status"]);
    assert_eq!(status["windows"][0]["estimate"], "2026-11-22T03:40:00Z");
    assert_eq!(status["windows"][0]["late"], false);
}

/// Before: the log had times like `2026-11-22T03:30:00.123456789Z`, a digest for a template, and the id of a process
/// for who did it.
#[test]
fn the_log_is_in_words_of_people() {
    let env = TestEnv::ticking();
    env.ok(&["on", "disks", "-m", "Bigger disks", "--for", "2h", "--read-only"]);
    env.ok(&["extend", "disks", "1h"]);
    env.write("sorry.html", "<p>{{ reason }}</p>");
    env.ok(&["template", "add", "sorry", "sorry.html"]);
    env.ok(&["template", "use", "sorry"]);
    env.ok(&["bypass", "new"]);
    env.ok(&["ignore", "add", "path", "/health"]);
    env.ok(&["off", "disks"]);
    let log = env.ok(&["log"]);
    let year = Timestamp::now().strftime("%Y-").to_string();
    for line in log.lines() {
        let words = line.split([' ', ',']);
        for word in words {
            let is_time = word.starts_with(&year);
            assert!(!(is_time && word.contains('T')), "a time of machines: {line}");
            assert!(!word.contains("sha256") && !word.contains("pid"), "{line}");
            let digits = word.chars().filter(char::is_ascii_digit).count();
            assert!(digits <= 8, "a number that nobody reads: {line}");
        }
    }
    for part in ["“Bigger disks”", "template sorry.html", "path /health"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

/// Before: errors were plain beside clap's coloured ones, and colours are no help in a mail of cron.
#[test]
fn colours_are_for_terminals_and_nothing_is_wider_than_one() {
    if !has("script") {
        return;
    }
    let env = at_night();
    env.ok(&["ignore", "add", "path", "/health"]);
    let mut lines = 0;
    for line in [
        "maint status",
        "maint off gone",
        "maint off",
        "maint --help",
        "maint on --help",
        "maint set --help",
        "maint ignore list",
        "maint check /shop/1",
        "maint check /",
        "maint log",
        "maint on disks --dry-run",
        "maint run ./none",
        "maint ignore add /health",
        "maint on --until 12",
    ] {
        let shown = typed(&env, line, "").stdout;
        assert!(shown.contains("\x1b["), "no colour on a terminal: {line}: {shown}");
        let uncoloured = typed(&env, &format!("NO_COLOR=1 {line}"), "").stdout;
        assert!(!uncoloured.contains("\x1b["), "{line}: {uncoloured}");
        let cron = typed(&env, &format!("{line} 2>&1 | cat"), "").stdout;
        assert!(!cron.contains("\x1b["), "{line}: {cron}");
        let site = env.dir().display().to_string();
        for row in plain(&shown).lines() {
            let width = row.trim_end().chars().count();
            // A path is as long as it is, and so is what somebody typed.
            let is_given = row.contains(&site) || row.contains("  maint on ");
            assert!(width <= 80 || is_given, "{width} columns: {line}: {row}");
            lines += 1;
        }
    }
    figure(&format!("{lines} lines on a terminal of 80 columns, none wider"));
}
