//! `maint template`

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::env::{Ran, TestEnv};
use crate::say::figure;

const PAGE: &str = "<h1>{{ title }}</h1>{% if reason %}<p>{{ reason }}</p>{% endif %}\n";

fn with_page() -> TestEnv {
    let env = TestEnv::new();
    env.write("page.html", PAGE);
    env.ok(&["template", "add", "sorry", "page.html"]);
    env
}

#[test]
fn a_template_is_added_listed_shown_used_and_removed() {
    let env = with_page();
    assert_eq!(fs::read_to_string(env.site().join("templates/sorry.html")).unwrap(), PAGE);
    assert_eq!(env.ok(&["template", "show", "sorry"]), PAGE);
    env.ok(&["template", "use", "sorry"]);
    let list = env.ok(&["template", "list"]);
    assert!(list.contains(&format!("sorry  html  {} bytes  the page of this site\n", PAGE.len())));
    assert!(list.ends_with("the built-in page\n"), "{list}");
    let error = env.fails(2, &["template", "remove", "sorry"]);
    assert!(error.contains("maint template use --builtin"), "{error}");
    env.ok(&["template", "use", "--builtin"]);
    env.ok(&["template", "remove", "sorry"]);
    let list = env.ok(&["template", "list"]);
    assert!(!list.contains("sorry"), "{list}");
    assert!(list.ends_with("the built-in page  the page of this site\n"), "{list}");
    assert_eq!(env.state()["templates"].get("sorry.html"), None);
}

#[test]
fn a_template_can_come_from_standard_input_in_three_formats() {
    let env = TestEnv::new();
    for format in ["html", "json", "txt"] {
        let mut child = env
            .command(&["template", "add", "sorry", "--format", format])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"{{ reason }}").unwrap();
        assert!(child.wait().unwrap().success());
    }
    let error = env.fails(2, &["template", "show", "sorry"]);
    assert!(error.contains("`--format html` or `--format json` or `--format txt`"), "{error}");
    assert_eq!(env.ok(&["template", "show", "sorry", "--format", "txt"]), "{{ reason }}");
}

#[cfg(unix)]
#[test]
fn a_template_can_come_through_a_link_or_a_pipe() {
    let env = TestEnv::new();
    let mut shell = std::process::Command::new("sh");
    let line =
        "echo one | maint -q template add one /dev/stdin; maint -q template add two /dev/null";
    env.seal(shell.args(["-ec", line]));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(env.ok(&["template", "show", "one"]), "one\n");
}

#[test]
fn ones_own_page_begins_with_the_builtin_one() {
    let env = TestEnv::new();
    for format in ["html", "json", "txt"] {
        let source = env.ok(&["template", "show", "--builtin", "--format", format]);
        env.ok(&["template", "add", "mine", "--builtin", "--format", format]);
        assert_eq!(env.ok(&["template", "show", "mine", "--format", format]), source);
    }
    assert!(env.ok(&["template", "show", "--builtin"]).contains("<!doctype html>"));
    env.ok(&["template", "use", "mine"]);
    env.fails(2, &["template", "add", "other", "page.html", "--builtin"]);
    env.fails(2, &["template", "show", "mine", "--builtin"]);
    env.fails(2, &["template", "show"]);
    // The built-in page can be shown without a site.
    let mut command = TestEnv::bare().command(&["template", "show", "--builtin"]);
    let output = command.env_remove("HOME").current_dir("/").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn requirement_52_a_template_is_tried_out_before_it_is_accepted() {
    let env = with_page();
    for (file, text, told) in [
        ("x.html", "one\n{{ resaon }}", "`x.html` asks for `resaon` on line 2"),
        ("x.html", "one\n\n{% if %}", "`x.html` has a mistake on line 3"),
        ("x.html", "{{ 1 / 0 }}", "`x.html` has a mistake on line 1"),
        ("x.html", "{% extends 'gone.html' %}", "gone.html"),
        ("x.json", "{\"detail\": \"{{ reason }}\"}", "`x.json` does not make JSON"),
        (
            "x.txt",
            "{% for a in range(9999) %}{% for b in range(9999) %}.{% endfor %}{% endfor %}",
            "too many steps",
        ),
    ] {
        env.write(file, text);
        let error = env.fails(2, &["template", "add", "x", file]);
        assert!(error.contains(told), "{text}: {error}");
        // A faulty template copied there by hand is reported to everyone who looks.
        env.write(format!(".maint/templates/{file}"), text);
        for args in [["template", "use", "x"].as_slice(), &["on", "--template", "x"]] {
            let error = env.fails(2, args);
            assert!(error.contains(told), "{args:?}: {text}: {error}");
        }
        let doctor = env.run(&["doctor"]).stdout;
        assert!(doctor.contains(told), "{text}: {doctor}");
        fs::remove_file(env.site().join("templates").join(file)).unwrap();
    }
}

#[test]
fn templates_may_build_on_each_other_and_one_is_not_broken_through_another() {
    let env = TestEnv::new();
    env.write(
        "base.html",
        "<h1>{% block head %}{% endblock %}</h1>{% macro up(x) %}{{ x }}{% endmacro %}",
    );
    env.write("sorry.html", "{% extends 'base.html' %}{% block head %}{{ title }}{% endblock %}");
    env.fails(2, &["template", "add", "sorry", "sorry.html"]);
    env.ok(&["template", "add", "base", "base.html"]);
    env.ok(&["template", "add", "sorry", "sorry.html"]);
    env.ok(&["template", "use", "sorry"]);
    let error = env.fails(2, &["template", "remove", "base"]);
    assert!(error.contains("`sorry.html` builds on `base`"), "{error}");
    env.write("base.html", "{% include sorry %}");
    env.fails(2, &["template", "add", "base", "base.html", "--replace"]);
    env.write("sorry.html", "{% from 'base.html' import up %}{{ up(title) }}");
    env.ok(&["template", "add", "sorry", "sorry.html", "--replace"]);
    env.write("base.html", "<h1>no macro any more</h1>");
    let error = env.fails(2, &["template", "add", "base", "base.html", "--replace"]);
    assert!(error.contains("`sorry.html` builds on `base`, and would fail"), "{error}");

    env.write(".maint/templates/base.html", "{% if %}");
    let error = env.fails(2, &["on", "--template", "sorry"]);
    assert!(error.contains("base.html` has a mistake on line 1"), "{error}");
}

#[test]
fn a_second_template_of_the_same_name_is_refused_unless_it_shall_replace() {
    let env = with_page();
    env.write("other.html", "other");
    let error = env.fails(2, &["template", "add", "sorry", "other.html"]);
    assert!(error.contains("exists already"), "{error}");
    env.ok(&["template", "add", "sorry", "other.html", "--replace"]);
    assert_eq!(env.ok(&["template", "show", "sorry"]), "other");
}

#[test]
fn a_change_of_a_template_raises_the_revision_so_that_readers_notice() {
    let env = with_page();
    let before = env.state()["revision"].as_u64().unwrap();
    env.write("other.html", "other");
    env.ok(&["template", "add", "sorry", "other.html", "--replace"]);
    assert_eq!(env.state()["revision"].as_u64().unwrap(), before + 1);
}

#[test]
fn requirement_52_bad_templates_and_names_change_nothing() {
    let env = with_page();
    env.write("bad.html", "{% if %}");
    env.write("large.html", &"x".repeat(256 * 1024 + 1));
    for args in [
        ["add", "bad", "bad.html"].as_slice(),
        &["add", "large", "large.html"],
        &["add", "gone", "missing.html"],
        &["add", "../evil", "page.html"],
        &["add", "/etc/evil", "page.html"],
        &["add", "", "page.html"],
        &["show", "../../etc/passwd"],
        &["show", "gone"],
        &["use", "gone"],
        &["remove", "gone"],
        &["edit", "gone"],
    ] {
        let args: Vec<&str> = ["template"].iter().chain(args).copied().collect();
        env.fails(2, &args);
    }
    env.fails(2, &["on", "--template", "gone"]);
}

#[test]
fn a_template_that_a_window_uses_is_not_removed() {
    let env = with_page();
    env.ok(&["on", "--template", "sorry"]);
    let error = env.fails(2, &["template", "remove", "sorry"]);
    assert!(error.contains("the window `default` uses"), "{error}");
}

fn edit(env: &TestEnv, editor: &str) -> Ran {
    Ran::from(env.command(&["template", "edit", "sorry"]).env("EDITOR", editor).output().unwrap())
}

#[test]
fn edit_runs_the_editor_with_its_arguments() {
    let env = with_page();
    let ran = edit(&env, "sed -i s/h1/h2/g");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(env.ok(&["template", "show", "sorry"]).starts_with("<h2>"));
    let ran = edit(&env, "true");
    assert!(ran.stdout.contains("template `sorry.html` unchanged"), "{ran:?}");
}

#[test]
fn visual_comes_before_editor() {
    let env = with_page();
    let mut command = env.command(&["template", "edit", "sorry"]);
    let output = command.env("VISUAL", "sed -i s/h1/h3/g").env("EDITOR", "false").output().unwrap();
    assert!(output.status.success());
    assert!(env.ok(&["template", "show", "sorry"]).starts_with("<h3>"));
}

/// The file that a message names as the one with the text.
fn kept(ran: &Ran) -> String {
    let rest = ran.stderr.split("your text is kept in `").nth(1);
    rest.unwrap_or_else(|| panic!("{ran:?}")).split('`').next().unwrap().to_owned()
}

#[test]
fn requirement_69_nothing_that_was_typed_in_an_editor_is_thrown_away() {
    let env = with_page();
    let before = env.files();
    let too_large = format!("{}", 256 * 1024 + 1);
    let typed: [(&str, String); 6] = [
        ("is not UTF-8", "printf 'caf\\351' >".to_owned()),
        ("is larger than", format!("head -c {too_large} /dev/zero | tr '\\0' x >")),
        ("a mistake", "printf '{%% if %%}' >".to_owned()),
        ("an editor that fails", "f() { printf typed > \"$1\"; exit 1; }; f".to_owned()),
        ("a signal", "f() { printf typed > \"$1\"; kill -9 $$; }; f".to_owned()),
        (
            "a signal to us",
            "f() { printf typed > \"$1\"; kill -TERM $PPID; sleep 30; }; f".to_owned(),
        ),
    ];
    let number = typed.len();
    for (what, editor) in typed {
        let ran = edit(&env, &editor);
        assert_eq!(ran.code, if what.starts_with("is ") { 8 } else { 2 }, "{what}: {ran:?}");
        let path = kept(&ran);
        let text = fs::read(&path).unwrap();
        assert!(!text.is_empty() && !text.starts_with(b"<"), "{what}");
        assert!(ran.stderr.contains("maint template add sorry "), "{what}: {ran:?}");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{what}");
        fs::remove_file(path).unwrap();
        assert_eq!(before, env.files(), "{what}");
    }
    // What is typed and cannot be written, quietly and as JSON.
    let lock = fs::File::open(env.dir().join(".maint/lock")).unwrap();
    fs2::FileExt::try_lock_exclusive(&lock).unwrap();
    let mut command = env.command(&["--json", "--no-wait", "template", "edit", "sorry"]);
    let ran = command.env("EDITOR", "printf new >").output().unwrap();
    let error: Value = serde_json::from_slice(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], "busy", "{error}");
    let path = error["error"]["kept"].as_str().unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "new");
    fs::remove_file(path).unwrap();
    figure(&format!("{} of {} refusals keep the text and name its file", number + 1, number + 1));
}

#[test]
fn a_failed_edit_leaves_the_template_and_keeps_what_was_typed() {
    let env = with_page();
    let before = env.files();
    assert_eq!(edit(&env, "false").code, 2);
    assert_eq!(env.run(&["template", "edit", "sorry"]).code, 2, "no editor");
    let ran = edit(&env, "printf '{%% if %%}' >");
    assert_eq!(ran.code, 2, "{ran:?}");
    let kept =
        ran.stderr.split("your text is kept in `").nth(1).unwrap().split('`').next().unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), "{% if %}");
    fs::remove_file(kept).unwrap();
    assert_eq!(before, env.files());
}

#[test]
fn what_visitors_would_miss_on_a_page_is_told_wherever_it_is_chosen() {
    let env = TestEnv::new();
    env.write(
        "page.html",
        "<link rel=stylesheet href=/static/site.css><img src=\"https://cdn.example/x.png\"><img src='data:image/png;base64,AA=='>",
    );
    for args in [
        ["template", "add", "sorry", "page.html"].as_slice(),
        &["template", "use", "sorry"],
        &["on"],
        &["on", "w", "--template", "sorry"],
    ] {
        let ran = env.run(args);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(
            ran.stderr.contains("loads `/static/site.css`, which no rule lets through"),
            "{ran:?}"
        );
        assert!(
            ran.stderr.contains("`https://cdn.example/x.png`: other hosts are blocked"),
            "{ran:?}"
        );
        assert!(!ran.stderr.contains("data:"), "{ran:?}");
    }
    assert!(env.run(&["doctor"]).stdout.contains("which no rule lets through"));
    env.ok(&["ignore", "add", "path", "/static/**"]);
    let ran = env.run(&["on", "later"]);
    assert!(!ran.stderr.contains("/static") && ran.stderr.contains("other hosts"), "{ran:?}");
    // The built-in page and a page that is whole say nothing.
    env.write("page.html", "<style>p { color: red }</style><p>{{ reason }}</p>");
    let added = env.run(&["template", "add", "whole", "page.html"]).stderr;
    assert_eq!(
        added,
        "nothing shows it yet: `maint template use whole`, or `--template whole` of `on`\n"
    );
    env.ok(&["template", "use", "whole"]);
    assert_eq!(env.run(&["template", "add", "--replace", "whole", "page.html"]).stderr, "");
}
