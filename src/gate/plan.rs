//! A state, compiled for deciding: whether a request is blocked, and why.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::answer::{Pass, Upcoming};
use super::app::AppPlan;
use super::index::{HostIndex, PathIndex};
use super::rules::{RulesPlan, find_user};
use super::trouble::Untold;
use crate::error::Result;
use crate::request::field::is_token;
use crate::request::path::PathForms;
use crate::request::{Request, TrustedProxies, client, cookie, host};
use crate::rules::method::SAFE;
use crate::state::bypass;
use crate::state::window::{Scope, Window};
use crate::state::{PageSettings, State};
use crate::time::has_come;

/// What was decided about a request, and what decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'p> {
    /// It passes: no open window covers it.
    Up,
    /// It passes: an ignore rule matches.
    Ignored {
        /// The id of the rule.
        id: &'p Arc<str>,
        /// Whether the same request from somebody else could be blocked, so that
        /// the answer is for this visitor alone.
        is_personal: bool,
    },
    /// It passes: the visitor presents the bypass token of this id.
    Bypassed(&'p Arc<str>),
    /// It is blocked by the window of this name: of several that cover it, the one
    /// that is expected to end last. `None` if only the app's own settings block it.
    Blocked(Option<&'p Arc<str>>),
}

impl<'p> Decision<'p> {
    /// Whether the request goes on to the app.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        !matches!(self, Self::Blocked(_))
    }

    /// Returns the rule, token or window that decided; `None` if no window covers
    /// the request.
    #[must_use]
    pub fn by(&self) -> Option<&'p str> {
        match *self {
            Self::Up => None,
            Self::Ignored { id: name, .. } | Self::Bypassed(name) => Some(name),
            Self::Blocked(name) => name.map(|name| &**name),
        }
    }
}

/// A state, compiled for deciding.
#[derive(Clone)]
pub struct Plan {
    windows: Arc<[WindowPlan]>,
    rules: Arc<RulesPlan>,
    tokens: Arc<[TokenPlan]>,
    proxies: Option<TrustedProxies>,
    /// The numbers of the windows with a start, the earliest first.
    scheduled: Arc<[usize]>,
    /// The numbers of the windows that are read-only.
    read_only: Arc<[usize]>,
    /// Whether a window covers some methods and not others.
    has_methods: bool,
    /// An app without settings of its own.
    silent: Arc<AppPlan>,
}

struct WindowPlan {
    name: Arc<str>,
    window: Window,
    /// What there is to announce until it begins.
    upcoming: Option<Arc<Upcoming>>,
    paths: PathIndex,
    hosts: HostIndex,
}

struct TokenPlan {
    id: Arc<str>,
    digest: String,
    expires_at: Option<Timestamp>,
}

impl Plan {
    /// Compiles a state.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Invalid`] if a pattern in it is invalid, which reading the
    /// state finds as well.
    pub fn new(state: &State) -> Result<Self> {
        Self::with_rules(state, Arc::new(RulesPlan::new(&state.ignore)?))
    }

    /// Compiles a state whose ignore rules are compiled already.
    pub(crate) fn with_rules(state: &State, rules: Arc<RulesPlan>) -> Result<Self> {
        let windows =
            state.windows.iter().map(|(name, window)| WindowPlan::new(name, window, &state.page));
        let tokens = state.bypass.iter().map(|(id, token)| TokenPlan {
            id: id.as_str().into(),
            digest: token.sha256.clone(),
            expires_at: token.expires_at,
        });
        let windows = windows.collect::<Result<Arc<[WindowPlan]>>>()?;
        let numbers = |is_meant: fn(&Window) -> bool| -> Vec<usize> {
            (0..windows.len()).filter(|number| is_meant(&windows[*number].window)).collect()
        };
        let mut scheduled = numbers(|window| window.start.is_some());
        scheduled.sort_by_key(|number| windows[*number].window.start);
        let has_methods =
            |window: &Window| window.scope.read_only || !window.scope.methods.is_empty();
        Ok(Self {
            scheduled: scheduled.into(),
            read_only: numbers(|window| window.scope.read_only).into(),
            has_methods: state.windows.values().any(has_methods),
            windows: windows.clone(),
            rules,
            tokens: tokens.collect(),
            proxies: state.trusted_proxies.clone(),
            silent: Arc::default(),
        })
    }

    /// The compiled ignore rules.
    pub(crate) fn rules(&self) -> &Arc<RulesPlan> {
        &self.rules
    }

    /// Whether a window covers some methods and not others.
    pub(crate) fn has_methods(&self) -> bool {
        self.has_methods
    }

    /// Whether nothing can block a request at any time, and there are no bypass
    /// links to follow.
    pub(crate) fn is_idle(&self) -> bool {
        self.windows.is_empty() && self.tokens.is_empty()
    }

    /// Whether nothing begins, ends or is expected to end by the clock, so that the time makes
    /// no difference.
    pub(crate) fn is_timeless(&self) -> bool {
        let is_always = |plan: &WindowPlan| {
            let window = &plan.window;
            window.start.or(window.end).or(window.estimate).is_none()
        };
        self.tokens.is_empty() && self.rules.is_timeless() && self.windows.iter().all(is_always)
    }

    /// Whether any window begins by the clock.
    pub(super) fn has_scheduled(&self) -> bool {
        !self.scheduled.is_empty()
    }

    /// Whether there is any bypass token.
    pub(crate) fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Decides about a request at a moment.
    ///
    /// It asks in this order: open windows that cover the request, ignore rules, the
    /// bypass token, the user, who may be costly to find out, and last, under read-only
    /// windows alone, whether the app calls the request a read.
    pub fn decide(&self, request: &impl Request, now: Timestamp) -> Decision<'_> {
        self.decide_for(&self.silent, request, now)
    }

    /// Decides in an app with settings of its own.
    pub(super) fn decide_for<'p>(
        &'p self,
        app: &'p AppPlan,
        request: &impl Request,
        now: Timestamp,
    ) -> Decision<'p> {
        if app.is_down == Some(false) {
            return Decision::Up;
        }
        let is_down = app.is_down == Some(true);
        let mut open = self.windows.iter().filter(|plan| plan.window.is_open(now)).peekable();
        if open.peek().is_none() && !is_down {
            return Decision::Up;
        }
        let path = PathForms::new(request.path());
        let mut blocks_reads = is_down;
        let covering = open
            .filter(|plan| plan.covers(request, &path))
            .inspect(|plan| blocks_reads |= !plan.window.scope.read_only);
        // What visitors are told to expect then holds for all of them.
        let window =
            covering.max_by_key(|plan| plan.window.expected_end(now).unwrap_or(Timestamp::MAX));
        if window.is_none() && !is_down {
            return Decision::Up;
        }
        let rules = [&*self.rules, &app.rules];
        let proxies = self.proxies.as_ref();
        let found = rules.iter().find_map(|rules| rules.find(request, &path, proxies, now));
        if let Some((id, is_personal)) = found {
            return Decision::Ignored { id, is_personal };
        }
        if let Some(id) = self.bearer(request, now) {
            return Decision::Bypassed(id);
        }
        if let Some(id) = find_user(rules, request, now) {
            return Decision::Ignored { id, is_personal: true };
        }
        if !blocks_reads && request.is_read() {
            return Decision::Up;
        }
        Decision::Blocked(window.map(|plan| &plan.name))
    }

    /// What a request that no window blocks may know: whether the same could be changed, and
    /// what is to come.
    pub(super) fn outlook(&self, app: &AppPlan, request: &impl Request, now: Timestamp) -> Pass {
        Pass {
            read_only: self.read_only(app, request, now),
            next: self.next(app, request, now),
            ..Pass::default()
        }
    }

    /// The open window that blocks writes where a request leads, unless a rule lets everyone
    /// through there.
    fn read_only(&self, app: &AppPlan, request: &impl Request, now: Timestamp) -> Option<Arc<str>> {
        // An app that says that it is up lets everyone write.
        let mut open = self
            .read_only
            .iter()
            .map(|number| &self.windows[*number])
            .filter(|plan| app.is_down.is_none() && plan.window.is_open(now))
            .peekable();
        open.peek()?;
        let path = PathForms::new(request.path());
        let found = open.find(|plan| plan.covers_place(request, &path))?;
        (!self.spares(app, request, &path, now)).then(|| found.name.clone())
    }

    /// The earliest window to come where a request leads, see [`Gate::next`](super::Gate::next).
    pub(super) fn next(
        &self,
        app: &AppPlan,
        request: &impl Request,
        now: Timestamp,
    ) -> Option<Arc<Upcoming>> {
        // The time is quicker to compare than the place.
        let mut coming = self
            .scheduled
            .iter()
            .filter_map(|number| {
                let plan = &self.windows[*number];
                let upcoming = plan.upcoming.as_ref()?;
                (app.is_down.is_none() && upcoming.start > now).then_some((plan, upcoming))
            })
            .peekable();
        coming.peek()?;
        let path = PathForms::new(request.path());
        let is_meant = |plan: &WindowPlan, start| {
            plan.covers_place(request, &path) && !self.spares(app, request, &path, start)
        };
        let (_, found) = coming.find(|(plan, upcoming)| is_meant(plan, upcoming.start))?;
        Some(found.clone())
    }

    /// Whether a rule lets everyone through where a request leads, with any method.
    fn spares(
        &self,
        app: &AppPlan,
        request: &impl Request,
        path: &PathForms,
        at: Timestamp,
    ) -> bool {
        [&*self.rules, &app.rules].iter().any(|rules| rules.spares(request, path, at))
    }

    /// Whether any window is open.
    pub(super) fn is_down(&self, now: Timestamp) -> bool {
        self.windows.iter().any(|plan| plan.window.is_open(now))
    }

    /// The facts that rules ask for and the app does not tell, of a request that is blocked.
    pub(super) fn untold(&self, app: &AppPlan, request: &impl Request) -> Option<Untold> {
        let rules = [&*self.rules, &app.rules];
        if rules.iter().any(|rules| rules.has_networks()) && !request.tells_client() {
            Some(Untold::Client)
        } else if rules.iter().any(|rules| rules.has_users()) && !request.tells_user() {
            Some(Untold::User)
        } else {
            None
        }
    }

    /// Returns the address that `ip` rules look at, for explaining a decision.
    pub fn client_address(&self, request: &impl Request) -> Option<IpAddr> {
        client::address(request, self.proxies.as_ref())
    }

    /// The id of the token in the cookie of a request.
    fn bearer(&self, request: &impl Request, now: Timestamp) -> Option<&Arc<str>> {
        if self.tokens.is_empty() {
            return None;
        }
        cookie::find(request, &cookie::COOKIES, |token| Some(self.token(token, now)?.0))
    }

    /// The id and the expiry of a token that lets its bearer through. It compares
    /// all of every token, so that the time it takes does not show what matches.
    pub(crate) fn token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Option<(&Arc<str>, Option<Timestamp>)> {
        let digest = bypass::digest(token);
        let mut found = None;
        for plan in self.tokens.iter() {
            let is_same = is_equal(digest.as_bytes(), plan.digest.as_bytes());
            let is_live = !has_come(plan.expires_at, now);
            if is_same & is_live {
                found = Some((&plan.id, plan.expires_at));
            }
        }
        found
    }
}

/// Compares two digests in a time that does not depend on where they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let differs = one
        .iter()
        .zip(other)
        .fold(0, |differs, (one, other)| std::hint::black_box(differs | (one ^ other)));
    one.len() == other.len() && differs == 0
}

impl WindowPlan {
    fn new(name: &str, window: &Window, site: &PageSettings) -> Result<Self> {
        let paths = window.scope.paths.iter().map(|text| Ok((text.parse()?, 0)));
        let hosts = window.scope.hosts.iter().map(|text| Ok((text.parse()?, 0)));
        let name = name.into();
        Ok(Self {
            upcoming: Upcoming::of(&name, window, site),
            name,
            window: window.clone(),
            paths: PathIndex::new(paths.collect::<Result<Vec<_>>>()?)?,
            hosts: HostIndex::new(hosts.collect::<Result<Vec<_>>>()?),
        })
    }

    /// Whether the scope covers a request. In doubt it does.
    fn covers(&self, request: &impl Request, path: &PathForms) -> bool {
        let Scope { methods, read_only, .. } = &self.window.scope;
        let is_safe = *read_only && SAFE.contains(&request.method());
        // Some servers take `post` for `POST`.
        let is_named = |name: &String| name.eq_ignore_ascii_case(request.method());
        let is_other_method =
            !methods.is_empty() && is_token(request.method()) && !methods.iter().any(is_named);
        !(is_safe || is_other_method) && self.covers_place(request, path)
    }

    /// The same, whatever the method.
    fn covers_place(&self, request: &impl Request, path: &PathForms) -> bool {
        let Scope { paths, hosts, .. } = &self.window.scope;
        let is_other_path = || {
            let covers = |form: &[u8]| self.paths.find(form, &|_| true).is_some();
            !paths.is_empty() && !path.is_any(covers)
        };
        // What is no host could be any.
        let is_other_host = || {
            !hosts.is_empty()
                && request
                    .host()
                    .and_then(host::read)
                    .is_some_and(|host| self.hosts.find(Some(&host), &|_| true).is_none())
        };
        !(is_other_path() || is_other_host())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::request::{RequestParts, User};

    /// A request that counts how often its user is asked for.
    #[derive(Default)]
    struct Asked {
        path: &'static str,
        users: Cell<u32>,
        facts: Cell<u32>,
    }

    impl Asked {
        fn fact<T>(&self, fact: T) -> T {
            self.facts.set(self.facts.get() + 1);
            fact
        }
    }

    impl Request for Asked {
        fn path(&self) -> &[u8] {
            self.fact(self.path.as_bytes())
        }

        fn method(&self) -> &str {
            self.fact("GET")
        }

        fn host(&self) -> Option<&str> {
            self.fact(None)
        }

        fn peer(&self) -> Option<IpAddr> {
            self.fact(None)
        }

        fn header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {
            self.fact(());
        }

        fn user(&self) -> Option<User> {
            self.users.set(self.users.get() + 1);
            Some(User { is_authenticated: true, is_staff: true, is_superuser: false })
        }

        fn query(&self) -> Option<&[u8]> {
            self.fact(None)
        }
    }

    fn plan(parts: &serde_json::Value) -> Plan {
        let mut state = json!({ "version": 1, "revision": 1 });
        state.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
        Plan::new(&serde_json::from_value(state).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const OPENED: &str = "2026-11-22T03:00:00Z";

    #[test]
    fn nothing_is_asked_while_the_site_is_up() {
        let plan = plan(&json!({
            "windows": {"w": {"opened_at": OPENED, "start": "2026-11-22T04:00:00Z"}},
            "ignore": {"r1": {"kind": "user", "value": "staff"}, "r2": {"kind": "path", "value": "/a"}},
        }));
        let request = Asked { path: "/a", ..Asked::default() };
        assert_eq!(plan.decide(&request, at(OPENED)), Decision::Up);
        assert_eq!((request.facts.get(), request.users.get()), (0, 0));
    }

    #[test]
    fn the_user_is_asked_for_last_and_once_and_only_if_a_rule_needs_it() {
        let rules = json!({
            "windows": {"w": {"opened_at": OPENED}},
            "ignore": {
                "r1": {"kind": "user", "value": "superuser"},
                "r2": {"kind": "path", "value": "/health"},
                "r3": {"kind": "user", "value": "staff"},
            },
        });
        let with_user_rules = plan(&rules);
        let request = Asked { path: "/health", ..Asked::default() };
        assert_eq!(with_user_rules.decide(&request, at(OPENED)).by(), Some("r2"));
        assert_eq!(request.users.get(), 0);
        let request = Asked { path: "/", ..Asked::default() };
        assert_eq!(with_user_rules.decide(&request, at(OPENED)).by(), Some("r3"));
        assert_eq!(request.users.get(), 1);
        let without = plan(&json!({"windows": {"w": {"opened_at": OPENED}}}));
        let request = Asked { path: "/", ..Asked::default() };
        assert_eq!(without.decide(&request, at(OPENED)), Decision::Blocked(Some(&"w".into())));
        assert_eq!(request.users.get(), 0);
    }

    #[test]
    fn requirement_25_the_decision_flips_exactly_at_the_boundary() {
        let plan = plan(&json!({
            "windows": {"w": {"opened_at": OPENED, "start": OPENED, "end": "2026-11-22T04:00:00Z"}},
        }));
        let request = Asked { path: "/", ..Asked::default() };
        for (now, passes) in [
            ("2026-11-22T02:59:59.999999999Z", true),
            ("2026-11-22T03:00:00Z", false),
            ("2026-11-22T03:59:59.999999999Z", false),
            ("2026-11-22T04:00:00Z", true),
            ("2026-11-22T03:30:00Z", false),
        ] {
            assert_eq!(plan.decide(&request, at(now)).is_pass(), passes, "{now}");
            assert_eq!(plan.is_down(at(now)), !passes, "{now}");
        }
    }

    #[test]
    fn requirement_39_the_address_that_rules_look_at_is_told() {
        let plan = plan(&json!({
            "trusted_proxies": {"networks": ["10.0.0.0/8"], "header": "x-forwarded-for"},
        }));
        let of = |peer: [u8; 4]| {
            let peer = Some(IpAddr::from(peer));
            RequestParts { peer, ..RequestParts::new("GET", "/") }
                .with("x-forwarded-for", "192.0.2.7")
        };
        assert_eq!(plan.client_address(&of([10, 0, 0, 1])), Some([192, 0, 2, 7].into()));
        assert_eq!(plan.client_address(&of([203, 0, 113, 9])), Some([203, 0, 113, 9].into()));
    }

    #[test]
    fn the_clock_is_not_asked_where_nothing_begins_or_ends() {
        let window = json!({"opened_at": OPENED});
        let rule = json!({"kind": "path", "value": "/a", "added_at": OPENED});
        let with = |part: &str, value: serde_json::Value| {
            let mut parts = json!({"windows": {"w": window}, "ignore": {"r1": rule}});
            parts[part]["x"] = value;
            plan(&parts).is_timeless()
        };
        assert!(with("windows", window.clone()) && with("ignore", rule.clone()));
        for (part, value) in [
            ("windows", json!({"opened_at": OPENED, "start": OPENED})),
            ("windows", json!({"opened_at": OPENED, "end": OPENED})),
            ("windows", json!({"opened_at": OPENED, "estimate": OPENED})),
            ("ignore", json!({"kind": "path", "value": "/b", "expires_at": OPENED})),
            ("bypass", json!({"sha256": bypass::digest("x"), "expires_at": OPENED})),
            ("bypass", json!({"sha256": bypass::digest("x")})),
        ] {
            assert!(!with(part, value.clone()), "{part} {value}");
        }
    }

    #[test]
    fn requirement_45_digests_are_compared_whole() {
        assert!(is_equal(b"abcd", b"abcd"));
        for other in [b"abce", b"xbcd", b"abc\0"] {
            assert!(!is_equal(b"abcd", other));
        }
        assert!(!is_equal(b"abcd", b"abc") && !is_equal(b"", b"a"));
    }
}
