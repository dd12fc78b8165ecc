//! `maint flag`, and flags as the other verbs show them.

use std::fs;
use std::path::Path;

use maint::flags::{Kind, definitions};

use crate::env::TestEnv;

/// A site with a flag `down`, an empty file.
fn with_flag() -> TestEnv {
    let env = TestEnv::new();
    env.ok(&["flag", "add", "file", "down", "--id", "down"]);
    env
}

#[test]
fn a_flag_follows_on_and_off_and_is_shown() {
    let env = with_flag();
    let down = env.dir().join("down");
    let on = env.json(&["on"]);
    assert!(down.exists());
    assert_eq!(on["flags"][0]["found"], "set");
    assert_eq!(
        (&on["flags"][0]["in_step"], &on["flags"][0]["wanted"]),
        (&true.into(), &"default".into())
    );
    assert!(env.ok(&["status"]).contains("flags down set\n"));
    let list = env.ok(&["flag", "list"]);
    assert!(list.contains("down  file  ") && list.contains("set, in step"), "{list}");
    let show = env.ok(&["flag", "show", "down"]);
    assert!(show.contains("stops every request") && show.contains("carries nothing"), "{show}");
    assert!(show.contains(&format!("wrote {}", down.canonicalize().unwrap().display())), "{show}");
    env.ok(&["off"]);
    assert!(!down.exists());
    assert!(env.ok(&["flag", "remove", "down"]).contains("is removed"));
    assert!(env.json(&["flag", "list"])["flags"].as_array().unwrap().is_empty());
    let none = env.fails(2, &["flag", "show", "down"]);
    assert!(none.contains("no flag named `down`"), "{none}");
}

#[test]
fn a_flag_without_an_id_is_called_by_its_kind() {
    let env = TestEnv::new();
    for (path, id) in [("a", "file"), ("b", "file-2"), ("c", "file-3")] {
        assert_eq!(env.json(&["flag", "add", "file", path])["id"], id);
    }
}

#[test]
fn every_kind_says_what_it_carries() {
    let env = TestEnv::new();
    let kinds = env.json(&["flag", "kinds"])["kinds"].clone();
    let text = env.ok(&["flag", "kinds"]);
    for kind in kinds.as_array().unwrap() {
        assert!(text.contains(kind["kind"].as_str().unwrap()), "{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let unknown = env.fails(2, &["flag", "add", "pages", "x"]);
    assert!(unknown.contains("no kind of flag named `pages`"), "{unknown}");
}

#[test]
fn requirement_81_the_table_of_the_page_is_that_of_the_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/flags.md");
    let page = fs::read_to_string(page).unwrap();
    let table = page.split_once("<!-- test: kinds -->\n").unwrap().1;
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).skip(2).collect();
    let expected: Vec<String> = definitions()
        .map(|kind| {
            let path = if kind.path.is_empty() { "–" } else { kind.path };
            let carries: Vec<&str> = kind.carries.iter().map(|fact| fact.as_str()).collect();
            let carries =
                if carries.is_empty() { "nothing".to_owned() } else { carries.join(", ") };
            format!("| `{}` | {path} | {} | {carries} |", kind.kind, kind.on)
        })
        .collect();
    assert_eq!(rows, expected, "{}", expected.join("\n"));
    assert_eq!(
        definitions().map(|kind| &kind.kind).collect::<Vec<_>>(),
        Kind::KNOWN.iter().collect::<Vec<_>>()
    );
}

#[test]
fn requirement_78_a_flag_that_does_not_follow_is_exit_10_with_its_cause_and_a_way_out() {
    let env = with_flag();
    env.write("down", "mine");
    for verb in [&["on"][..], &["off"], &["ignore", "add", "path", "/health"]] {
        let ran = env.run(verb);
        assert_eq!(ran.code, 10, "{ran:?}");
        assert!(ran.stderr.contains("flag `down` does not follow"), "{ran:?}");
        assert!(ran.stderr.contains("somebody else made it"), "{ran:?}");
        assert!(ran.stderr.contains("--take-over"), "{ran:?}");
    }
    let status = env.ok(&["status"]);
    assert!(status.contains("somebody else's where it should be clear"), "{status}");
    assert_eq!(env.run(&["status", "--expect", "off"]).code, 10, "not all of it is up");
    assert_eq!(env.run(&["flag", "sync"]).code, 10);
    assert_eq!(fs::read(env.dir().join("down")).unwrap(), b"mine");
    env.ok(&["flag", "sync", "--take-over"]);
    env.ok(&["status", "--expect", "off"]);
}

#[test]
fn requirement_79_status_names_what_was_removed_and_the_same_change_again_mends_it() {
    let env = with_flag();
    env.ok(&["on"]);
    fs::remove_file(env.dir().join("down")).unwrap();
    let status = env.ok(&["status"]);
    assert!(
        status.contains("clear where it should be set") && status.contains("is missing"),
        "{status}"
    );
    assert_eq!(env.run(&["status", "--expect", "on"]).code, 10);
    env.ok(&["on"]);
    assert!(env.dir().join("down").exists());
}

#[test]
fn requirement_80_on_says_which_flags_nobody_sets_and_clears() {
    let env = with_flag();
    let on = env.ok(&["on", "--at", "04:00", "--for", "1h"]);
    assert!(on.contains("it is not set by itself when window `default` begins"), "{on}");
    assert!(on.contains("it is not cleared by itself when window `default` ends"), "{on}");
    assert!(!env.ok(&["on"]).contains("by itself"), "it has no end");
}

#[test]
fn requirement_81_on_names_flag_and_window_where_one_cannot_carry_the_other() {
    let env = with_flag();
    let on = env.ok(&["on", "shop", "--path", "/shop/**"]);
    assert!(on.contains("flag `down`: window `shop` covers less than the flag stops"), "{on}");
    env.ok(&["ignore", "add", "path", "/health"]);
    let on = env.ok(&["on"]);
    assert!(on.contains("flag `down`: it cannot carry the ignore rules r"), "{on}");
    let lacks = env.json(&["flag", "list"])["flags"][0]["lacks"].clone();
    let words: Vec<&str> =
        lacks.as_array().unwrap().iter().map(|lack| lack["what"].as_str().unwrap()).collect();
    assert_eq!(words, ["scope", "rules"]);
}

#[cfg(unix)]
#[test]
fn a_run_does_not_begin_while_a_flag_does_not_follow() {
    let env = with_flag();
    env.write("down", "mine");
    let ran = env.run(&["run", "--name", "w", "--", "touch", "done"]);
    assert_eq!(ran.code, 10, "{ran:?}");
    assert!(ran.stderr.contains("the command was not run"), "{ran:?}");
    assert!(!env.dir().join("done").exists());
    assert!(env.state()["windows"].as_object().is_none_or(serde_json::Map::is_empty));
}

#[test]
fn a_mistake_declares_nothing() {
    let env = with_flag();
    env.write("file", "");
    for (code, args) in [
        (2, &["flag", "add", "file"][..]),
        (2, &["flag", "add", "file", "x", "--id", "../x"]),
        (2, &["flag", "add", "file", "x", "--path", "shop"]),
        (2, &["flag", "add", "file", "x", "--on", "true"]),
        (2, &["flag", "add", "exec", "x", "--on", "true", "--off", "true"]),
        (5, &["flag", "add", "file", "x", "--id", "down"]),
        (5, &["flag", "add", "file", "down", "--id", "other"]),
        (3, &["flag", "add", "file", "missing/x"]),
        (3, &["flag", "add", "web", "/"]),
        (3, &["flag", "add", "web", "home/../file"]),
        (2, &["flag", "sync", "nope"]),
        (2, &["flag", "remove", "nope"]),
    ] {
        let error = env.fails(code, args);
        assert!(error.starts_with("maint: "), "{args:?}: {error}");
    }
}

#[test]
fn what_is_typed_wrong_is_told_what_would_be_right() {
    let env = with_flag();
    let fails = |args: &[&str], code: i32, expected: &str| {
        let said = env.fails(code, args);
        assert!(said.contains(expected), "{args:?}: {said}");
    };
    fails(&["flag", "add", "nginx", "x"], 2, "nginx obeys a flag of the kind `web`");
    fails(&["flag", "add", "wbe", "x"], 2, "`maint flag kinds` lists them");
    fails(&["flag", "add", "file", "x", "--id", "a b"], 2, "cannot be the id of a flag");
    fails(&["flag", "add", "file", "down"], 5, "flag `down` has this path already");
    env.write(env.dir().join("down"), "mine");
    assert!(env.ok(&["flag", "list"]).contains("`maint flag sync down --take-over` replaces it"));
    let quiet = env.fails(10, &["flag", "sync", "-q"]);
    assert!(quiet.contains("flag `down` does not follow: "), "it says why, also if quiet: {quiet}");
    let kept = env.ok(&["flag", "remove", "down", "--forget"]);
    assert!(kept.contains("forgotten") && env.dir().join("down").exists(), "{kept}");
}

#[test]
fn a_broken_file_of_flags_is_not_taken_for_a_broken_state() {
    let env = with_flag();
    env.write(env.site().join("flags.json"), "{");
    for (code, args) in
        [(8, &["flag", "list"][..]), (8, &["flag", "remove", "down"]), (10, &["on"])]
    {
        let ran = env.run(args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(ran.stderr.contains("declare the flags again"), "{args:?}: {ran:?}");
        assert!(!ran.stderr.contains("maint restore"), "{args:?}: {ran:?}");
    }
    assert!(!env.ok(&["status"]).contains("flags the flags"));
}

#[test]
fn what_keeps_a_flag_from_being_removed_is_no_wrong_usage() {
    let env = with_flag();
    env.write(env.dir().join("down"), "mine");
    let said = env.fails(3, &["flag", "remove", "down"]);
    assert!(said.contains("somebody else made it"), "{said}");
    assert!(env.ok(&["flag", "list"]).contains("down  file"), "it is still declared");
}
