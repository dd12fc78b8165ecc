//! Holds the documentation against the command: examples run as written, and
//! tables, sections, fields and links match what exists.
#![cfg(unix)]

#[path = "common/say.rs"]
mod say;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
}

/// The fenced block after `<!-- test: NAME -->`.
fn example(document_name: &str, name: &str) -> String {
    let text = document(document_name);
    let marker = format!("<!-- test: {name} -->\n```");
    let (_, rest) = text.split_once(&marker).unwrap_or_else(|| panic!("no example `{name}`"));
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("\n```").unwrap().0.to_owned() + "\n"
}

/// An app in a directory of its own, with an empty home.
struct App {
    temp: tempfile::TempDir,
}

impl App {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("home")).unwrap();
        fs::create_dir_all(temp.path().join("app")).unwrap();
        Self { temp }
    }

    fn with_site() -> Self {
        let app = Self::new();
        fs::create_dir(app.directory().join(".maint")).unwrap();
        app
    }

    /// With a `./migrate` that notes whether the site is down, and exits with this code.
    fn with_migration(exit: u8) -> Self {
        let app = Self::with_site();
        let migrate = format!(
            "#!/bin/sh\nif maint status --quiet --expect on; then echo down; else echo up; fi > seen\nexit {exit}\n"
        );
        // Another process writes it: an executable still open for writing, here
        // or in what
        // another test is starting, cannot be run.
        let made = app.sh_with("cat > migrate && chmod +x migrate", &migrate);
        assert!(made.status.success(), "{made:?}");
        app
    }

    fn directory(&self) -> PathBuf {
        self.temp.path().join("app")
    }

    fn sh(&self, script: &str) -> Output {
        self.sh_with(script, "")
    }

    fn sh_with(&self, script: &str, input: &str) -> Output {
        let command = Path::new(env!("CARGO_BIN_EXE_maint")).parent().unwrap();
        let path = format!("{}:{}", command.display(), std::env::var("PATH").unwrap());
        let mut child = Command::new("sh")
            .args(["-c", script])
            .current_dir(self.directory())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.temp.path().join("home"))
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn json(&self, arguments: &str) -> Value {
        let output = self.sh(&format!("maint {arguments} --json"));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|cause| panic!("`maint {arguments}`: {cause}: {output:?}"))
    }

    /// `on` or `off`, and the names of the open windows.
    fn state(&self) -> (String, Vec<String>) {
        let status = self.json("status");
        let windows = status["windows"].as_array().unwrap();
        let names = windows.iter().map(|window| window["name"].as_str().unwrap().to_owned());
        (status["state"].as_str().unwrap().to_owned(), names.collect())
    }

    fn seen_by_migration(&self) -> String {
        fs::read_to_string(self.directory().join("seen")).unwrap().trim().to_owned()
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn the_commands_take_a_site_down_and_up_where_nothing_is_set_up() {
    let app = App::new();
    let commands = example("README.md", "switch");
    let states: Vec<String> = commands
        .lines()
        .map(|line| {
            let output = app.sh(line);
            assert!(output.status.success(), "{line}: {output:?}");
            app.state().0
        })
        .collect();
    assert_eq!(states, ["on", "on", "on", "off"]);
    assert_eq!(app.json("ignore list")["ignore"][0]["value"], "/health");
}

#[test]
fn the_deploy_scripts_hold_the_site_down_while_they_migrate() {
    for (document_name, name) in
        [("README.md", "deploy"), ("README.md", "deploy-steps"), ("docs/deploy.md", "release")]
    {
        let app = App::with_migration(0);
        let output = app.sh(&example(document_name, name));
        assert_eq!(code(&output), 0, "{name}: {output:?}");
        assert_eq!(app.seen_by_migration(), "down", "{name}");
        assert_eq!(app.state(), ("off".to_owned(), vec![]), "{name}");
    }
}

#[test]
fn a_migration_that_fails_keeps_the_window_and_hands_on_its_code() {
    for (name, hint) in [("deploy", "maint off run-"), ("deploy-steps", "maint off deploy-")] {
        let app = App::with_migration(7);
        let output = app.sh(&example("README.md", name));
        assert_eq!(code(&output), 7, "{name}: {output:?}");
        assert_eq!(app.seen_by_migration(), "down", "{name}");
        let (state, windows) = app.state();
        assert_eq!((state.as_str(), windows.len()), ("on", 1), "{name}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(hint), "{name}: {said}");
    }
}

#[test]
fn the_script_that_releases_closes_its_window_when_the_migration_fails() {
    let app = App::with_migration(7);
    let output = app.sh(&example("docs/deploy.md", "release"));
    assert_eq!(code(&output), 7, "{output:?}");
    assert_eq!(app.seen_by_migration(), "down");
    assert_eq!(app.state().0, "off");
}

#[test]
fn the_ci_example_waits_for_the_site_and_tells_when_it_is_down() {
    let app = App::with_site();
    if !app.sh("python3 -c ''").status.success() {
        return say::skip("there is no python3");
    }
    let script = example("README.md", "ci");
    assert!(app.sh("maint on deploy-42 --for 1s").status.success());
    let output = app.sh(&script);
    assert_eq!(code(&output), 0, "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("revision 1 is off"), "{said}");

    assert!(app.sh("maint on").status.success());
    let line = script.lines().find(|line| line.starts_with("maint status --expect off")).unwrap();
    assert_eq!(code(&app.sh(line)), 1);
}

fn help() -> String {
    let output = App::new().sh("maint --help");
    String::from_utf8(output.stdout).unwrap()
}

/// The verbs that `maint --help` lists.
fn verbs(help: &str) -> Vec<String> {
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let rows = rest.lines().take_while(|line| !line.trim().is_empty());
    rows.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// The sections of a text by their headings of the second level.
fn sections(text: &str) -> BTreeMap<String, String> {
    let parts = text.split("\n## ").skip(1);
    parts
        .map(|part| part.split_once('\n').unwrap())
        .map(|(title, body)| (title.trim_matches('`').to_owned(), body.to_owned()))
        .collect()
}

#[test]
fn requirement_60_the_exit_codes_in_the_readme_are_those_of_the_help() {
    let help = help();
    let (_, rest) = help.split_once("Exit codes:\n").unwrap();
    let rows = rest.lines().take_while(|line| !line.trim().is_empty());
    let told: Vec<(&str, &str)> = rows.map(|line| line.trim().split_once("  ").unwrap()).collect();
    let readme = sections(&document("README.md"));
    assert_eq!(code_rows(&readme["Exit codes"]), told);

    let deploy = sections(&document("docs/deploy.md"));
    let recipes = code_rows(&deploy["What to do for each exit code"]);
    let codes = |rows: &[(&str, &str)]| rows.iter().map(|row| row.0.to_owned()).collect::<Vec<_>>();
    assert_eq!(codes(&recipes), codes(&told));
}

/// The first two cells of the rows of a table whose first cell is a number.
fn code_rows(section: &str) -> Vec<(&str, &str)> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| {
        let mut cells = row.split(" | ");
        Some((cells.next()?, cells.next()?.trim_end_matches(" |")))
    });
    cells.filter(|(code, _)| code.parse::<u8>().is_ok()).collect()
}

#[test]
fn every_verb_has_a_section_in_the_json_documentation() {
    let text = document("docs/json.md");
    let sections = sections(&text);
    let verbs = verbs(&help());
    assert!(verbs.len() > 10, "{verbs:?}");
    for verb in verbs {
        assert!(sections.contains_key(&verb), "docs/json.md has no section `{verb}`");
    }
}

#[test]
fn every_field_that_a_verb_prints_is_documented() {
    let text = document("docs/json.md");
    let sections = sections(&text);
    let app = App::with_site();
    assert!(app.sh("echo '{{ reason }}' | maint template add sorry").status.success());
    for arguments in [
        "init",
        "on -n",
        "on deploy-42 -m x",
        "ignore add path /health",
        "ignore list",
        "bypass new",
        "bypass list",
        "status --expect on --max-age 1h",
        "template list",
        "template show sorry",
        "template render sorry",
        "template use sorry",
        "template use --builtin",
        "template remove sorry",
        "proxy add 10.0.0.0/8",
        "proxy list",
        "snippet nginx",
        "ignore clear",
        "off deploy-42",
        "restore -n",
        "wait off --timeout 5s",
        "log -n 1",
        "path",
        "doctor",
        "man .",
        #[cfg(feature = "fleet")]
        "check --live http://localhost:1/",
    ] {
        let verb = arguments.split(' ').next().unwrap();
        let object = app.json(arguments);
        let mut keys: BTreeSet<&String> = object.as_object().unwrap().keys().collect();
        // The items of a list, and a window, have fields too.
        for value in object.as_object().unwrap().values() {
            let items = value.as_array().into_iter().flatten().chain([value]);
            if verb != "proxy" && verb != "log" {
                keys.extend(items.filter_map(Value::as_object).flat_map(|item| item.keys()));
            }
        }
        let state_file = document("docs/state-file.md");
        for key in keys {
            let named = format!("`{key}`");
            let place = [&sections[verb], &sections["Common fields"], &state_file];
            let own = place[0].contains(&named) || place[0].contains(&format!("\"{key}\""));
            assert!(
                own || place[1].contains(&named) || place[2].contains(&named),
                "docs/json.md lacks `{key}`, which `maint {arguments}` prints"
            );
        }
    }
}

#[test]
fn every_json_example_is_json() {
    for name in ["docs/json.md", "docs/state-file.md"] {
        let text = document(name);
        for part in text.split("```json\n").skip(1) {
            let block = part.split_once("\n```").unwrap().0;
            if let Err(cause) = serde_json::from_str::<Value>(block) {
                panic!("{name}: {cause} in\n{block}");
            }
        }
    }
}

fn schema() -> Value {
    serde_json::from_str(&document("docs/state.schema.json")).unwrap()
}

#[test]
fn every_field_of_the_schema_is_documented() {
    fn collect(schema: &Value, fields: &mut BTreeSet<String>) {
        let Value::Object(object) = schema else { return };
        if let Some(Value::Object(properties)) = object.get("properties") {
            fields.extend(properties.keys().cloned());
        }
        object.values().for_each(|value| collect(value, fields));
    }
    let mut fields = BTreeSet::new();
    collect(&schema(), &mut fields);
    assert!(fields.len() > 30, "{fields:?}");
    let text = document("docs/state-file.md");
    for field in fields {
        assert!(text.contains(&format!("`{field}`")), "docs/state-file.md lacks `{field}`");
    }
}

#[test]
fn the_example_of_a_state_is_one() {
    let example = example("docs/state-file.md", "state");
    let state: Value = serde_json::from_str(&example).unwrap();
    assert!(jsonschema::is_valid(&schema(), &state));
    let app = App::with_site();
    assert!(app.sh_with("cat > .maint/state.json", &example).status.success());
    let status = app.json("status");
    assert_eq!(status["revision"], state["revision"]);
    assert_eq!(status["windows"][0]["reason"], "Back at noon");
}

/// Every document of the repository, relative to its root.
fn documents() -> Vec<PathBuf> {
    fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.')
                    && !["target", "dist", "node_modules"].contains(&name.as_ref())
                {
                    collect(&path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(root(), &mut found);
    found
}

/// The prose: without the fenced blocks, which hold no links and no headings.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// The anchors of the headings, as links name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|title| {
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let documents = documents();
    assert!(documents.len() >= 6, "{documents:?}");
    let mut broken = Vec::new();
    for path in documents {
        let text = prose(&fs::read_to_string(&path).unwrap());
        for link in
            text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|part| part.0)
        {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let is_there = target.exists()
                && (anchor.is_empty()
                    || anchors(&prose(&fs::read_to_string(&target).unwrap())).contains(anchor));
            if !is_there {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
