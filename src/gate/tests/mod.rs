//! What only the inside of a gate shows: what is read again, what is kept, what
//! is reported.

mod app;
mod awaited;
mod hostile;
mod noticing;
mod outlook;
mod rules;
mod scripts;
mod sharing;
mod telling;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::rules::RulesPlan;
use super::*;
use crate::Error;
use crate::page::Format;
use crate::request::{RequestParts, User};
use crate::say::{figure, skip};
use crate::sys::Look;

/// What has not come after this long never will.
const HANG: Duration = Duration::from_secs(300);

/// A request with what an app says of it.
struct AppRequest {
    parts: RequestParts,
    format: Option<Format>,
    tells_user: bool,
    /// How often the app was asked whether it is a read.
    asked: std::cell::Cell<u32>,
}

impl AppRequest {
    /// A request of an app that says nothing.
    fn of(parts: RequestParts) -> Self {
        Self { parts, format: None, tells_user: true, asked: 0.into() }
    }
}

impl Request for AppRequest {
    fn path(&self) -> &[u8] {
        self.parts.path()
    }

    fn method(&self) -> &str {
        self.parts.method()
    }

    fn host(&self) -> Option<&str> {
        self.parts.host()
    }

    fn peer(&self) -> Option<std::net::IpAddr> {
        self.parts.peer()
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.parts.header(name, each);
    }

    fn format(&self) -> Option<Format> {
        self.format
    }

    fn tells_user(&self) -> bool {
        self.tells_user
    }

    fn user(&self) -> Option<User> {
        self.parts.user
    }

    fn is_read(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.parts.is_read
    }
}

/// A site, and a writer that keeps the one rule of writers: the modification
/// time of the state rises with each replacement.
struct Desk {
    _temp: TempDir,
    dir: PathBuf,
    last: SystemTime,
    told: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn new() -> Self {
        Self::under(&std::env::temp_dir())
    }

    fn under(place: &Path) -> Self {
        let temp = tempfile::Builder::new().prefix("maint-gate-").tempdir_in(place).unwrap();
        let dir = temp.path().join(".maint");
        fs::create_dir(&dir).unwrap();
        let told = Arc::default();
        Self { _temp: temp, dir, last: SystemTime::UNIX_EPOCH, told }
    }

    fn state_file(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    fn gate(&self) -> Gate {
        self.gate_with(OnError::Refuse)
    }

    fn gate_with(&self, on_error: OnError) -> Gate {
        let told = self.told.clone();
        let on_problem: OnProblem =
            Arc::new(move |problem| told.lock().unwrap().push(problem.to_string()));
        let options = Options { on_error, on_problem: Some(on_problem), ..Options::default() };
        Gate::open_with(&Site::at(&self.dir), options).unwrap()
    }

    /// What was reported since the last call.
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    #[expect(clippy::disallowed_methods, reason = "a template, which nothing reads yet")]
    fn put_template(&self, file_name: &str, source: &str) {
        fs::write(self.dir.join("templates").join(file_name), source).unwrap();
    }

    /// Replaces the state as a whole.
    #[expect(clippy::disallowed_methods, reason = "a writer that does nothing but be fast")]
    fn replace(&mut self, text: &str) {
        let temp = self.dir.join("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).open(&temp).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.last = SystemTime::now().max(self.last + Duration::from_nanos(1));
        file.set_modified(self.last).unwrap();
        fs::rename(&temp, self.state_file()).unwrap();
    }

    fn put(&mut self, revision: u64, parts: &Value) {
        self.replace(&state(revision, parts));
    }

    /// Writes the state in place.
    fn overwrite(&self, text: &str) {
        let mut file =
            OpenOptions::new().write(true).truncate(true).open(self.state_file()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

fn state(revision: u64, parts: &Value) -> String {
    let mut state = json!({ "version": 1, "revision": revision });
    state.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    state.to_string()
}

/// One open window.
fn down(reason: &str) -> Value {
    json!({ "windows": { "w": { "opened_at": "2026-11-22T03:00:00Z", "reason": reason } } })
}

/// This many ignore rules, all of them paths below `/rule`.
fn rules(number: usize) -> Value {
    let rule = |n| (format!("r{n}"), json!({ "kind": "path", "value": format!("/rule/{n}") }));
    Value::Object((1..=number).map(rule).collect())
}

fn get(path: &str) -> RequestParts {
    RequestParts::new("GET", path)
}

fn is_blocked(gate: &Gate, path: &str) -> bool {
    matches!(gate.answer(&get(path)), Answer::Reply(_))
}

/// Waits for a fact rather than for a time.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < HANG, "{what} never comes");
        std::thread::sleep(Duration::from_millis(1));
    }
}
