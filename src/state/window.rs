//! Windows: independent holds that take the site, or part of it, down.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::actor::Actor;
use crate::error::{Error, Result};
use crate::rules::host::HostPattern;
use crate::rules::method;
use crate::rules::path::PathPattern;
use crate::state::language::validate_language;
use crate::state::page::PageSettings;
use crate::state::text::validate_text;
use crate::time::has_come;

/// The window that `maint on` opens when it is given no name.
pub const DEFAULT_WINDOW: &str = "default";

/// The longest reason accepted, in bytes.
pub const MAX_REASON: usize = 64 * 1024;

/// How many languages a window may have a reason in, beside the one for everybody else.
pub const MAX_LANGUAGES: usize = 100;

/// How many windows a site may have.
pub const MAX_WINDOWS: usize = 1_000;

/// How many entries of each kind a scope may have.
pub const MAX_SCOPES: usize = 1_000;

/// How long windows that have ended stay in the state before `on` removes them.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// One named maintenance window.
///
/// It covers requests from `start` (or from when it was written) until `end`
/// (or until it is closed), half-open: `start <= now < end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Window {
    /// The reason shown to visitors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in further languages, by BCP 47 tag in lower case (RFC 5646): visitors who
    /// prefer none of these get `reason`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, String>,
    /// When the window was opened, or recorded if it was scheduled.
    #[cfg_attr(test, schemars(with = "crate::state::schema_test::Time"))]
    pub opened_at: Timestamp,
    /// Who opened it.
    #[serde(default, skip_serializing_if = "Actor::is_unknown")]
    pub opened_by: Actor,
    /// The first moment of the window. If absent, it has begun, whatever a
    /// reader's clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::state::schema_test::Time>"))]
    pub start: Option<Timestamp>,
    /// The first moment after the window. If absent, it stays until it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::state::schema_test::Time>"))]
    pub end: Option<Timestamp>,
    /// When the maintenance is expected to be over. It opens nothing: visitors are told,
    /// and the window stays until it ends or is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::state::schema_test::Time>"))]
    pub estimate: Option<Timestamp>,
    /// Which requests it covers.
    #[serde(default, skip_serializing_if = "Scope::is_everything")]
    pub scope: Scope,
    /// How the page is answered.
    #[serde(default, skip_serializing_if = "PageSettings::is_default")]
    pub page: PageSettings,
    /// The lease, in seconds: a live `maint run` keeps `end` this far ahead. Present
    /// only in a window that ends by itself when its holder dies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<u32>,
    /// The id of the `maint run` that holds it, by which that run knows its own window.
    /// Absent if a person opened it, or replaced its settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Whether it is open on this host alone, in a site that follows the engine of a fleet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

/// Where a window stands at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its start is still to come.
    Scheduled,
    /// It holds the site down.
    Open,
    /// Its end has passed.
    Ended,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheduled => "scheduled",
            Self::Open => "open",
            Self::Ended => "ended",
        })
    }
}

impl Window {
    /// A window over every request that began at `opened_at` and stays until it is closed.
    #[must_use]
    pub fn new(opened_at: Timestamp) -> Self {
        Self {
            reason: None,
            reasons: BTreeMap::new(),
            opened_at,
            opened_by: Actor::default(),
            start: None,
            end: None,
            estimate: None,
            scope: Scope::default(),
            page: PageSettings::default(),
            lease: None,
            run: None,
            local: false,
            extra: Map::new(),
        }
    }

    /// Where the window stands at `now`.
    #[must_use]
    pub fn phase(&self, now: Timestamp) -> Phase {
        if has_come(self.end, now) {
            Phase::Ended
        } else if self.start.is_some_and(|start| now < start) {
            Phase::Scheduled
        } else {
            Phase::Open
        }
    }

    /// Whether it blocks the requests it covers at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.phase(now) == Phase::Open
    }

    /// When the window began, or will begin, to hold the site down.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.start.unwrap_or(self.opened_at)
    }

    /// The end that visitors may see; `None` for a lease, since its end moves for as long
    /// as its holder lives.
    #[must_use]
    pub fn promised_end(&self) -> Option<Timestamp> {
        self.end.filter(|_| self.lease.is_none())
    }

    /// When visitors may expect the site back: the estimate while it is to come, and else the
    /// [promised end](Self::promised_end).
    #[must_use]
    pub fn expected_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.estimate.filter(|&estimate| now < estimate).or_else(|| self.promised_end())
    }

    /// Whether it is open though its estimate has passed.
    #[must_use]
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.is_open(now) && has_come(self.estimate, now)
    }

    /// The next moment after `now` at which the clock alone changes the phase; `None` if
    /// there is none.
    #[must_use]
    pub fn next_edge(&self, now: Timestamp) -> Option<Timestamp> {
        [self.start, self.end].into_iter().flatten().filter(|&edge| edge > now).min()
    }

    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.end.is_some_and(|end| now.duration_since(end) > FORGOTTEN_AFTER)
    }

    pub(crate) fn validate(&self) -> Result<()> {
        if let Some(reason) = &self.reason {
            validate_text("the message", reason, MAX_REASON)?;
        }
        if self.reasons.len() > MAX_LANGUAGES {
            return Err(Error::invalid(format!(
                "a window has a message in at most {MAX_LANGUAGES} languages"
            )));
        }
        for (language, reason) in &self.reasons {
            validate_language(language)?;
            validate_text(&format!("the message in `{language}`"), reason, MAX_REASON)?;
        }
        validate_order(self.start, self.end)?;
        // A lease moves its end on, so it bounds nothing.
        validate_estimate(self.start, self.estimate, self.promised_end())?;
        self.scope.validate()?;
        self.page.validate()
    }
}

/// Refuses an end that is not after the start.
///
/// # Errors
///
/// [`Error::Invalid`] then.
pub fn validate_order(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<()> {
    match (start, end) {
        (Some(start), Some(end)) if end <= start => {
            Err(Error::invalid(format!("the end, {end}, is not after the start, {start}")))
        }
        _ => Ok(()),
    }
}

/// Refuses an estimate that is not after the start, or is after the end.
pub(crate) fn validate_estimate(
    start: Option<Timestamp>,
    estimate: Option<Timestamp>,
    end: Option<Timestamp>,
) -> Result<()> {
    let Some(estimate) = estimate else { return Ok(()) };
    if let Some(start) = start.filter(|&start| estimate <= start) {
        return Err(Error::invalid(format!(
            "the estimate, {estimate}, is not after the start, {start}"
        )));
    }
    match end {
        Some(end) if end < estimate => Err(Error::invalid(format!(
            "the estimate, {estimate}, is after the end, {end}, at which the window closes"
        ))),
        _ => Ok(()),
    }
}

/// Adds what texts say to a list of a scope, in the notation of the state.
fn add<T: fmt::Display>(
    list: &mut Vec<String>,
    texts: impl IntoIterator<Item: AsRef<str>>,
    parse: impl Fn(&str) -> Result<T>,
) -> Result<()> {
    for text in texts {
        list.push(parse(text.as_ref())?.to_string());
    }
    Ok(())
}

/// Which requests a window covers. An empty list restricts nothing.
///
/// A request is covered if it matches one entry of every list that has entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Scope {
    /// Path patterns, see [`PathPattern`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Request methods, in upper case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Host patterns, see [`HostPattern`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Covers every method but the safe ones: GET, HEAD, OPTIONS, TRACE, PROPFIND,
    /// REPORT, SEARCH and QUERY (RFC 9110, 9.2.1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Fields of later versions, kept as they are. An unknown restriction is
    /// ignored, so that the window covers more rather than less.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

impl Scope {
    /// Starts from a scope that covers every request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds path patterns as people write them: only requests for one of them are covered.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a pattern that cannot be parsed.
    pub fn paths(mut self, texts: impl IntoIterator<Item: AsRef<str>>) -> Result<Self> {
        add(&mut self.paths, texts, str::parse::<PathPattern>)?;
        Ok(self)
    }

    /// Adds request methods, in any case: only requests with one of them are covered.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no method.
    pub fn methods(mut self, texts: impl IntoIterator<Item: AsRef<str>>) -> Result<Self> {
        add(&mut self.methods, texts, method::parse)?;
        Ok(self)
    }

    /// Adds host patterns as people write them: only requests for one of them are covered.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a pattern that cannot be parsed.
    pub fn hosts(mut self, texts: impl IntoIterator<Item: AsRef<str>>) -> Result<Self> {
        add(&mut self.hosts, texts, str::parse::<HostPattern>)?;
        Ok(self)
    }

    /// Sets whether reading goes on: requests with a safe method are not covered.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Whether every request is covered.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn validate(&self) -> Result<()> {
        for (what, list) in
            [("paths", &self.paths), ("methods", &self.methods), ("hosts", &self.hosts)]
        {
            if list.len() > MAX_SCOPES {
                return Err(Error::invalid(format!("a window covers at most {MAX_SCOPES} {what}")));
            }
        }
        if self.read_only && !self.methods.is_empty() {
            return Err(Error::invalid("a read-only window already says which methods it covers"));
        }
        for path in &self.paths {
            path.parse::<PathPattern>()?;
        }
        for name in &self.methods {
            if method::parse(name)? != *name {
                return Err(Error::invalid(format!("the method `{name}` is not in upper case")));
            }
        }
        for host in &self.hosts {
            host.parse::<HostPattern>()?;
        }
        Ok(())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("every request");
        }
        let mut parts = Vec::new();
        if self.read_only {
            parts.push("writes only (GET, HEAD and other safe methods pass)".to_owned());
        }
        for (what, list) in
            [("paths", &self.paths), ("methods", &self.methods), ("hosts", &self.hosts)]
        {
            if !list.is_empty() {
                parts.push(format!("{what} {}", list.join(", ")));
            }
        }
        f.write_str(&parts.join("; "))
    }
}

/// Accepts letters, digits, `.`, `_` and `-`, beginning with a letter or digit,
/// 64 characters at most.
pub(crate) fn validate_name(name: &str) -> Result<()> {
    let fits = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && name.as_bytes()[0].is_ascii_alphanumeric();
    if fits {
        return Ok(());
    }
    Err(Error::invalid_with(
        format!("`{}` cannot be the name of a window", name.escape_debug()),
        "use up to 64 letters, digits, `.`, `_` and `-`, beginning with a letter or digit",
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::RngExt as _;
    use proptest::test_runner::{RngAlgorithm, TestRng};

    use super::*;
    use crate::say::figure;

    fn window(start: Option<i64>, end: Option<i64>) -> Window {
        let time = |seconds| Timestamp::from_second(seconds).unwrap();
        Window { start: start.map(time), end: end.map(time), ..Window::new(time(0)) }
    }

    /// The last second that a `Timestamp` holds, and the first of year 1.
    const LAST: i64 = 253_402_207_200;
    const FIRST: i64 = -62_135_596_800;

    /// Counts how often the phase differs from a naive model's, in so many random cases
    /// that include each phase.
    fn disagreements(cases: u32, phase_of: impl Fn(&Window, Timestamp) -> Phase) -> u32 {
        let mut chance = TestRng::deterministic_rng(RngAlgorithm::XorShift);
        let (mut disagreements, mut seen) = (0, [0_u32; 3]);
        for _ in 0..cases {
            // Half are near each other, half anywhere between the first year and the last.
            let mut moment = || {
                if chance.random() {
                    chance.random_range(-10..10)
                } else {
                    chance.random_range(FIRST..LAST)
                }
            };
            let (start, now) = (moment(), moment());
            let start = chance.random::<bool>().then_some(start);
            let length = chance.random::<bool>().then(|| chance.random_range(1..5));
            let end = length.map(|length: i64| start.unwrap_or(0).saturating_add(length).min(LAST));
            let phase = phase_of(&window(start, end), Timestamp::from_second(now).unwrap());
            let begun = start.is_none_or(|start| start <= now);
            let over = end.is_some_and(|end| end <= now);
            let (open, ended) = (phase == Phase::Open, phase == Phase::Ended);
            disagreements += u32::from((open, ended) != (begun && !over, over));
            seen[if open { 0 } else { 1 + usize::from(ended) }] += 1;
        }
        assert!(seen.iter().all(|&number| number > cases / 20), "each is tried: {seen:?}");
        disagreements
    }

    #[test]
    fn requirement_37_the_phase_agrees_with_a_naive_model_a_million_times() {
        assert_eq!(disagreements(1_000_000, Window::phase), 0);
        figure("1 000 000 random windows and moments, 0 disagreements with a naive model");
    }

    #[test]
    fn requirement_57_a_phase_that_ends_a_second_late_is_caught() {
        let late = |window: &Window, now| {
            let end = window.end.map(|end| end + SignedDuration::from_secs(1));
            Window { end, ..window.clone() }.phase(now)
        };
        let caught = disagreements(10_000, late);
        assert!(caught > 0);
        figure(&format!("caught by {caught} of 10 000 cases"));
    }

    #[test]
    fn requirement_37_a_clock_that_steps_back_reopens_nothing_it_should_not() {
        let window = window(Some(100), Some(200));
        let at = |second| window.phase(Timestamp::from_second(second).unwrap());
        for (second, phase) in [
            (99, Phase::Scheduled),
            (100, Phase::Open),
            (199, Phase::Open),
            (200, Phase::Ended),
            (199, Phase::Open),
            (99, Phase::Scheduled),
        ] {
            assert_eq!(at(second), phase, "at {second}");
        }
    }

    #[test]
    fn a_window_opened_now_does_not_depend_on_the_readers_clock() {
        let long_before = Timestamp::from_second(FIRST).unwrap();
        assert_eq!(window(None, None).phase(long_before), Phase::Open);
    }

    #[test]
    fn the_next_edge_is_the_next_moment_at_which_the_phase_changes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let planned = window(Some(100), Some(200));
        for (now, edge) in [(99, Some(100)), (100, Some(200)), (199, Some(200)), (200, None)] {
            assert_eq!(planned.next_edge(at(now)), edge.map(at), "at {now}");
        }
        assert_eq!(window(None, None).next_edge(at(0)), None);
    }

    #[test]
    fn the_end_of_a_lease_is_no_promise() {
        let mut window = window(None, Some(200));
        assert_eq!(window.promised_end(), window.end);
        window.lease = Some(60);
        assert_eq!(window.promised_end(), None);
    }

    #[test]
    fn an_estimate_is_told_until_it_has_passed_and_ends_nothing() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut window = Window { estimate: Some(at(100)), ..window(None, None) };
        assert_eq!(window.expected_end(at(99)), Some(at(100)));
        assert_eq!(window.expected_end(at(100)), None);
        assert!(!window.is_late(at(99)) && window.is_late(at(100)));
        assert!(window.is_open(at(1_000_000)));
        window.end = Some(at(200));
        assert_eq!(window.expected_end(at(99)), Some(at(100)));
        assert_eq!(window.expected_end(at(100)), Some(at(200)));
        assert!(!window.is_late(at(200)), "it has ended");
    }

    #[test]
    fn an_estimate_lies_between_start_and_end() {
        let of = |start, estimate, end| Window {
            estimate: Some(Timestamp::from_second(estimate).unwrap()),
            ..window(start, end)
        };
        for (start, estimate, end) in
            [(None, 1, None), (Some(10), 11, None), (Some(10), 20, Some(20))]
        {
            assert!(of(start, estimate, end).validate().is_ok(), "{start:?} {estimate} {end:?}");
        }
        for (start, estimate, end) in [(Some(10), 10, None), (None, 21, Some(20))] {
            assert!(of(start, estimate, end).validate().is_err(), "{start:?} {estimate} {end:?}");
        }
        let leased = Window { lease: Some(60), ..of(None, 3600, Some(60)) };
        assert!(leased.validate().is_ok(), "its end moves on");
    }

    #[test]
    fn a_reason_for_a_language_names_one() {
        let of = |language: &str, reason: &str| Window {
            reasons: [(language.to_owned(), reason.to_owned())].into(),
            ..window(None, None)
        };
        assert!(of("pt-br", "Voltamos já").validate().is_ok());
        for (language, reason) in [("", "x"), ("DE", "x"), ("de_AT", "x"), ("de", "\u{7}")] {
            assert!(of(language, reason).validate().is_err(), "{language:?}");
        }
        let reasons = (0..=MAX_LANGUAGES).map(|number| (format!("de-x-{number}"), String::new()));
        assert!(Window { reasons: reasons.collect(), ..window(None, None) }.validate().is_err());
    }

    #[test]
    fn a_window_is_forgotten_a_week_after_its_end() {
        let week: i64 = 7 * 24 * 60 * 60;
        let forgotten =
            |now| window(None, Some(200)).is_forgotten(Timestamp::from_second(200 + now).unwrap());
        assert!(!forgotten(week) && forgotten(week + 1));
        assert!(!window(None, None).is_forgotten(Timestamp::MAX));
    }

    #[test]
    fn requirement_11_a_reason_has_at_most_64_kib() {
        let of = |length| Window { reason: Some("x".repeat(length)), ..window(None, None) };
        assert!(of(65_536).validate().is_ok() && of(65_537).validate().is_err());
    }

    fn words(all: &[&str]) -> Vec<String> {
        all.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_scope_keeps_what_it_is_given_in_one_spelling() {
        let scope = Scope::new().paths(["/a/**"]).unwrap().methods(["post"]).unwrap();
        let scope = scope.hosts(["Example.COM"]).unwrap();
        assert_eq!(scope.paths, ["/a/**"]);
        assert_eq!(scope.methods, ["POST"]);
        assert_eq!(scope.hosts, ["example.com"]);
        assert!(!scope.read_only && Scope::new().read_only(true).read_only);
        assert!(Scope::new().paths(["a"]).is_err());
    }

    #[test]
    fn requirement_43_a_scope_that_makes_no_sense_is_refused() {
        let paths = |number: usize| Scope {
            paths: (0..number).map(|path| format!("/{path}")).collect(),
            ..Scope::default()
        };
        assert!(paths(MAX_SCOPES).validate().is_ok());
        let methods = words(&["POST"]);
        for bad in [
            paths(MAX_SCOPES + 1),
            Scope { read_only: true, methods, ..Scope::default() },
            Scope { methods: words(&["post"]), ..Scope::default() },
            Scope { paths: words(&["a"]), ..Scope::default() },
            Scope { hosts: words(&["a b"]), ..Scope::default() },
        ] {
            assert!(bad.validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_end_must_follow_the_start() {
        assert!(window(Some(10), Some(11)).validate().is_ok());
        assert!(window(Some(10), Some(10)).validate().is_err());
        assert!(window(Some(10), Some(9)).validate().is_err());
    }

    #[test]
    fn names_are_safe_on_a_command_line_and_in_a_path() {
        for name in ["default", "deploy-42", "v1.2_3", "7"] {
            assert!(validate_name(name).is_ok(), "{name}");
        }
        for name in ["", "-x", ".x", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
            assert!(validate_name(name).is_err(), "{name:?}");
        }
    }
}
