//! A finished answer: status, header fields and body, for any server to send.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::render::{Context, Templates};
use crate::format::Format;

/// The header field that marks an answer of maint, whatever its status, by `block`. The page
/// looks for that to find out whether the site is back. Answers of an app that is read-only
/// have `read-only`.
pub const MARK: &str = "maint-decision";

/// The header field with the revision of the state that an answer was made from, which
/// tells a stale copy from a new answer.
pub const REVISION: &str = "maint-revision";

/// What every answer has, so that no cache of any kind may keep it.
const ALWAYS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("surrogate-control", "no-store"),
    ("cdn-cache-control", "no-store"),
    ("vary", "Accept, Accept-Language, Cookie"),
    ("x-content-type-options", "nosniff"),
    (MARK, "block"),
];

/// A finished answer, sent instead of asking the app.
#[derive(Clone)]
pub struct Reply {
    page: Arc<Page>,
    /// In place of that of the page.
    status: Option<u16>,
    body: Arc<[u8]>,
    /// In seconds.
    retry_after: Option<u32>,
    /// Whether it answers HEAD, with the header fields of GET (RFC 9110, 9.3.2).
    is_head: bool,
    /// Header fields of this answer alone.
    own: Vec<(&'static str, String)>,
    window: Option<Arc<str>>,
    /// Of the state; absent where there never was a good one, and for a page that nobody
    /// asked a gate for.
    revision: Option<u64>,
}

impl Reply {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.unwrap_or(self.page.status)
    }

    /// The header fields, with names in lower case. Values are visible ASCII
    /// and spaces. HEAD gets the `content-length` of GET.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
        let borrow = |(name, value): &'_ (&'static str, String)| (*name, Cow::Owned(value.clone()));
        let fixed =
            self.page.headers.iter().map(|(name, value)| (*name, Cow::Borrowed(value.as_ref())));
        let retry_after =
            self.retry_after.map(|seconds| ("retry-after", Cow::Owned(seconds.to_string())));
        let length = ("content-length", Cow::Owned(self.body.len().to_string()));
        let revision = self.revision.map(|revision| (REVISION, Cow::Owned(revision.to_string())));
        fixed.chain(self.own.iter().map(borrow)).chain(revision).chain(retry_after).chain([length])
    }

    /// The value of one header field, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().find(|(given, _)| *given == name).map(|(_, value)| value.into_owned())
    }

    /// The body; empty for HEAD.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        if self.is_head { &[] } else { &self.body }
    }

    /// The body, shared with every other answer that has the same; empty for HEAD.
    #[must_use]
    pub fn into_body(self) -> Arc<[u8]> {
        if self.is_head { Arc::default() } else { self.body }
    }

    /// The window that blocks; `None` where a view is always down, and for a bypass
    /// link.
    #[must_use]
    pub fn window(&self) -> Option<&str> {
        self.window.as_deref()
    }

    /// The same, shared.
    pub(crate) fn shared_window(&self) -> Option<Arc<str>> {
        self.window.clone()
    }

    /// The format of the page; `None` where there is none: a redirect, a bypass link, gRPC.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        self.page.made.as_ref().map(|made| made.format)
    }

    /// The template of the site that the page was made from; `None` if it is built in.
    #[must_use]
    pub fn template(&self) -> Option<&str> {
        self.page.made.as_ref()?.template.as_deref()
    }

    /// What a template can use, for a framework that makes a page of its own; `None`
    /// where there is no page.
    #[must_use]
    pub fn context(&self) -> Option<Context> {
        let mut context = self.page.made.as_ref()?.context.clone();
        if let Some(seconds) = self.retry_after {
            context.retry_after = seconds;
        }
        Some(context)
    }

    /// The same for a proxy that asks about HEAD by GET: it leaves out the body itself.
    #[cfg(feature = "serve")]
    pub(crate) fn with_body(self) -> Self {
        Self { is_head: false, ..self }
    }

    /// Tells which state it was made from.
    pub(crate) fn of_revision(self, revision: Option<u64>) -> Self {
        Self { revision, ..self }
    }

    /// Adds a header field.
    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.own.push((name, value));
        self
    }

    /// Answers with another status than the page has.
    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Sends a visitor who came by a bypass link on to the same place without
    /// the token, which a cookie then carries.
    pub(crate) fn see_other(location: String, cookie: String) -> Self {
        let fields = [("referrer-policy", "no-referrer".to_owned())];
        let page = Arc::new(Page::new(303, fields, Body::from(String::new())));
        Self {
            page,
            status: None,
            body: Arc::default(),
            retry_after: None,
            is_head: false,
            own: vec![("location", location), ("set-cookie", cookie)],
            window: None,
            revision: None,
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cookie carries a token, and this ends up in logs.
        let printable = |(name, value)| match name {
            "set-cookie" => (name, Cow::Borrowed("…")),
            _ => (name, value),
        };
        let headers: Vec<_> = self.headers().map(printable).collect();
        f.debug_struct("Reply")
            .field("status", &self.status())
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// An answer in one form, for every request that wants it.
pub(super) struct Page {
    status: u16,
    headers: Vec<(&'static str, Box<str>)>,
    body: Body,
    made: Option<Made>,
}

/// What a page was made from.
pub(super) struct Made {
    pub(super) format: Format,
    pub(super) template: Option<String>,
    pub(super) context: Context,
}

impl Page {
    pub(super) fn new(
        status: u16,
        headers: impl IntoIterator<Item = (&'static str, String)>,
        body: Body,
    ) -> Self {
        let always = ALWAYS.map(|(name, value)| (name, value.to_owned()));
        let headers = always.into_iter().chain(headers);
        let headers = headers.map(|(name, value)| (name, field_value(&value))).collect();
        Self { status, headers, body, made: None }
    }

    /// Records what the page was made from.
    pub(super) fn made(self, made: Made) -> Self {
        Self { made: Some(made), ..self }
    }

    /// How many bytes it takes, more or less.
    pub(super) fn size(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        headers + self.body.at(0).len()
    }

    /// The body as text.
    pub(super) fn text(&self, retry_after: u32) -> String {
        String::from_utf8_lossy(&self.body.at(retry_after)).into_owned()
    }

    /// The same answer with another body, which is no page.
    pub(super) fn instead(&self, media_type: &str, body: String) -> Arc<Self> {
        let fields = [("content-type", media_type.to_owned())];
        Arc::new(Self::new(self.status, fields, Body::from(body)))
    }

    /// The answer to one request.
    pub(super) fn reply(
        self: &Arc<Self>,
        window: Option<&Arc<str>>,
        retry_after: u32,
        is_head: bool,
    ) -> Reply {
        Reply {
            page: self.clone(),
            status: None,
            body: self.body.at(retry_after),
            retry_after: Some(retry_after),
            is_head,
            own: Vec::new(),
            window: window.cloned(),
            revision: None,
        }
    }
}

/// Leaves out what would end a header field or is not printable ASCII (RFC 9110, 5.5).
fn field_value(text: &str) -> Box<str> {
    text.chars().filter(|c| matches!(c, ' '..='~')).collect()
}

/// The bytes of a page.
pub(super) enum Body {
    Fixed(Arc<[u8]>),
    /// The template shows how long to wait, so the page changes each second.
    Live(Box<Live>),
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Fixed(text.into_bytes().into())
    }
}

impl Body {
    fn at(&self, retry_after: u32) -> Arc<[u8]> {
        match self {
            Self::Fixed(bytes) => bytes.clone(),
            Self::Live(live) => live.at(retry_after),
        }
    }
}

pub(super) struct Live {
    pub(super) templates: Arc<Templates>,
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) context: Context,
    /// The last page that was made, and the seconds to wait that it shows.
    last: ArcSwapOption<(u32, Arc<[u8]>)>,
}

impl Live {
    pub(super) fn new(
        templates: Arc<Templates>,
        name: &str,
        format: Format,
        context: Context,
        first: String,
    ) -> Self {
        let last = ArcSwapOption::from_pointee((context.retry_after, first.into_bytes().into()));
        Self { templates, name: name.to_owned(), format, context, last }
    }

    fn at(&self, retry_after: u32) -> Arc<[u8]> {
        let last = self.last.load();
        if let Some((seconds, bytes)) = last.as_deref()
            && *seconds == retry_after
        {
            return bytes.clone();
        }
        let context = Context { retry_after, ..self.context.clone() };
        let made = self.templates.render(Some(&self.name), self.format, &context);
        // It was tried when the state was read. If it fails for these seconds alone,
        // the built-in page takes its place.
        let made = made.or_else(|_| Templates::empty().render(None, self.format, &context));
        let bytes: Arc<[u8]> = made.unwrap_or_default().into_bytes().into();
        self.last.store(Some(Arc::new((retry_after, bytes.clone()))));
        bytes
    }
}
