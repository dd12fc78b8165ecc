//! Metrics, as Prometheus reads them, with the alerts and the board that stand on them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::rig::{Serving, command};
use crate::say::skip;

const OPENMETRICS: (&str, &str) =
    ("Accept", "application/openmetrics-text;version=1.0.0,*/*;q=0.1");

/// A program of Debian's `prometheus`.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = places.map(|place| place.join(name)).find(|program| program.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed; `make tools` installs it"));
    }
    found
}

fn metrics(serving: &Serving, accept: &[(&str, &str)]) -> String {
    let answer = serving.ask("GET", "/metrics", accept);
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).unwrap()
}

/// A site with something of everything that is measured.
fn busy() -> Serving {
    let serving = Serving::start(&[]);
    serving.maint(&["on", "-m", "Bigger disks", "--for", "30m", "--estimate", "20m"]);
    serving.maint(&["on", "later", "--at", "+2h"]);
    serving.maint(&["flag", "add", "file", "down"]);
    let told = [("X-Original-Method", "GET"), ("X-Original-URI", "/")];
    assert_eq!(serving.ask("GET", "/auth", &told).status, 403);
    assert_eq!(serving.ask("GET", "/auth", &[]).status, 400);
    serving
}

/// The value of a sample, by its name and some of its labels.
fn value(text: &str, name: &str, labels: &[&str]) -> f64 {
    let is_it = |line: &&str| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    };
    let line = text.lines().find(is_it).unwrap_or_else(|| panic!("no {name} {labels:?}: {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[expect(clippy::float_cmp, reason = "they are whole numbers")]
#[test]
fn metrics_tell_what_is_down_until_when_and_what_does_not_follow() {
    let serving = busy();
    for text in [metrics(&serving, &[]), metrics(&serving, &[OPENMETRICS])] {
        let of = |name: &str, labels: &[&str]| value(&text, name, labels);
        assert_eq!(of("maint_down", &[]), 1.0);
        assert_eq!(of("maint_state_readable", &[]), 1.0);
        assert_eq!(of("maint_state_revision", &[]), 3.0);
        assert_eq!(of("maint_windows", &["phase=\"open\""]), 1.0);
        assert_eq!(of("maint_windows", &["phase=\"scheduled\""]), 1.0);
        assert!((0.0..300.0).contains(&of("maint_window_age_seconds", &["window=\"default\""])));
        assert!((1500.0..=1800.0).contains(&of("maint_window_until_end_seconds", &[])));
        assert!((900.0..=1200.0).contains(&of("maint_window_until_estimate_seconds", &[])));
        let later = of("maint_window_until_start_seconds", &["window=\"later\""]);
        assert!((6900.0..=7200.0).contains(&later));
        assert_eq!(of("maint_agent_running", &[]), 0.0);
        assert_eq!(of("maint_flags", &[]), 1.0);
        assert_eq!(of("maint_flags_out_of_step", &[]), 0.0);
        assert_eq!(of("maint_decisions_total", &["outcome=\"block\""]), 1.0);
        assert_eq!(of("maint_decisions_total", &["outcome=\"untold\""]), 1.0);
        assert_eq!(of("maint_decisions_total", &["outcome=\"pass\""]), 0.0);
        assert_eq!(of("maint_build_info", &["version="]), 1.0);
    }
    // Somebody else removes the flag, and it shows with the next revision at the latest.
    fs::remove_file(serving.dir.path().join("down")).unwrap();
    File::create_new(serving.dir.path().join("down")).unwrap().write_all(b"theirs").unwrap();
    let args = ["page", "set", "--title", "Soon"];
    assert_eq!(command(&serving.dir).args(args).output().unwrap().status.code(), Some(10));
    let text = metrics(&serving, &[]);
    assert_eq!(value(&text, "maint_state_revision", &[]), 4.0);
    assert_eq!(value(&text, "maint_flags_out_of_step", &[]), 1.0);
}

#[test]
fn a_scraper_gets_the_format_that_it_asks_for() {
    let serving = Serving::start(&[]);
    let kind = |accept: &[(&str, &str)]| {
        let answer = serving.ask("GET", "/metrics", accept);
        let kind = answer.field("content-type").unwrap().to_owned();
        (kind, answer.body.ends_with(b"\n# EOF\n"))
    };
    let text = ("text/plain; version=0.0.4; charset=utf-8".to_owned(), false);
    assert_eq!(kind(&[]), text);
    assert_eq!(kind(&[("Accept", "text/plain")]), text);
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8".to_owned();
    assert_eq!(kind(&[OPENMETRICS]), (open, true));
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    let Some(promtool) = installed("promtool") else { return };
    let text = metrics(&busy(), &[]);
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut check = check.stderr(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{text}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

fn contrib(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(path)
}

#[test]
fn promtool_accepts_the_alerts_and_they_fire_when_they_should() {
    let Some(promtool) = installed("promtool") else { return };
    for arguments in
        [["check", "rules", "maint.rules.yml"], ["test", "rules", "maint.rules.test.yml"]]
    {
        let mut command = Command::new(&promtool);
        let output = command.args(arguments).current_dir(contrib("prometheus")).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

/// The names of metrics in a text.
fn names(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c)).filter(|word| word.starts_with("maint_")).collect()
}

#[test]
fn alerts_and_board_ask_for_metrics_that_there_are() {
    let text = metrics(&busy(), &[]);
    let there: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split('{').next())
        .filter(|it| !it.starts_with('#'))
        .collect();
    let board = fs::read_to_string(contrib("grafana/maint.json")).unwrap();
    let object: Value = serde_json::from_str(&board).unwrap();
    assert!(object["panels"].as_array().unwrap().len() >= 6);
    let alerts = fs::read_to_string(contrib("prometheus/maint.rules.yml")).unwrap();
    for wanted in [names(&board), names(&alerts)] {
        assert!(wanted.len() > 5, "{wanted:?}");
        for name in wanted {
            assert!(there.contains(&name), "{name} is not in\n{text}");
        }
    }
}
