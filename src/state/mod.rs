//! The state of a site: what `state.json` says.
//!
//! Everything here is a pure function of its arguments. `docs/state-file.md`
//! documents the file for other languages.

mod alter;
pub(crate) mod bypass;
mod change;
pub(crate) mod contact;
mod edit;
mod gap;
mod json;
pub(crate) mod language;
mod lean;
pub(crate) mod link;
mod loss;
pub(crate) mod page;
pub(crate) mod parts;
#[cfg(test)]
pub(crate) mod schema_test;
pub(crate) mod shadow;
pub(crate) mod shown;
mod strict;
mod text;
pub(crate) mod window;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use alter::Extension;
pub use bypass::{BypassToken, MAX_TOKENS};
pub use change::{Change, diff};
pub use edit::{Closed, Opened, RuleSettings, WindowSettings, lease_end};
pub use gap::{Gap, ScopeList};
pub(crate) use json::Malformed;
#[doc(hidden)]
pub use json::read;
pub(crate) use lean::LeanRule;
pub use loss::Loss;
pub use page::{DEFAULT_RETRY_AFTER, DEFAULT_STATUS, MAX_RETRY_AFTER, PageSettings};
pub(crate) use window::validate_name;
pub use window::{
    DEFAULT_WINDOW, MAX_LANGUAGES, MAX_REASON, MAX_SCOPES, MAX_WINDOWS, Phase, Scope, Window,
};

use crate::actor::Actor;
use crate::error::{Error, Result};
use crate::request::proxies::{self, TrustedProxies};
use crate::rules::{Kind, Rule};

/// The version of the state file that this library writes, and the newest it reads.
pub const VERSION: u64 = 1;

/// The largest revision that is read or written: readers in other languages keep
/// numbers as doubles, which tell no larger ones apart (RFC 8259, 6).
pub const MAX_REVISION: u64 = (1 << 53) - 1;

/// The largest state file read or written, in bytes.
pub const MAX_SIZE: usize = 8 * 1024 * 1024;

/// How many ignore rules a state may have.
pub const MAX_RULES: usize = 10_000;

/// How many ignore rules may be regular expressions.
pub const MAX_REGEXES: usize = 1_000;

/// The longest note on a rule or token, in bytes.
pub const MAX_NOTE: usize = 1_024;

/// The longest name of a site, in bytes.
const MAX_NAME: usize = 200;

/// All that `maint` knows of a site, except its templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct State {
    /// The version of the format. This is version 1.
    pub version: u64,
    /// The oldest version whose readers can decide safely on this file.
    #[serde(default = "oldest")]
    pub min_reader: u64,
    /// Rises by one with each change; after the largest, 2^53 - 1, comes 1.
    #[cfg_attr(test, schemars(range(max = 9_007_199_254_740_991_u64)))]
    pub revision: u64,
    /// The highest number in an id, where one change made several: ids are not used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(max = 9_007_199_254_740_991_u64)))]
    pub last_id: Option<u64>,
    /// The last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<LastChange>,
    /// The name that visitors know the site by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The maintenance windows, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub windows: BTreeMap<String, Window>,
    /// The ignore rules, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ignore: BTreeMap<String, Rule>,
    /// The bypass tokens, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bypass: BTreeMap<String, BypassToken>,
    /// How pages are answered, unless a window says otherwise.
    #[serde(default, skip_serializing_if = "PageSettings::is_default")]
    pub page: PageSettings,
    /// The proxies trusted for the client's address; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<TrustedProxies>,
    /// SHA-256 digests of the templates by file name, as last written by `maint`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, String>,
    /// The user that the web server runs as. A change warns if that user could not
    /// read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_user: Option<String>,
    /// Which document of a fleet this is a copy of; absent where a site follows no engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

const fn oldest() -> u64 {
    1
}

/// When, by whom and how the state was last changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LastChange {
    /// The time on the writer's clock.
    #[cfg_attr(test, schemars(with = "crate::state::schema_test::Time"))]
    pub at: Timestamp,
    /// Who changed it.
    #[serde(default)]
    pub by: Actor,
    /// The command, without the name of the program, and without the arguments of a command
    /// that it ran.
    #[serde(default, deserialize_with = "crate::shell::read_recorded")]
    pub command: String,
}

/// Which document of a fleet a state is a copy of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Mirror {
    /// The random id of all documents that followed on the first one of the site.
    pub lineage: String,
    /// The number of the document, which rises with each change.
    #[serde(rename = "seq")]
    #[cfg_attr(test, schemars(range(max = 9_007_199_254_740_991_u64)))]
    pub sequence: u64,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

impl Mirror {
    pub(crate) fn new(lineage: impl Into<String>, sequence: u64) -> Self {
        Self { lineage: lineage.into(), sequence, extra: Map::new() }
    }
}

impl Default for State {
    /// What a missing state file means: nothing is down.
    fn default() -> Self {
        Self {
            version: VERSION,
            min_reader: oldest(),
            revision: 0,
            last_id: None,
            last_change: None,
            name: None,
            windows: BTreeMap::new(),
            ignore: BTreeMap::new(),
            bypass: BTreeMap::new(),
            page: PageSettings::default(),
            trusted_proxies: None,
            templates: BTreeMap::new(),
            web_user: None,
            mirror: None,
            extra: Map::new(),
        }
    }
}

impl State {
    /// Checks everything that a reader relies on.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] names the first thing that is wrong.
    pub fn validate(&self) -> Result<()> {
        let within = |what: &str, number: usize, most: usize| {
            if number > most {
                Err(Error::invalid(format!(
                    "a site has at most {most} {what}, and this would make {number}"
                )))
            } else {
                Ok(())
            }
        };
        let numbers = [("revision", Some(self.revision)), ("last id", self.last_id)];
        for (what, number) in numbers {
            if let Some(number) = number.filter(|&number| number > MAX_REVISION) {
                return Err(Error::invalid(format!(
                    "the {what} is {number}; {MAX_REVISION} is the largest"
                )));
            }
        }
        within("windows", self.windows.len(), MAX_WINDOWS)?;
        within("ignore rules", self.ignore.len(), MAX_RULES)?;
        within("bypass tokens", self.bypass.len(), MAX_TOKENS)?;
        let regexes = self
            .ignore
            .values()
            .filter(|rule| rule.kind == Kind::Path && rule.value.starts_with("re:"))
            .count();
        within("regular expressions", regexes, MAX_REGEXES)?;

        let inside = |what: &str, name: &str, cause: Error| match cause {
            Error::Invalid { message, hint } => {
                Error::Invalid { message: format!("{what} `{name}`: {message}"), hint }
            }
            other => other,
        };
        for (name, window) in &self.windows {
            window::validate_name(name)?;
            window.validate().map_err(|cause| inside("window", name, cause))?;
        }
        for (id, rule) in &self.ignore {
            rule.matcher().map_err(|cause| inside("ignore rule", id, cause))?;
            validate_note(rule.note.as_deref())
                .map_err(|cause| inside("ignore rule", id, cause))?;
        }
        for (id, token) in &self.bypass {
            token.validate().map_err(|cause| inside("bypass token", id, cause))?;
            validate_note(token.note.as_deref())
                .map_err(|cause| inside("bypass token", id, cause))?;
        }
        self.page.validate()?;
        if let Some(proxies) = &self.trusted_proxies {
            proxies::validate_proxies(&proxies.networks)?;
        }
        if let Some(name) = &self.name {
            text::validate_text("the name of the site", name, MAX_NAME)?;
        }
        if let Some(user) = &self.web_user {
            text::validate_text("the web user", user, 64)?;
        }
        for file in self.templates.keys() {
            let (name, extension) = file.rsplit_once('.').unwrap_or((file, ""));
            page::validate_template_name(name)?;
            extension.parse::<crate::format::Format>()?;
        }
        Ok(())
    }

    /// The windows in a phase at `now`, by name.
    pub fn windows_in(
        &self,
        phase: Phase,
        now: Timestamp,
    ) -> impl Iterator<Item = (&str, &Window)> {
        self.windows
            .iter()
            .filter(move |(_, window)| window.phase(now) == phase)
            .map(|(name, window)| (name.as_str(), window))
    }

    /// Whether any window is open at `now`.
    #[must_use]
    pub fn is_down(&self, now: Timestamp) -> bool {
        self.windows_in(Phase::Open, now).next().is_some()
    }

    /// The next moment after `now` at which the clock alone changes a phase; `None` if
    /// there is none.
    #[must_use]
    pub fn next_edge(&self, now: Timestamp) -> Option<Timestamp> {
        self.windows.values().filter_map(|window| window.next_edge(now)).min()
    }
}

/// The number after one that only grows. There is always a next one, so that no number
/// in a state, however it got there, keeps the site from being changed.
pub(crate) fn next_number(number: u64) -> u64 {
    if number < MAX_REVISION { number + 1 } else { 1 }
}

fn validate_note(note: Option<&str>) -> Result<()> {
    note.map_or(Ok(()), |note| text::validate_text("the note", note, MAX_NOTE))
}

/// Sorts ids as people count: `r9` before `r10`.
#[must_use]
pub fn by_number<T>(items: &BTreeMap<String, T>) -> Vec<(&str, &T)> {
    let mut sorted: Vec<_> = items.iter().map(|(id, item)| (id.as_str(), item)).collect();
    sorted.sort_by_cached_key(|&(id, _)| (number(id), id));
    sorted
}

/// The number in an id, which rises with each new one.
fn number(id: &str) -> u64 {
    id.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_11_ten_thousand_rules_fit_and_one_more_does_not() {
        let rule: Rule = serde_json::from_str(r#"{"kind":"path","value":"/p/123456"}"#).unwrap();
        let mut state = State::default();
        for number in 0..MAX_RULES {
            state.ignore.insert(format!("r{number}"), rule.clone());
        }
        let bytes = state.to_json().unwrap();
        assert_eq!(State::from_json(&bytes).unwrap(), state);
        state.ignore.insert("more".to_owned(), rule);
        assert!(state.validate().unwrap_err().to_string().contains("at most 10000 ignore rules"));
    }

    #[test]
    fn ids_sort_as_people_count() {
        let map: BTreeMap<String, u8> =
            ["r10", "r9", "x", "r1"].map(|id| (id.to_owned(), 0)).into();
        let ids: Vec<&str> = by_number(&map).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["r1", "r9", "r10", "x"]);
    }
}
