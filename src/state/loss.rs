//! What would be lost by replacing the settings of an open window.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::State;
use super::edit::WindowSettings;
use super::page::PageSettings;
use super::window::{Scope, Window};

/// A setting of an open window that others would take the place of without a word for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// Which one: `message`, `end`, `scope`, …
    pub setting: String,
    /// What it is, in words; a time is in RFC 3339.
    pub before: String,
    /// What it would be; absent if it would be nothing.
    pub after: Option<String>,
}

impl State {
    /// What would be lost if an open window got these settings alone: whatever it has and they
    /// leave out, the requests that it covers if they name others, and the hold itself if they
    /// begin later. A message, an end or a template that they name is replaced, and not lost.
    #[must_use]
    pub fn losses(&self, name: &str, settings: &WindowSettings, now: Timestamp) -> Vec<Loss> {
        self.windows
            .get(name)
            .filter(|window| window.is_open(now))
            .map(|window| losses(window, settings, now))
            .unwrap_or_default()
    }
}

fn losses(window: &Window, settings: &WindowSettings, now: Timestamp) -> Vec<Loss> {
    let mut losses = Vec::new();
    let mut add = |setting: &str, before: String, after: Option<String>| {
        losses.push(Loss { setting: setting.to_owned(), before, after });
    };
    if let Some(start) = settings.start.filter(|&start| now < start) {
        add("start", window.since().to_string(), Some(start.to_string()));
    }
    if !is_same(&window.scope, &settings.scope) {
        add("scope", window.scope.to_string(), Some(settings.scope.to_string()));
    }
    let dropped = |before: Option<String>, is_set: bool| before.filter(|_| !is_set);
    // An estimate that has passed is told to nobody any more.
    let estimate = window.estimate.filter(|&estimate| now < estimate);
    for (setting, before, is_set) in [
        ("message", window.reason.clone(), settings.reason.is_some()),
        ("end", window.promised_end().map(|end| end.to_string()), settings.end.is_some()),
        ("estimate", estimate.map(|time| time.to_string()), settings.estimate.is_some()),
    ] {
        if let Some(before) = dropped(before, is_set) {
            add(setting, before, None);
        }
    }
    for (language, reason) in &window.reasons {
        if !settings.reasons.contains_key(language) {
            add(&format!("message in {language}"), reason.clone(), None);
        }
    }
    let kept = page_words(&settings.page);
    for ((setting, before), (_, after)) in page_words(&window.page).into_iter().zip(kept) {
        if let Some(before) = dropped(before, after.is_some()) {
            add(setting, before, None);
        }
    }
    losses
}

/// The settings of a page in words.
fn page_words(page: &PageSettings) -> [(&'static str, Option<String>); 9] {
    [
        ("status", page.status.map(|status| status.to_string())),
        ("retry-after", page.retry_after.map(|seconds| format!("{seconds} s"))),
        ("template", page.template.clone()),
        ("redirect", page.redirect.clone()),
        ("format", page.format.map(|format| format.to_string())),
        ("title", page.title.clone()),
        ("contact", page.contact.clone()),
        ("status-url", page.status_url.clone()),
        ("language", page.language.clone()),
    ]
}

/// Whether two scopes cover the same requests, in whatever order they say so.
fn is_same(one: &Scope, other: &Scope) -> bool {
    fn set(list: &[String]) -> BTreeSet<&String> {
        list.iter().collect()
    }
    one.read_only == other.read_only
        && one.extra == other.extra
        && set(&one.paths) == set(&other.paths)
        && set(&one.methods) == set(&other.methods)
        && set(&one.hosts) == set(&other.hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::{Actor, Stamp};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Which settings would be lost at 50, of a window that was opened at 0.
    fn lost(before: &WindowSettings, after: &WindowSettings) -> Vec<String> {
        let (mut state, actor) = (State::default(), Actor::default());
        state.open_window("w", before, Stamp::new(at(0), &actor)).unwrap();
        let losses = state.losses("w", after, at(50));
        losses.into_iter().map(|loss| loss.setting).collect()
    }

    fn shop() -> Scope {
        Scope::new().paths(["/shop/**", "/cart"]).unwrap()
    }

    fn full() -> WindowSettings {
        let page = PageSettings::new().status(500).retry_after(9).template("x").redirect("/y");
        let settings = WindowSettings::new().reason("x").reason_in("de", "y").end(at(100));
        settings.estimate(at(80)).scope(shop()).page(page)
    }

    #[test]
    fn the_same_settings_lose_nothing() {
        assert_eq!(lost(&full(), &full()), Vec::<String>::new());
        let other = full().reason("z").end(at(200)).estimate(at(90)).reason_in("de", "z");
        assert_eq!(lost(&full(), &other), Vec::<String>::new(), "named anew");
        let reordered = Scope::new().paths(["/cart", "/shop/**", "/cart"]).unwrap();
        assert_eq!(lost(&full(), &full().scope(reordered)), Vec::<String>::new());
        assert_eq!(lost(&WindowSettings::new(), &full().scope(Scope::new())), Vec::<String>::new());
    }

    #[test]
    fn what_is_left_out_is_lost() {
        let expected = [
            "scope",
            "message",
            "end",
            "estimate",
            "message in de",
            "status",
            "retry-after",
            "template",
            "redirect",
        ];
        assert_eq!(lost(&full(), &WindowSettings::new()), expected);
    }

    #[test]
    fn other_requests_are_a_loss_either_way() {
        let whole = WindowSettings::new();
        for (before, after) in [
            (whole.clone(), whole.clone().scope(shop())),
            (whole.clone().scope(shop()), whole.clone()),
            (whole.clone().scope(Scope::new().read_only(true)), whole.clone()),
            (
                whole.clone().scope(shop()),
                whole.clone().scope(Scope::new().paths(["/blog"]).unwrap()),
            ),
        ] {
            assert_eq!(lost(&before, &after), ["scope"]);
        }
    }

    #[test]
    fn a_later_start_would_open_the_site_until_then() {
        assert_eq!(lost(&WindowSettings::new(), &WindowSettings::new().start(at(60))), ["start"]);
        assert!(lost(&WindowSettings::new(), &WindowSettings::new().start(at(50))).is_empty());
    }

    #[test]
    fn nothing_is_lost_of_a_lease_a_late_estimate_and_a_window_that_is_not_open() {
        let plain = WindowSettings::new();
        assert!(lost(&plain.clone().lease(60).end(at(60)), &plain).is_empty());
        assert!(lost(&plain.clone().estimate(at(50)), &plain).is_empty());
        assert!(lost(&plain.clone().reason("x").end(at(50)), &plain).is_empty());
        assert!(lost(&plain.clone().reason("x").start(at(60)), &plain).is_empty());
        assert!(State::default().losses("w", &plain, at(50)).is_empty());
    }
}
