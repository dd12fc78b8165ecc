//! Requirement 26: the history and the `--json` of every version. A later version reads the history
//! of an earlier one, and scripts that read what an earlier version printed read what this one prints.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::env::{MAINT, TestSite, write};
use crate::golden::{NOW, anonymous, directory, is_golden, maint, written_today};
use crate::say::figure;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a script may read, in this order. The verbs that fail print their error. What `doctor` finds
/// is a matter of the host.
const ASKED: [&[&str]; 21] = [
    &["status"],
    &["check", "/shop/1"],
    &["check", "/shop/static/a.css"],
    &["path"],
    &["ignore", "list"],
    &["bypass", "list"],
    &["proxy", "list"],
    &["template", "list"],
    &["page", "show"],
    &["flag", "list"],
    &["flag", "kinds"],
    &["snippet", "nginx"],
    &["wait", "on"],
    &["ignore", "remove", "r99"],
    &["on", "blog", "--until", "yesterday"],
    &["set", "nobody", "-m", "x"],
    &["ignore", "add", "path", "/one-more"],
    &["extend", "blog", "30m"],
    &["off", "--dry-run"],
    &["off"],
    &["restore"],
];

/// The golden files of one kind, of every version.
fn of_every_version(kind: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(directory().join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What differs between hosts and runs has one value: the place of the site, actors, tokens, and how
/// long something took.
fn everywhere(site: &TestSite, mut value: Value) -> Value {
    anonymous(&mut value);
    if let Some(waited) = value.get_mut("waited_ms") {
        *waited = json!(0);
    }
    let project = site.dir.parent().unwrap().to_str().unwrap();
    serde_json::from_str(&value.to_string().replace(project, "/srv/app")).unwrap()
}

/// Each verb, and the one object that it prints.
fn printed(site: &TestSite) -> Map<String, Value> {
    let mut all = Map::new();
    for args in ASKED {
        let done = Command::new(MAINT)
            .args(args)
            .arg("--json")
            .current_dir(site.dir.parent().unwrap())
            .env_clear()
            .envs([("MAINT_NOW", NOW), ("TZ", "UTC0"), ("MAINT_SITE", site.dir.to_str().unwrap())])
            .output()
            .unwrap();
        let said = if done.stdout.is_empty() { &done.stderr } else { &done.stdout };
        let value = serde_json::from_slice(said)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {done:?}"));
        let answer = json!({ "exit": done.status.code(), "printed": everywhere(site, value) });
        all.insert(args.join(" "), answer);
    }
    all
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a reader of the earlier object misses in the later one.
fn missing(earlier: &Value, later: &Value, at: &str, found: &mut Vec<String>) {
    match (earlier, later) {
        (Value::Object(earlier), Value::Object(later)) => {
            for (name, value) in earlier {
                let at = format!("{at}/{name}");
                match later.get(name) {
                    Some(later) => missing(value, later, &at, found),
                    None => found.push(format!("{at} is gone")),
                }
            }
        }
        (Value::Array(earlier), Value::Array(later)) => {
            if let (Some(earlier), Some(later)) = (earlier.first(), later.first()) {
                missing(earlier, later, &format!("{at}/0"), found);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ if std::mem::discriminant(earlier) != std::mem::discriminant(later) => {
            found.push(format!("{at} has another type"));
        }
        _ => {}
    }
}

#[test]
fn requirement_26_the_golden_history_of_this_version_is_what_it_writes() {
    let site = written_today();
    let history = fs::read_to_string(site.dir.join("history.jsonl")).unwrap();
    let mut today = String::new();
    for line in lines(&history) {
        today += &(everywhere(&site, line).to_string() + "\n");
    }
    is_golden(&directory().join(format!("history/{VERSION}.jsonl")), &today);
}

#[test]
fn requirement_26_the_golden_json_of_this_version_is_what_it_prints() {
    let today = serde_json::to_string_pretty(&printed(&written_today())).unwrap() + "\n";
    is_golden(&directory().join(format!("json/{VERSION}.json")), &today);
}

/// `history/later.jsonl` is of a later version, with fields and kinds that this one does not know:
/// it shows the others, and keeps the line.
#[test]
fn requirement_26_the_history_of_every_version_is_read_and_kept() {
    let mut read = 0;
    let files = of_every_version("history");
    for file in &files {
        let site = written_today();
        let history = fs::read_to_string(file).unwrap();
        write(&site.dir.join("history.jsonl"), &history);
        let shown = maint(&site, NOW, &["log", "--json", "--all"], "");
        let mut other = Vec::new();
        for (shown, written) in lines(&shown).iter().zip(lines(&history)) {
            missing(shown, &written, &file.display().to_string(), &mut other);
        }
        assert_eq!((lines(&shown).len(), other), (lines(&history).len(), Vec::new()));
        if !file.ends_with("later.jsonl") {
            assert_eq!(lines(&shown), lines(&history), "{}", file.display());
        }
        let for_people = maint(&site, NOW, &["log", "--all"], "");
        assert!(for_people.lines().count() >= lines(&history).len(), "{for_people}");
        maint(&site, NOW, &["ignore", "add", "path", "/one-more"], "");
        let longer = fs::read_to_string(site.dir.join("history.jsonl")).unwrap();
        let added = longer.strip_prefix(&history).expect("what was there stays as it was");
        assert_eq!(added.lines().count(), 1, "{added}");
        read += lines(&history).len();
    }
    assert!(files.len() >= 2, "found them");
    figure(&format!("{read} changes in {} histories are shown and kept", files.len()));
}

#[test]
fn requirement_26_what_a_version_printed_is_still_printed() {
    let today = printed(&written_today());
    let files = of_every_version("json");
    for file in &files {
        let earlier: Map<String, Value> =
            serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let mut found = Vec::new();
        for (verb, printed) in &earlier {
            let later = today.get(verb).unwrap_or_else(|| panic!("`{verb}` is asked no longer"));
            assert_eq!(printed["exit"], later["exit"], "exit code of `{verb}`");
            missing(printed, later, verb, &mut found);
        }
        assert_eq!(found, [""; 0], "{}", file.display());
    }
    assert!(!files.is_empty(), "found them");
    figure(&format!("{} verbs print what {} versions printed", today.len(), files.len()));
}

#[test]
fn a_field_that_is_gone_or_of_another_type_is_found() {
    let earlier = json!({ "down": true, "open": [{ "name": "a", "at": 1 }], "by": null });
    let later = json!({ "down": "yes", "open": [{ "name": "b" }], "by": {}, "more": 1 });
    let mut found = Vec::new();
    missing(&earlier, &later, "status", &mut found);
    assert_eq!(found, ["status/down has another type", "status/open/0/at is gone"]);
}
