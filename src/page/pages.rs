//! All forms of one window's page. Those in the language of the site are made when the state is
//! read, and the others when somebody first asks for them.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;

use super::accept::wanted;
use super::language;
use super::policy;
use super::render::{Context, Engine, Templates};
use super::reply::{Body, Live, Made, Page, Reply};
use super::scripts::{self, Asker, Showing};
use super::texts::{LANGUAGES, Language};
use crate::error::Error;
use crate::format::Format;
use crate::request::Request;
use crate::request::field::only_header;
use crate::request::sieve::Sieve;
use crate::request::url::UrlParts;
use crate::state::page::{DEFAULT_STATUS, MAX_RETRY_AFTER, PageSettings};
use crate::state::window::Window;
use crate::time::has_come;

/// What all pages of a site take from it.
pub struct SiteDefaults<'s> {
    /// The name that visitors know the site by.
    name: Option<&'s str>,
    /// The page settings of the site.
    settings: &'s PageSettings,
    /// The templates of the site.
    templates: &'s Arc<Templates>,
    making: Making<'s>,
}

impl<'s> SiteDefaults<'s> {
    /// Takes the name that visitors know the site by, its page settings and its templates.
    #[must_use]
    pub fn new(
        name: Option<&'s str>,
        settings: &'s PageSettings,
        templates: &'s Arc<Templates>,
    ) -> Self {
        Self { name, settings, templates, making: Making::new(templates) }
    }
}

/// What makes several pages from the templates of a site.
struct Making<'s> {
    templates: &'s Arc<Templates>,
    engine: RefCell<Engine<'s>>,
    /// The policies of pages made from templates and of the built-in one.
    policies: [OnceCell<String>; 2],
}

impl<'s> Making<'s> {
    fn new(templates: &'s Arc<Templates>) -> Self {
        let engine = RefCell::new(templates.engine());
        Self { templates, engine, policies: Default::default() }
    }

    fn policy(&self, is_builtin: bool) -> &str {
        self.policies[usize::from(is_builtin)].get_or_init(|| {
            if is_builtin {
                policy::of_builtin()
            } else {
                policy::of_templates(self.templates.sources(Format::Html))
            }
        })
    }
}

/// The page of a window in every form.
pub struct Pages {
    window: Option<Arc<str>>,
    end: Option<Timestamp>,
    /// When the end is expected: it goes before the promised one while it is to come.
    estimate: Option<Timestamp>,
    /// In seconds, while no end is known.
    retry_after: u32,
    source: Source,
    /// In each language, that of the site among them.
    spoken: Box<[Spoken]>,
    /// Which of them is that of the site.
    of_site: usize,
    grpc: Arc<Page>,
    redirect: Option<(String, Arc<Page>)>,
    /// What is answered where the request does not say.
    usual: Option<Format>,
    kept: Kept,
}

/// How many bytes of pages a site keeps beyond those in its own language. A window has some
/// hundred forms of 12 kB, and visitors choose which of them are made; a site has up to 1000 windows.
const MAX_KEPT: usize = 32 * 1024 * 1024;

/// What the pages of a window have of the bytes that the site keeps.
struct Kept {
    of_site: Arc<AtomicUsize>,
    own: AtomicUsize,
}

impl Kept {
    /// Whether there is room for a page, which is then taken.
    fn take(&self, bytes: usize) -> bool {
        let with = |kept: usize| kept.checked_add(bytes).filter(|&kept| kept <= MAX_KEPT);
        let is_room = self.of_site.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with).is_ok();
        if is_room {
            self.own.fetch_add(bytes, Ordering::Relaxed);
        }
        is_room
    }

    fn give_back(&self, bytes: usize) {
        self.own.fetch_sub(bytes, Ordering::Relaxed);
        self.of_site.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.of_site.fetch_sub(*self.own.get_mut(), Ordering::Relaxed);
    }
}

/// What the pages of a window are made from.
struct Source {
    /// In the language of the site, for GET and HEAD, while the estimate is to come.
    context: Context,
    /// The reason in other languages.
    reasons: BTreeMap<String, String>,
    /// Those of the window over those of the site.
    settings: PageSettings,
    templates: Arc<Templates>,
    /// Whether the page in each format is in the visitor's language.
    speaks: [bool; 3],
}

/// The page in one language.
struct Spoken {
    /// What visitors ask for: a language of the page, or one that the window has a reason in.
    tag: Box<str>,
    language: &'static Language,
    /// Each form, once it is made. Two threads may make the same one, and neither waits: a lock
    /// that a child inherits would stay held.
    forms: [ArcSwapOption<Page>; FORMS],
}

/// How many forms a page has in one language: three formats, for reading and for sending, before
/// the estimate and after.
const FORMS: usize = 3 * 2 * 2;

/// One form of a page.
#[derive(Clone, Copy)]
struct Form {
    format: Format,
    /// For every other method than GET and HEAD: never sent twice, and never taken for success.
    is_sent: bool,
    is_late: bool,
}

/// The number of a format.
fn number(format: Format) -> usize {
    match format {
        Format::Html => 0,
        Format::Json => 1,
        Format::Txt => 2,
    }
}

impl Form {
    fn index(self) -> usize {
        number(self.format) * 4 + usize::from(self.is_sent) * 2 + usize::from(self.is_late)
    }
}

impl Pages {
    /// Renders the page of a window in the language of the site. The built-in page takes the
    /// place of a template that fails, and `errors` gets the reason.
    #[must_use]
    pub fn new(
        name: &str,
        window: &Window,
        site: &SiteDefaults<'_>,
        errors: &mut Vec<Error>,
    ) -> Self {
        let settings = window.page.over(site.settings);
        let context = Context::of(window, site.name, &settings);
        let reasons = window.reasons.clone();
        let source = Source::new(context, reasons, settings, site.templates.clone());
        let pages = Self::render(Some(name), source, site, errors);
        Self { end: window.promised_end(), estimate: window.estimate, ..pages }
    }

    /// Renders the page of a view that is always down.
    pub(crate) fn without_window(site: &SiteDefaults<'_>, errors: &mut Vec<Error>) -> Self {
        let context = Context::without_window(site.name, site.settings);
        let (settings, templates) = (site.settings.clone(), site.templates.clone());
        let source = Source::new(context, BTreeMap::new(), settings, templates);
        Self::render(None, source, site, errors)
    }

    fn render(
        name: Option<&str>,
        source: Source,
        site: &SiteDefaults<'_>,
        errors: &mut Vec<Error>,
    ) -> Self {
        let context = &source.context;
        let (spoken, of_site) = languages(&source);
        for is_sent in [false, true] {
            for format in Format::ALL {
                let form = Form { format, is_sent, is_late: false };
                // In JSON nothing differs but the status.
                let page = if is_sent
                    && format == Format::Json
                    && status_of_sending(context.status) == context.status
                {
                    spoken[of_site].forms[Form { is_sent: false, ..form }.index()].load_full()
                } else {
                    Some(source.page(&spoken[of_site], form, &site.making, errors))
                };
                spoken[of_site].forms[form.index()].store(page);
            }
        }
        let redirect = source.settings.redirect.as_ref().map(|url| {
            let body = Body::from(format!("{}: {url}\n", context.title));
            let fields =
                [("content-type", media_type(Format::Txt).to_owned()), ("location", url.clone())];
            (url.clone(), Arc::new(Page::new(302, fields, body)))
        });
        Self {
            window: name.map(Into::into),
            end: None,
            estimate: None,
            retry_after: context.retry_after,
            grpc: grpc(context),
            redirect,
            usual: source.settings.format,
            kept: Kept { of_site: source.templates.kept.clone(), own: AtomicUsize::new(0) },
            spoken,
            of_site,
            source,
        }
    }

    /// The answer to a blocked request.
    #[must_use]
    pub fn reply(&self, request: &impl Request, now: Timestamp) -> Reply {
        self.reply_within(request, now, &|_, target| target == scripts::target(request))
    }

    /// The answer to a blocked request. `is_blocked` says whether the same visitor would be
    /// blocked with another method and target: a library that would load a page anew must not
    /// do so again and again, because that page is open and a part of it is not.
    pub(crate) fn reply_within(
        &self,
        request: &impl Request,
        now: Timestamp,
        is_blocked: &dyn Fn(&str, &str) -> bool,
    ) -> Reply {
        let request = &Sieve::of(request);
        let method = request.method();
        let retry_after = self.retry_after(now);
        if let Some(kind) = grpc_kind(request) {
            let reply = self.grpc.reply(self.window.as_ref(), retry_after, false);
            return reply.with("content-type", kind.to_owned());
        }
        let finish =
            |page: &Arc<Page>| page.reply(self.window.as_ref(), retry_after, method == "HEAD");
        let page = || finish(&self.page(request, method, now));
        let is_read = is_read(method);
        let in_format = |format| self.in_format(request, format, now);
        let html = || in_format(Format::Html);
        let text = || in_format(Format::Txt).text(retry_after);
        let asker = Asker::of(request);
        match asker.map_or(Showing::Page, |asker| asker.showing(request, is_read, is_blocked)) {
            Showing::Page => page(),
            Showing::Field(name, value) => page().with(name, value),
            Showing::Conflict(name, value) => page().with_status(409).with(name, value),
            Showing::Text => finish(&in_format(Format::Txt)),
            Showing::Refresh => finish(&html().instead(scripts::STREAM, scripts::refresh())),
            Showing::Notice => finish(&html().instead(scripts::STREAM, scripts::notice(&text()))),
            Showing::Frame(id) => {
                let frame = scripts::framed(&text(), &id);
                finish(&html().instead(media_type(Format::Html), frame))
            }
        }
    }

    fn page(&self, request: &impl Request, method: &str, now: Timestamp) -> Arc<Page> {
        let wanted = wanted(request, self.usual);
        let is_read = is_read(method);
        // A client that follows a redirect after a POST takes the target's 200 for
        // the answer to what it sent.
        if is_read
            && wanted.is_explicit
            && wanted.format == Format::Html
            && let Some((url, page)) = &self.redirect
            && !is_script(request)
            && !leads_to(url, request)
        {
            return page.clone();
        }
        let format = match wanted.format {
            // A client that opens a WebSocket does not read a page.
            Format::Html if !wanted.is_explicit && only_header(request, "upgrade").is_some() => {
                Format::Txt
            }
            format => format,
        };
        self.in_format(request, format, now)
    }

    /// The page that a request gets in a format, whatever it asks for.
    fn in_format(&self, request: &impl Request, format: Format, now: Timestamp) -> Arc<Page> {
        let spoken = self.preferred(request, format);
        let is_sent = !is_read(request.method());
        self.form(spoken, Form { format, is_sent, is_late: self.is_late(now) })
    }

    /// The language that a visitor gets: the most preferred one that the window has a reason in,
    /// and else the most preferred one that the page speaks.
    fn preferred(&self, request: &impl Request, format: Format) -> usize {
        let find = |tag: &str| self.spoken.iter().position(|spoken| *spoken.tag == *tag);
        let source = &self.source;
        let of_site = &*self.spoken[self.of_site].tag;
        // The reason without a tag is in the language of the site.
        let own = source.context.reason.is_some().then_some(of_site);
        let lines = |each: &mut dyn FnMut(&[u8])| request.header(language::FIELD, each);
        let told = language::told(lines, own, of_site, &source.reasons);
        let spoken = || language::preferred(lines, self.of_site, find);
        told.and_then(find)
            .or_else(|| source.speaks(format).then(spoken).flatten())
            .unwrap_or(self.of_site)
    }

    /// The page in one form, which is made if nobody has asked for it yet, and each time while
    /// the site keeps all that it may.
    fn form(&self, spoken: usize, form: Form) -> Arc<Page> {
        let spoken = &self.spoken[spoken];
        let form = if self.estimate.is_none() { Form { is_late: false, ..form } } else { form };
        let made = &spoken.forms[form.index()];
        if let Some(page) = &*made.load() {
            return page.clone();
        }
        // The template was tried when the state was read. If it fails in this language alone,
        // the built-in page takes its place, and the gate reports it.
        let making = Making::new(&self.source.templates);
        let mut errors = Vec::new();
        let page = self.source.page(spoken, form, &making, &mut errors);
        if let Some(error) = errors.pop() {
            self.source.templates.mishap.note(error);
        }
        let size = page.size();
        // Another thread may have made the same one.
        if self.kept.take(size) && made.swap(Some(page.clone())).is_some() {
            self.kept.give_back(size);
        }
        page
    }

    fn is_late(&self, now: Timestamp) -> bool {
        has_come(self.estimate, now)
    }

    /// The answer to GET in a format and the language of the site, for those who show it
    /// without asking.
    pub(crate) fn shown(&self, format: Format, now: Timestamp) -> Reply {
        let form = Form { format, is_sent: false, is_late: self.is_late(now) };
        let page = self.form(self.of_site, form);
        page.reply(self.window.as_ref(), self.retry_after(now), false)
    }

    /// Whole seconds until the expected end, at least one, at most a week.
    pub(crate) fn retry_after(&self, now: Timestamp) -> u32 {
        let estimate = self.estimate.filter(|&estimate| now < estimate);
        let Some(end) = estimate.or(self.end) else { return self.retry_after };
        let left = end.duration_since(now);
        let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
        u32::try_from(seconds.max(1))
            .map_or(MAX_RETRY_AFTER, |seconds| seconds.min(MAX_RETRY_AFTER))
    }
}

/// Every language that a visitor may get, and which of them is that of the site.
fn languages(source: &Source) -> (Box<[Spoken]>, usize) {
    let own = source.settings.language.as_deref().unwrap_or(source.context.language);
    let mut tags: Vec<&str> = LANGUAGES.iter().map(|language| language.tag).collect();
    let others = source.reasons.keys().map(String::as_str).chain([own]);
    for tag in others.filter(|tag| language::spoken(tag).is_none_or(|known| known.tag != *tag)) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let of_site = tags.iter().position(|tag| *tag == own).unwrap_or_default();
    let default = language::of_site(Some(own));
    let spoken = tags.into_iter().map(|tag| Spoken {
        tag: tag.into(),
        language: language::spoken(tag).unwrap_or(default),
        forms: Default::default(),
    });
    (spoken.collect(), of_site)
}

impl Source {
    fn new(
        context: Context,
        reasons: BTreeMap<String, String>,
        settings: PageSettings,
        templates: Arc<Templates>,
    ) -> Self {
        let mut source = Self { context, reasons, settings, templates, speaks: [true; 3] };
        if source.settings.template.is_some() && !source.templates.are_multilingual() {
            for format in Format::ALL {
                source.speaks[number(format)] = source.own(format).is_none();
            }
        }
        source
    }

    /// Whether the page in a format is in the visitor's language.
    fn speaks(&self, format: Format) -> bool {
        self.speaks[number(format)]
    }

    /// The template of the page in a format; `None` for the built-in one.
    fn own(&self, format: Format) -> Option<&str> {
        // A template need not exist in every format.
        self.settings.template.as_deref().filter(|name| self.templates.has(name, format))
    }

    fn context(&self, spoken: &Spoken, form: Form) -> Context {
        let mut context = self.context.clone().told(&self.reasons, &spoken.tag);
        if self.speaks(form.format) {
            context = context.in_language(spoken.language, &self.settings);
        }
        context.is_late = form.is_late;
        if form.is_sent {
            context.status = status_of_sending(context.status);
            context.comes_back = form.format == Format::Json;
        }
        context
    }

    fn page(
        &self,
        spoken: &Spoken,
        form: Form,
        making: &Making<'_>,
        errors: &mut Vec<Error>,
    ) -> Arc<Page> {
        let format = form.format;
        let context = self.context(spoken, form);
        let (body, template, media_type) = self.body(format, &context, making, errors);
        let mut fields = vec![("content-type", media_type.to_owned())];
        // A template that was written in one language does not say which.
        if template.is_none() || self.speaks(format) {
            fields.push(("content-language", context.language.to_owned()));
        }
        if format == Format::Html {
            let policy = making.policy(template.is_none());
            fields.push(("content-security-policy", policy.to_owned()));
        }
        let status = context.status;
        let made = Made { format, template, context };
        Arc::new(Page::new(status, fields, body).made(made))
    }

    /// The body, the template of the site that it is made from, if any, and the media type.
    fn body(
        &self,
        format: Format,
        context: &Context,
        making: &Making<'_>,
        errors: &mut Vec<Error>,
    ) -> (Body, Option<String>, &'static str) {
        let templates = &self.templates;
        let own = self.own(format);
        let rendered = making.engine.borrow_mut().render(own, format, context);
        match rendered {
            Ok(text) => {
                let media_type = match own {
                    Some(_) if format == Format::Json && !is_problem(&text) => format.media_type(),
                    _ => media_type(format),
                };
                let body = match own {
                    Some(name) if templates.are_live() => {
                        let live =
                            Live::new(templates.clone(), name, format, context.clone(), text);
                        Body::Live(Box::new(live))
                    }
                    _ => Body::from(text),
                };
                (body, own.map(str::to_owned), media_type)
            }
            Err(error) => {
                errors.push(error);
                let builtin = making.engine.borrow_mut().render(None, format, context);
                let body = Body::from(builtin.unwrap_or_else(|_| context.title.clone()));
                (body, None, media_type(format))
            }
        }
    }
}

/// The status for a method that sends something, where the page has this one: a client
/// must not take the page for success, and lose what it sent.
#[must_use]
pub fn status_of_sending(status: u16) -> u16 {
    if status < 400 { DEFAULT_STATUS } else { status }
}

/// Whether JSON of the site's own is a problem of RFC 9457, as a copy of the built-in one is.
/// All its members are optional; these three tell it from anything else.
fn is_problem(json: &str) -> bool {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(json);
    parsed.is_ok_and(|page| {
        ["type", "title", "status"].iter().all(|member| page.get(*member).is_some())
    })
}

/// The media type of the built-in page.
fn media_type(format: Format) -> &'static str {
    match format {
        Format::Html => "text/html; charset=utf-8",
        Format::Json => "application/problem+json",
        Format::Txt => "text/plain; charset=utf-8",
    }
}

/// Ends a call before it begins: `Trailers-Only` in
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, where the
/// HTTP status is 200 and 14 means `UNAVAILABLE`.
fn grpc(context: &Context) -> Arc<Page> {
    const MAX_LENGTH: usize = 1_000;
    let message = context.reason.as_deref().unwrap_or(&context.title);
    let mut encoded = String::new();
    for byte in message.bytes() {
        if encoded.len() >= MAX_LENGTH {
            break;
        }
        match byte {
            b'%' | 0..b' ' | 0x7f.. => encoded += &format!("%{byte:02X}"),
            _ => encoded.push(char::from(byte)),
        }
    }
    let fields = [("grpc-status", "14".to_owned()), ("grpc-message", encoded)];
    Arc::new(Page::new(200, fields, Body::from(String::new())))
}

/// The media type of a gRPC call, or of a gRPC-Web call, which comes from a page.
fn grpc_kind(request: &impl Request) -> Option<&'static str> {
    let kind = only_header(request, "content-type")?;
    ["application/grpc-web-text", "application/grpc-web", "application/grpc"].into_iter().find(
        |known| {
            kind.strip_prefix(known.as_bytes())
                .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        },
    )
}

/// Whether the method sends nothing.
fn is_read(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// Whether a script sent the request, rather than a navigation (Fetch Metadata).
fn is_script(request: &impl Request) -> bool {
    let mode = only_header(request, "sec-fetch-mode");
    mode.is_some_and(|mode| mode != b"navigate")
        || only_header(request, "x-requested-with").is_some()
}

/// Whether a redirect would lead back to where the visitor is.
fn leads_to(url: &str, request: &impl Request) -> bool {
    let UrlParts { authority, target, .. } = UrlParts::of(url);
    let is_here = authority.is_empty()
        || request.host().is_some_and(|here| here.eq_ignore_ascii_case(authority));
    is_here && request.path() == target.path().as_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::request::RequestParts;

    /// The answer to a request that wants plain text, with and without a window.
    fn reply(method: &str, window: Option<serde_json::Value>) -> Reply {
        let templates = Arc::new(Templates::empty());
        let settings = PageSettings::default();
        let site = SiteDefaults::new(Some("Shop"), &settings, &templates);
        let mut errors = Vec::new();
        let pages = if let Some(window) = window {
            let window = serde_json::from_value(window).unwrap();
            Pages::new("w", &window, &site, &mut errors)
        } else {
            Pages::without_window(&site, &mut errors)
        };
        assert!(errors.is_empty(), "{errors:?}");
        let request = RequestParts::new(method, "/").with("Accept", "text/plain");
        pages.reply(&request, "2026-11-22T03:30:00Z".parse().unwrap())
    }

    fn body(method: &str, window: Option<serde_json::Value>) -> String {
        String::from_utf8(reply(method, window).body().to_vec()).unwrap()
    }

    #[test]
    fn the_end_of_a_lease_is_no_end_that_visitors_are_told() {
        let window = json!({
            "opened_at": "2026-11-22T03:00:00Z", "end": "2026-11-22T03:31:00Z", "lease": 60,
        });
        assert!(!body("GET", Some(window.clone())).contains("Until"));
        let reply = reply("GET", Some(window));
        assert_eq!(
            reply.header("retry-after"),
            Some(crate::state::page::DEFAULT_RETRY_AFTER.to_string())
        );
    }

    #[test]
    fn plain_text_says_what_the_page_says() {
        let (start, end) = ("2026-11-22T03:00:00Z", "2026-11-23T04:30:00Z");
        assert_eq!(
            body("GET", None),
            "Down for maintenance: Shop\n\nWe are working on it, and will be back soon.\n"
        );
        assert_eq!(
            body("GET", Some(json!({"opened_at": start, "end": end, "reason": "Bigger disks"}))),
            "Down for maintenance: Shop\n\nBigger disks\n\n\
             Since: 2026-11-22 03:00 UTC\nUntil: 2026-11-23 04:30 UTC\n"
        );
        assert_eq!(
            body("POST", Some(json!({"opened_at": start, "scope": {"read_only": true}}))),
            "Read-only for now: Shop\n\n\
             You can look around, but nothing can be changed for the moment.\n\n\
             Since: 2026-11-22 03:00 UTC\n\n\
             What you sent has not been processed. Please send it again later.\n"
        );
    }

    /// Pages of a window under the settings of a site.
    fn pages_of(window: serde_json::Value, settings: &PageSettings, templates: Templates) -> Pages {
        let templates = Arc::new(templates);
        let window = serde_json::from_value(window).unwrap();
        let mut errors = Vec::new();
        let site = SiteDefaults::new(None, settings, &templates);
        let pages = Pages::new("w", &window, &site, &mut errors);
        assert!(errors.is_empty(), "{errors:?}");
        pages
    }

    /// What a visitor with these languages gets as plain text: its language, its title and the
    /// reason.
    fn asked(pages: &Pages, languages: &str) -> (Option<String>, String, String) {
        let request = RequestParts::new("GET", "/").with("Accept", "text/plain");
        let request = request.with("Accept-Language", languages);
        let reply = pages.reply(&request, "2026-11-22T03:30:00Z".parse().unwrap());
        let text = String::from_utf8(reply.body().to_vec()).unwrap();
        let mut parts = text.split("\n\n").map(str::to_owned);
        let title = parts.next().unwrap();
        (reply.header("content-language"), title, parts.next().unwrap_or_default())
    }

    #[test]
    fn what_visitors_ask_for_fills_the_memory_up_to_a_bound() {
        let templates = Templates::empty();
        let kept = templates.kept.clone();
        let now = || kept.load(Ordering::Relaxed);
        let window =
            json!({"opened_at": "2026-11-22T03:00:00Z", "estimate": "2026-11-22T03:20:00Z"});
        let pages = pages_of(window, &PageSettings::new(), templates);
        assert_eq!(now(), 0, "the language of the site is made anyway");
        let french = asked(&pages, "fr");
        let one = now();
        assert!(one > french.1.len() && asked(&pages, "fr") == french && now() == one);
        kept.store(MAX_KEPT - 1, Ordering::Relaxed);
        for _ in 0..2 {
            let (language, title, _) = asked(&pages, "de");
            assert_eq!((language.as_deref(), &*title), (Some("de"), "Wartungsarbeiten"));
            assert_eq!(now(), MAX_KEPT - 1, "nothing more is kept");
        }
        assert_eq!(asked(&pages, "fr"), french, "what is kept stays");
        drop(pages);
        assert_eq!(now(), MAX_KEPT - 1 - one, "a state that is over gives back what it had");
    }

    #[test]
    fn a_visitor_gets_the_page_in_the_language_that_they_prefer() {
        let window = json!({"opened_at": "2026-11-22T03:00:00Z"});
        let pages = pages_of(window.clone(), &PageSettings::new(), Templates::empty());
        for (languages, tag, title) in [
            ("", "en", "Down for maintenance"),
            ("xx", "en", "Down for maintenance"),
            ("de-AT, en;q=0.5", "de", "Wartungsarbeiten"),
            ("de-AT, en;q=0.5", "de", "Wartungsarbeiten"),
            ("tlh, ja;q=0.2", "ja", "メンテナンス中です"),
        ] {
            let (language, said, _) = asked(&pages, languages);
            assert_eq!((language.as_deref(), &*said), (Some(tag), title), "{languages}");
        }
        let settings = PageSettings::new().language("fr");
        let pages = pages_of(window, &settings, Templates::empty());
        for (languages, tag) in [("", "fr"), ("xx", "fr"), ("*", "fr"), ("en", "en")] {
            assert_eq!(asked(&pages, languages).0.as_deref(), Some(tag), "{languages}");
        }
    }

    #[test]
    fn the_operators_words_go_before_the_language_of_the_page() {
        let window = json!({"opened_at": "2026-11-22T03:00:00Z", "reason": "Back at noon",
            "reasons": {"de": "Zurück um zwölf", "eo": "Revenos tagmeze"}});
        let pages = pages_of(window.clone(), &PageSettings::new(), Templates::empty());
        for (languages, tag, reason) in [
            ("de-CH", "de", "Zurück um zwölf"),
            ("it, de;q=0.1", "de", "Zurück um zwölf"),
            ("en, de;q=0.9", "en", "Back at noon"),
            ("it", "it", "Back at noon"),
            ("eo, de;q=0.9", "en", "Revenos tagmeze"),
            ("", "en", "Back at noon"),
        ] {
            let (language, _, said) = asked(&pages, languages);
            assert_eq!((language.as_deref(), &*said), (Some(tag), reason), "{languages}");
        }
        let settings = PageSettings::new().language("de");
        let pages = pages_of(window, &settings, Templates::empty());
        assert_eq!(asked(&pages, "xx").2, "Zurück um zwölf", "that of the site's language");
        let only = json!({"opened_at": "2026-11-22T03:00:00Z", "reasons": {"de": "Zurück"}});
        let pages = pages_of(only, &PageSettings::new(), Templates::empty());
        assert_eq!(asked(&pages, "fr, de;q=0.1").2, "Zurück");
        assert_eq!(asked(&pages, "fr").1, "Maintenance en cours");
    }

    #[test]
    fn a_template_that_was_written_in_one_language_stays_in_it() {
        let settings = PageSettings::new().template("own");
        let window = json!({"opened_at": "2026-11-22T03:00:00Z", "reason": "Back at noon",
            "reasons": {"de": "Zurück um zwölf"}});
        let with = |source: &str| {
            let mut templates = Templates::empty();
            templates.add("own.txt".to_owned(), source.to_owned()).unwrap();
            pages_of(window.clone(), &settings, templates)
        };
        let pages = with("{{ title }}\n\n{{ reason }}");
        let of = |language: Option<&str>, title: &str, reason: &str| {
            (language.map(str::to_owned), title.to_owned(), reason.to_owned())
        };
        let english = "Down for maintenance";
        assert_eq!(asked(&pages, "fr"), of(None, english, "Back at noon"));
        assert_eq!(asked(&pages, "de"), of(None, english, "Zurück um zwölf"));
        let pages = with("{{ title }} ({{ language }})\n\n{{ reason }}");
        let german = "Wartungsarbeiten (de)";
        assert_eq!(asked(&pages, "de"), of(Some("de"), german, "Zurück um zwölf"));
    }

    #[test]
    fn a_page_is_late_from_the_moment_that_its_estimate_has_passed() {
        let window = json!({
            "opened_at": "2026-11-22T03:00:00Z", "estimate": "2026-11-22T03:30:00Z"});
        let pages = pages_of(window, &PageSettings::new(), Templates::empty());
        let at = |time: &str| {
            let request = RequestParts::new("GET", "/").with("Accept", "text/plain");
            let reply = pages.reply(&request, time.parse().unwrap());
            assert_eq!(reply.context().unwrap().is_late, time >= "2026-11-22T03:30:00Z", "{time}");
            String::from_utf8(reply.body().to_vec()).unwrap()
        };
        let before = at("2026-11-22T03:29:59Z");
        assert!(before.ends_with("\nExpected until: 2026-11-22 03:30 UTC\n"), "{before}");
        for time in ["2026-11-22T03:30:00Z", "2026-11-23T03:30:00Z"] {
            let after = at(time);
            assert!(after.contains("\n\nIt is taking longer than we thought."), "{after}");
            assert!(!after.contains("03:30"), "{after}");
        }
        assert_eq!(at("2026-11-22T03:29:59Z"), before);
    }

    #[test]
    fn a_page_is_made_once_for_a_language_and_only_when_it_is_asked_for() {
        let window = json!({"opened_at": "2026-11-22T03:00:00Z"});
        let pages = pages_of(window, &PageSettings::new(), Templates::empty());
        let made = || {
            let forms = pages.spoken.iter().flat_map(|spoken| &spoken.forms);
            forms.filter(|form| form.load().is_some()).count()
        };
        assert_eq!(made(), 6, "in the language of the site");
        let request = RequestParts::new("GET", "/").with("Accept-Language", "de");
        let now = "2026-11-22T03:30:00Z".parse().unwrap();
        let (first, second) = (pages.reply(&request, now), pages.reply(&request, now));
        assert!(Arc::ptr_eq(&first.into_body(), &second.into_body()));
        assert_eq!(made(), 7);
    }

    #[test]
    fn json_of_the_sites_own_is_a_problem_if_it_has_what_makes_one() {
        for (json, expected) in [
            (r#"{"type": "about:blank", "title": "Down", "status": 503}"#, true),
            (r#"{"status": 503, "title": "Down", "type": "https://x/y", "more": []}"#, true),
            (r#"{"error": "maintenance", "message": null}"#, false),
            (r#"{"type": "error", "status": 503}"#, false),
            (r#"["type", "title", "status"]"#, false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(is_problem(json), expected, "{json}");
        }
    }

    proptest! {
        #[test]
        fn requirement_27_no_accept_makes_the_reader_panic(
            lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..4),
            shaped in r"((text|application|\*)/(html|json|plain|\*|x\+json)?[;, ]{0,2}(q=[0-9.eEinfa+-]{0,6})?[;, ]{0,2}){0,5}",
        ) {
            let mut request = RequestParts::new("GET", "/").with("accept", &shaped);
            let formats = wanted(&request, None);
            request.headers.extend(lines.into_iter().map(|line| ("Accept".to_owned(), line)));
            let also = wanted(&request, None);
            // Only a client that names a format counts as having asked for it.
            prop_assert!(formats.is_explicit || !shaped.is_empty() || formats.format == Format::Html);
            prop_assert!(also.is_explicit || !formats.is_explicit || also.format == formats.format);
        }

        #[test]
        fn requirement_51_no_template_writes_into_its_own_policy(
            source in r#"(<(/?)(script|SCRIPT|style|scripty)[ >"'a-z=]{0,4}|\{[{%#]|[%#}]\}|[a-zé;<>'" \r\n]){0,40}"#,
        ) {
            let policy = policy::of_templates([&*source]);
            let builtin_words = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'";
            let rest = policy.strip_prefix(builtin_words).expect("it begins as always");
            let (hashes, _) = rest.split_once("; font-src 'self'; ").expect("and goes on so");
            for hash in hashes.split(' ').skip(1) {
                let hash = hash.strip_prefix("'sha256-").and_then(|hash| hash.strip_suffix('\''));
                let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
                prop_assert!(hash.is_some_and(|hash| hash.len() == 44 && hash.bytes().all(is_base64)));
            }
        }
    }
}
