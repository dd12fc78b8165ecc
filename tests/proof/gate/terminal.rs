//! Requirements 51 and 65: whatever someone wrote into the state or the history, the command
//! shows it as text: it never drives a terminal, and never looks like one of our lines.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::env::{MAINT, OPENED, TestSite, write};
use crate::payloads::PAYLOADS;
use crate::say::{amount, figure};

/// What terminals obey, beyond what browsers do.
const OBEYED: [&str; 20] = [
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}[1A\u{1b}[2K",
    "\u{1b}]52;c;cm0gLXJmIC8=\u{7}",
    "\u{1b}]8;;http://evil.example\u{1b}\\here\u{1b}]8;;\u{1b}\\",
    "\u{1b}P+q544e\u{1b}\\",
    "\u{1b}c",
    "\u{9b}31m",
    "\u{9d}0;title\u{9c}",
    "up\u{8}\u{8}down",
    "up\rdown",
    "\u{7f}\u{7f}",
    "\u{2066}abc\u{2069}",
    "\u{200f}abc",
    "x\nFORGED",
    "a\u{61c}b",
    "a\u{200b}b",
    "a\u{2028}FORGED",
    "a\u{2029}b",
    "a\u{feff}b",
    "a\u{e0041}b",
];

/// The fields for texts that people and processes write.
const FIELDS: [&str; 25] = [
    "/name",
    "/web_user",
    "/last_change/command",
    "/last_change/by/user",
    "/last_change/by/host",
    "/windows/w/reason",
    "/windows/w/reasons/de",
    "/page/title",
    "/windows/w/opened_by/user",
    "/windows/w/opened_by/sudo_user",
    "/windows/w/opened_by/host",
    "/ignore/r1/note",
    "/ignore/r1/added_by",
    "/ignore/r2/kind",
    "/ignore/r2/value",
    "/bypass/b1/note",
    "/bypass/b1/added_by",
    // Fields that do not take such a text.
    "/windows/w/scope/paths/0",
    "/windows/w/page/redirect",
    "/windows/w/page/template",
    "/page/contact",
    "/page/status_url",
    "/ignore/r1/value",
    "/bypass/b1/sha256",
    "/trusted_proxies/networks/0",
];

const VERBS: [&[&str]; 14] = [
    &["status"],
    &["check", "/"],
    &["log"],
    &["ignore", "list"],
    &["bypass", "list"],
    &["proxy", "list"],
    &["template", "list"],
    &["doctor"],
    &["path"],
    &["run", "--name", "w", "--", "true"],
    &["page", "show"],
    &["on", "w", "--dry-run"],
    &["set", "w", "-m", "x", "--dry-run"],
    &["off", "w", "--dry-run"],
];

fn state() -> Value {
    let by = json!({ "user": "u", "sudo_user": "s", "host": "h", "pid": 1 });
    json!({
        "version": 1,
        "revision": 2,
        "name": "n",
        "web_user": "w",
        "last_change": { "at": OPENED, "by": by, "command": "c" },
        "windows": { "w": {
            "opened_at": OPENED,
            "opened_by": by,
            "reason": "r",
            "reasons": { "de": "d" },
            "scope": { "paths": ["/**"] },
            "page": { "redirect": "/sorry", "template": "t" },
        } },
        "page": { "title": "t", "contact": "a@b.example", "status_url": "https://s.example/" },
        "ignore": {
            "r1": { "kind": "path", "value": "/x", "note": "n", "added_by": "a" },
            "r2": { "kind": "later", "value": "v" },
        },
        "bypass": { "b1": { "sha256": "0".repeat(64), "note": "n", "added_by": "a" } },
        "trusted_proxies": { "header": "x-forwarded-for", "networks": ["10.0.0.0/8"] },
    })
}

/// The payloads as texts: each by itself in the long run, some together in the short one. What
/// no argument can hold stays alone.
fn texts<'p>(payloads: impl Iterator<Item = &'p str>) -> Vec<String> {
    let (alone, others): (Vec<&str>, Vec<&str>) = payloads.partition(|text| text.contains('\0'));
    let together = others.chunks(amount(4, 1)).map(|some| some.join(" "));
    together.chain(alone.into_iter().map(str::to_owned)).collect()
}

/// The part of an output that a terminal would obey, or that a person would take for one
/// of our lines.
fn obeyed(output: &str) -> Option<String> {
    let is_obeyed = |c: char| {
        c != '\n' && c.is_control()
            || matches!(
                c,
                '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
            )
    };
    let bad = output.chars().find(|&c| is_obeyed(c)).map(|c| format!("{c:?}"));
    bad.or_else(|| {
        output.lines().any(|line| line.starts_with("FORGED")).then(|| "a line".to_owned())
    })
}

fn shown(site: &TestSite, args: &[&str]) -> String {
    shown_to(&site.dir, "nobody", args)
}

/// What the command shows to somebody who says that this is their name.
fn shown_to(site: &Path, name: &str, args: &[&str]) -> String {
    let mut command = Command::new(MAINT);
    command.args(["--color", "never", "--wait", "3s", "--site"]).arg(site).args(args);
    command.env_clear().env("TZ", "UTC0").stdin(Stdio::null());
    if !name.contains('\0') {
        for variable in ["USER", "LOGNAME", "SUDO_USER", "DOAS_USER", "HOSTNAME", "EDITOR"] {
            command.env(variable, name);
        }
    }
    let done = command.output().unwrap();
    String::from_utf8([done.stdout, done.stderr].concat()).unwrap()
}

/// Everything that is typed comes back in some message.
fn typed(payload: &str) -> Vec<Vec<&str>> {
    let words = [
        vec!["check", payload],
        vec!["check", "/", "--ip", payload],
        vec!["check", "/", "--method", payload],
        vec!["ignore", "add", "path", payload, "--dry-run"],
        vec!["ignore", "add", payload, "/x"],
        vec!["ignore", "remove", payload],
        vec!["template", "show", payload],
        vec!["template", "edit", payload],
        vec!["template", "add", "sorry", payload],
        vec!["bypass", "revoke", payload],
        vec!["proxy", "add", payload],
        vec!["on", payload, "--dry-run"],
        vec!["on", "-m", payload, "--dry-run"],
        vec!["on", "--for", payload],
        vec!["on", "--redirect", payload, "--dry-run"],
        vec!["off", payload],
        vec!["status", "--expect", payload],
        vec!["run", "--name", "new", "--", payload],
        vec!["help", payload],
        vec!["help", "on", payload],
        vec![payload],
        vec!["status", "--site", payload],
        vec!["status", "--color", payload],
    ];
    words.into_iter().filter(|_| !payload.contains('\0')).collect()
}

/// A lock that a process of another host holds, as it says.
fn held(site: &TestSite, payload: &str) -> File {
    let path = site.dir.join("lock");
    let holder = json!({ "pid": 1, "host": payload, "command": payload, "since": OPENED });
    write(&path, holder.to_string());
    let lock = File::open(&path).unwrap();
    fs2::FileExt::try_lock_exclusive(&lock).unwrap();
    lock
}

/// A history whose only line has the payload in each of its texts.
fn history(payload: &str) -> String {
    let by = json!({ "user": payload, "sudo_user": payload, "host": payload, "pid": 1 });
    let changes = json!([
        { "at": "/windows/w", "after": { "opened_at": OPENED, "reason": payload } },
        { "at": "/name", "before": payload, "after": "n" },
        { "at": format!("/windows/{payload}"), "before": { "opened_at": OPENED } },
    ]);
    let line = json!({
        "time": OPENED,
        "revision": { "before": 1, "after": 2 },
        "actor": by,
        "command": payload,
        "changes": changes,
    });
    format!("{line}\n")
}

#[test]
fn requirement_51_nothing_that_is_written_down_drives_a_terminal() {
    let (mut outputs, mut refused, mut shown_in) = (0, 0, 0);
    let mut wrong = Vec::new();
    for payload in &texts(PAYLOADS.into_iter().chain(OBEYED)) {
        let site = TestSite::new();
        let mut all = state();
        let mut look = |args: &[&str], what: &str| {
            outputs += 1;
            let output = shown(&site, args);
            assert!(!output.contains("panicked"), "{args:?} {payload:?}: {output}");
            if let Some(bad) = obeyed(&output) {
                wrong.push(format!("{args:?} with {payload:?} in {what}: {bad}"));
            }
        };
        for field in FIELDS {
            let mut one = state();
            *one.pointer_mut(field).unwrap() = json!(payload);
            write(&site.state_file(), one.to_string());
            if maint::internal::load::read(&site.state_file()).is_ok() {
                *all.pointer_mut(field).unwrap() = json!(payload);
                shown_in += 1;
            } else {
                // The message of the refusal.
                look(&["status"], field);
                refused += 1;
            }
        }
        write(&site.state_file(), all.to_string());
        write(&site.dir.join("history.jsonl"), history(payload));
        for verb in VERBS {
            look(verb, "every field");
        }
        for verb in VERBS {
            let verb: Vec<&str> = ["--json"].iter().chain(verb).copied().collect();
            look(&verb, "every field, as JSON");
        }
        // These commands changed nothing.
        assert_eq!(fs::read_to_string(site.state_file()).unwrap(), all.to_string());
    }
    let payloads = PAYLOADS.len() + OBEYED.len();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    figure(&format!(
        "{payloads} payloads x {} fields ({shown_in} shown, {refused} refused) and the history: 0 \
         of {outputs} outputs of {} verbs hold what a terminal obeys",
        FIELDS.len(),
        VERBS.len()
    ));
}

#[test]
fn requirement_65_nothing_that_is_typed_waited_for_or_found_drives_a_terminal() {
    let (mut outputs, mut waits) = (0, 0);
    let mut wrong = Vec::new();
    // The others are markup, which no terminal obeys.
    let payloads = PAYLOADS.into_iter().filter(|payload| obeyed(payload).is_some());
    for payload in &texts(payloads.chain(OBEYED)) {
        let site = TestSite::new();
        write(&site.state_file(), state().to_string());
        let mut look = |output: &str, what: &str| {
            outputs += 1;
            assert!(!output.contains("panicked"), "{what} {payload:?}: {output}");
            if let Some(bad) = obeyed(output) {
                wrong.push(format!("{what} with {payload:?}: {bad} in {output:?}"));
            }
        };
        for args in typed(payload) {
            look(&shown_to(&site.dir, payload, &args), &format!("{args:?}"));
            let json: Vec<&str> = ["--json"].into_iter().chain(args).collect();
            look(&shown_to(&site.dir, payload, &json), &format!("{json:?}"));
        }
        // No path and no variable holds a NUL.
        if !payload.contains('\0') {
            let others = held(&site, payload);
            let output = shown(&site, &["off", "--all"]);
            assert!(output.contains("waiting for lock"), "{output}");
            assert!(output.contains("is held by"), "{output}");
            look(&output, "the message of waiting");
            drop(others);
            waits += 1;
            // A directory, and a file in the directory of templates.
            let name = payload.replace('/', "_");
            let dir = site.dir.parent().unwrap().join(format!("d{name}")).join(".maint");
            fs::create_dir_all(dir.join("templates")).unwrap();
            write(&dir.join("templates").join(format!("t{name}.html")), "x");
            write(&dir.join("state.json"), state().to_string());
            for args in [
                ["status"].as_slice(),
                &["--json", "status"],
                &["--json", "path"],
                &["doctor"],
                &["--json", "doctor"],
                &["template", "list"],
                &["on", "-m", "x"],
                &["--json", "off"],
                &["--site", "gone", "status"],
            ] {
                look(&shown_to(&dir, payload, args), &format!("{args:?} in a directory"));
            }
        }
        let written = fs::read_to_string(site.state_file()).unwrap();
        look(&written, "the state file itself");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    figure(&format!(
        "0 of {outputs} outputs hold what a terminal obeys, {waits} of them of waiting"
    ));
}

#[test]
fn requirement_57_an_output_that_drives_a_terminal_is_found() {
    let found = OBEYED.iter().filter(|payload| obeyed(payload).is_some()).count();
    assert_eq!(found, OBEYED.len(), "each one, printed raw");
    assert_eq!(obeyed(&shown(&TestSite::new(), &["--help"])), None, "an ordinary output is clean");
    figure(&format!("{found} of {} payloads are found where they are printed raw", OBEYED.len()));
}
