//! The changes a person can ask for, as edits of the state.

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::Timestamp;

use super::bypass::BypassToken;
use super::window::{self, Phase, Scope, Window};
use super::{State, next_number};
use crate::actor::Stamp;
use crate::error::{Error, Result};
use crate::request::{ProxyHeader, TrustedProxies};
use crate::rules::{Matcher, Rule};
use crate::state::page::PageSettings;
use crate::time::has_come;

/// The settings of a window to open. What is left out gets its default, even if a
/// window of that name is already open.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WindowSettings {
    /// The reason shown to visitors.
    pub reason: Option<String>,
    /// The same in further languages, by BCP 47 tag in lower case.
    pub reasons: BTreeMap<String, String>,
    /// When it begins; at once if absent. One that has passed says since when it is down.
    pub start: Option<Timestamp>,
    /// When it ends by itself; never if absent.
    pub end: Option<Timestamp>,
    /// When it is expected to be over; it opens nothing.
    pub estimate: Option<Timestamp>,
    /// Which requests it covers.
    pub scope: Scope,
    /// How its page is answered.
    pub page: PageSettings,
    /// The lease, in seconds: a live holder keeps `end` this far ahead.
    pub lease: Option<u32>,
    /// The id of the `maint run` that holds it.
    pub run: Option<String>,
}

impl WindowSettings {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the reason shown to visitors.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Sets the reason shown to visitors who prefer a language: its BCP 47 tag in lower case,
    /// like `de` or `pt-br`.
    #[must_use]
    pub fn reason_in(mut self, language: impl Into<String>, reason: impl Into<String>) -> Self {
        self.reasons.insert(language.into(), reason.into());
        self
    }

    /// Sets when it begins.
    #[must_use]
    pub fn start(mut self, start: impl Into<Option<Timestamp>>) -> Self {
        self.start = start.into();
        self
    }

    /// Sets when it ends by itself.
    #[must_use]
    pub fn end(mut self, end: impl Into<Option<Timestamp>>) -> Self {
        self.end = end.into();
        self
    }

    /// Sets when it is expected to be over. Visitors are told; nothing opens by it.
    #[must_use]
    pub fn estimate(mut self, estimate: impl Into<Option<Timestamp>>) -> Self {
        self.estimate = estimate.into();
        self
    }

    /// Sets which requests it covers.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets how its page is answered.
    #[must_use]
    pub fn page(mut self, page: PageSettings) -> Self {
        self.page = page;
        self
    }

    /// Sets the lease, in seconds: a live holder keeps the end this far ahead.
    #[must_use]
    pub fn lease(mut self, lease: impl Into<Option<u32>>) -> Self {
        self.lease = lease.into();
        self
    }

    /// Sets the id of the `maint run` that holds it.
    #[must_use]
    pub fn run(mut self, run: impl Into<String>) -> Self {
        self.run = Some(run.into());
        self
    }
}

/// The settings of an ignore rule to add.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RuleSettings {
    /// Why the rule exists.
    pub note: Option<String>,
    /// From this moment on the rule has no effect.
    pub expires_at: Option<Timestamp>,
    /// Confirms a rule for everyone, or for the home page alone.
    pub everything: bool,
}

impl RuleSettings {
    /// Starts from the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets why the rule exists.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Sets the expiry.
    #[must_use]
    pub fn expires_at(mut self, expires_at: impl Into<Option<Timestamp>>) -> Self {
        self.expires_at = expires_at.into();
        self
    }

    /// Confirms a rule for everyone, or for the home page alone.
    #[must_use]
    pub fn everything(mut self, everything: bool) -> Self {
        self.everything = everything;
        self
    }
}

/// What opening a window did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// There was no window of that name, or its end had passed.
    New,
    /// The settings of a window in this phase were replaced.
    Replaced(Phase),
}

/// What closing a window did.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Closed {
    /// The names of the windows that are gone, with the phase they were in.
    pub windows: Vec<(String, Phase)>,
    /// The ids of the bypass tokens that went with the last window.
    pub revoked: Vec<String>,
}

impl State {
    /// Opens a window, or replaces the settings of the one that has this name.
    ///
    /// A window that is already open keeps when and by whom it was opened, so that
    /// `status` shows how long visitors have waited. A `maint run` that held it holds it no
    /// longer, unless the settings name it. Opening also removes windows that
    /// ended more than a week ago, and bypass tokens left from a maintenance that the
    /// clock ended; [`Applied::revoked`](crate::store::Applied::revoked) names these.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the name or a setting is not acceptable, or if the end is
    /// not after the start or has passed.
    pub fn open_window(
        &mut self,
        name: &str,
        settings: &WindowSettings,
        stamp: Stamp<'_>,
    ) -> Result<Opened> {
        let Stamp { now, actor, .. } = stamp;
        window::validate_name(name)?;
        window::validate_order(settings.start, settings.end)?;
        refuse_passed("end", settings.end, now)?;
        refuse_passed("estimate", settings.estimate, now)?;
        let before = self.windows.get(name).filter(|window| window.phase(now) != Phase::Ended);
        let opened = before.map_or(Opened::New, |window| Opened::Replaced(window.phase(now)));
        let (opened_at, opened_by, extra) = match before {
            Some(window) if window.phase(now) == Phase::Open => {
                (window.since(), window.opened_by.clone(), window.extra.clone())
            }
            _ => (now, actor.clone(), serde_json::Map::new()),
        };
        let window = Window {
            reason: settings.reason.clone(),
            reasons: settings.reasons.clone(),
            opened_at,
            opened_by,
            start: settings.start,
            end: settings.end,
            estimate: settings.estimate,
            scope: settings.scope.clone(),
            page: settings.page.clone(),
            lease: settings.lease,
            run: settings.run.clone(),
            local: false,
            extra,
        };
        window.validate()?;
        self.revoke_from_before(now);
        self.windows.retain(|_, window| !window.is_forgotten(now));
        self.windows.insert(name.to_owned(), window);
        Ok(opened)
    }

    /// Closes a window. Closing the last one revokes the bypass tokens without `keep`.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is no window of that name.
    pub fn close_window(&mut self, name: &str, now: Timestamp) -> Result<Closed> {
        let Some(window) = self.windows.remove(name) else {
            return Err(Error::Unknown {
                kind: "window",
                name: name.to_owned(),
                known: self.windows.keys().cloned().collect(),
            });
        };
        let windows = vec![(name.to_owned(), window.phase(now))];
        Ok(Closed { windows, revoked: self.revoke_with_last_window(now) })
    }

    /// Puts a window back as it was before a temporary change, or removes it if there
    /// was none.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if the window is not as expected: somebody else has
    /// changed it meanwhile.
    pub fn replace_window(
        &mut self,
        name: &str,
        window: Option<Window>,
        expected: Option<&Window>,
        now: Timestamp,
    ) -> Result<()> {
        window::validate_name(name)?;
        if self.windows.get(name) != expected {
            return Err(Error::conflict(format!("somebody else has changed the window `{name}`")));
        }
        if let Some(window) = window {
            window.validate()?;
            self.windows.insert(name.to_owned(), window);
        } else {
            self.windows.remove(name);
            self.revoke_with_last_window(now);
        }
        Ok(())
    }

    /// Closes every window, including scheduled ones, and revokes the bypass tokens
    /// without `keep`.
    pub fn close_all_windows(&mut self, now: Timestamp) -> Closed {
        let windows = std::mem::take(&mut self.windows)
            .into_iter()
            .map(|(name, window)| (name, window.phase(now)))
            .collect();
        Closed { windows, revoked: self.revoke_with_last_window(now) }
    }

    /// Whether the site, or a window that has not ended, uses a template.
    #[must_use]
    pub fn uses_template(&self, name: &str, now: Timestamp) -> bool {
        self.refuse_if_used(name, now).is_err()
    }

    /// Refuses to remove a template in use by the site, or by a window that has not ended.
    pub(crate) fn refuse_if_used(&self, template: &str, now: Timestamp) -> Result<()> {
        let uses = |page: &PageSettings| page.template.as_deref() == Some(template);
        let mut windows = self.windows.iter();
        let window =
            windows.find(|(_, window)| uses(&window.page) && window.phase(now) != Phase::Ended);
        if !uses(&self.page) && window.is_none() {
            return Ok(());
        }
        let window = window.filter(|_| !uses(&self.page)).map(|(name, _)| name.clone());
        Err(Error::TemplateInUse { name: template.to_owned(), window })
    }

    /// Revokes the tokens of a maintenance that the clock ended. Its last window was
    /// never closed, so they were not revoked then.
    fn revoke_from_before(&mut self, now: Timestamp) {
        if self.windows.values().any(|window| window.phase(now) != Phase::Ended) {
            return;
        }
        let ended = self.windows.values().filter_map(|window| window.end).max();
        self.bypass
            .retain(|_, token| token.keep || token.added_at.is_none() || token.added_at >= ended);
    }

    fn revoke_with_last_window(&mut self, now: Timestamp) -> Vec<String> {
        if self.windows.values().any(|window| window.phase(now) != Phase::Ended) {
            return Vec::new();
        }
        let revoked =
            self.bypass.iter().filter(|(_, token)| !token.keep).map(|(id, _)| id.clone()).collect();
        self.bypass.retain(|_, token| token.keep);
        revoked
    }

    /// Moves the end of a leased window to one lease after `now`.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is no leased window of that name, for example since
    /// somebody closed it.
    pub fn renew_lease(&mut self, name: &str, now: Timestamp) -> Result<()> {
        match self.windows.get_mut(name) {
            Some(Window { lease: Some(seconds), end, .. }) => {
                *end = Some(lease_end(now, *seconds));
                Ok(())
            }
            _ => Err(Error::Unknown {
                kind: "leased window",
                name: name.to_owned(),
                known: Vec::new(),
            }),
        }
    }

    /// Adds an ignore rule and returns its id. Adding the same rule again keeps the id
    /// and replaces the note and the expiry.
    ///
    /// # Errors
    ///
    /// [`Error::Unconfirmed`] for a rule for everyone, or for the home page alone,
    /// unless `everything` confirms it; [`Error::Invalid`] for an expiry in the past.
    pub fn add_rule(
        &mut self,
        matcher: &Matcher,
        settings: &RuleSettings,
        stamp: Stamp<'_>,
    ) -> Result<String> {
        let Stamp { now, actor, .. } = stamp;
        let RuleSettings { note, expires_at, everything } = settings;
        refuse_expired(*expires_at, now)?;
        if matcher.is_everything() && !everything {
            return Err(Error::Unconfirmed { rule: matcher.to_string(), is_root: false });
        }
        if matcher.is_root_path() && !everything {
            return Err(Error::Unconfirmed { rule: matcher.to_string(), is_root: true });
        }
        let (kind, value) = (matcher.kind(), matcher.to_string());
        let same =
            self.ignore.iter_mut().find(|(_, rule)| rule.kind == kind && rule.value == value);
        if let Some((id, rule)) = same {
            rule.note.clone_from(note);
            rule.expires_at = *expires_at;
            return Ok(id.clone());
        }
        let id = self.next_id('r', |state, id| state.ignore.contains_key(id));
        self.ignore.insert(
            id.clone(),
            Rule {
                kind,
                value,
                note: note.clone(),
                expires_at: *expires_at,
                added_at: Some(now),
                added_by: Some(actor.to_string()),
                extra: serde_json::Map::new(),
            },
        );
        Ok(id)
    }

    /// Finds an ignore rule by its id or its value, or by its kind and its value, and returns
    /// its id. A value may be written in any way that makes the same rule.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is none; [`Error::Invalid`], naming the ids, if there are
    /// several, and if the kind is none.
    pub fn find_rule(&self, kind: Option<&str>, given: &str) -> Result<String> {
        let is_meant = |rule: &Rule| {
            rule.value == given
                || Matcher::parse(&rule.kind, given)
                    .is_ok_and(|same| same.to_string() == rule.value)
        };
        let known = super::by_number(&self.ignore);
        if let Some(kind) = kind
            && !known.iter().any(|(_, rule)| rule.kind.as_str() == kind)
        {
            return Err(Error::invalid(format!(
                "there is no ignore rule of the kind `{}`",
                kind.escape_debug()
            )));
        }
        let is_found = |id: &str, rule: &Rule| match kind {
            Some(kind) => rule.kind.as_str() == kind && is_meant(rule),
            None => id == given || is_meant(rule),
        };
        let found: Vec<_> = known.iter().filter(|(id, rule)| is_found(id, rule)).collect();
        match found[..] {
            [(id, _)] => Ok((*id).to_owned()),
            [] => Err(Error::Unknown {
                kind: "ignore rule",
                name: given.to_owned(),
                known: known.iter().map(|(id, _)| (*id).to_owned()).collect(),
            }),
            _ => {
                let ids: Vec<String> =
                    found.iter().map(|(id, rule)| format!("`{id}` ({})", rule.kind)).collect();
                Err(Error::invalid_with(
                    format!("several ignore rules are `{given}`: {}", ids.join(", ")),
                    "name its kind as well",
                ))
            }
        }
    }

    /// Removes an ignore rule.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is none with that id.
    pub fn remove_rule(&mut self, id: &str) -> Result<Rule> {
        self.ignore.remove(id).ok_or_else(|| Error::Unknown {
            kind: "ignore rule",
            name: id.to_owned(),
            known: super::by_number(&self.ignore)
                .into_iter()
                .map(|(id, _)| id.to_owned())
                .collect(),
        })
    }

    /// Adds a bypass token by its digest and returns its id. The token says when it was
    /// added and by whom.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an expiry in the past.
    pub fn add_token(&mut self, token: BypassToken, stamp: Stamp<'_>) -> Result<String> {
        refuse_expired(token.expires_at, stamp.now)?;
        let id = self.next_id('b', |state, id| state.bypass.contains_key(id));
        let (added_at, added_by) = (Some(stamp.now), Some(stamp.actor.to_string()));
        self.bypass.insert(id.clone(), BypassToken { added_at, added_by, ..token });
        Ok(id)
    }

    /// Revokes a bypass token.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is none with that id.
    pub fn revoke_token(&mut self, id: &str) -> Result<BypassToken> {
        self.bypass.remove(id).ok_or_else(|| Error::Unknown {
            kind: "bypass token",
            name: id.to_owned(),
            known: super::by_number(&self.bypass)
                .into_iter()
                .map(|(id, _)| id.to_owned())
                .collect(),
        })
    }

    /// Trusts the proxies in these networks for the client's address, in addition to
    /// those already trusted. `header` replaces the one in use, which is
    /// `X-Forwarded-For` at first.
    pub fn trust_proxies(&mut self, networks: &[IpNet], header: Option<ProxyHeader>) {
        let proxies = self
            .trusted_proxies
            .get_or_insert_with(|| TrustedProxies::new(ProxyHeader::XForwardedFor, Vec::new()));
        proxies.networks.extend_from_slice(networks);
        proxies.networks.sort();
        proxies.networks.dedup();
        if let Some(header) = header {
            proxies.header = header;
        }
    }

    /// Stops trusting a network.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if it was not trusted.
    pub fn distrust_proxy(&mut self, network: &IpNet) -> Result<()> {
        let known =
            self.trusted_proxies.as_ref().map_or(Vec::new(), |proxies| proxies.networks.clone());
        if !known.contains(network) {
            return Err(Error::Unknown {
                kind: "trusted proxy",
                name: network.to_string(),
                known: known.iter().map(ToString::to_string).collect(),
            });
        }
        if let Some(proxies) = &mut self.trusted_proxies {
            proxies.networks.retain(|trusted| trusted != network);
            if proxies.networks.is_empty() {
                self.trusted_proxies = None;
            }
        }
        Ok(())
    }

    /// A new id. Its number is the revision that this change makes, or higher if an id
    /// had that already, so that ids are not used again.
    fn next_id(&mut self, letter: char, taken: impl Fn(&Self, &str) -> bool) -> String {
        let revision = next_number(self.revision);
        let mut number = self.last_id.map_or(revision, |last| revision.max(next_number(last)));
        while taken(self, &format!("{letter}{number}")) {
            number = next_number(number);
        }
        self.last_id = Some(number);
        format!("{letter}{number}")
    }
}

/// Refuses a time of a window that is not to come.
pub(super) fn refuse_passed(what: &str, time: Option<Timestamp>, now: Timestamp) -> Result<()> {
    match time.filter(|&time| time <= now) {
        Some(time) => Err(Error::invalid(format!("the {what}, {time}, has passed"))),
        None => Ok(()),
    }
}

fn refuse_expired(expires_at: Option<Timestamp>, now: Timestamp) -> Result<()> {
    if has_come(expires_at, now) {
        return Err(Error::invalid("the expiry has passed"));
    }
    Ok(())
}

/// The end of a lease of so many seconds that begins at `now`.
#[must_use]
pub fn lease_end(now: Timestamp, seconds: u32) -> Timestamp {
    now.saturating_add(jiff::SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;
    use crate::rules::Kind;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn actor(user: &str) -> Actor {
        Actor { user: user.to_owned(), ..Actor::default() }
    }

    fn settings(reason: &str) -> WindowSettings {
        WindowSettings { reason: Some(reason.to_owned()), ..WindowSettings::default() }
    }

    #[test]
    fn overlapping_windows_each_hold_the_site_down() {
        let mut state = State::default();
        state.open_window("a", &settings("x"), Stamp::new(at(1), &actor("ann"))).unwrap();
        state.open_window("b", &settings("y"), Stamp::new(at(2), &actor("bob"))).unwrap();
        state.close_window("a", at(3)).unwrap();
        assert!(state.is_down(at(3)), "b still holds");
        state.close_window("b", at(4)).unwrap();
        assert!(!state.is_down(at(4)));
    }

    #[test]
    fn opening_again_replaces_the_settings_and_keeps_the_beginning() {
        let mut state = State::default();
        let first = WindowSettings { end: Some(at(100)), ..settings("x") };
        assert_eq!(
            state.open_window("a", &first, Stamp::new(at(1), &actor("ann"))).unwrap(),
            Opened::New
        );
        let again =
            state.open_window("a", &settings("y"), Stamp::new(at(50), &actor("bob"))).unwrap();
        assert_eq!(again, Opened::Replaced(Phase::Open));
        let window = &state.windows["a"];
        assert_eq!((window.reason.as_deref(), window.end), (Some("y"), None));
        assert_eq!((window.since(), window.opened_by.user.as_str()), (at(1), "ann"));
    }

    #[test]
    fn a_window_that_ended_is_opened_anew() {
        let mut state = State::default();
        let first = WindowSettings { end: Some(at(10)), ..settings("x") };
        state.open_window("a", &first, Stamp::new(at(1), &actor("ann"))).unwrap();
        assert_eq!(
            state.open_window("a", &settings("y"), Stamp::new(at(20), &actor("bob"))).unwrap(),
            Opened::New
        );
        assert_eq!(state.windows["a"].since(), at(20));
    }

    #[test]
    fn a_scheduled_window_opens_now_when_on_is_run_without_a_start() {
        let mut state = State::default();
        let later = WindowSettings { start: Some(at(100)), ..settings("x") };
        state.open_window("a", &later, Stamp::new(at(1), &actor("ann"))).unwrap();
        assert!(!state.is_down(at(50)));
        let opened =
            state.open_window("a", &settings("x"), Stamp::new(at(50), &actor("ann"))).unwrap();
        assert_eq!(opened, Opened::Replaced(Phase::Scheduled));
        assert!(state.is_down(at(50)));
        assert_eq!(state.windows["a"].since(), at(50));
    }

    #[test]
    fn long_ended_windows_are_forgotten_when_another_opens() {
        let mut state = State::default();
        let short = WindowSettings { end: Some(at(10)), ..settings("x") };
        state.open_window("old", &short, Stamp::new(at(1), &actor("ann"))).unwrap();
        state
            .open_window("new", &settings("y"), Stamp::new(at(8 * 24 * 3600), &actor("ann")))
            .unwrap();
        assert_eq!(state.windows.keys().collect::<Vec<_>>(), ["new"]);
    }

    #[test]
    fn requirement_44_tokens_go_with_the_last_window_unless_they_are_kept() {
        let token = |keep| BypassToken::of("x").keep(keep);
        let mut state = State::default();
        state.open_window("a", &settings("x"), Stamp::new(at(1), &actor("ann"))).unwrap();
        state.open_window("b", &settings("x"), Stamp::new(at(1), &actor("ann"))).unwrap();
        let gone = state.add_token(token(false), Stamp::new(at(1), &actor("ann"))).unwrap();
        let kept = state.add_token(token(true), Stamp::new(at(1), &actor("ann"))).unwrap();
        assert_eq!(state.close_window("a", at(2)).unwrap().revoked, [""; 0]);
        assert_eq!(state.close_window("b", at(2)).unwrap().revoked, [gone]);
        assert_eq!(state.bypass.keys().collect::<Vec<_>>(), [&kept]);
    }

    #[test]
    fn requirement_44_tokens_of_a_maintenance_that_the_clock_ended_do_not_open_the_next() {
        let token = || BypassToken::of("x");
        let mut state = State::default();
        let short = WindowSettings { end: Some(at(10)), ..settings("x") };
        state.open_window("a", &short, Stamp::new(at(1), &actor("ann"))).unwrap();
        state.add_token(token(), Stamp::new(at(5), &actor("ann"))).unwrap();
        let prepared = state.add_token(token(), Stamp::new(at(20), &actor("ann"))).unwrap();
        state.open_window("b", &settings("y"), Stamp::new(at(30), &actor("ann"))).unwrap();
        assert_eq!(state.bypass.keys().collect::<Vec<_>>(), [&prepared], "made for what comes");
        state.open_window("c", &settings("z"), Stamp::new(at(40), &actor("ann"))).unwrap();
        assert_eq!(state.bypass.len(), 1, "b is open");
    }

    #[test]
    fn a_window_is_put_back_only_if_nobody_else_changed_it() {
        let mut state = State::default();
        state.open_window("a", &settings("x"), Stamp::new(at(1), &actor("ann"))).unwrap();
        let before = state.windows["a"].clone();
        state.replace_window("a", None, Some(&before), at(2)).unwrap();
        assert!(!state.is_down(at(2)));
        state.replace_window("a", Some(before.clone()), None, at(3)).unwrap();
        assert_eq!(state.windows["a"], before);
        state.open_window("a", &settings("y"), Stamp::new(at(4), &actor("bob"))).unwrap();
        let late = state.replace_window("a", None, Some(&before), at(5));
        assert!(matches!(late, Err(Error::Conflict { .. })));
        assert!(state.is_down(at(5)));
    }

    #[test]
    fn the_same_rule_twice_is_one_rule() {
        let mut state = State { revision: 6, ..State::default() };
        let matcher = Matcher::parse(&Kind::Path, "/health").unwrap();
        let add = |state: &mut State, note| {
            let settings = RuleSettings { note, ..RuleSettings::default() };
            state.add_rule(&matcher, &settings, Stamp::new(at(1), &actor("ann"))).unwrap()
        };
        assert_eq!(add(&mut state, None), "r7");
        state.revision = 7;
        assert_eq!(add(&mut state, Some("probe".to_owned())), "r7");
        assert_eq!(state.ignore["r7"].note.as_deref(), Some("probe"));
        assert_eq!(state.ignore.len(), 1);
    }

    #[test]
    fn ids_are_not_used_again_by_later_changes() {
        let mut state = State { revision: 6, ..State::default() };
        let mut seen = std::collections::HashSet::new();
        let mut paths = (0..).map(|number| Matcher::parse(&Kind::Path, &format!("/{number}")));
        let mut add = |state: &mut State| {
            let matcher = paths.next().unwrap().unwrap();
            let id = state
                .add_rule(&matcher, &RuleSettings::new(), Stamp::new(at(1), &actor("ann")))
                .unwrap();
            assert!(seen.insert(id.clone()), "{id} comes back");
            id
        };
        let ids = [add(&mut state), add(&mut state), add(&mut state)];
        assert_eq!(ids, ["r7", "r8", "r9"]);
        state.remove_rule("r9").unwrap();
        assert_eq!(add(&mut state), "r10", "in the same change");
        for revision in 7..12 {
            state.revision = revision;
            let id = add(&mut state);
            state.remove_rule(&id).unwrap();
        }
        assert_eq!(add(&mut state), "r16");
    }

    #[test]
    fn the_last_number_is_followed_by_one_that_is_free() {
        let mut state = State { revision: crate::state::MAX_REVISION, ..State::default() };
        let mut add = |path: &str| {
            let matcher = Matcher::parse(&Kind::Path, path).unwrap();
            state
                .add_rule(&matcher, &RuleSettings::new(), Stamp::new(at(1), &actor("ann")))
                .unwrap()
        };
        assert_eq!([add("/a"), add("/b")], ["r1", "r2"]);
    }

    #[test]
    fn requirement_43_everything_must_be_asked_for() {
        let mut state = State::default();
        for value in ["/", "/**", "re:.*"] {
            let matcher = Matcher::parse(&Kind::Path, value).unwrap();
            let mut add = |everything| {
                let settings = RuleSettings::new().everything(everything);
                state.add_rule(&matcher, &settings, Stamp::new(at(1), &actor("ann")))
            };
            assert!(add(false).is_err(), "{value}");
            assert!(add(true).is_ok(), "{value}");
        }
    }

    #[test]
    fn a_lease_is_not_renewed_once_somebody_closed_the_window() {
        let mut state = State::default();
        let leased = WindowSettings { lease: Some(60), end: Some(at(61)), ..settings("x") };
        state.open_window("run", &leased, Stamp::new(at(1), &actor("ann"))).unwrap();
        state.renew_lease("run", at(30)).unwrap();
        assert_eq!(state.windows["run"].end, Some(at(90)));
        state.close_window("run", at(31)).unwrap();
        assert!(state.renew_lease("run", at(32)).is_err());
    }
}
