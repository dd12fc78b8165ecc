//! What the gate says about a request.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::page::reply::MARK;
use crate::page::{Reply, language};
use crate::state::{PageSettings, Scope, Window};

/// What a view says about itself, which overrides windows and rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Override {
    /// It is always down.
    On,
    /// It is never down.
    Off,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Answer {
    /// The app answers.
    Pass(Pass),
    /// This is sent instead of an answer of the app.
    Reply(Reply),
}

/// Why a request passes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Pass {
    /// The rule or token that lets it through; absent if nothing blocks it.
    pub by: Option<Arc<str>>,
    /// Whether others could be blocked, so that caches must not share the app's
    /// answer: set `Cache-Control` to [`Pass::CACHE_CONTROL`], and remove the fields
    /// for which [`Pass::overrides_cache_control`] is true.
    pub is_private: bool,
    /// The open window that would block others who change something there: the app can hide its
    /// forms. It depends on the path and the host alone, so the app's answer may be shared.
    /// Absent if a rule or token lets the request through.
    pub read_only: Option<Arc<str>>,
    /// The next maintenance to come, which the app can announce: see
    /// [`Gate::next`](crate::Gate::next).
    pub next: Option<Arc<Upcoming>>,
}

/// A scheduled window that will cover what is asked for, with any method.
///
/// `start`, `end` and the reason are what visitors may be told, as on the page later. `name` and
/// `scope` are words of the operators: decide by them, and do not print them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Upcoming {
    /// Its name.
    pub name: Arc<str>,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends by itself, as far as visitors are told.
    pub end: Option<Timestamp>,
    /// When it is expected to be over.
    pub estimate: Option<Timestamp>,
    /// The reason shown to visitors who read none of the languages in `reasons`.
    pub reason: Option<String>,
    /// The same in further languages, by BCP 47 tag in lower case: see [`Upcoming::reason_in`].
    pub reasons: BTreeMap<String, String>,
    /// The language of `reason`, which is that of the page: a BCP 47 tag in lower case.
    pub language: String,
    /// Which requests it will cover.
    pub scope: Scope,
}

impl Upcoming {
    /// What there is to announce of a window; nothing if it opened at once.
    pub(super) fn of(name: &Arc<str>, window: &Window, site: &PageSettings) -> Option<Arc<Self>> {
        let start = window.start?;
        let own = window.page.language.as_deref().or(site.language.as_deref());
        Some(Arc::new(Self {
            name: name.clone(),
            start,
            end: window.promised_end(),
            estimate: window.estimate,
            reason: window.reason.clone(),
            reasons: window.reasons.clone(),
            language: own.unwrap_or(language::of_site(None).tag).to_owned(),
            scope: window.scope.clone(),
        }))
    }

    /// Returns the reason for a visitor, as the page will choose it. `languages`: what the
    /// visitor reads, as `Accept-Language` has it (RFC 9110, 12.5.4), or the tag of the language
    /// that the app has chosen. What depends on that field needs `Vary: Accept-Language`.
    ///
    /// ```
    /// # let temp = tempfile::tempdir()?;
    /// # let site = maint::Site::at(temp.path());
    /// # use maint::gate::Gate;
    /// # use maint::request::RequestParts;
    /// # std::fs::write(temp.path().join("state.json"), r#"{ "version": 1, "revision": 1,
    /// # "windows": { "default": { "opened_at": "2026-11-22T02:00:00Z", "start": "2999-11-22T02:00:00Z",
    /// # "reason": "Bigger disks", "reasons": { "de": "Größere Platten" } } } }"#)?;
    /// let gate = Gate::open(&site)?;
    /// let next = gate.next(&RequestParts::new("GET", "/"), None).unwrap();
    /// assert_eq!(next.reason_in("de-AT,de;q=0.9,en;q=0.8"), Some("Größere Platten"));
    /// assert_eq!(next.reason_in("en-GB,de;q=0.5"), Some("Bigger disks"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reason_in(&self, languages: &str) -> Option<&str> {
        let (own, reasons) = (&*self.language, &self.reasons);
        let tag = language::told(
            |each| each(languages.as_bytes()),
            self.reason.is_some().then_some(own),
            own,
            reasons,
        );
        language::lookup(tag.unwrap_or(own).as_bytes(), |tag| reasons.get(tag))
            .or(self.reason.as_ref())
            .map(String::as_str)
    }

    /// Whether only what changes something will be blocked.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.scope.read_only
    }

    /// Whether it will cover every request, whatever its path, host and method.
    #[must_use]
    pub fn covers_everything(&self) -> bool {
        self.scope.is_everything()
    }
}

impl Pass {
    /// The `Cache-Control` that keeps an answer out of caches (RFC 9111, 5.2.2).
    pub const CACHE_CONTROL: &'static str = "private, no-store";

    /// The header field, by name and value, of the app's answer while the site is read-only, by
    /// which scripts in front can show it: `maint-decision: read-only`. Answers of the gate
    /// itself have `block`.
    #[must_use]
    pub fn mark(&self) -> Option<(&'static str, &'static str)> {
        self.read_only.as_ref().map(|_| (MARK, "read-only"))
    }

    /// Whether some caches obey a header field, named in any case, rather than
    /// `Cache-Control`: fields for one kind of cache (RFC 9213),
    /// `surrogate-control`, `edge-control`, and nginx's `x-accel-expires`.
    #[must_use]
    pub fn overrides_cache_control(name: &str) -> bool {
        const TARGETED: &[u8] = b"-cache-control";
        let start = name.len().saturating_sub(TARGETED.len());
        name.as_bytes()[start..].eq_ignore_ascii_case(TARGETED)
            || ["surrogate-control", "edge-control", "x-accel-expires"]
                .iter()
                .any(|other| name.eq_ignore_ascii_case(other))
    }

    /// The pass of a request that a rule or token lets through.
    pub(super) fn by(id: &Arc<str>, is_private: bool) -> Self {
        Self { by: Some(id.clone()), is_private, ..Self::default() }
    }
}

/// Marks a response that the gate has sent in place of the app, in its extensions. Layers
/// further out can tell it from a failure of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intercepted {
    /// The window that blocked the request; `None` where a view is always down, and for a
    /// bypass link.
    pub window: Option<Arc<str>>,
}

impl Intercepted {
    /// The mark of an answer.
    #[must_use]
    pub fn by(reply: &Reply) -> Self {
        Self { window: reply.shared_window() }
    }
}
