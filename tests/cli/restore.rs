//! `maint restore`

use crate::env::TestEnv;

#[test]
fn requirement_10_restore_brings_back_the_state_before_and_undoes_itself() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", "one"]);
    env.ok(&["off"]);
    let text = env.ok(&["restore"]);
    assert!(text.contains("+ window default") && text.contains("● down"), "{text}");
    assert_eq!(env.state()["revision"], 4, "a revision never comes back");
    env.ok(&["restore"]);
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn a_broken_state_is_replaced_and_kept_aside() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", "one"]);
    env.ok(&["on", "-m", "two"]);
    env.write(".maint/state.json", "{\"version\":1,");
    let error = env.fails(8, &["status"]);
    assert!(error.contains("hint:") && error.contains("maint restore"), "{error}");
    env.fails(8, &["on"]);
    let ran = env.run(&["restore"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("state.json.broken"), "{ran:?}");
    assert!(ran.stdout.contains("the last known state, of revision 3, is in force"), "{ran:?}");
    assert_eq!(env.state()["windows"]["default"]["reason"], "two");
    assert!(env.state()["revision"].as_u64().unwrap() > 3);
    assert_eq!(
        std::fs::read_to_string(env.site().join("state.json.broken")).unwrap(),
        "{\"version\":1,"
    );
    env.ok(&["off"]);
}

#[test]
fn no_revision_keeps_the_site_down_for_good() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", "one"]);
    env.ok(&["off"]);
    let at = |revision: u64| {
        let window = r#"{"w":{"opened_at":"2026-11-22T03:00:00Z"}}"#;
        format!(r#"{{"version":1,"revision":{revision},"windows":{window}}}"#)
    };
    for revision in [u64::MAX, 1 << 53] {
        env.write(".maint/state.json", &at(revision));
        assert!(env.fails(8, &["off", "w"]).contains("9007199254740991 is the largest"));
    }
    env.ok(&["restore"]);
    env.ok(&["off", "--all"]);
    env.write(".maint/state.json", &at((1 << 53) - 1));
    env.ok(&["off", "w"]);
    assert_eq!(env.json(&["status"])["state"], "off");
    env.ok(&["on"]);
    env.ok(&["off"]);
    assert_eq!(env.state()["revision"], 3);
}

#[test]
fn requirement_70_mending_keeps_the_windows_that_were_open_last() {
    let env = TestEnv::new();
    env.ok(&["ignore", "add", "path", "/health"]);
    env.ok(&["on", "deploy"]);
    let last = env.state();
    for broken in ["", "{", "{\"version\":1,\"revision\":\"x\"}"] {
        env.write(".maint/state.json", broken);
        let dry = env.json(&["restore", "--dry-run"]);
        assert_eq!((&dry["restored"], &dry["state"]), (&"last_known".into(), &"on".into()));
        env.ok(&["restore"]);
        assert_eq!(env.state()["windows"], last["windows"], "after {broken:?}");
        assert_eq!(env.state()["ignore"], last["ignore"], "after {broken:?}");
    }
}

#[test]
fn requirement_70_what_was_open_last_is_not_guessed() {
    let env = TestEnv::new();
    env.ok(&["ignore", "add", "path", "/health"]);
    env.ok(&["on"]);
    env.write(".maint/state.json", "{");
    std::fs::remove_file(env.site().join("history.jsonl")).unwrap();
    for args in [&["restore"][..], &["restore", "--dry-run"]] {
        let error = env.fails(3, args);
        assert!(error.contains("which windows were open last is not known"), "{error}");
        assert!(error.contains("hint:") && error.contains("--yes"), "{error}");
    }
    let text = env.ok(&["restore", "--yes"]);
    assert!(text.contains("the backup, of revision 2, is in force"), "{text}");
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn without_a_backup_nothing_is_restored() {
    let env = TestEnv::new();
    let error = env.fails(2, &["restore"]);
    assert!(error.contains("nothing to restore"), "{error}");
}

#[test]
fn a_broken_backup_is_not_restored() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    env.write(".maint/state.json.bak", "oops");
    env.fails(8, &["restore"]);
}

#[test]
fn a_dry_run_shows_what_would_come_back() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", "one"]);
    let before = env.files();
    let text = env.ok(&["restore", "--dry-run"]);
    assert!(text.contains("- window default: reason one"), "{text}");
    assert_eq!(before, env.files());
}
