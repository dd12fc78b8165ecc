//! Ignore rules, compiled for lookup.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::index::{HostIndex, NetworkIndex, PathIndex};
use crate::error::Result;
use crate::request::field::trim;
use crate::request::path::PathForms;
use crate::request::{Request, TrustedProxies, User, client, host};
use crate::rules::header::HeaderMatch;
use crate::rules::user::UserClass;
use crate::rules::{Matcher, Rule};
use crate::state::LeanRule;
use crate::time::has_come;

/// Ignore rules, each in the index of its kind under its number.
#[derive(Default)]
pub(crate) struct RulesPlan {
    ids: Vec<Arc<str>>,
    /// When the rules that expire do so.
    ends: HashMap<u32, Timestamp>,
    paths: PathIndex,
    networks: NetworkIndex,
    has_networks: bool,
    hosts: HostIndex,
    methods: Vec<(String, u32)>,
    headers: Vec<(HeaderMatch, u32)>,
    users: Vec<(UserClass, u32)>,
}

impl RulesPlan {
    /// Compiles the rules of a state.
    pub(crate) fn new(rules: &BTreeMap<String, Rule>) -> Result<Self> {
        let rules = crate::state::by_number(rules);
        Self::of(rules.into_iter().map(|(id, rule)| Ok((id, rule.matcher()?, rule.expires_at))))
    }

    /// Compiles rules that were read for this purpose.
    pub(crate) fn of_lean(rules: Vec<LeanRule<'_>>) -> Result<Self> {
        Self::of(rules.into_iter().map(|rule| Ok((rule.id, rule.matcher, rule.expires_at))))
    }

    /// Compiles rules, the oldest first.
    pub(super) fn of<I: Into<Arc<str>>>(
        rules: impl Iterator<Item = Result<(I, Option<Matcher>, Option<Timestamp>)>>,
    ) -> Result<Self> {
        let mut plan = Self::default();
        let (mut paths, mut networks, mut hosts) = (Vec::new(), Vec::new(), Vec::new());
        for (rule, entry) in rules.zip(0..) {
            let (id, matcher, expires_at) = rule?;
            plan.ids.push(id.into());
            plan.ends.extend(expires_at.map(|end| (entry, end)));
            match matcher {
                Some(Matcher::Path(pattern)) => paths.push((pattern, entry)),
                Some(Matcher::Ip(network)) => networks.push((network, entry)),
                Some(Matcher::Host(pattern)) => hosts.push((pattern, entry)),
                Some(Matcher::Method(method)) => plan.methods.push((method, entry)),
                Some(Matcher::Header(header)) => plan.headers.push((header, entry)),
                Some(Matcher::User(class)) => plan.users.push((class, entry)),
                // A rule of a kind from a later version matches no request.
                None => {}
            }
        }
        plan.paths = PathIndex::new(paths)?;
        plan.has_networks = !networks.is_empty();
        plan.networks = NetworkIndex::new(networks);
        plan.hosts = HostIndex::new(hosts);
        Ok(plan)
    }

    /// Whether any rule is for addresses.
    pub(super) fn has_networks(&self) -> bool {
        self.has_networks
    }

    /// Whether any rule is for users.
    pub(super) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether no rule expires.
    pub(super) fn is_timeless(&self) -> bool {
        self.ends.is_empty()
    }

    fn is_live(&self, now: Timestamp) -> impl Fn(u32) -> bool {
        move |entry| !has_come(self.ends.get(&entry).copied(), now)
    }

    /// A rule in force that matches by anything but the user, and whether it matches
    /// by who asks rather than by what is asked for.
    pub(super) fn find(
        &self,
        request: &impl Request,
        path: &PathForms,
        proxies: Option<&TrustedProxies>,
        now: Timestamp,
    ) -> Option<(&Arc<str>, bool)> {
        let is_live = self.is_live(now);
        let by_method = || {
            self.methods.iter().find(|(name, entry)| name == request.method() && is_live(*entry))
        };
        let by_address = || {
            let is_needed = !self.networks.is_empty();
            let address = is_needed.then(|| client::address(request, proxies)).flatten()?;
            self.networks.find(address, &is_live)
        };
        let by_header = || {
            self.headers.iter().find(|(header, entry)| is_live(*entry) && carries(request, header))
        };
        let by_request = self
            .by_path(path, &is_live)
            .or_else(|| by_method().map(|found| found.1))
            .or_else(|| self.by_host(request, &is_live));
        let by_visitor = || by_address().or_else(|| by_header().map(|found| found.1));
        let (entry, is_personal) = match by_request {
            Some(entry) => (entry, false),
            None => (by_visitor()?, true),
        };
        Some((&self.ids[entry as usize], is_personal))
    }

    /// Whether a rule in force lets everyone through where a request leads, with any method.
    pub(super) fn spares(&self, request: &impl Request, path: &PathForms, at: Timestamp) -> bool {
        let is_live = self.is_live(at);
        self.by_path(path, &is_live).or_else(|| self.by_host(request, &is_live)).is_some()
    }

    fn by_path(&self, path: &PathForms, is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        self.paths.find(path.clear()?, is_live)
    }

    fn by_host(&self, request: &impl Request, is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        let is_needed = !self.hosts.is_empty();
        let host = is_needed.then(|| request.host().and_then(host::read)).flatten();
        self.hosts.find(host.as_deref(), is_live)
    }

    /// The rules in force for users, with their numbers.
    fn live_users(&self, now: Timestamp) -> impl Iterator<Item = (UserClass, u32)> {
        let is_live = self.is_live(now);
        self.users.iter().copied().filter(move |(_, entry)| is_live(*entry))
    }
}

/// A rule in force that matches by the user, who is found out once, and only if
/// there is such a rule.
pub(super) fn find_user<'p>(
    rules: [&'p RulesPlan; 2],
    request: &impl Request,
    now: Timestamp,
) -> Option<&'p Arc<str>> {
    let mut live = rules
        .into_iter()
        .flat_map(|rules| rules.live_users(now).map(move |(class, entry)| (class, rules, entry)))
        .peekable();
    live.peek()?;
    let user = request.user()?;
    let (_, rules, entry) = live.find(|(class, ..)| belongs(user, *class))?;
    Some(&rules.ids[entry as usize])
}

fn carries(request: &impl Request, header: &HeaderMatch) -> bool {
    let mut is_there = false;
    request.header(&header.name, &mut |value| {
        is_there |= trim(value) == header.value.as_bytes();
    });
    is_there
}

fn belongs(user: User, class: UserClass) -> bool {
    match class {
        UserClass::Anonymous => !user.is_authenticated,
        UserClass::Authenticated => user.is_authenticated,
        UserClass::Staff => user.is_authenticated && user.is_staff,
        UserClass::Superuser => user.is_authenticated && user.is_superuser,
    }
}
