//! Requirement 26: states written by any version are read as they were meant, and
//! changed without losing a word.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use maint::gate::{Answer, Gate};
use maint::internal::state as bypass;
use maint::request::{RequestParts, User};
use serde_json::{Value, json};

use crate::env::{MAINT, TestSite, at, write};
use crate::say::figure;

/// The time at which the windows of these states are open.
pub(crate) const NOW: &str = "2026-11-22T03:30:00Z";

/// The token of every state that has one.
const TOKEN: &str = "maint_0123456789abcdef0123456789abcdef01234567";

pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The state written by this version.
fn written() -> PathBuf {
    directory().join(concat!("written-", env!("CARGO_PKG_VERSION"), ".json"))
}

fn get(target: &str) -> RequestParts {
    with_method("GET", target)
}

fn with_method(method: &str, target: &str) -> RequestParts {
    let stranger = IpAddr::from([198, 51, 100, 99]);
    on_host("shop.example", RequestParts::new(method, target).with_peer(stranger))
}

fn on_host(host: &str, request: RequestParts) -> RequestParts {
    request.with_host(host)
}

fn from(peer: &str, request: RequestParts) -> RequestParts {
    request.with_peer(peer.parse::<std::net::IpAddr>().unwrap())
}

fn by_staff(request: RequestParts) -> RequestParts {
    request.with_user(User::authenticated().staff(true))
}

/// What passes and what is blocked, by the name of the golden file.
fn decisions(name: &str) -> Vec<(RequestParts, bool)> {
    let shop = || get("/shop/1");
    match name {
        "minimal" => vec![(get("/"), true), (with_method("POST", "/shop"), true)],
        "later" => vec![
            (get("/health"), true),
            (get("/"), false),
            (by_staff(from("203.0.113.7", get("/DE"))), false),
        ],
        "rich" => vec![
            (get("/"), true),
            (shop(), false),
            (get("/cart"), false),
            (get("/shop/static/a.css"), true),
            (from("203.0.113.7", shop()), true),
            (from("203.0.114.7", shop()), false),
            (from("10.1.2.3", shop()).with("x-forwarded-for", "203.0.113.7"), true),
            (with_method("OPTIONS", "/shop/1"), true),
            (on_host("staging.example", shop()), true),
            (by_staff(shop()), true),
            (shop().with("x-probe", "blue"), true),
            (shop().with("x-probe", "green"), false),
            (get("/shop/over"), false),
            (get("/shop/v2/x"), true),
            // This version does not know the kind of its rule.
            (get("/shop/unknown"), false),
            (shop().with_token(TOKEN), true),
            (shop().with_token("maint_0"), false),
            (get("/blog/1"), true),
            (with_method("POST", "/blog/1"), false),
            (on_host("api.example", with_method("PUT", "/")), false),
            (on_host("a.old.example", get("/")), false),
            // This version does not know what restricts its window.
            (get("/lab/1"), false),
        ],
        written if written.starts_with("written-") => vec![
            (get("/"), true),
            (get("/shop/1"), false),
            (get("/shop/1").with_token(TOKEN), true),
            (get("/shop/static/a.css"), true),
            (from("203.0.113.7", get("/shop/1")), true),
            (from("10.1.2.3", get("/shop/1")).with("x-forwarded-for", "203.0.113.7"), true),
            (get("/shop/1").with("x-probe", "blue"), true),
            (get("/blog/1"), true),
            (with_method("POST", "/blog/1"), false),
            (on_host("api.example", with_method("PUT", "/")), false),
        ],
        other => panic!("{other}.json: what does it decide?"),
    }
}

/// Checks that a state is obeyed; returns how many requests were tried.
fn obeyed(gate: &Gate, name: &str, when: &str) -> usize {
    let decisions = decisions(name);
    for (request, passes) in &decisions {
        let answer = gate.current().at(at(NOW)).answer(request);
        assert_eq!(matches!(answer, Answer::Pass(_)), *passes, "{name}, {when}: {request:?}");
    }
    decisions.len()
}

pub(crate) fn maint(site: &TestSite, now: &str, args: &[&str], stdin: &str) -> String {
    // It finds the site from the working directory, so that the arguments, which are
    // kept, do not name it.
    let mut child = Command::new(MAINT)
        .args(args)
        .current_dir(site.dir.parent().unwrap())
        .env_clear()
        .envs([("MAINT_NOW", now), ("TZ", "UTC0")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{args:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// A state without the fields that every change rewrites.
fn lasting(site: &TestSite) -> Value {
    let mut state: Value = serde_json::from_slice(&fs::read(site.state_file()).unwrap()).unwrap();
    let fields = state.as_object_mut().unwrap();
    fields.remove("revision");
    fields.remove("last_change");
    state
}

#[test]
fn requirement_26_golden_states_are_obeyed_and_changed_without_losing_a_word() {
    let (mut states, mut rewritten, mut requests) = (0, 0, 0);
    let mut files: Vec<_> =
        fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let site = TestSite::new();
        site.template("sorry.html", "<p>sorry</p>");
        write(&site.state_file(), fs::read(&file).unwrap());
        let gate = site.gate();
        requests += obeyed(&gate, name, "as it was");
        maint(&site, NOW, &["status", "--json"], "");
        states += 1;
        let before = lasting(&site);
        if before["version"] == json!(1) {
            maint(&site, NOW, &["ignore", "add", "path", "/one-more"], "");
            assert!(matches!(gate.answer(&get("/one-more")), Answer::Pass(_)), "{name}");
            let id = gate.revision();
            maint(&site, NOW, &["ignore", "remove", &format!("r{id}")], "");
            let mut after = lasting(&site);
            // A minimal state gains the field that says who may read it.
            for (field, value) in [("min_reader", json!(1)), ("ignore", json!({}))] {
                if before.get(field).is_none() && after.get(field) == Some(&value) {
                    after.as_object_mut().unwrap().remove(field);
                }
            }
            assert_eq!(before, after, "{name}");
            requests += obeyed(&gate, name, "changed and changed back");
            rewritten += 1;
        }
        assert_eq!(site.told(), [""; 0], "{name}");
    }
    assert!(states >= 4, "found them");
    figure(&format!(
        "{states} of {states} golden states obeyed ({requests} requests), {rewritten} of \
         {rewritten} changed without losing a word; no version was released yet, so none is of an \
         older one"
    ));
}

/// A site with whatever this version of the command writes.
pub(crate) fn written_today() -> TestSite {
    let site = TestSite::new();
    let steps: [(&str, &[&str], &str); 12] = [
        ("03:00:00", &["init", "--name", "Example Shop"], ""),
        ("03:00:01", &["template", "add", "sorry"], "<p>sorry</p>"),
        ("03:00:02", &["template", "use", "sorry"], ""),
        ("03:00:03", &["proxy", "add", "10.0.0.0/8"], ""),
        ("03:00:04", &["ignore", "add", "path", "/shop/static/**", "--note", "assets"], ""),
        ("03:00:05", &["ignore", "add", "ip", "203.0.113.0/24", "--for", "2h"], ""),
        ("03:00:06", &["ignore", "add", "header", "X-Probe: blue"], ""),
        ("03:00:07", &["on", "blog", "--path", "/blog/**", "--read-only"], ""),
        ("03:00:08", &["on", "api", "--method", "PUT", "--host", "api.example", "--for", "1h"], ""),
        ("03:00:09", &["bypass", "new", "--note", "Ann", "--for", "3h", "--keep"], ""),
        (
            "03:00:10",
            &[
                "page",
                "set",
                "--title",
                "Back soon",
                "--contact",
                "help@example.com",
                "--status-url",
                "https://status.example.com/",
                "--language",
                "fr",
            ],
            "",
        ),
        (
            "03:00:10.5",
            &[
                "on",
                "-m",
                "Back <at> noon",
                "-m",
                "de=Zurück <um> zwölf",
                "--until",
                "12:00",
                "--estimate",
                "11:30",
                "--format",
                "json",
                "--path",
                "/shop/**",
            ],
            "",
        ),
    ];
    for (time, args, stdin) in steps {
        maint(&site, &format!("2026-11-22T{time}Z"), args, stdin);
    }
    site
}

/// The golden file has what is written today; `MAINT_REGENERATE=1` writes it.
pub(crate) fn is_golden(file: &Path, today: &str) {
    if std::env::var_os("MAINT_REGENERATE").is_some() {
        write(file, today);
    }
    let golden = fs::read_to_string(file).unwrap_or_default();
    let hint = "MAINT_REGENERATE=1 cargo test --test gate golden";
    assert_eq!(
        golden,
        today,
        "{} is stale: check the difference, and run `{hint}`",
        file.display()
    );
}

/// Replaces what differs between hosts.
pub(crate) fn anonymous(value: &mut Value) {
    for value in value.as_array_mut().into_iter().flatten() {
        anonymous(value);
    }
    for (name, value) in value.as_object_mut().into_iter().flatten() {
        match name.as_str() {
            "actor" | "by" | "opened_by" => {
                *value = json!({ "user": "deploy", "host": "web1", "pid": 1 });
            }
            "added_by" => *value = json!("deploy@web1"),
            "sha256" => *value = json!(bypass::digest(TOKEN)),
            _ => anonymous(value),
        }
    }
}

#[test]
fn requirement_26_the_golden_state_of_this_version_is_what_it_writes() {
    let site = written_today();
    let mut state: Value = serde_json::from_slice(&fs::read(site.state_file()).unwrap()).unwrap();
    anonymous(&mut state);
    is_golden(&written(), &(serde_json::to_string_pretty(&state).unwrap() + "\n"));
}
