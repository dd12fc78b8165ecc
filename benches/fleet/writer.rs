//! A writer that toggles the site, straight in the engine, as `maint on` and `off` do.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use maint::fleet::{
    Address, Cas, Document, Engine, Failure, FailureKind, Fate, Outcome, Revision, Write, open,
    random,
};
use maint::state::{State, WindowSettings};
use maint::store::{self, Options};
use maint::{Site, serde_json};

use crate::common::Result;
use crate::hosts::PATIENCE;

/// A change that was sent and not answered.
struct Unanswered {
    operation: String,
    follows: u64,
}

pub(crate) struct Writer {
    engine: Box<dyn Engine>,
    /// What is in the engine, if that is known.
    there: Option<(Revision, Document)>,
    /// The state with a window and without.
    states: [State; 2],
    unanswered: Vec<Unanswered>,
    /// When each change was sent and acknowledged, and its revision.
    pub(crate) acknowledged: Vec<(Instant, Instant, u64)>,
    pub(crate) failures: usize,
    /// How many of those that nobody acknowledged turned out to be in force.
    pub(crate) in_force: usize,
    /// How many that were acknowledged are gone.
    pub(crate) lost: u64,
}

impl Writer {
    pub(crate) fn to(url: &str) -> Result<Self> {
        let engine = open(&Address::parse(url)?, None).map_err(told)?;
        Ok(Self {
            engine,
            there: None,
            states: states()?,
            unanswered: Vec::new(),
            acknowledged: Vec::new(),
            failures: 0,
            in_force: 0,
            lost: 0,
        })
    }

    /// The last revision that was acknowledged.
    pub(crate) fn revision(&self) -> u64 {
        self.acknowledged.last().map_or(0, |(_, _, revision)| *revision)
    }

    /// Toggles once, and counts what fails.
    pub(crate) fn toggle(&mut self, within: Duration) -> Outcome<bool> {
        let toggled = self.try_to(within);
        if toggled.is_err() {
            self.there = None;
            self.failures += 1;
        }
        toggled
    }

    /// Toggles until it is acknowledged.
    pub(crate) fn must_toggle(&mut self) -> Result<Instant> {
        while !self.toggle(PATIENCE).map_err(told)? {}
        Ok(self.acknowledged[self.acknowledged.len() - 1].1)
    }

    fn try_to(&mut self, within: Duration) -> Outcome<bool> {
        let (revision, document) = match self.there.take() {
            Some(there) => there,
            None => self.load(within)?,
        };
        let mut state = self.states[usize::from(document.state.windows.is_empty())].clone();
        state.revision = document.state.revision + 1;
        let now = Timestamp::now();
        if let Some(change) = &mut state.last_change {
            change.at = now;
        }
        let none = |error: maint::Error| Failure::protocol(error.to_string());
        let operation = random().map_err(none)?;
        let next = document.next(state, &operation, now);
        let before = serde_json::to_vec(&document.state)
            .map_err(|error| Failure::protocol(error.to_string()))?;
        let put = [("before".to_owned(), before)];
        let bytes = next.to_json().map_err(none)?;
        let write = Write { document: &bytes, put: &put, remove: &[] };
        let sent = Instant::now();
        match self.engine.cas(Some(&revision), &write, within) {
            Ok(Cas::Committed(revision)) => {
                self.acknowledged.push((sent, Instant::now(), next.state.revision));
                self.there = Some((revision, next));
                Ok(true)
            }
            // Something that was not answered came through.
            Ok(Cas::Conflict) => Ok(false),
            Err(failure) => {
                if failure.kind == FailureKind::Ambiguous {
                    let follows = document.state.revision;
                    self.unanswered.push(Unanswered { operation, follows });
                }
                Err(failure)
            }
        }
    }

    /// Reads what is there, and looks what became of what was not answered.
    fn load(&mut self, within: Duration) -> Outcome<(Revision, Document)> {
        let snapshot = self.engine.load(within)?;
        let snapshot = snapshot.ok_or_else(|| Failure::protocol("there is no document"))?;
        let document = Document::from_json(&snapshot.document)
            .map_err(|odd| Failure::protocol(odd.to_string()))?;
        self.lost += self.revision().saturating_sub(document.state.revision);
        let is_decided = |sent: &Unanswered| match document.fate(&sent.operation, sent.follows) {
            Fate::Applied(_) => true,
            Fate::Lost | Fate::Unknown => false,
        };
        let before = self.unanswered.len();
        self.unanswered.retain(|sent| !is_decided(sent));
        self.in_force += before - self.unanswered.len();
        Ok((snapshot.revision, document))
    }

    /// Reads once more, so that all is counted, and returns the revision that is in force.
    pub(crate) fn last(&mut self) -> Result<u64> {
        let (_, document) = self.load(PATIENCE).map_err(told)?;
        Ok(document.state.revision)
    }
}

/// The state of a site with a window and without, as the store writes it.
fn states() -> Result<[State; 2]> {
    let temp = tempfile::tempdir()?;
    let site = Site::at(temp.path().join(".maint"));
    store::create(&site)?;
    let settings = WindowSettings::new().reason("Back at noon");
    let options = || Options::new("bench");
    let open =
        |state: &mut State, stamp: store::Stamp<'_>| state.open_window("deploy", &settings, stamp);
    let on = store::update(&site, &options(), open)?.after;
    let close =
        |state: &mut State, stamp: store::Stamp<'_>| state.close_window("deploy", stamp.now);
    let off = store::update(&site, &options(), close)?.after;
    Ok([off, on])
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn told(failure: Failure) -> String {
    failure.to_string()
}
