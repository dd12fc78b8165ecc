//! Runs the conformance vectors: `tests/vectors/README.md` describes them.

#[path = "common/say.rs"]
mod say;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use maint::State;
use maint::gate::Plan;
use maint::internal::page::{Pages, SiteDefaults, Templates};
use maint::request::{RequestParts, User};
use say::figure;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    vectors: Vec<Vector>,
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
    target: String,
    host: Option<String>,
    peer: Option<IpAddr>,
    headers: Vec<(String, String)>,
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
        let mut facts =
            RequestParts::new(&self.method, &self.target).with_peer(self.peer).with_user(user);
        facts.host.clone_from(&self.host);
        for (name, value) in &self.headers {
            facts = facts.with(name, value);
        }
        match &self.token {
            Some(token) => facts.with_token(token),
            None => facts,
        }
    }
}

impl Vector {
    /// The status of the page of a window.
    fn answered(&self, state: &State, window: &str) -> u16 {
        let templates = Arc::new(Templates::empty());
        let site = SiteDefaults::new(None, &state.page, &templates);
        let pages = Pages::new(window, &state.windows[window], &site, &mut Vec::new());
        pages.reply(&self.request.facts(), self.now).status()
    }

    /// What is wrong with the decision or the status, if anything.
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
        let expected = self.status?;
        let found = self.answered(&state, by?);
        (found != expected).then(|| format!("status {expected} expected, {found} found"))
    }
}

fn files() -> Vec<(PathBuf, File)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
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

#[test]
fn requirement_56_every_vector_decides_as_written() {
    let files = files();
    let mut names = HashSet::new();
    let mut failures = String::new();
    for (path, file) in &files {
        let topic = path.file_stem().unwrap_or_default().to_string_lossy();
        assert!(!file.about.is_empty(), "{topic} has no `about`");
        for vector in &file.vectors {
            assert!(names.insert(vector.name.as_str()), "two vectors are named `{}`", vector.name);
            if let Some(failure) = vector.failure() {
                writeln!(failures, "{topic}: {}\n    {failure}", vector.name).unwrap();
            }
        }
    }
    assert!(names.len() >= 300, "only {} vectors", names.len());
    assert!(failures.is_empty(), "decided differently from the vectors:\n{failures}");
    figure(&format!("{0} of {0} vectors decide as written", names.len()));
}

#[test]
fn requirement_57_a_vector_that_says_the_opposite_is_found() {
    let (mut vectors, mut found) = (0, 0);
    for (_, file) in files() {
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
