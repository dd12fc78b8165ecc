//! All forms of one window's page, made when the state is read.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use jiff::Timestamp;

use super::accept::wanted;
use super::policy;
use super::render::{Context, Engine, Templates};
use super::reply::{Body, Live, Made, Page, Reply};
use super::scripts::{self, Asker};
use crate::error::Error;
use crate::format::Format;
use crate::request::Request;
use crate::request::field::only_header;
use crate::request::url::UrlParts;
use crate::state::page::{DEFAULT_STATUS, MAX_RETRY_AFTER, PageSettings};
use crate::state::window::Window;

/// What all pages of a site take from it.
pub struct SiteDefaults<'s> {
    /// The name that visitors know the site by.
    name: Option<&'s str>,
    /// The page settings of the site.
    settings: &'s PageSettings,
    /// The templates of the site.
    templates: &'s Arc<Templates>,
    engine: RefCell<Engine<'s>>,
    /// The policies of pages made from templates and of the built-in one.
    policies: [OnceCell<String>; 2],
}

impl<'s> SiteDefaults<'s> {
    /// Takes the name that visitors know the site by, its page settings and its templates.
    #[must_use]
    pub fn new(
        name: Option<&'s str>,
        settings: &'s PageSettings,
        templates: &'s Arc<Templates>,
    ) -> Self {
        let engine = RefCell::new(templates.engine());
        Self { name, settings, templates, engine, policies: Default::default() }
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
    /// For GET and HEAD.
    reading: Forms,
    /// For every other method: never sent twice, and never taken for success.
    sending: Forms,
    grpc: Arc<Page>,
    redirect: Option<(String, Arc<Page>)>,
    /// What is answered where the request does not say.
    usual: Option<Format>,
}

/// The page in each format.
struct Forms {
    html: Arc<Page>,
    json: Arc<Page>,
    txt: Arc<Page>,
}

impl Pages {
    /// Renders the page of a window. The built-in page takes the place of a template
    /// that fails, and `errors` gets the reason.
    #[must_use]
    pub fn new(
        name: &str,
        window: &Window,
        site: &SiteDefaults<'_>,
        errors: &mut Vec<Error>,
    ) -> Self {
        let settings = window.page.over(site.settings);
        let context = Context::of(window, site.name, &settings);
        let pages =
            Self::render(Some(name), window.promised_end(), &settings, &context, site, errors);
        Self { estimate: window.estimate, ..pages }
    }

    /// Renders the page of a view that is always down.
    pub(crate) fn without_window(site: &SiteDefaults<'_>, errors: &mut Vec<Error>) -> Self {
        let context = Context::without_window(site.name, site.settings);
        Self::render(None, None, site.settings, &context, site, errors)
    }

    fn render(
        name: Option<&str>,
        end: Option<Timestamp>,
        settings: &PageSettings,
        context: &Context,
        site: &SiteDefaults<'_>,
        errors: &mut Vec<Error>,
    ) -> Self {
        let mut maker = Maker { settings, site, errors };
        let reading = Forms {
            html: maker.page(Format::Html, context),
            json: maker.page(Format::Json, context),
            txt: maker.page(Format::Txt, context),
        };
        let status = status_of_sending(context.status);
        let of_sending = Context { comes_back: false, status, ..context.clone() };
        let sending = Forms {
            html: maker.page(Format::Html, &of_sending),
            // In JSON nothing differs but the status.
            json: if status == context.status {
                reading.json.clone()
            } else {
                maker.page(Format::Json, &Context { status, ..context.clone() })
            },
            txt: maker.page(Format::Txt, &of_sending),
        };
        let redirect = settings.redirect.as_ref().map(|url| {
            let body = Body::from(format!("{}: {url}\n", context.title));
            let fields =
                [("content-type", media_type(Format::Txt).to_owned()), ("location", url.clone())];
            (url.clone(), Arc::new(Page::new(302, fields, body)))
        });
        Self {
            window: name.map(Into::into),
            end,
            estimate: None,
            retry_after: context.retry_after,
            grpc: grpc(context),
            reading,
            sending,
            redirect,
            usual: settings.format,
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
        let method = request.method();
        let retry_after = self.retry_after(now);
        if let Some(kind) = grpc_kind(request) {
            let reply = self.grpc.reply(self.window.as_ref(), retry_after, false);
            return reply.with("content-type", kind.to_owned());
        }
        let finish =
            |page: &Arc<Page>| page.reply(self.window.as_ref(), retry_after, method == "HEAD");
        let asker = Asker::of(request);
        let Some(asker) = asker else { return finish(self.page(request, method)) };
        let is_read = is_read(method);
        let here = || {
            let field = if let Asker::Htmx { .. } = asker { "hx-current-url" } else { "referer" };
            scripts::current(request, field).filter(|here| is_blocked(method, here))
        };
        // Where the visitor is, they can ask again when all is over.
        let unsent = || {
            let target = here().unwrap_or_else(|| scripts::target(request));
            scripts::unsent(&target, method)
        };
        let forms = self.forms(is_read);
        let reply = finish(self.page(request, method));
        match &asker {
            Asker::Htmx { is_boosted: true } if is_read => {
                reply.with("hx-redirect", scripts::target(request))
            }
            Asker::Htmx { .. } if is_read => match here() {
                Some(_) => reply.with("hx-refresh", "true".to_owned()),
                None => reply,
            },
            Asker::Htmx { .. } => match unsent() {
                Some(link) => reply.with("hx-redirect", link),
                None => reply,
            },
            Asker::Inertia => {
                let link = if is_read { Some(scripts::target(request)) } else { unsent() };
                match link {
                    Some(link) => reply.with_status(409).with("x-inertia-location", link),
                    None => reply,
                }
            }
            Asker::Turbo { frame, takes_stream, is_recent } => {
                let is_part = frame.is_some() || *takes_stream;
                let text = || forms.txt.text(retry_after);
                match frame {
                    _ if is_read && is_part && *is_recent && here().is_some() => {
                        finish(&forms.html.instead(scripts::STREAM, scripts::refresh()))
                    }
                    // Turbo loads the page anew by itself.
                    None if is_read && !is_part => finish(&forms.txt),
                    _ if *takes_stream => {
                        finish(&forms.html.instead(scripts::STREAM, scripts::notice(&text())))
                    }
                    Some(id) => finish(
                        &forms.html.instead(media_type(Format::Html), scripts::framed(&text(), id)),
                    ),
                    None => reply,
                }
            }
        }
    }

    fn forms(&self, is_read: bool) -> &Forms {
        if is_read { &self.reading } else { &self.sending }
    }

    fn page(&self, request: &impl Request, method: &str) -> &Arc<Page> {
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
            return page;
        }
        let forms = self.forms(is_read);
        match wanted.format {
            // A client that opens a WebSocket does not read a page.
            Format::Html if !wanted.is_explicit && only_header(request, "upgrade").is_some() => {
                &forms.txt
            }
            Format::Html => &forms.html,
            Format::Json => &forms.json,
            Format::Txt => &forms.txt,
        }
    }

    /// The page that GET gets in a format, for those who show it without asking.
    pub(crate) fn finished(&self, format: Format, now: Timestamp) -> Arc<[u8]> {
        let page = match format {
            Format::Html => &self.reading.html,
            Format::Json => &self.reading.json,
            Format::Txt => &self.reading.txt,
        };
        page.reply(None, self.retry_after(now), false).into_body()
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

/// The status for a method that sends something, where the page has this one: a client
/// must not take the page for success, and lose what it sent.
#[must_use]
pub fn status_of_sending(status: u16) -> u16 {
    if status < 400 { DEFAULT_STATUS } else { status }
}

struct Maker<'m, 's> {
    settings: &'m PageSettings,
    site: &'m SiteDefaults<'s>,
    errors: &'m mut Vec<Error>,
}

impl Maker<'_, '_> {
    fn page(&mut self, format: Format, context: &Context) -> Arc<Page> {
        let (body, template, media_type) = self.body(format, context);
        let mut fields = vec![("content-type", media_type.to_owned())];
        if format == Format::Html {
            let policy = self.site.policy(template.is_none());
            fields.push(("content-security-policy", policy.to_owned()));
        }
        let made = Made { format, template, context: context.clone() };
        Arc::new(Page::new(context.status, fields, body).made(made))
    }

    /// The body, the template of the site that it is made from, if any, and the media type.
    fn body(&mut self, format: Format, context: &Context) -> (Body, Option<String>, &'static str) {
        let templates = self.site.templates;
        // A template need not exist in every format.
        let own = self.settings.template.as_deref().filter(|name| templates.has(name, format));
        let rendered = self.site.engine.borrow_mut().render(own, format, context);
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
                self.errors.push(error);
                let builtin = self.site.engine.borrow_mut().render(None, format, context);
                let body = Body::from(builtin.unwrap_or_else(|_| context.title.to_owned()));
                (body, None, media_type(format))
            }
        }
    }
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
    let message = context.reason.as_deref().unwrap_or(context.title);
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
        assert!(!body("GET", Some(window.clone())).contains("until"));
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
             Since 2026-11-22 03:00 UTC, until 2026-11-23 04:30 UTC.\n"
        );
        assert_eq!(
            body("POST", Some(json!({"opened_at": start, "scope": {"read_only": true}}))),
            "Read-only for now: Shop\n\n\
             You can look around, but nothing can be changed for the moment.\n\n\
             Since 2026-11-22 03:00 UTC.\n\n\
             What you sent has not been processed. Please send it again later.\n"
        );
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
