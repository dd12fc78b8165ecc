//! The bytes of a state file, as a writer and as a gate reads them.

use std::sync::Arc;

use jiff::Timestamp;

use crate::State;
use crate::gate::Plan;
use crate::gate::rules::RulesPlan;
use crate::request::{RequestParts, User};
use crate::state::parts;

/// Rules that a gate may have from an earlier read.
const KNOWN: &str = r#"{"r1":{"kind":"path","value":"/a"}}"#;

/// The deepest nesting of values that `serde_json` allows.
const DEEPEST: usize = 128;

/// Both readers accept the same states and decide alike by them, and what is written is
/// what was read.
///
/// # Panics
///
/// If that does not hold.
pub fn check(data: &[u8]) {
    let whole = State::from_json(data).ok();
    let in_parts = read_in_parts(data);
    assert_eq!(whole.is_some(), in_parts.is_some(), "the two readers disagree");
    know_the_rules(data);
    let (Some(state), Some(in_parts)) = (whole, in_parts) else { return };

    assert!(depth(data) <= DEEPEST);
    let written = state.to_json().expect("a valid state can be written");
    let again = State::from_json(&written).expect("a written state can be read");
    assert_eq!(again, state, "written differently");

    let plan = Plan::new(&state).expect("a valid state compiles");
    for request in requests(&state) {
        for now in [Timestamp::UNIX_EPOCH, "2026-11-22T03:30:00Z".parse().unwrap()] {
            let (one, other) = (plan.decide(&request, now), in_parts.decide(&request, now));
            assert_eq!(one, other, "{request:?} at {now}");
        }
    }
}

/// The way of a gate: the rules separately, and only what deciding needs.
fn read_in_parts(data: &[u8]) -> Option<Plan> {
    let parts = parts::split(data, None).ok()?;
    let rules = parts::rules(parts.rules.unwrap_or("{}")).ok()?;
    let rules = RulesPlan::of_lean(rules).expect("a valid state compiles");
    Some(Plan::with_rules(&parts.state, Arc::new(rules)).expect("the same"))
}

/// Known rules save work and change nothing else, not even what is refused.
fn know_the_rules(data: &[u8]) {
    let fresh = parts::split(data, None).ok();
    let own = fresh.as_ref().map_or("{}", |parts| parts.rules.unwrap_or("{}"));
    for known in [own, KNOWN] {
        let parts = parts::split(data, Some(known)).ok();
        assert_eq!(parts.is_some(), fresh.is_some(), "{known} known");
        let (Some(parts), Some(fresh)) = (parts, &fresh) else { continue };
        assert_eq!(parts.state, fresh.state, "{known} known");
        assert_eq!(parts.rules.unwrap_or(known), own, "taken for {known}");
    }
}

/// The depth of the brackets outside strings.
fn depth(data: &[u8]) -> usize {
    let (mut depth, mut deepest, mut is_string, mut is_escaped) = (0_usize, 0, false, false);
    for &byte in data {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Requests that could tell two plans apart: those the rules name, and others.
fn requests(state: &State) -> Vec<RequestParts> {
    let named = state.ignore.values().map(|rule| rule.value.as_str()).take(4);
    let request = |target: &str| RequestParts {
        host: Some(target.to_owned()),
        peer: target.parse().ok().or_else(|| "10.0.0.1".parse().ok()),
        user: Some(User { is_authenticated: true, is_staff: true, is_superuser: false }),
        ..RequestParts::new("GET", target).with("X-Probe", "blue").with_token("maint_0")
    };
    ["/", "/a/b", "example.com"].into_iter().chain(named).map(request).collect()
}
