//! `maint off`

use crate::env::TestEnv;

#[test]
fn off_twice_is_quiet() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    env.ok(&["off"]);
    let before = env.files();
    let text = env.ok(&["off"]);
    assert!(text.starts_with("unchanged:") && text.contains("● up"), "{text}");
    assert_eq!(before, env.files());
}

#[test]
fn two_deploys_that_overlap_cannot_end_each_other() {
    let env = TestEnv::new();
    env.ok(&["on", "deploy-41", "-m", "one"]);
    env.ok(&["on", "deploy-42", "-m", "two"]);
    let text = env.ok(&["off", "deploy-41"]);
    assert!(text.contains("window `deploy-41` is closed"), "{text}");
    assert!(text.contains("● down window `deploy-42` is open") && text.contains("“two”"), "{text}");
    assert_eq!(env.run(&["status", "--expect", "off"]).code, 1);
    let text = env.ok(&["off", "deploy-42"]);
    assert!(text.contains("● up no window is open"), "{text}");
    assert_eq!(env.run(&["status", "--expect", "off"]).code, 0);
}

#[test]
fn plain_off_is_refused_while_other_windows_hold_the_site_down() {
    let env = TestEnv::new();
    env.ok(&["on", "deploy-42"]);
    let error = env.fails(2, &["off"]);
    assert_eq!(error, "maint: no window named `default`\nhint: there is only `deploy-42`\n");
    assert_eq!(error, env.fails(2, &["off", "default"]), "as with the name");
    let text = env.ok(&["off", "--if-open"]);
    assert!(text.contains("unchanged: there is no window `default`"), "{text}");
    assert!(text.contains("● down window `deploy-42` is open"), "{text}");
    // One to come is missed as well.
    env.ok(&["off", "deploy-42"]);
    env.ok(&["on", "later", "--at", "05:00"]);
    assert!(env.fails(2, &["off"]).contains("`later`"));
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones() {
    let env = TestEnv::new();
    env.ok(&["on", "deploy-42"]);
    let error = env.fails(2, &["off", "deploy-24"]);
    assert_eq!(error, "maint: no window named `deploy-24`\nhint: there is only `deploy-42`\n");
}

#[test]
fn if_open_makes_a_repeated_script_succeed() {
    let env = TestEnv::new();
    env.ok(&["on", "deploy-42"]);
    env.ok(&["off", "deploy-42", "--if-open"]);
    let text = env.ok(&["off", "deploy-42", "--if-open"]);
    assert!(text.starts_with("unchanged: there is no window `deploy-42`"), "{text}");
}

#[test]
fn all_closes_scheduled_windows_too() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    env.ok(&["on", "later", "--at", "05:00"]);
    let text = env.ok(&["off", "--all"]);
    assert!(text.contains("window `later` was scheduled, and is cancelled"), "{text}");
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn tokens_go_with_the_last_window() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    env.ok(&["bypass", "new"]);
    env.ok(&["bypass", "new", "--keep"]);
    let text = env.ok(&["off"]);
    assert!(text.contains("bypass tokens revoked with the last window: b3"), "{text}");
    let left = env.json(&["bypass", "list"]);
    assert_eq!(left["bypass"].as_array().unwrap().len(), 1);
}

#[test]
fn off_obeys_if_revision_and_dry_run() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    env.fails(5, &["off", "--if-revision", "1"]);
    let before = env.files();
    let text = env.ok(&["off", "-n"]);
    assert!(text.contains("- window default"), "{text}");
    assert_eq!(before, env.files());
    env.ok(&["off", "--if-revision", "2"]);
}

#[test]
fn a_difference_is_told_in_words_and_local_times() {
    let env = TestEnv::new();
    env.ok(&["on", "-m", "one", "--for", "2h", "--retry-after", "10m", "--read-only"]);
    env.ok(&["run", "--name", "mig", "--on-failure", "release", "--", "true"]);
    assert_eq!(env.run(&["run", "--name", "mig", "--", "false"]).code, 1);
    let dry = env.ok(&["on", "mig", "--for", "1h", "-n"]);
    assert_eq!(
        dry, "would change, but nothing was written:\n  + window mig end: 04:00 UTC\n",
        "neither who opened it nor which run holds it"
    );
    let dry = env.ok(&["off", "--all", "--dry-run"]);
    assert!(
        dry.contains(
            "- window default: end 05:00 UTC, page retry after 10 min, reason one, scope read-only\n"
        ),
        "{dry}"
    );
    let log = env.ok(&["log"]);
    for digits in ["T0", "pid", "sha256", "opened_at", "_"] {
        assert!(!log.contains(digits), "{digits}: {log}");
    }
    env.write("page.html", "x");
    env.ok(&["template", "add", "sorry", "page.html"]);
    env.write("page.html", "y");
    env.ok(&["template", "add", "sorry", "page.html", "--replace"]);
    let log = env.ok(&["log", "-n", "2"]);
    assert!(
        log.contains("  + template sorry.html\n")
            && log.contains("  ~ template sorry.html: changed\n"),
        "{log}"
    );
}
