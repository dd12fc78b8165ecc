//! The state of a site: what `state.json` says.
//!
//! Everything here is a pure function of its arguments. `docs/state-file.md`
//! documents the file for other languages.

pub mod bypass;
mod change;
mod edit;
mod lean;
pub(crate) mod parts;
#[cfg(test)]
pub(crate) mod schema_test;
mod strict;
pub mod window;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use change::{Change, diff};
pub use edit::{Closed, Opened, WindowSettings, lease_end};
pub(crate) use lean::LeanRule;

use crate::actor::Actor;
use crate::error::{Error, Result};
use crate::page::{PageSettings, template};
use crate::rules::{Kind, Rule};
use bypass::{BypassToken, MOST_TOKENS};
use window::{MOST_WINDOWS, Phase, Window};

/// The version of the state file that this library writes, and the newest it reads.
pub const VERSION: u64 = 1;

/// The largest state file read or written, in bytes.
pub const LARGEST: usize = 8 * 1024 * 1024;

/// How many ignore rules a state may have.
pub const MOST_RULES: usize = 100_000;

/// How many of them may be regular expressions.
pub const MOST_REGEXES: usize = 1_000;

/// The longest note on a rule or token, in bytes.
pub const LONGEST_NOTE: usize = 1_024;

/// The longest name of a site, in bytes.
const LONGEST_NAME: usize = 200;

/// Up to this size the file is indented for people.
const INDENTED_UP_TO: usize = 256 * 1024;

/// All that `maint` knows of a site but its templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct State {
    /// The version of the format. This is version 1.
    pub version: u64,
    /// The oldest version whose readers still decide safely on this file.
    #[serde(default = "oldest")]
    pub min_reader: u64,
    /// Rises by one with each change.
    pub revision: u64,
    /// The last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<LastChange>,
    /// What visitors know the site as.
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
    /// How pages are answered where a window does not say.
    #[serde(default, skip_serializing_if = "PageSettings::is_default")]
    pub page: PageSettings,
    /// The proxies whose word on the client's address is taken. Absent: nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<TrustedProxies>,
    /// SHA-256 digests of the templates by file name, as last written by `maint`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, String>,
    /// The user that the web server runs as, so that a state it could not read
    /// is noticed when it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_user: Option<String>,
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
pub struct LastChange {
    /// The time on the writer's clock.
    #[cfg_attr(test, schemars(with = "crate::state::schema_test::Time"))]
    pub at: Timestamp,
    /// Who changed it.
    #[serde(default)]
    pub by: Actor,
    /// The command, without the name of the program.
    #[serde(default)]
    pub command: String,
}

/// Whose word on the client's address is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TrustedProxies {
    /// The one header field that they set.
    pub header: ProxyHeader,
    /// The networks they connect from.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub networks: Vec<IpNet>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

/// The header field in which proxies pass the client's address on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, the usual one.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Default for State {
    /// What a missing state file means: nothing is down.
    fn default() -> Self {
        Self {
            version: VERSION,
            min_reader: oldest(),
            revision: 0,
            last_change: None,
            name: None,
            windows: BTreeMap::new(),
            ignore: BTreeMap::new(),
            bypass: BTreeMap::new(),
            page: PageSettings::default(),
            trusted_proxies: None,
            templates: BTreeMap::new(),
            web_user: None,
            extra: Map::new(),
        }
    }
}

/// Why a text is not a state.
#[derive(Debug)]
pub(crate) enum Malformed {
    /// A later version that this one cannot decide on.
    Newer(u64),
    /// Anything else, in words.
    Broken(String),
}

impl State {
    /// Reads a state from JSON.
    ///
    /// Duplicate keys, too much of anything and values that make no sense are
    /// refused; fields of later versions are kept in `extra`.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Header {
            version: u64,
            min_reader: Option<u64>,
        }
        let broken = |cause: &dyn std::fmt::Display| Malformed::Broken(cause.to_string());
        if bytes.len() > LARGEST {
            return Err(Malformed::Broken(format!("it is larger than {LARGEST} bytes")));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Malformed::Broken("it is empty".to_owned()));
        }
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Malformed::Broken("it is not a JSON object".to_owned()));
        }
        strict::check(bytes).map_err(|cause| broken(&cause))?;
        let header: Header = serde_json::from_slice(bytes).map_err(|cause| broken(&cause))?;
        if header.min_reader.unwrap_or(header.version) > VERSION {
            return Err(Malformed::Newer(header.version));
        }
        if header.version == 0 {
            return Err(Malformed::Broken("there is no version 0".to_owned()));
        }
        let state: Self = serde_json::from_slice(bytes).map_err(|cause| broken(&cause))?;
        state.validate().map_err(|cause| broken(&cause))?;
        Ok(state)
    }

    /// The state as it is written: indented while it is small.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        let impossible = |cause: serde_json::Error| {
            Error::invalid(format!("the state cannot be written as JSON: {cause}"))
        };
        let mut bytes = serde_json::to_vec_pretty(self).map_err(impossible)?;
        if bytes.len() > INDENTED_UP_TO {
            bytes = serde_json::to_vec(self).map_err(impossible)?;
        }
        bytes.push(b'\n');
        if bytes.len() > LARGEST {
            return Err(Error::invalid(format!(
                "the state would have {} bytes; {LARGEST} are allowed",
                bytes.len()
            )));
        }
        Ok(bytes)
    }

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
        within("windows", self.windows.len(), MOST_WINDOWS)?;
        within("ignore rules", self.ignore.len(), MOST_RULES)?;
        within("bypass tokens", self.bypass.len(), MOST_TOKENS)?;
        let regexes = self
            .ignore
            .values()
            .filter(|rule| rule.kind == Kind::Path && rule.value.starts_with("re:"))
            .count();
        within("regular expressions", regexes, MOST_REGEXES)?;

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
            validate_proxies(&proxies.networks)?;
        }
        if let Some(name) = &self.name {
            window::validate_text("the name of the site", name, LONGEST_NAME)?;
        }
        if let Some(user) = &self.web_user {
            window::validate_text("the web user", user, 64)?;
        }
        for file in self.templates.keys() {
            let (name, extension) = file.rsplit_once('.').unwrap_or((file, ""));
            template::validate_name(name)?;
            extension.parse::<template::Format>()?;
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

    /// The next moment after `now` at which the clock alone changes a phase.
    #[must_use]
    pub fn next_edge(&self, now: Timestamp) -> Option<Timestamp> {
        self.windows.values().filter_map(|window| window.next_edge(now)).min()
    }
}

fn validate_note(note: Option<&str>) -> Result<()> {
    note.map_or(Ok(()), |note| window::validate_text("the note", note, LONGEST_NOTE))
}

/// Refuses an empty list, and networks that would trust everyone.
fn validate_proxies(networks: &[IpNet]) -> Result<()> {
    if networks.is_empty() {
        return Err(Error::invalid("the list of trusted proxies is empty"));
    }
    // `::ffff:0:0/96` is all of IPv4 for whoever reads mapped addresses as IPv4.
    let is_everybody = |network: &IpNet| match network {
        IpNet::V4(v4) => v4.prefix_len() == 0,
        IpNet::V6(v6) => {
            v6.contains(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped()) && v6.prefix_len() <= 96
        }
    };
    if networks.iter().any(is_everybody) {
        return Err(Error::invalid_with(
            "trusting every address as a proxy lets clients choose their own address",
            "name the network your proxies connect from",
        ));
    }
    Ok(())
}

/// Sorts ids as people count: `r9` before `r10`.
#[must_use]
pub fn by_number<T>(items: &BTreeMap<String, T>) -> Vec<(&str, &T)> {
    let mut sorted: Vec<_> = items.iter().map(|(id, item)| (id.as_str(), item)).collect();
    sorted.sort_by_cached_key(|&(id, _)| (number(id), id));
    sorted
}

/// The number of an id, which rises with each new one.
fn number(id: &str) -> u64 {
    id.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<State, String> {
        State::from_json(text.as_bytes()).map_err(|cause| match cause {
            Malformed::Newer(version) => format!("newer {version}"),
            Malformed::Broken(reason) => reason,
        })
    }

    #[test]
    fn the_smallest_state_is_off() {
        let state = read(r#"{"version":1,"revision":0}"#).unwrap();
        assert_eq!(state, State::default());
        assert!(!state.is_down(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn unknown_fields_survive_a_rewrite_at_every_level() {
        let text = r#"{"version":1,"revision":3,"later":{"a":[1,null]},
            "windows":{"w":{"opened_at":"2026-11-22T03:00:00Z","mood":"calm",
              "opened_by":{"user":"ann","tty":"pts/0"},"scope":{"paths":["/a"],"countries":["DE"]},
              "page":{"status":503,"font":"serif"}}},
            "ignore":{"r1":{"kind":"asn","value":"64496","added_at":"2026-11-22T03:00:00Z","weight":2}},
            "page":{"theme":"dark"},
            "trusted_proxies":{"header":"forwarded","networks":["10.0.0.0/8"],"depth":2}}"#;
        let before: Value = serde_json::from_str(text).unwrap();
        let state = read(text).unwrap();
        let after: Value = serde_json::from_slice(&state.to_json().unwrap()).unwrap();
        for pointer in [
            "/later/a",
            "/windows/w/mood",
            "/windows/w/opened_by/tty",
            "/windows/w/scope/countries",
            "/windows/w/page/font",
            "/ignore/r1/weight",
            "/ignore/r1/kind",
            "/page/theme",
            "/trusted_proxies/depth",
        ] {
            assert_eq!(after.pointer(pointer), before.pointer(pointer), "{pointer}");
            assert!(after.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn requirement_26_numbers_of_later_versions_survive_to_the_last_bit() {
        let text = r#"{"version":1,"revision":3,"later":[123456789.1239551616,1e-7,-0.0]}"#;
        let state = read(text).unwrap();
        let later = &state.extra["later"][0];
        assert_eq!(later.as_f64().unwrap().to_bits(), 123_456_789.123_955_16_f64.to_bits());
        assert_eq!(State::from_json(&state.to_json().unwrap()).unwrap(), state);
    }

    #[test]
    fn a_rewrite_says_nothing_of_who_opened_a_window_that_does_not_say_so() {
        let window = r#"{"opened_at":"2026-11-22T03:00:00Z"}"#;
        let state =
            read(&format!(r#"{{"version":1,"revision":3,"windows":{{"w":{window}}}}}"#)).unwrap();
        let after: Value = serde_json::from_slice(&state.to_json().unwrap()).unwrap();
        assert_eq!(after["windows"]["w"].get("opened_by"), None);
    }

    #[test]
    fn requirement_11_broken_states_are_refused_with_the_place() {
        let deep = format!(
            "{{\"version\":1,\"revision\":1,\"x\":{}{}}}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        for (text, part) in [
            ("", "empty"),
            ("  \n", "empty"),
            ("{", "line 1 column 1"),
            ("[]", "not a JSON object"),
            ("{\"version\":1,\"revision\":1,\"revision\":2}", "duplicate key `revision`"),
            ("{\"version\":1,\"revision\":1,\"x\":{\"a\":1,\"a\":2}}", "duplicate key `a`"),
            ("{\"version\":1,\"revision\":1} x", "trailing"),
            ("{\"version\":1,\"revision\":-1}", "expected u64"),
            ("{\"revision\":1}", "version"),
            ("{\"version\":0,\"revision\":1}", "version 0"),
            (
                "{\"version\":1,\"revision\":1,\"windows\":{\"a b\":{\"opened_at\":\"2026-11-22T03:00:00Z\"}}}",
                "name of a window",
            ),
            (
                "{\"version\":1,\"revision\":1,\"windows\":{\"w\":{\"opened_at\":\"noon\"}}}",
                "line 1",
            ),
            (deep.as_str(), "recursion limit"),
        ] {
            let reason = read(text).unwrap_err();
            assert!(reason.contains(part), "{text:.80}: {reason}");
        }
        let error = State::from_json(&vec![b' '; LARGEST + 1]).unwrap_err();
        assert!(matches!(error, Malformed::Broken(reason) if reason.contains("larger")));
    }

    proptest::proptest! {
        #[test]
        fn requirement_27_no_bytes_make_the_reader_panic(
            places in proptest::collection::vec((0usize..1_000, proptest::num::u8::ANY), 0..8),
            cut in 0usize..1_000,
        ) {
            let mut bytes = serde_json::to_vec(&schema_test::full()).unwrap();
            for (place, byte) in places {
                let place = place % bytes.len();
                bytes[place] = byte;
            }
            let _ = State::from_json(&bytes);
            let _ = State::from_json(&bytes[..cut.min(bytes.len())]);
        }
    }

    #[test]
    fn requirement_26_a_later_version_is_read_only_if_it_allows_that() {
        assert_eq!(read(r#"{"version":2,"revision":1}"#).unwrap_err(), "newer 2");
        assert_eq!(read(r#"{"version":2,"min_reader":2,"revision":1}"#).unwrap_err(), "newer 2");
        assert_eq!(read(r#"{"version":2,"min_reader":1,"revision":1}"#).unwrap().version, 2);
    }

    #[test]
    fn requirement_11_a_hundred_thousand_short_rules_fit_and_one_more_does_not() {
        let rule: Rule = serde_json::from_str(r#"{"kind":"path","value":"/p/123456"}"#).unwrap();
        let mut state = State::default();
        for number in 0..MOST_RULES {
            state.ignore.insert(format!("r{number}"), rule.clone());
        }
        let bytes = state.to_json().unwrap();
        assert_eq!(State::from_json(&bytes).unwrap(), state);
        state.ignore.insert("more".to_owned(), rule);
        assert!(state.validate().unwrap_err().to_string().contains("at most 100000 ignore rules"));
    }

    #[test]
    fn ids_sort_as_people_count() {
        let map: BTreeMap<String, u8> =
            ["r10", "r9", "x", "r1"].map(|id| (id.to_owned(), 0)).into();
        let ids: Vec<&str> = by_number(&map).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["r1", "r9", "r10", "x"]);
    }
}
