//! Runs the conformance vectors: `tests/vectors/README.md` describes them.

#[cfg(all(unix, feature = "serve"))]
#[path = "common/endpoint.rs"]
mod endpoint;
#[path = "common/say.rs"]
mod say;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use maint::gate::{Answer, Gate, Plan};
use maint::internal::page::{Pages, SiteDefaults, Templates};
use maint::page::Reply;
use maint::request::{RequestParts, User};
use maint::{Error, Site, State};
use say::figure;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A file of vectors, those of decisions or those of state files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<V> {
    about: String,
    vectors: Vec<V>,
}

/// A text, in pieces where it is long or not UTF-8.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Pieces(Vec<Piece>),
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Piece {
    Plain(String),
    Repeated { repeat: String, times: usize },
    Bytes { hex: String },
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Plain(text) => text.clone().into_bytes(),
            Self::Pieces(pieces) => pieces.iter().flat_map(Piece::bytes).collect(),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("only a file may be another encoding")
    }
}

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Plain(text) => text.clone().into_bytes(),
            Self::Repeated { repeat, times } if !repeat.contains("{n}") => {
                repeat.repeat(*times).into_bytes()
            }
            Self::Repeated { repeat, times } => {
                let one = |n: usize| repeat.replace("{n}", &n.to_string());
                (1..=*times).map(one).collect::<String>().into_bytes()
            }
            Self::Bytes { hex } => {
                let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
                digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    state: serde_json::Value,
    request: Asked,
    now: Timestamp,
    decision: Verdict,
    by: Option<Deciders>,
    status: Option<u16>,
    format: Option<String>,
    retry_after: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Pass,
    Block,
}

/// The names accepted as what decided.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Deciders {
    One(String),
    AnyOf(Vec<String>),
}

/// The request of a vector.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    method: String,
    target: Text,
    host: Option<String>,
    peer: Option<IpAddr>,
    headers: Vec<(String, Text)>,
    user: Option<Class>,
    token: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Class {
    Anonymous,
    Authenticated,
    Staff,
    Superuser,
}

impl Asked {
    fn facts(&self) -> RequestParts {
        let user = self.user.map(|class| match class {
            Class::Anonymous => User::anonymous(),
            Class::Authenticated => User::authenticated(),
            Class::Staff => User::authenticated().staff(true),
            Class::Superuser => User::authenticated().staff(true).superuser(true),
        });
        let mut facts = RequestParts::new(&self.method, &self.target.text())
            .with_peer(self.peer)
            .with_user(user);
        facts.host.clone_from(&self.host);
        for (name, value) in &self.headers {
            facts = facts.with(name, &value.text());
        }
        match &self.token {
            Some(token) => facts.with_token(token),
            None => facts,
        }
    }
}

impl Vector {
    /// The answer with the page of a window.
    fn answered(&self, state: &State, window: &str) -> Reply {
        let templates = Arc::new(Templates::empty());
        let site = SiteDefaults::new(None, &state.page, &templates);
        let pages = Pages::new(window, &state.windows[window], &site, &mut Vec::new());
        pages.reply(&self.request.facts(), self.now)
    }

    /// What is wrong with the decision or the answer, if anything.
    fn failure(&self) -> Option<String> {
        let state = match serde_json::from_value::<State>(self.state.clone()) {
            Ok(state) => state,
            Err(cause) => return Some(format!("the state cannot be read: {cause}")),
        };
        if let Err(cause) = state.validate() {
            return Some(format!("the state is not valid: {cause}"));
        }
        let plan = match Plan::new(&state) {
            Ok(plan) => plan,
            Err(cause) => return Some(format!("there is no plan: {cause}")),
        };
        let decision = plan.decide(&self.request.facts(), self.now);
        let verdict = if decision.is_pass() { Verdict::Pass } else { Verdict::Block };
        let by = decision.by();
        let named_rightly = match (&self.by, by) {
            (None, None) => true,
            (Some(Deciders::One(expected)), Some(by)) => expected == by,
            (Some(Deciders::AnyOf(expected)), Some(by)) => expected.iter().any(|one| one == by),
            _ => false,
        };
        if verdict != self.decision || !named_rightly {
            let (decision, named) = (self.decision, &self.by);
            return Some(format!(
                "{decision:?} by {named:?} expected, {verdict:?} by {by:?} found"
            ));
        }
        if self.status.is_none() && self.format.is_none() && self.retry_after.is_none() {
            return None;
        }
        let answer = self.answered(&state, by?);
        let (status, format) = (answer.status(), answer.format().map(|format| format.to_string()));
        if self.status.is_some_and(|expected| expected != status) {
            return Some(format!("status {:?} expected, {status} found", self.status));
        }
        if self.format.is_some() && self.format != format {
            return Some(format!("format {:?} expected, {format:?} found", self.format));
        }
        let found = answer.header("retry-after").unwrap_or_default();
        let expected = self.retry_after?.to_string();
        (found != expected).then(|| format!("Retry-After {expected} expected, {found} found"))
    }
}

/// What becomes of the bytes of a state file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileVector {
    name: String,
    file: Text,
    result: Outcome,
    decision: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Read,
    Broken,
    Newer,
}

impl Outcome {
    fn of<T>(result: &maint::Result<T>) -> Self {
        match result {
            Ok(_) => Self::Read,
            Err(Error::Corrupt { .. }) => Self::Broken,
            Err(Error::Newer { .. }) => Self::Newer,
            Err(other) => panic!("neither broken nor too new: {other}"),
        }
    }
}

impl FileVector {
    /// What is wrong with what is made of the file: by the reader of whole states, which the
    /// command has, and by that of the gate.
    #[expect(clippy::disallowed_methods, reason = "the files are what is tested")]
    fn failure(&self, directory: &Path) -> Option<String> {
        fs::write(directory.join("state.json"), self.file.bytes()).unwrap();
        let site = Site::at(directory);
        let gate = Gate::open(&site);
        for (who, found) in [("whole", Outcome::of(&site.state())), ("gate", Outcome::of(&gate))] {
            if found != self.result {
                return Some(format!("{who}: {:?} expected, {found:?} found", self.result));
            }
        }
        let now = "2026-11-22T03:30:00Z".parse().unwrap();
        let request = RequestParts::new("GET", "/").with_host("example.com");
        let found = gate.ok().map(|gate| match gate.current().at(now).answer(&request) {
            Answer::Pass(_) => Verdict::Pass,
            Answer::Reply(_) => Verdict::Block,
        });
        (found != self.decision).then(|| format!("{:?} expected, {found:?} found", self.decision))
    }
}

fn files<V: DeserializeOwned>(directory: &str) -> Vec<(PathBuf, File<V>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let file = serde_json::from_str(&text)
            .unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
        (path, file)
    };
    paths.into_iter().map(read).collect()
}

/// Runs every vector and says how many there were; fails with all that differ.
fn run<V>(
    files: &[(PathBuf, File<V>)],
    name: impl Fn(&V) -> &str,
    failure: impl Fn(&V) -> Option<String>,
) -> usize {
    let mut names = HashSet::new();
    let mut failures = String::new();
    for (path, file) in files {
        let topic = path.file_stem().unwrap_or_default().to_string_lossy();
        assert!(!file.about.is_empty(), "{topic} has no `about`");
        for vector in &file.vectors {
            let name = name(vector);
            assert!(names.insert(name), "two vectors are named `{name}`");
            if let Some(failure) = failure(vector) {
                writeln!(failures, "{topic}: {name}\n    {failure}").unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "decided differently from the vectors:\n{failures}");
    names.len()
}

#[test]
fn requirement_56_every_vector_decides_as_written() {
    let number = run(&files("tests/vectors"), |vector: &Vector| &vector.name, Vector::failure);
    assert!(number >= 300, "only {number} vectors");
    figure(&format!("{number} of {number} vectors decide as written"));
}

#[test]
#[cfg(all(unix, feature = "serve"))]
#[expect(clippy::disallowed_methods, reason = "the state of each vector")]
fn requirement_84_every_vector_is_decided_the_same_through_the_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::at(directory.path());
    let untold = std::cell::Cell::new(0);
    let number = run(
        &files("tests/vectors"),
        |vector: &Vector| &vector.name,
        |vector| {
            let facts = vector.request.facts();
            let case = endpoint::Case { facts: &facts, now: vector.now, site: &site };
            if !case.can_be_told() {
                untold.set(untold.get() + 1);
                return None;
            }
            let mut state = vector.state.clone();
            state["revision"] = 1.into();
            fs::write(directory.path().join("state.json"), state.to_string()).unwrap();
            case.difference(directory.path())
        },
    );
    let told = number - untold.get();
    assert!(told * 10 > number * 9, "{told} of {number} could be told");
    figure(&format!(
        "0 differences in {told} vectors by 2 protocols; {} are no request that a proxy passes on",
        untold.get()
    ));
}

/// What visitors are told, which decides nothing: of a window, and of a page.
const TOLD: [&str; 3] = ["reason", "reasons", "estimate"];
const TOLD_ON_THE_PAGE: [&str; 5] = ["format", "title", "contact", "status_url", "language"];

/// The same state as it looks to a reader that does not know what visitors are told.
fn untold(state: &serde_json::Value) -> serde_json::Value {
    let mut state = state.clone();
    let forget = |page: Option<&mut serde_json::Value>| {
        if let Some(page) = page.and_then(serde_json::Value::as_object_mut) {
            page.retain(|name, _| !TOLD_ON_THE_PAGE.contains(&&**name));
        }
    };
    forget(state.get_mut("page"));
    let windows = state.get_mut("windows").and_then(serde_json::Value::as_object_mut);
    for window in windows.into_iter().flat_map(serde_json::Map::values_mut) {
        forget(window.get_mut("page"));
        let window = window.as_object_mut().unwrap();
        window.retain(|name, _| !TOLD.contains(&&**name));
    }
    state
}

/// The same state with all that visitors can be told.
fn told(state: &serde_json::Value) -> serde_json::Value {
    let mut state = untold(state);
    let page = serde_json::json!({
        "format": "json", "title": "Back soon", "contact": "help@example.com",
        "status_url": "https://status.example.com/", "language": "de",
    });
    let tell = |of: &mut serde_json::Value| {
        let pages = of.as_object_mut().unwrap().entry("page").or_insert(serde_json::json!({}));
        pages.as_object_mut().unwrap().extend(page.as_object().unwrap().clone());
    };
    tell(&mut state);
    let windows = state.get_mut("windows").and_then(serde_json::Value::as_object_mut);
    for window in windows.into_iter().flat_map(serde_json::Map::values_mut) {
        tell(window);
        let estimate = window["end"].as_str().unwrap_or("9999-12-30T21:00:00Z").to_owned();
        window["estimate"] = estimate.into();
        window["reason"] = "Platten".into();
        window["reasons"] = serde_json::json!({ "en": "Disks", "pt-br": "Discos" });
    }
    state
}

#[test]
fn a_reader_that_does_not_know_what_visitors_are_told_decides_the_same() {
    let (mut differ, mut without, mut with) = (String::new(), 0, 0);
    for vector in files::<Vector>("tests/vectors").into_iter().flat_map(|(_, file)| file.vectors) {
        let verdict = |state: serde_json::Value| {
            let state: State = serde_json::from_value(state).unwrap();
            state.validate().unwrap();
            let plan = Plan::new(&state).unwrap();
            let is_pass = plan.decide(&vector.request.facts(), vector.now).is_pass();
            if is_pass { Verdict::Pass } else { Verdict::Block }
        };
        let (less, more) = (untold(&vector.state), told(&vector.state));
        without += u32::from(less != vector.state);
        with += u32::from(more != vector.state);
        if [verdict(less), verdict(more)] != [vector.decision; 2] {
            writeln!(differ, "{}", vector.name).unwrap();
        }
    }
    assert!(differ.is_empty(), "decided differently:\n{differ}");
    assert!(without >= 20 && with >= 300, "{without} and {with} states differ");
    figure(&format!(
        "{without} vectors without what visitors are told, and {with} with all of it, decide the same"
    ));
}

#[test]
fn every_vector_of_a_state_file_is_read_or_refused_as_written() {
    let temp = tempfile::tempdir().unwrap();
    let files = files("tests/vectors/files");
    let number =
        run(&files, |vector: &FileVector| &vector.name, |vector| vector.failure(temp.path()));
    assert!(number >= 300, "only {number} vectors");
    figure(&format!("{number} of {number} state files are read or refused as written"));
}

#[test]
fn requirement_57_a_vector_that_says_the_opposite_is_found() {
    let (mut vectors, mut found) = (0, 0);
    for (_, file) in files::<Vector>("tests/vectors") {
        for mut vector in file.vectors {
            vector.decision = match vector.decision {
                Verdict::Pass => Verdict::Block,
                Verdict::Block => Verdict::Pass,
            };
            vectors += 1;
            found += u32::from(vector.failure().is_some());
        }
    }
    figure(&format!("{found} of {vectors} vectors are found wrong that say the opposite"));
    assert_eq!(found, vectors);
}
