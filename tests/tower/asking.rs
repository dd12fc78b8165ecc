//! Requirement 47: requests change nothing, whatever they ask for.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use axum::Router;
use axum::routing::{any, get};
use maint::Site;
use maint::store::{self, Options};

use crate::env::{Server, TestSite};
use crate::numbers::Numbers;
use crate::say::figure;

/// Words that might end maintenance somewhere.
const WORDS: [&str; 22] = [
    "maintenance",
    "maintenance-mode",
    "maint",
    ".maint",
    "state.json",
    "on",
    "off",
    "up",
    "down",
    "disable",
    "toggle",
    "admin",
    "api",
    "status",
    "_method",
    "DELETE",
    "maint_bypass",
    "%2e%2e",
    "%00",
    "..",
    "",
    "x",
];

const METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// Fields by which some servers take one method for another.
const FIELDS: [(&str, &str); 4] = [
    ("X-HTTP-Method-Override", "POST"),
    ("X-Method-Override", "DELETE"),
    ("Content-Type", "application/json"),
    ("X-Maintenance", "off"),
];

fn target(numbers: &mut Numbers, token: &str) -> String {
    let mut target = String::new();
    for _ in 0..=numbers.below(3) {
        target = target + "/" + numbers.one_of(&WORDS);
    }
    for number in 0..numbers.below(3) {
        target.push(if number == 0 { '?' } else { '&' });
        let value = if numbers.below(8) == 0 { token } else { numbers.one_of(&WORDS) };
        target = target + numbers.one_of(&WORDS) + "=" + value;
    }
    target
}

/// Every file of the site, with its time, to show any change.
fn files(site: &TestSite) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let file = |path: PathBuf| {
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        let bytes = fs::read(&path).unwrap_or_default();
        (path, (changed, bytes))
    };
    fs::read_dir(site.directory()).unwrap().map(|entry| file(entry.unwrap().path())).collect()
}

fn revision(site: &TestSite) -> u64 {
    Site::at(site.directory()).state().unwrap().revision
}

/// How many changes this many requests make.
fn changes_by_asking(site: &TestSite, app: Router, token: &str, requests: usize) -> u64 {
    let server = Server::start(app);
    let (before, revision_before) = (files(site), revision(site));
    let mut client = server.client();
    let mut numbers = Numbers(47);
    for _ in 0..requests {
        let method = numbers.one_of(&METHODS);
        let target = target(&mut numbers, token);
        let fields = if numbers.below(2) == 0 { &FIELDS[..] } else { &[] };
        let answer = client.ask(method, &target, fields);
        assert!(answer.status < 500 || answer.status == 503, "{method} {target}: {answer:?}");
    }
    let changes = revision(site) - revision_before;
    assert_eq!(files(site) == before, changes == 0, "what else was changed?");
    changes
}

fn down() -> (TestSite, String) {
    let site = TestSite::new();
    site.ok(&["on"]);
    let token = site.ok(&["bypass", "new", "--quiet"]).trim().to_owned();
    (site, token)
}

#[test]
fn requirement_47_no_get_head_or_options_changes_the_state() {
    const REQUESTS: usize = 10_000;
    let (site, token) = down();
    let app = Router::new().fallback(any(async || "app")).layer(site.layer());
    let changes = changes_by_asking(&site, app, &token, REQUESTS);
    figure(&format!("{REQUESTS} requests by GET, HEAD and OPTIONS: {changes} changes"));
    assert_eq!(changes, 0);
}

#[test]
fn requirement_57_a_link_that_ends_the_maintenance_is_found() {
    const REQUESTS: usize = 2_000;
    let (site, token) = down();
    let of_app = Site::at(site.directory());
    // A link as django-maintenance-mode has it.
    let off = get(async move || {
        let close = |state: &mut maint::State, _: store::Stamp<'_>| {
            state.windows.clear();
            Ok(())
        };
        store::update(&of_app, &Options::new("off"), close).unwrap();
        "up"
    });
    let app =
        Router::new().fallback(any(async || "app")).layer(site.layer()).route("/{admin}/off", off);
    let changes = changes_by_asking(&site, app, &token, REQUESTS);
    figure(&format!("found among {REQUESTS} requests to an app that has one"));
    assert_eq!(changes, 1, "the first one ends the maintenance");
}
