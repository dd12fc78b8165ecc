//! What of a state a flag cannot carry.

use jiff::Timestamp;

use super::definition::Definition;
use super::fact::Fact;
use super::flag::Flag;
use super::kinds::{carries_path, definition};
use super::lack::{Lack, Missing};
use super::reach;
use crate::format::Format;
use crate::rules::{Matcher, Rule};
use crate::state::{DEFAULT_STATUS, Phase, State, Window, by_number};
use crate::time::has_come;

/// What a flag cannot carry of the windows that are open or to come, and, if there are any,
/// of what lets through. Nothing for a kind of a later version.
#[must_use]
pub fn lacks(flag: &Flag, state: &State, now: Timestamp) -> Vec<Lack> {
    let Some(definition) = definition(&flag.kind) else { return Vec::new() };
    let mut lacks = Vec::new();
    let mut is_set = false;
    for (name, window) in &state.windows {
        let phase = window.phase(now);
        if phase == Phase::Ended {
            continue;
        }
        let mut add = |what| lacks.push(Lack { what, window: Some(name.clone()), ids: Vec::new() });
        if !reach::covers(&window.scope, definition.carries, flag) {
            add(Missing::Scope);
            continue;
        }
        is_set = true;
        of_window(definition, flag, window, state, now).into_iter().for_each(&mut add);
    }
    if is_set {
        let rules = by_number(&state.ignore).into_iter();
        let rules: Vec<_> = rules.filter(|(_, rule)| !rule.has_expired(now)).collect();
        let of_rules = |is_one: &dyn Fn(&Rule) -> bool| {
            let some = rules.iter().filter(|(_, rule)| is_one(rule));
            some.map(|(id, _)| (*id).to_owned()).collect::<Vec<_>>()
        };
        let tokens = state.bypass.iter().filter(|(_, token)| !token.has_expired(now));
        let tokens = tokens.filter(|_| !definition.carries(Fact::Tokens));
        let is_left_out = |rule: &Rule| !carries(definition, rule);
        let is_left_in = |rule: &Rule| {
            rule.expires_at.is_some() && carries(definition, rule) && !definition.carries(Fact::End)
        };
        for (what, ids) in [
            (Missing::Rules, of_rules(&is_left_out)),
            (Missing::Expiry, of_rules(&is_left_in)),
            (Missing::Tokens, tokens.map(|(id, _)| id.clone()).collect()),
        ] {
            lacks.extend((!ids.is_empty()).then_some(Lack { what, window: None, ids }));
        }
    }
    lacks
}

fn of_window(
    definition: &Definition,
    flag: &Flag,
    window: &Window,
    state: &State,
    now: Timestamp,
) -> Vec<Missing> {
    let phase = window.phase(now);
    let page = window.page.over(&state.page);
    let has_status = page.status.is_some_and(|status| status != DEFAULT_STATUS);
    let says_when = definition.carries(Fact::Page) || definition.carries(Fact::RetryAfter);
    let has_format = page.format.is_some_and(|format| format != Format::Html);
    let says_why = definition.carries(Fact::Page) || definition.carries(Fact::Reason);
    let shows_estimate = window.estimate.is_some() && says_when;
    let carries_clock = |fact| definition.carries(fact) && carries_times(definition, flag);
    let lacking = [
        (phase == Phase::Scheduled && !carries_clock(Fact::Start), Missing::Start),
        (window.end.is_some() && !carries_clock(Fact::End), Missing::End),
        (shows_estimate && !has_come(window.estimate, now), Missing::Estimate),
        (page.redirect.is_some() && !definition.carries(Fact::Redirect), Missing::Redirect),
        (has_status && !definition.carries(Fact::Status), Missing::Status),
        (has_format && !definition.carries(Fact::Format), Missing::Format),
        // A page that is finished beforehand has one language.
        (!window.reasons.is_empty() && says_why, Missing::Languages),
    ];
    lacking.into_iter().filter_map(|(is_lacking, what)| is_lacking.then_some(what)).collect()
}

/// Whether a kind that can carry times does so as it is declared: for one it is an option.
fn carries_times(definition: &Definition, flag: &Flag) -> bool {
    !definition.carries(Fact::Start) || flag.options.times
}

/// Whether a kind carries a rule.
fn carries(definition: &Definition, rule: &Rule) -> bool {
    match rule.matcher() {
        Ok(Some(Matcher::Ip(network))) => {
            let is_single = network.prefix_len() == network.max_prefix_len();
            definition.carries(Fact::Networks) || is_single && definition.carries(Fact::Addresses)
        }
        Ok(Some(Matcher::Path(pattern))) => {
            definition.carries(Fact::Paths) && carries_path(&definition.kind, &pattern)
        }
        // A rule that nobody knows lets nobody through anywhere.
        Ok(None) => true,
        _ => false,
    }
}
