//! Checks of windows, rules and tokens: the state may not say what was meant.

use jiff::SignedDuration;

use super::finding::Finding;
use super::patient::Patient;
use super::words::{names, spell};
use crate::rules::path::PathPattern;
use crate::rules::{Kind, Matcher, Rule};
use crate::state::State;
use crate::state::bypass::BypassToken;
use crate::state::shadow::behind_proxies;
use crate::state::window::{Phase, Window};

/// A window that is open for longer than this without an end was probably forgotten.
const LONG: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn ended(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    let ended: Vec<&str> =
        state.windows_in(Phase::Ended, patient.now).map(|(name, _)| name).collect();
    if let Some(first) = ended.first() {
        let off = patient.maint(&format!("off {first}"));
        findings.push(
            Finding::note(
                "window-ended",
                format!("windows that are over but still listed: {}", names(ended.iter().copied())),
            )
            .fixed_by(off),
        );
    }
}

pub(super) fn endless(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    for (name, window) in state.windows_in(Phase::Open, patient.now) {
        let open_for = patient.now.duration_since(window.since());
        if window.end.is_none() && open_for > LONG {
            let person = match window.opened_by.person() {
                "" => String::new(),
                person => format!(", opened by `{person}`,"),
            };
            findings.push(
                Finding::warning(
                    "window-forgotten",
                    format!(
                        "the window `{name}`{person} has been open for {} and has no end",
                        spell(open_for)
                    ),
                )
                .fixed_by(format!(
                    "if it was forgotten: {}",
                    patient.maint(&format!("off {name}"))
                )),
            );
        }
    }
}

pub(super) fn late(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    for (name, window) in state.windows_in(Phase::Open, patient.now) {
        let Some(estimate) = window.estimate.filter(|_| window.is_late(patient.now)) else {
            continue;
        };
        let late = spell(patient.now.duration_since(estimate));
        findings.push(
            Finding::note(
                "window-late",
                format!("the window `{name}` was expected to be over {late} ago, and is open"),
            )
            .fixed_by(format!(
                "if it takes longer: {}",
                patient.maint(&format!("extend {name} 30m"))
            )),
        );
    }
}

pub(super) fn expired(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    let rules: Vec<&str> = crate::state::by_number(&state.ignore)
        .into_iter()
        .filter(|(_, rule)| rule.has_expired(patient.now))
        .map(|(id, _)| id)
        .collect();
    if let Some(first) = rules.first() {
        let remove = patient.maint(&format!("ignore remove {first}"));
        findings.push(
            Finding::note(
                "rule-expired",
                format!("ignore rules that have expired: {}", names(rules.iter().copied())),
            )
            .fixed_by(remove),
        );
    }
    let tokens = |is: &dyn Fn(&BypassToken) -> bool| -> Vec<&str> {
        crate::state::by_number(&state.bypass)
            .into_iter()
            .filter(|(_, token)| is(token))
            .map(|(id, _)| id)
            .collect()
    };
    let gone = tokens(&|token| token.has_expired(patient.now));
    if let Some(first) = gone.first() {
        let revoke = patient.maint(&format!("bypass revoke {first}"));
        findings.push(
            Finding::note(
                "token-expired",
                format!("bypass tokens that have expired: {}", names(gone.iter().copied())),
            )
            .fixed_by(revoke),
        );
    }
    let endless = tokens(&|token| token.keep && token.expires_at.is_none());
    if let Some(first) = endless.first() {
        let revoke = patient.maint(&format!("bypass revoke {first}"));
        findings.push(
            Finding::note(
                "token-endless",
                format!(
                    "bypass tokens that never expire and outlive maintenance: {}",
                    names(endless.iter().copied())
                ),
            )
            .fixed_by(format!("once it is no longer needed: {revoke}")),
        );
    }
}

/// The windows that block requests now or later.
fn current<'s>(
    patient: &Patient<'_>,
    state: &'s State,
) -> impl Iterator<Item = (&'s str, &'s Window)> {
    let now = patient.now;
    let windows = state.windows.iter().map(|(name, window)| (name.as_str(), window));
    windows.filter(move |(_, window)| window.phase(now) != Phase::Ended)
}

pub(super) fn status(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    let mut users = Vec::new();
    if state.page.status == Some(200) {
        users.push(("the site".to_owned(), "remove `status` from `page` in the state"));
    }
    for (name, window) in current(patient, state) {
        if window.page.status == Some(200) {
            users.push((format!("the window `{name}`"), "open it again without `--status 200`"));
        }
    }
    for (user, fix) in users {
        findings.push(
            Finding::warning(
                "status-200",
                format!("{user} answers 200: caches and search engines will keep the page"),
            )
            .fixed_by(fix),
        );
    }
}

/// A redirect to a page that the window covers too does nothing: a redirect never leads to
/// itself, so visitors get the page there.
pub(super) fn redirects(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    for (name, window) in current(patient, state) {
        let Some(target) = window.page.redirect.as_ref().or(state.page.redirect.as_ref()) else {
            continue;
        };
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let rules = state.ignore.values().filter(|rule| !rule.has_expired(patient.now));
        if path.starts_with('/') && is_covered(window, path) && !is_let_through(rules, path) {
            let add = patient.maint(&format!("ignore add path {path}"));
            findings.push(
                Finding::warning(
                    "redirect-loop",
                    format!("the window `{name}` redirects to `{path}`, which it covers, so visitors get the maintenance page there"),
                )
                .fixed_by(add),
            );
        }
    }
}

/// Whether a browser's request for a path is covered, as far as that is certain.
fn is_covered(window: &Window, path: &str) -> bool {
    let scope = &window.scope;
    let has_get = scope.methods.is_empty() || scope.methods.iter().any(|method| method == "GET");
    let has_path = scope.paths.is_empty()
        || scope
            .paths
            .iter()
            .filter_map(|text| text.parse().ok())
            .any(|p| covers(&p, path) == Some(true));
    !scope.read_only && scope.hosts.is_empty() && has_get && has_path
}

/// Whether a rule lets a path through, or might.
pub(super) fn is_let_through<'s>(mut rules: impl Iterator<Item = &'s Rule>, path: &str) -> bool {
    rules.any(|rule| match rule.matcher() {
        Ok(Some(Matcher::Path(pattern))) => covers(&pattern, path) != Some(false),
        Ok(Some(matcher)) => matcher.is_everything(),
        _ => false,
    })
}

/// `None` where only the gate can decide.
fn covers(pattern: &PathPattern, path: &str) -> Option<bool> {
    match pattern {
        PathPattern::Exact(exact) => Some(exact == path),
        PathPattern::Subtree(below) => Some(
            path.strip_prefix(below.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        ),
        PathPattern::Glob(_) | PathPattern::Regex(_) => None,
    }
}

/// Rules that let in nobody, since a proxy is never the client.
pub(super) fn shadowed_rules(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    for (id, network) in behind_proxies(state) {
        if state.ignore[id].has_expired(patient.now) {
            continue;
        }
        findings.push(
            Finding::warning(
                "rule-in-proxies",
                format!(
                    "the ignore rule `{id}`, ip `{}`, lets nobody in: `{network}` is trusted as proxies, and a proxy is never the client",
                    state.ignore[id].value
                ),
            )
            .fixed_by(format!(
                "trust the addresses of the proxies alone: {}",
                patient.maint(&format!("proxy remove {network}"))
            )),
        );
    }
}

/// Rules that let in more than they seem to.
pub(super) fn open_rules(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    for (id, rule) in state.ignore.iter().filter(|(_, rule)| !rule.has_expired(patient.now)) {
        // Most rules are plain paths, which let in only what they say: skip parsing them.
        let is_suspect = rule.kind != Kind::Path || rule.value.contains(['*', ':']);
        let matcher = if is_suspect { rule.matcher().ok().flatten() } else { None };
        let remove = patient.maint(&format!("ignore remove {id}"));
        match matcher {
            Some(matcher) if matcher.is_everything() => findings.push(
                Finding::warning(
                    "rule-for-everyone",
                    format!(
                        "the ignore rule `{id}`, {} `{}`, lets everyone through every window",
                        rule.kind, rule.value
                    ),
                )
                .fixed_by(remove),
            ),
            Some(Matcher::Ip(network))
                if network.addr().is_loopback() && state.trusted_proxies.is_none() =>
            {
                let proxy = patient.maint(&format!("proxy add {}", rule.value));
                findings.push(
                    Finding::warning(
                        "rule-for-proxy",
                        format!("the ignore rule `{id}`, ip `{}`, lets in everyone behind a local proxy", rule.value),
                    )
                    .fixed_by(format!("if there is such a proxy, trust it: {proxy}")),
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_target_is_covered_only_where_that_is_certain() {
        let window = |scope: &str| -> Window {
            serde_json::from_str(&format!(
                r#"{{"opened_at":"2026-11-22T03:00:00Z","scope":{scope}}}"#
            ))
            .unwrap()
        };
        assert!(is_covered(&window("{}"), "/sorry"));
        assert!(is_covered(&window(r#"{"paths":["/shop/**","/sorry"]}"#), "/sorry"));
        assert!(is_covered(&window(r#"{"methods":["GET"]}"#), "/sorry"));
        for scope in [
            r#"{"read_only":true}"#,
            r#"{"methods":["POST"]}"#,
            r#"{"paths":["/shop/**"]}"#,
            r#"{"paths":["/*"]}"#,
            r#"{"hosts":["a.example"]}"#,
        ] {
            assert!(!is_covered(&window(scope), "/sorry"), "{scope}");
        }
        let rule = |value: &str| -> Rule {
            serde_json::from_str(&format!(r#"{{"kind":"path","value":"{value}"}}"#)).unwrap()
        };
        assert!(is_let_through([rule("/sorry")].iter(), "/sorry"));
        assert!(is_let_through([rule("/*")].iter(), "/sorry"), "it might");
        assert!(!is_let_through([rule("/health")].iter(), "/sorry"));
    }
}
