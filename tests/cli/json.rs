//! `--json`: one object on standard output, whatever the verb.

use serde_json::Value;

use crate::env::TestEnv;

#[test]
fn every_verb_prints_one_object() {
    let env = TestEnv::new();
    env.write("page.html", "x");
    for args in [
        ["init"].as_slice(),
        &["on", "-m", "x"],
        &["on", "-n"],
        &["status"],
        &["wait", "on"],
        &["ignore", "add", "path", "/a"],
        &["ignore", "list"],
        &["ignore", "remove", "r3"],
        &["ignore", "clear"],
        &["bypass", "new"],
        &["bypass", "list"],
        &["bypass", "revoke", "b5"],
        &["template", "add", "sorry", "page.html"],
        &["template", "list"],
        &["template", "show", "sorry"],
        &["template", "show", "--builtin"],
        &["template", "render"],
        &["template", "use", "sorry"],
        &["template", "use", "--builtin"],
        &["template", "remove", "sorry"],
        &["page", "set", "--contact", "help@example.com"],
        &["page", "show"],
        &["page", "unset", "contact"],
        &["proxy", "add", "10.0.0.1"],
        &["proxy", "list"],
        &["proxy", "remove", "10.0.0.1"],
        &["proxy", "clear"],
        &["snippet", "nginx"],
        &["off"],
        &["restore", "-n"],
        &["restore"],
        &["off", "--all"],
        &["path"],
    ] {
        let object = env.json(args);
        assert!(object.is_object(), "{args:?}");
    }
    let ran = env.run(&["--json", "doctor"]);
    assert!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["findings"].is_array(), "{ran:?}");
}

#[test]
fn a_change_tells_the_revision_the_file_and_what_it_did() {
    let env = TestEnv::new();
    let object = env.json(&["on", "deploy-42"]);
    assert_eq!(object["changed"], true);
    assert_eq!(object["revision"], 2);
    assert_eq!(object["file"], env.site().join("state.json").to_str().unwrap());
    assert_eq!(object["state"], "on");
    assert_eq!(object["open"][0], "deploy-42");
    assert_eq!(object["changes"][0]["at"], "/windows/deploy-42");
    assert_eq!(env.json(&["on", "deploy-42"])["changed"], false);
}

#[test]
fn quiet_prints_nothing_but_answers() {
    let env = TestEnv::new();
    for args in [
        ["on", "-q"].as_slice(),
        &["off", "-q"],
        &["status", "--expect", "off", "-q"],
        &["-q", "run", "--", "true"],
    ] {
        let ran = env.run(args);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""), "{args:?}");
    }
    assert!(env.ok(&["status", "-q"]).contains("● up"), "`-q` keeps what was asked for");
    assert!(env.ok(&["bypass", "new", "-q"]).starts_with("maint_"));
}
