//! `maint template render`

use maint::Site;
use maint::gate::{Answer, Gate};
use maint::request::RequestParts;

use crate::env::{NOW, TestEnv};

fn with_page() -> TestEnv {
    let env = TestEnv::new();
    env.write(
        "page.html",
        "<h1>{{ title }}</h1>{{ reason }} {{ end }} {{ retry_after }} {{ comes_back }}\n",
    );
    env.ok(&["template", "add", "sorry", "page.html"]);
    env
}

/// What the gate sends a visitor at this moment.
fn body(env: &TestEnv, method: &str, accept: &str) -> String {
    let gate = Gate::open(&Site::at(env.site())).unwrap();
    let request = RequestParts::new(method, "/").with("accept", accept);
    match gate.current().at(NOW.parse().unwrap()).answer(&request) {
        Answer::Reply(reply) => String::from_utf8(reply.body().to_vec()).unwrap(),
        Answer::Pass(pass) => panic!("{pass:?}"),
    }
}

#[test]
fn the_page_that_is_printed_is_the_one_that_visitors_get() {
    let env = with_page();
    env.ok(&["init", "--name", "Example Shop"]);
    for use_it in [["template", "use", "--builtin"], ["template", "use", "sorry"]] {
        env.ok(&use_it);
        for on in [
            ["on", "-m", "Back <soon>", "--for", "10m"].as_slice(),
            &[
                "on",
                "-m",
                "Back",
                "--retry-after",
                "7s",
                "--redirect",
                "https://status.example.com/",
            ],
        ] {
            env.ok(&[on, &["--yes"]].concat());
            for (format, accept) in [("json", "application/json"), ("txt", "text/plain")] {
                let printed = env.ok(&["template", "render", "--format", format]);
                assert_eq!(printed, body(&env, "GET", accept), "{use_it:?} {on:?} {format}");
            }
            // A visitor who accepts anything is not redirected.
            assert_eq!(
                env.ok(&["template", "render"]),
                body(&env, "GET", "*/*"),
                "{use_it:?} {on:?}"
            );
        }
        env.ok(&["on", "--yes", "--read-only"]);
        assert_eq!(env.ok(&["template", "render"]), body(&env, "POST", "text/html"), "{use_it:?}");
    }
}

#[test]
fn of_several_windows_it_prints_the_one_that_visitors_get() {
    let env = TestEnv::new();
    env.ok(&["on", "until", "-m", "Until", "--for", "20m"]);
    for (estimate, shown) in [("10m", "until"), ("30m", "open")] {
        env.ok(&["on", "open", "--yes", "-m", "Open", "--estimate", estimate]);
        let printed = env.ok(&["template", "render", "--format", "txt"]);
        assert_eq!(printed, body(&env, "GET", "text/plain"), "{shown}");
        assert_eq!(printed.contains("\nOpen\n"), shown == "open", "{printed}");
    }
}

#[test]
fn it_says_what_the_page_was_made_from() {
    let env = with_page();
    let told = |args: &[&str]| {
        let args: Vec<&str> = ["template", "render"].iter().chain(args).copied().collect();
        let ran = env.run(&args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.stderr
    };
    assert_eq!(told(&[]), "the built-in page, with a made-up window, since none is open\n");
    assert_eq!(
        told(&["sorry"]),
        "template `sorry.html`, with a made-up window, since none is open\n"
    );
    env.ok(&["on", "shop", "--for", "10m", "--template", "sorry"]);
    env.ok(&["on", "late", "--at", "05:00", "-m", "Late"]);
    assert_eq!(told(&[]), "template `sorry.html`, with the facts of window `shop`\n");
    assert_eq!(told(&["--window", "late"]), "the built-in page, with the facts of window `late`\n");
    assert_eq!(told(&["--builtin"]), "the built-in page, with the facts of window `shop`\n");
    assert_eq!(
        told(&["--format", "json"]),
        "the built-in page, since there is no template `sorry.json`, with the facts of window `shop`\n"
    );
    env.ok(&["on", "shop", "--yes", "--redirect", "/sorry"]);
    assert!(told(&[]).ends_with("browsers are sent to /sorry instead\n"));

    env.ok(&["on", "shop", "--yes", "--template", "sorry"]);
    std::fs::remove_file(env.site().join("templates/sorry.html")).unwrap();
    assert!(told(&[]).starts_with("the built-in page, since there is no template `sorry.html`"));
    assert_eq!(env.json(&["template", "render"])["template"], serde_json::Value::Null);
}

#[test]
fn json_tells_the_same() {
    let env = with_page();
    env.ok(&["on", "shop", "--template", "sorry", "--status", "500"]);
    let object = env.json(&["template", "render"]);
    assert_eq!(
        (&object["template"], &object["format"], &object["window"], &object["status"]),
        (&"sorry".into(), &"html".into(), &"shop".into(), &500.into())
    );
    assert_eq!(object["text"], env.ok(&["template", "render"]));
}

#[test]
fn a_mistake_fails_with_its_line_and_prints_no_page() {
    let env = with_page();
    env.ok(&["on", "--template", "sorry"]);
    for (text, told) in [
        ("one\n{{ resaon }}", "`sorry.html` asks for `resaon` on line 2"),
        ("one\n\n{% if %}", "`sorry.html` has a mistake on line 3"),
        ("{{ 1 / 0 }}", "`sorry.html` has a mistake on line 1"),
    ] {
        env.write(".maint/templates/sorry.html", text);
        let error = env.fails(2, &["template", "render"]);
        assert!(error.contains(told), "{error}");
        assert_eq!(env.run(&["template", "render"]).stdout, "");
        // The other templates are still good.
        env.ok(&["template", "render", "--format", "json"]);
        env.ok(&["template", "render", "--builtin"]);
        env.ok(&["template", "render", "starter"]);
    }
}

#[test]
fn a_window_that_is_too_much_for_a_template_is_told() {
    let env = with_page();
    let text = format!("{{% for i in range({}) %}}{{{{ reason }}}}{{% endfor %}}", 2_000);
    env.write("wide.html", &text);
    env.ok(&["template", "add", "wide", "wide.html"]);
    env.ok(&["on", "-m", &"x".repeat(maint::internal::page::MAX_PAGE_SIZE / 1_000)]);
    let error = env.fails(2, &["template", "render", "wide"]);
    assert!(error.contains("`wide.html` has a mistake: it makes more than"), "{error}");
}

#[test]
fn a_mistake_in_one_language_is_refused_and_fails_when_that_is_asked_for() {
    let env = with_page();
    let page = "{% if language == 'de' %}\n{{ 1 // 0 }}{% endif %}{{ texts.since }}";
    env.write("page.html", page);
    let error = env.fails(2, &["template", "add", "odd", "page.html"]);
    assert!(error.contains("`odd.html`") && error.contains("in the language `de`"), "{error}");
    // Somebody puts it there by hand.
    env.write(".maint/templates/odd.html", page);
    let render = |tag| env.run(&["template", "render", "odd", "--language", tag]);
    assert_eq!(render("fr").stdout.trim(), "Début");
    let ran = render("de");
    assert!(ran.code != 0 && ran.stderr.contains("odd.html"), "{ran:?}");
    assert_eq!(ran.stdout, "");
}

#[test]
fn names_that_are_not_there_are_refused() {
    let env = with_page();
    let error = env.fails(2, &["template", "render", "gone"]);
    assert!(error.contains("no template named `gone`") && error.contains("`starter`"), "{error}");
    env.fails(2, &["template", "render", "../../etc/passwd"]);
    env.fails(2, &["template", "render", "--window", "gone"]);
    env.fails(2, &["template", "render", "sorry", "--builtin"]);
    env.fails(2, &["template", "render", "--format", "xml"]);
    env.write(".maint/state.json", "{");
    env.fails(8, &["template", "render", "--builtin"]);
}
