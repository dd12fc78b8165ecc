//! Every verb of the command, as its own help lists them: those that change the state,
//! with what they need to run, and those that do not.

use std::collections::BTreeSet;

use crate::env::{MAINT, TestSite, chmod, run, write};

/// The commands that change the state, in an order that gives each something to do.
/// `{rule}` and `{token}` stand for the id of an existing one. Beside each, how often
/// it replaces the state.
pub(crate) const CHANGING: [(&[&str], usize); 34] = [
    (&["on", "-m", "Back at noon"], 1),
    (&["on", "deploy", "--for", "1h"], 1),
    (&["on", "-m", "Back at one"], 1),
    (&["set", "-m", "Back at two"], 1),
    (&["extend", "deploy", "30m"], 1),
    (&["off", "deploy"], 1),
    (&["off", "--all"], 1),
    (&["ignore", "add", "path", "/health"], 1),
    (&["ignore", "add", "ip", "192.0.2.0/24"], 1),
    (&["ignore", "remove", "{rule}"], 1),
    (&["ignore", "clear"], 1),
    (&["bypass", "new", "--keep"], 1),
    (&["bypass", "revoke", "{token}"], 1),
    (&["template", "add", "page", "--format", "html"], 1),
    (&["template", "edit", "page"], 1),
    (&["template", "use", "page"], 1),
    (&["template", "use", "--builtin"], 1),
    (&["template", "remove", "page"], 1),
    (&["page", "set", "--contact", "help@example.com"], 1),
    (&["page", "unset", "contact"], 1),
    (&["proxy", "add", "10.0.0.0/8", "192.168.0.0/16"], 1),
    (&["proxy", "remove", "10.0.0.0/8"], 1),
    (&["proxy", "clear"], 1),
    (&["flag", "add", "file", "{elsewhere}", "--id", "it"], 0),
    (&["flag", "sync", "it"], 0),
    (&["flag", "remove", "it"], 0),
    (&["restore"], 1),
    (&["run", "--", "true"], 2),
    (&["run", "--on-failure", "release", "--", "false"], 2),
    (&["init", "--store", "file://{elsewhere}"], 1),
    (&["on"], 1),
    (&["on", "--local"], 1),
    (&["store", "import", "--yes"], 1),
    (&["store", "leave"], 1),
];

/// Makes the site first, and so has a test of its own.
pub(crate) const BEGINNING: &str = "init";

/// Commands that leave the site unchanged. `tests/cli/preview.rs` and `demo.rs` look at
/// what serves; here a preview finds nothing to serve, a demo refuses
/// this site, and an endpoint refuses that address.
pub(crate) const READING: [&[&str]; 33] = [
    &["demo"],
    &["status"],
    &["wait", "off"],
    &["check", "/"],
    &["ignore", "list"],
    &["bypass", "list"],
    &["template", "list"],
    &["template", "show", "--builtin"],
    &["template", "render"],
    &["template", "preview", "nobody-made-this"],
    &["page", "show"],
    &["proxy", "list"],
    &["flag", "list"],
    &["flag", "show", "nobody-added-this"],
    &["flag", "kinds"],
    &["snippet", "nginx"],
    &["agent", "status"],
    &["serve", "--listen", "0.0.0.0:1"],
    &["store", "show"],
    &["store", "export"],
    &["log"],
    &["doctor"],
    &["path"],
    &["completions", "bash"],
    &["man", "{elsewhere}"],
    &["help", "on"],
    &["on", "--dry-run"],
    &["set", "nobody", "-m", "x", "--dry-run"],
    &["extend", "nobody", "30m", "--dry-run"],
    &["off", "--if-open", "--dry-run"],
    &["ignore", "add", "path", "/health", "--dry-run"],
    &["ignore", "clear", "--dry-run"],
    &["restore", "--dry-run"],
];

/// The verbs in the command's help, such as `on` and `ignore add`.
pub(crate) fn listed() -> BTreeSet<String> {
    let mut verbs = BTreeSet::new();
    for verb in below(&[]) {
        let beneath = below(&[&verb]);
        if beneath.is_empty() {
            verbs.insert(verb);
        } else {
            verbs.extend(beneath.into_iter().map(|beneath| format!("{verb} {beneath}")));
        }
    }
    verbs
}

fn below(verb: &[&str]) -> Vec<String> {
    let done = run(std::process::Command::new(MAINT).args(verb).arg("--help"));
    assert_eq!(done.code, 0, "{done:?}");
    let lines = done.stdout.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// The verb of a command line, if the help lists it.
pub(crate) fn verb_of(args: &[&str], listed: &BTreeSet<String>) -> Option<String> {
    let two = args.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    [two, args[0].to_owned()].into_iter().find(|verb| listed.contains(verb))
}

/// A command line with a site's ids and paths filled in.
pub(crate) fn filled_in(args: &[&str], site: &TestSite) -> Vec<String> {
    let first = |mut keys: Vec<String>| keys.pop().expect("there is one");
    args.iter()
        .map(|&word| match word {
            "{rule}" => first(site.state().ignore.into_keys().collect()),
            "{token}" => first(site.state().bypass.into_keys().collect()),
            other => other.replace("{elsewhere}", site.project.join("elsewhere").to_str().unwrap()),
        })
        .collect()
}

/// An editor for `template edit`, which adds a line.
pub(crate) fn editor(site: &TestSite) -> std::path::PathBuf {
    let editor = site.project.join("editor");
    write(&editor, "#!/bin/sh\necho more >> \"$1\"\n");
    chmod(&editor, 0o755);
    editor
}
