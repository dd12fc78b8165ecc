//! What monitors are told, and what nobody is told.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;

use serde_json::{Value, json};

use crate::rig::{Serving, command, maint};
use crate::watched::until;

fn object(serving: &Serving, target: &str) -> Value {
    let answer = serving.ask("GET", target, &[]);
    assert_eq!((answer.status, answer.field("content-type")), (200, Some("application/json")));
    let object = serde_json::from_slice(&answer.body).unwrap();
    let schema = fs::read(format!("{}/docs/status.schema.json", env!("CARGO_MANIFEST_DIR")));
    let schema: Value = serde_json::from_slice(&schema.unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    if let Err(error) = validator.validate(&object) {
        panic!("{error} in {object:#}");
    }
    object
}

#[test]
fn status_says_what_the_command_says_and_its_schema_allows() {
    let serving = Serving::start(&[]);
    assert_eq!(object(&serving, "/status")["state"], "off");
    serving.maint(&["on", "deploy", "-m", "Bigger disks", "--for", "30m", "--path", "/shop/**"]);
    serving.maint(&["on", "later", "--at", "+2h"]);
    serving.maint(&["flag", "add", "file", "down"]);
    let said: Value = serde_json::from_str(&serving.maint(&["status", "--json"])).unwrap();
    let object = object(&serving, "/status");
    for field in ["name", "revision", "state", "page"] {
        assert_eq!(object[field], said[field], "{field}");
    }
    let fields = |window: &Value| {
        let mut window = window.as_object().unwrap().clone();
        window.retain(|field, _| !matches!(field.as_str(), "opened_by" | "run"));
        Value::Object(window)
    };
    let windows: Vec<Value> = said["windows"].as_array().unwrap().iter().map(fields).collect();
    assert_eq!(object["windows"], json!(windows));
    assert_eq!(object["next"], fields(&said["next"]));
    assert_eq!(object["flags"][0]["id"], said["flags"][0]["id"]);
    assert_eq!(object["flags"][0]["in_step"], true);
    assert_eq!((&object["readable"], &object["agent"]), (&json!(true), &json!(false)));
}

#[test]
fn several_sites_are_told_apart_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| format!("{name}={}", dir.path().join(name).display());
    for name in ["blog", "shop"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        maint(&dir, &["init", name]);
    }
    let sites = ["blog", "shop"].map(|name| place(name) + "/.maint");
    let serving = Serving::of(dir, &[&sites[0], &sites[1]]);
    let shop = serving.dir.path().join("shop/.maint");
    serving.maint(&["--site", shop.to_str().unwrap(), "on"]);
    let all = object(&serving, "/status");
    assert_eq!(all["sites"]["shop"]["state"], "on");
    assert_eq!(all["sites"]["blog"]["state"], "off");
    assert_eq!(object(&serving, "/shop/status"), all["sites"]["shop"]);
    assert_eq!(serving.ask("GET", "/other/status", &[]).status, 404);
    assert_eq!(serving.ask("GET", "/other/metrics", &[]).status, 404);
    assert_eq!(serving.ask("GET", "/other/readyz", &[]).status, 404);
    assert_eq!(serving.ask("GET", "/readyz", &[]).status, 200);
    let metrics = String::from_utf8(serving.ask("GET", "/metrics", &[]).body).unwrap();
    assert!(metrics.contains("maint_down{site=\"shop\"} 1\n"), "{metrics}");
    assert!(metrics.contains("maint_down{site=\"blog\"} 0\n"), "{metrics}");
    let metrics = String::from_utf8(serving.ask("GET", "/blog/metrics", &[]).body).unwrap();
    assert!(!metrics.contains("shop"), "{metrics}");
}

#[test]
fn readyz_says_which_site_cannot_be_read_and_what_holds_and_livez_does_not_care() {
    let serving = Serving::start(&[]);
    serving.maint(&["on"]);
    assert_eq!(serving.ask("GET", "/readyz", &[]).status, 200);
    let state = serving.dir.path().join(".maint/state.json");
    fs::remove_file(&state).unwrap();
    File::create_new(&state).unwrap().write_all(b"{").unwrap();
    let answer = serving.ask("GET", "/readyz", &[]);
    let text = String::from_utf8(answer.body).unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(text, "the site: the state cannot be read; revision 2 stays in force\n");
    assert_eq!(serving.ask("GET", "/livez", &[]).status, 200);
    let object = object(&serving, "/status");
    assert_eq!((&object["readable"], &object["state"]), (&json!(false), &json!("on")));
    assert_eq!(object["flags"], Value::Null);
    for target in ["/status", "/metrics", "/livez", "/readyz"] {
        assert_eq!(serving.ask("POST", target, &[]).status, 405, "{target}");
    }
}

/// Each place of a state that is not for everybody says `hush`.
#[test]
fn requirement_86_no_answer_tells_a_note_an_actor_an_address_or_a_token() {
    let serving = Serving::start(&[]);
    serving.maint(&["on", "-m", "Bigger disks"]);
    serving.maint(&["on", "later", "--at", "+2h"]);
    serving.maint(&["flag", "add", "file", "hush-flag", "--id", "web"]);
    serving.maint(&["bypass", "new", "--note", "hush-token-note"]);
    serving.maint(&["ignore", "add", "ip", "198.51.100.77", "--note", "hush-rule-note"]);
    let path = serving.dir.path().join(".maint/state.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let actor =
        json!({"user": "hush-user", "sudo_user": "hush-sudo", "host": "hush-host", "pid": 1});
    for window in ["default", "later"] {
        state["windows"][window]["opened_by"] = actor.clone();
        state["windows"][window]["run"] = json!("hush-run");
        state["windows"][window]["unknown"] = json!("hush-field");
        state["windows"][window]["scope"] = json!({"unknown": "hush-scope"});
        state["windows"][window]["page"] =
            json!({"contact": "hush@a.test", "unknown": "hush-page"});
    }
    state["last_change"]["by"] = actor;
    state["last_change"]["command"] = json!("hush-command");
    for rule in state["ignore"].as_object_mut().unwrap().values_mut() {
        rule["added_by"] = json!("hush-adder");
    }
    state["ignore"]["r90"] = json!({"kind": "path", "value": "/hush-path"});
    state["ignore"]["r91"] = json!({"kind": "header", "value": "x-hush: hush-value"});
    state["ignore"]["r92"] = json!({"kind": "user", "value": "authenticated", "note": "hush-r92"});
    for token in state["bypass"].as_object_mut().unwrap().values_mut() {
        token["sha256"] = json!("9753".repeat(16));
        token["added_by"] = json!("hush-maker");
    }
    state["trusted_proxies"] =
        json!({"header": "x-forwarded-for", "networks": ["198.51.100.0/24"]});
    state["web_user"] = json!("hush-web");
    state["page"] = json!({"contact": "hush@b.test", "unknown": "hush-site-page"});
    state["unknown"] = json!("hush-unknown");
    fs::remove_file(&path).unwrap();
    File::create_new(&path).unwrap().write_all(state.to_string().as_bytes()).unwrap();

    assert_eq!(object(&serving, "/status")["readable"], true);
    let mut silent: BTreeSet<&str> = BTreeSet::new();
    for target in ["/status", "/metrics", "/readyz", "/livez", "/auth", "/", "/status/x"] {
        for accept in ["*/*", "application/openmetrics-text; version=1.0.0"] {
            let fields =
                [("X-Original-Method", "GET"), ("X-Original-URI", "/"), ("Accept", accept)];
            let answer = serving.ask("GET", target, &fields);
            let text = format!("{answer:?} {}", String::from_utf8_lossy(&answer.body));
            for secret in
                ["hush", "198.51.100", "9753", "maint_17", serving.dir.path().to_str().unwrap()]
            {
                assert!(!text.contains(secret), "{target} tells {secret}: {text}");
            }
            silent.insert(target);
        }
    }
    assert_eq!(silent.len(), 7);
    // The command tells all of it, so there was something to tell.
    let output = command(&serving.dir).args(["status", "--json"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    for secret in
        ["hush-user", "hush-token-note", "hush-rule-note", "198.51.100.77", "hush-command"]
    {
        assert!(told.contains(secret), "{secret}: {told}");
    }
}

#[test]
fn a_flag_that_cannot_be_looked_at_in_time_is_unknown_and_holds_up_no_monitor() {
    let serving = Serving::start(&[]);
    let hangs = serving.dir.path().join("hangs");
    let check = format!("while test -e {}; do sleep 0.1; done; false", hangs.display());
    serving.maint(&["flag", "add", "exec", "--on", "true", "--off", "true", "--check", &check]);
    assert_eq!(object(&serving, "/status")["flags"][0]["in_step"], true);
    crate::put(&hangs, "");
    // What was found last holds good for a moment.
    until("it is unknown", || object(&serving, "/status")["flags"].is_null());
    std::thread::scope(|scope| {
        let many = [0; 3].map(|_| scope.spawn(|| object(&serving, "/status")));
        assert_eq!(serving.ask("GET", "/readyz", &[]).status, 200);
        for one in many {
            let object = one.join().unwrap();
            assert_eq!((&object["state"], &object["flags"]), (&json!("off"), &Value::Null));
        }
    });
    let metrics = String::from_utf8(serving.ask("GET", "/metrics", &[]).body).unwrap();
    assert!(
        metrics
            .lines()
            .any(|line| { line.starts_with("maint_flags_readable{") && line.ends_with(" 0") }),
        "{metrics}"
    );
    fs::remove_file(&hangs).unwrap();
    until("it is known again", || object(&serving, "/status")["flags"].is_array());
}
