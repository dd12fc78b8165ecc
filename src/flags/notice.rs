//! What a flag has to say while it is set.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::fact::Fact;
use super::flag::Flag;
use super::reach;
use crate::format::Format;
use crate::page::pages::{Pages, SiteDefaults};
use crate::page::{Reply, Templates};
use crate::rules::{Matcher, PathPattern};
use crate::site::Site;
use crate::state::{BypassToken, PageSettings, Phase, State, Window};

/// What a flag has to say while it is set: the window that sets it, and who gets through.
///
/// It is a function of the state and of the window alone, so that what was written for one
/// revision stays right until the next.
pub(crate) struct Notice<'a> {
    site: &'a Site,
    state: &'a State,
    pub(crate) name: &'a str,
    pub(crate) window: &'a Window,
    pub(crate) now: Timestamp,
    pages: OnceCell<Pages>,
}

impl<'a> Notice<'a> {
    /// Finds the window that sets a flag: of those that are open and cover all that the flag
    /// stops, the one that ends last, and of these the one that is expected to.
    pub(crate) fn of(
        site: &'a Site,
        state: &'a State,
        carries: &[Fact],
        flag: &Flag,
        now: Timestamp,
    ) -> Option<Self> {
        let covers = |window: &Window| reach::covers(&window.scope, carries, flag);
        let open = state.windows.iter().filter(|(_, window)| window.is_open(now));
        let covering = open.filter(|(_, window)| covers(window));
        let last = covering.max_by_key(|(_, window)| {
            [window.end, window.expected_end(now)].map(|end| end.unwrap_or(Timestamp::MAX))
        });
        let (name, window) = last.or_else(|| {
            // What carries the start is set beforehand.
            let is_carried = carries.contains(&Fact::Start) && flag.options.times;
            let scheduled = state.windows.iter().filter(|_| is_carried);
            let to_come = scheduled.filter(|(_, window)| window.phase(now) == Phase::Scheduled);
            to_come.filter(|(_, window)| covers(window)).min_by_key(|(_, window)| window.start)
        })?;
        Some(Self { site, state, name, window, now, pages: OnceCell::new() })
    }

    /// When the window began, its estimate passed, or what it says was changed last: what is
    /// told in seconds counts from here, so that it does not change with every look.
    fn moment(&self) -> Timestamp {
        let changed = self.state.last_change.as_ref().map(|change| change.at);
        let passed = self.window.estimate.filter(|&estimate| estimate <= self.now);
        changed.into_iter().chain(passed).chain([self.window.since()]).max().unwrap_or(self.now)
    }

    /// What the page is made from, apart from the window's own settings.
    pub(crate) fn settings(&self) -> PageSettings {
        self.window.page.over(&self.state.page)
    }

    fn pages(&self) -> &Pages {
        self.pages.get_or_init(|| {
            let has_template = self.settings().template.is_some();
            let templates = if has_template {
                Templates::read(&self.site.templates()).0
            } else {
                Templates::empty()
            };
            let templates = Arc::new(templates);
            let state = self.state;
            let around = SiteDefaults::new(state.name.as_deref(), &state.page, &templates);
            // The built-in page takes the place of one that fails, and `doctor` reports it.
            Pages::new(self.name, self.window, &around, &mut Vec::new())
        })
    }

    /// The finished page, as GET gets it.
    pub(crate) fn page(&self, format: Format) -> Vec<u8> {
        self.reply(format).body().to_vec()
    }

    /// The same with the fields of the answer, for software that sends them itself.
    pub(crate) fn reply(&self, format: Format) -> Reply {
        self.pages().shown(format, self.moment())
    }

    /// The status of the page.
    pub(crate) fn status(&self) -> u16 {
        self.settings().status.unwrap_or(crate::state::DEFAULT_STATUS)
    }

    /// The value of the field Retry-After (RFC 9110, 10.2.3): the expected end as a date, which
    /// stays right, or else seconds.
    pub(crate) fn retry_after(&self) -> String {
        let date = self
            .window
            .expected_end(self.now)
            .and_then(|end| DateTimePrinter::new().timestamp_to_rfc9110_string(&end).ok());
        date.unwrap_or_else(|| self.retry_after_seconds().to_string())
    }

    /// The same for software that wants seconds: as it was when the window began to say so.
    pub(crate) fn retry_after_seconds(&self) -> u32 {
        self.pages().retry_after(self.moment())
    }

    /// The same where no end is to come, for software that looks at the clock itself.
    pub(crate) fn fallback_seconds(&self) -> u32 {
        self.settings().retry_after.unwrap_or(crate::state::DEFAULT_RETRY_AFTER)
    }

    /// The end at which the software may come back by itself.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.window.end
    }

    /// All rules with their expiry, for software that looks at the clock itself.
    pub(crate) fn rules(&self) -> impl Iterator<Item = (Matcher, Option<Timestamp>)> {
        let rules = self.state.ignore.values();
        rules.filter_map(|rule| Some((rule.matcher().ok().flatten()?, rule.expires_at)))
    }

    /// The networks of the proxies that are trusted for the client's address.
    pub(crate) fn proxies(&self) -> &[IpNet] {
        self.state.trusted_proxies.as_ref().map_or(&[], |proxies| &proxies.networks)
    }

    /// The rules that hold now, by their kinds.
    fn matchers(&self) -> impl Iterator<Item = Matcher> {
        let live = self.state.ignore.values().filter(|rule| !rule.has_expired(self.now));
        live.filter_map(|rule| rule.matcher().ok().flatten())
    }

    /// The networks that get through.
    pub(crate) fn networks(&self) -> Vec<IpNet> {
        let mut networks: Vec<IpNet> = self
            .matchers()
            .filter_map(|matcher| match matcher {
                Matcher::Ip(network) => Some(network),
                _ => None,
            })
            .collect();
        networks.sort();
        networks.dedup();
        networks
    }

    /// The single addresses among them.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let networks = self.networks().into_iter();
        networks
            .filter(|net| net.prefix_len() == net.max_prefix_len())
            .map(|net| net.addr())
            .collect()
    }

    /// The paths that get through.
    pub(crate) fn paths(&self) -> Vec<PathPattern> {
        let of_path = |matcher| match matcher {
            Matcher::Path(pattern) => Some(pattern),
            _ => None,
        };
        self.matchers().filter_map(of_path).collect()
    }

    /// All bypass tokens, for software that looks at the clock itself.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &'a BypassToken> {
        self.state.bypass.values()
    }
}
