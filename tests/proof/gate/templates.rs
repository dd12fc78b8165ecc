//! Requirements 52 and 53: templates that are traps, and what a page may reveal.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;

use maint::page::Context;
use rustix::fs::{CWD, FileType, mknodat};
use serde_json::{Value, json};

use crate::env::{OPENED, TestSite, accepting, body, down, reply, write};
use crate::say::figure;

const SECRET: &str = "from outside of the templates";

/// A window with a template.
fn using(template: &str) -> Value {
    let mut parts = down("Back soon");
    parts["windows"]["w"]["page"] = json!({ "template": template });
    parts
}

#[test]
fn requirement_52_a_template_that_is_a_trap_leaves_the_builtin_page() {
    type Trap = fn(&TestSite);
    let secret = |site: &TestSite| site.dir.join("secret.html");
    let traps: [(&str, &str, Trap); 12] = [
        ("gone", "x", |_| {}),
        ("no UTF-8", "x", |site| write(&site.dir.join("templates/x.html"), b"\xff\xfe")),
        ("a mistake", "x", |site| site.template("x.html", "{% if %}")),
        ("a link out", "x", |site| {
            symlink("../secret.html", site.dir.join("templates/x.html")).unwrap();
        }),
        ("an absolute link", "x", |site| {
            symlink(site.dir.join("secret.html"), site.dir.join("templates/x.html")).unwrap();
        }),
        ("a gibibyte", "x", |site| {
            site.template("x.html", "x");
            let path = site.dir.join("templates/x.html");
            OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 30).unwrap();
        }),
        ("a FIFO", "x", |site| {
            let path = site.dir.join("templates/x.html");
            mknodat(CWD, &path, FileType::Fifo, 0o644.into(), 0).unwrap();
        }),
        ("a directory", "x", |site| fs::create_dir(site.dir.join("templates/x.html")).unwrap()),
        ("one that includes a file outside", "x", |site| {
            site.template("x.html", "{% include '../secret.html' %}");
        }),
        ("one that extends a file outside", "x", |site| {
            let path = site.dir.join("secret.html");
            site.template("x.html", &format!("{{% extends '{}' %}}", path.display()));
        }),
        ("one that never ends", "x", |site| {
            let within = "{% for a in range(10000) %}".repeat(4) + &"{% endfor %}".repeat(4);
            site.template("x.html", &within);
        }),
        ("one that fails for these values alone", "x", |site| {
            site.template("x.html", "{% if retry_after %}{{ 1 / 0 }}{% endif %}");
        }),
    ];
    let builtin = {
        let site = TestSite::new();
        site.put(1, &down("Back soon"));
        body(&reply(site.gate().answer(&accepting("text/html"))))
    };
    for (name, template, trap) in traps {
        for is_warm in [false, true] {
            let site = TestSite::new();
            write(&secret(&site), SECRET);
            if is_warm {
                site.put(1, &json!({}));
            }
            let warm = is_warm.then(|| site.gate());
            trap(&site);
            site.put(2, &using(template));
            let gate = warm.unwrap_or_else(|| site.gate());
            let page = reply(gate.answer(&accepting("text/html")));
            assert_eq!(page.status(), 503, "{name}");
            assert_eq!(body(&page), builtin, "{name}");
            let told = site.told();
            assert!(!told.is_empty(), "{name}");
            assert!(told.iter().all(|line| line.contains("built-in page")), "{name}: {told:?}");
            let policy = page.header("content-security-policy").unwrap();
            assert!(!policy.contains("'unsafe-inline'"), "not the built-in page: {policy}");
        }
    }
    figure("12 traps, cold and warm: 24 of 24 with the built-in page and 503, 0 reads outside");
}

#[test]
fn requirement_63_a_gate_opens_and_reloads_beside_templates_made_to_do_harm() {
    let chain = |part: &str| format!("{{{{ 1{} }}}}", part.repeat(50_000));
    let shapes = [
        chain("+1"),
        chain("|e"),
        chain(".a"),
        "{% if 1 %}".repeat(20_000),
        format!("{{% set x = [1] %}}{}{{{{ x }}}}", "{% set x = [x] %}".repeat(10_000)),
        format!("{{% set x = [1] %}}{}{{{{ x }}}}", "{% set x = x + x %}".repeat(60)),
        "{% block b %}{{ self.b() }}{{ self.b() }}{% endblock %}".to_owned(),
    ];
    let number = shapes.len();
    for shape in shapes {
        // It is in the way of another, and in use itself.
        for template in ["fine", "x"] {
            let site = TestSite::new();
            site.put(1, &json!({}));
            let warm = site.gate();
            site.template("fine.html", "<p>own</p>");
            site.template("x.html", &shape);
            site.put(2, &using(template));
            for is_warm in [true, false] {
                let cold = (!is_warm).then(|| site.gate());
                let page = reply(cold.as_ref().unwrap_or(&warm).answer(&accepting("text/html")));
                assert_eq!(page.status(), 503);
                assert_eq!(body(&page) == "<p>own</p>", template == "fine");
                let told = site.told();
                let is_told = told.iter().any(|line| line.contains("x.html"));
                assert!(is_told || template == "fine", "{told:?}");
            }
        }
    }
    figure(&format!("{number} shapes, opened and reloaded, unused and used: 0 ended or hung"));
}

#[test]
fn requirement_52_a_name_that_leaves_the_directory_is_no_state() {
    for name in ["../secret", "/etc/passwd", "a\0b", "x.html", "", "a/b", "..", "é"] {
        let site = TestSite::new();
        write(&site.dir.join("secret.html"), SECRET);
        site.put(1, &down("Back soon"));
        let gate = site.gate();
        site.put(2, &using(name));
        let page = reply(gate.answer(&accepting("text/html")));
        assert_eq!((page.status(), gate.revision()), (503, 1), "{name:?}");
        assert!(!body(&page).contains(SECRET));
        assert!(maint::Gate::open(&site.site()).is_err(), "{name:?}");
    }
}

#[test]
fn requirement_52_a_template_that_is_deleted_meanwhile_is_still_a_page() {
    let site = TestSite::new();
    site.template("x.html", "<p>own</p>{{ retry_after }}");
    site.put(1, &using("x"));
    let gate = site.gate();
    let page = || reply(gate.answer(&accepting("text/html")));
    assert!(body(&page()).starts_with("<p>own</p>"));
    fs::remove_file(site.dir.join("templates/x.html")).unwrap();
    assert!(body(&page()).starts_with("<p>own</p>"), "it was read with the state");
    let mut again = using("x");
    again["windows"]["v"] = json!({ "opened_at": OPENED, "scope": { "paths": ["/shop"] } });
    site.put(2, &again);
    let now = page();
    assert!(now.status() == 503 && !body(&now).contains("<p>own</p>"), "{}", body(&now));
    assert_eq!(site.told().len(), 1);
}

#[test]
fn requirement_53_a_page_is_told_the_listed_fields_and_nothing_else() {
    let site = TestSite::new();
    // Everything that is private here.
    let private = [
        "secretive",
        "operator",
        "workstation",
        "4711",
        "nightly-window",
        "/admin-area",
        "shop.internal",
        "198.51.100.7",
        "r-seven",
        "for-ann",
        "10.9.8.0",
        "x-private",
        "www-data",
        "deploy --now",
        "some-user",
        "agent-of-a-visitor",
    ];
    let by =
        json!({ "user": "operator", "host": "workstation", "pid": 4711, "sudo_user": "some-user" });
    let named = Context::FIELDS.map(|name| format!("{name}: {{{{ {name} }}}}")).join("\n");
    site.template("dump.txt", &format!("{named}\n{{{{ loop }}}} {{{{ self }}}} {{{{ range }}}}"));
    let known = Context::FIELDS.map(|name| format!("\"{name}\": {{{{ {name} }}}}")).join(",");
    site.template("dump.json", &format!("{{{known}}}"));
    let digest = maint::internal::state::digest("secretive");
    let mut parts = json!({
        "name": "Example Shop",
        "last_change": { "at": OPENED, "by": by, "command": "deploy --now" },
        "windows": { "nightly-window": {
            "opened_at": OPENED, "opened_by": by, "reason": "Back soon", "end": "2999-01-01T00:00:00Z",
            "scope": { "paths": ["/**", "/admin-area"], "hosts": ["shop.internal"] },
        } },
        "ignore": {
            "r-seven": { "kind": "ip", "value": "198.51.100.7", "note": "for-ann" },
            "r8": { "kind": "header", "value": "x-private: 1" },
        },
        "bypass": { "b1": { "sha256": digest, "note": "for-ann", "added_by": "operator@workstation" } },
        "trusted_proxies": { "header": "x-forwarded-for", "networks": ["10.9.8.0/24"] },
        "web_user": "www-data",
    });
    let ask = |accept: &str| {
        let request = accepting(accept)
            .with("user-agent", "agent-of-a-visitor")
            .with("cookie", "maint_bypass=agent-of-a-visitor")
            .with("host", "shop.internal");
        let request = request.with_host("shop.internal");
        body(&reply(site.gate().answer(&request)))
    };
    for settings in [json!({}), json!({ "template": "dump" })] {
        parts["page"] = settings;
        site.put(1, &parts);
        for accept in ["text/html", "application/json", "text/plain"] {
            let page = ask(accept);
            for word in private.iter().chain([&&*digest]) {
                assert!(!page.contains(*word), "{word}: {page}");
            }
        }
    }
    // The golden answer, and every field by its name.
    let page: Value = serde_json::from_str(&ask("application/json")).unwrap();
    let mut page = page.as_object().unwrap().clone();
    let wait = page.remove("retry_after").unwrap();
    // Words of the page itself.
    assert_eq!(page.remove("texts").unwrap()["since"], "Since");
    assert!(wait.as_u64().is_some_and(|seconds| seconds > 0));
    assert_eq!(
        Value::Object(page),
        json!({
            "title": "Down for maintenance",
            "reason": "Back soon",
            "site": "Example Shop",
            "start": OPENED,
            "end": "2999-01-01T00:00:00Z",
            "status": 503,
            "read_only": false,
            "comes_back": true,
            "reason_language": null,
            "estimate": null,
            "is_late": false,
            "contact": null,
            "contact_url": null,
            "status_url": null,
            "language": "en",
            "dir": "ltr",
        })
    );
    let dump = ask("text/plain");
    for field in Context::FIELDS {
        assert!(dump.contains(field), "{field}: {dump}");
    }
    figure(&format!("{} fields, 0 of {} private words", Context::FIELDS.len(), private.len() + 1));
}
