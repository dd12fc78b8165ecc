//! Libraries in a visitor's page that ask in place of the browser, and show the answer
//! themselves: htmx, Turbo and Inertia. Each shows the page by a way of its own.
//!
//! - htmx 1 and 2 put no error into the page, but obey `HX-Refresh` and `HX-Redirect` with every
//!   status (<https://htmx.org/reference/#response_headers>).
//! - Inertia shows an answer that is not its own in a dialogue, and obeys `X-Inertia-Location`
//!   with 409 (<https://inertiajs.com/the-protocol>).
//! - Turbo 8 loads a page anew where a visit gets no HTML. A frame shows what has its id, and
//!   every request takes a stream (<https://turbo.hotwired.dev/handbook/streams>).

use super::escape::escape;
use crate::request::Request;
use crate::request::field::{only_header, trim};
use crate::request::place::{parameters, place};
use crate::request::url::UrlParts;

/// The media type of a Turbo stream.
pub(super) const STREAM: &str = "text/vnd.turbo-stream.html; charset=utf-8";

/// The parameter of a link to the page for something that was sent: its value is the method.
/// A library cannot show the answer to what it sent, but it can lead the browser to one.
pub(crate) const UNSENT: &str = "maint_unsent";

/// The library that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    Htmx {
        /// Whether it follows a link of the page in place of the browser.
        is_boosted: bool,
    },
    Inertia,
    Turbo {
        /// The id of the frame that asks.
        frame: Option<String>,
        /// Whether a stream is asked for.
        takes_stream: bool,
        /// From version 8 on, which sends the id of each request.
        is_recent: bool,
    },
}

impl Asker {
    pub(super) fn of(request: &impl Request) -> Option<Self> {
        if only_header(request, "sec-fetch-mode").is_some_and(|mode| mode == b"navigate") {
            return None;
        }
        let is_true = |name: &str| {
            only_header(request, name).is_some_and(|value| value.eq_ignore_ascii_case(b"true"))
        };
        if is_true("hx-request") {
            return Some(Self::Htmx { is_boosted: is_true("hx-boosted") });
        }
        if is_true("x-inertia") {
            return Some(Self::Inertia);
        }
        let frame = only_header(request, "turbo-frame");
        let frame = frame.and_then(|id| String::from_utf8(id).ok()).filter(|id| !id.is_empty());
        let is_recent = only_header(request, "x-turbo-request-id").is_some();
        let takes_stream = takes_stream(request);
        (frame.is_some() || is_recent || takes_stream).then_some(Self::Turbo {
            frame,
            takes_stream,
            is_recent,
        })
    }
}

/// What makes a library show that the site is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Showing {
    /// The page, as a browser gets it.
    Page,
    /// The page with a field that the library obeys, by name and value.
    Field(&'static str, String),
    /// The same with the status 409, without which the field means nothing.
    Conflict(&'static str, String),
    /// The page as text, upon which the library loads the page anew by itself.
    Text,
    /// A [stream](refresh) that loads the page of the visitor anew.
    Refresh,
    /// A [stream](notice) that shows the text above it.
    Notice,
    /// The text in [what a frame shows](framed), by its id.
    Frame(String),
}

impl Asker {
    /// What makes the library show that a request is blocked. `is_blocked` says whether the same
    /// visitor would be blocked with another method and target.
    pub(super) fn showing(
        self,
        request: &impl Request,
        is_read: bool,
        is_blocked: &dyn Fn(&str, &str) -> bool,
    ) -> Showing {
        let method = request.method();
        let field = if let Self::Htmx { .. } = self { "hx-current-url" } else { "referer" };
        let here = || current(request, field).filter(|here| is_blocked(method, here));
        // Where the visitor is, they can ask again when all is over.
        let sent = || unsent(&here().unwrap_or_else(|| target(request)), method);
        match self {
            Self::Htmx { is_boosted: true } if is_read => {
                Showing::Field("hx-redirect", target(request))
            }
            Self::Htmx { .. } if is_read => match here() {
                Some(_) => Showing::Field("hx-refresh", "true".to_owned()),
                None => Showing::Page,
            },
            Self::Htmx { .. } => match sent() {
                Some(link) => Showing::Field("hx-redirect", link),
                None => Showing::Page,
            },
            Self::Inertia => match if is_read { Some(target(request)) } else { sent() } {
                Some(link) => Showing::Conflict("x-inertia-location", link),
                None => Showing::Page,
            },
            Self::Turbo { frame, takes_stream, is_recent } => {
                let is_part = frame.is_some() || takes_stream;
                match frame {
                    _ if is_read && is_part && is_recent && here().is_some() => Showing::Refresh,
                    None if is_read && !is_part => Showing::Text,
                    _ if takes_stream => Showing::Notice,
                    Some(id) => Showing::Frame(id),
                    None => Showing::Page,
                }
            }
        }
    }
}

/// Whether `Accept` names a Turbo stream.
fn takes_stream(request: &impl Request) -> bool {
    let mut found = false;
    request.header("accept", &mut |line| {
        found |= line.split(|&byte| byte == b',').any(|range| {
            let media = range.split(|&byte| byte == b';').next().map(trim);
            media.is_some_and(|media| media.eq_ignore_ascii_case(b"text/vnd.turbo-stream.html"))
        });
    });
    found
}

/// Where the visitor is, as a header field says it: a path on this host, with its query.
fn current(request: &impl Request, field: &str) -> Option<String> {
    let url = String::from_utf8(only_header(request, field)?).ok()?;
    let parts = UrlParts::of(&url);
    let is_here = parts.is_http()
        && request.host().is_some_and(|host| host.eq_ignore_ascii_case(parts.authority));
    is_here.then(|| parts.target.to_string())
}

/// Where the request leads, for a browser that asks itself.
pub(super) fn target(request: &impl Request) -> String {
    let query = request.query().unwrap_or_default();
    place(request.path(), parameters(query))
}

/// A link to the page for what was sent by this method to a target.
fn unsent(target: &str, method: &str) -> Option<String> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mark = format!("{UNSENT}={method}");
    unsent_method(mark.as_bytes())?;
    let kept = parameters(query.as_bytes()).filter(|parameter| unsent_method(parameter).is_none());
    Some(place(path.as_bytes(), kept.chain([mark.as_bytes()])))
}

/// The method in a parameter of such a link.
pub(crate) fn unsent_method(parameter: &[u8]) -> Option<&str> {
    let method = parameter.strip_prefix(UNSENT.as_bytes())?.strip_prefix(b"=")?;
    let is_word = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    let is_sending = !matches!(method, b"" | b"GET" | b"HEAD");
    str::from_utf8(method).ok().filter(|_| is_sending && method.iter().all(is_word))
}

/// A stream that has Turbo load the page of the visitor anew.
pub(super) fn refresh() -> String {
    "<turbo-stream action=\"refresh\"></turbo-stream>\n".to_owned()
}

/// A stream that shows a text above the page of the visitor, which stays with what was
/// written into its forms. It works under any policy of that page, but may lose its place.
pub(super) fn notice(text: &str) -> String {
    format!(
        "<turbo-stream action=\"append\" targets=\"body\"><template><dialog open \
         id=\"maint-notice\" style=\"position:fixed;inset-block-start:1rem;z-index:2147483647;\
         max-inline-size:min(36rem,90vw)\">{}<form method=\"dialog\"><button autofocus>OK</button>\
         </form></dialog></template></turbo-stream>\n",
        paragraphs(text)
    )
}

/// A text in place of what a frame shows.
pub(super) fn framed(text: &str, id: &str) -> String {
    let body = paragraphs(text);
    let mut frame = String::from("<turbo-frame id=\"");
    escape(id, &mut frame);
    frame + "\"><div role=\"status\">" + &body + "</div></turbo-frame>\n"
}

/// The paragraphs of a plain text.
fn paragraphs(text: &str) -> String {
    let mut html = String::new();
    for text in text.split("\n\n").map(str::trim).filter(|text| !text.is_empty()) {
        html += "<p>";
        escape(text, &mut html);
        html += "</p>";
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RequestParts;

    fn get(fields: &[(&str, &str)]) -> RequestParts {
        let request = RequestParts::new("GET", "/list?page=2").with_host("shop.example.com");
        fields.iter().fold(request, |request, (name, value)| request.with(name, value))
    }

    #[test]
    fn libraries_are_known_by_what_they_send() {
        let of = |fields: &[(&str, &str)]| Asker::of(&get(fields));
        let turbo = |frame: Option<&str>, takes_stream, is_recent| {
            Some(Asker::Turbo { frame: frame.map(str::to_owned), takes_stream, is_recent })
        };
        assert_eq!(of(&[("HX-Request", "true")]), Some(Asker::Htmx { is_boosted: false }));
        let boosted = [("HX-Request", "true"), ("HX-Boosted", "true")];
        assert_eq!(of(&boosted), Some(Asker::Htmx { is_boosted: true }));
        assert_eq!(of(&[("X-Inertia", "true")]), Some(Asker::Inertia));
        assert_eq!(of(&[("Turbo-Frame", "cart")]), turbo(Some("cart"), false, false));
        assert_eq!(of(&[("X-Turbo-Request-Id", "7")]), turbo(None, false, true));
        let stream = "text/vnd.turbo-stream.html, text/html, application/xhtml+xml";
        assert_eq!(of(&[("Accept", stream)]), turbo(None, true, false));
        for fields in [
            &[][..],
            &[("HX-Request", "false")],
            &[("HX-Request", "true"), ("HX-Request", "true")],
            &[("HX-Request", "true"), ("Sec-Fetch-Mode", "navigate")],
            &[("Turbo-Frame", "")],
            &[("Accept", "text/html")],
        ] {
            assert_eq!(of(fields), None, "{fields:?}");
        }
    }

    #[test]
    fn a_page_of_another_host_is_not_where_the_visitor_is() {
        let at = |url: &str| current(&get(&[("Referer", url)]), "referer");
        assert_eq!(at("https://shop.example.com/a?b=1#c").as_deref(), Some("/a?b=1"));
        assert_eq!(at("HTTP://SHOP.example.com").as_deref(), Some("/"));
        for url in [
            "https://evil.example/a",
            "https://shop.example.com.evil.example/",
            "https://evil.example@shop.example.com/",
            "//shop.example.com/a",
            "/a",
            "",
        ] {
            assert_eq!(at(url), None, "{url}");
        }
    }

    #[test]
    fn the_link_for_what_was_sent_says_how_and_stays_on_this_host() {
        let link = |target: &str| unsent(target, "POST").unwrap();
        assert_eq!(link("/cart"), "/cart?maint_unsent=POST");
        assert_eq!(link("/cart?a=1&maint_unsent=PUT&b"), "/cart?a=1&b&maint_unsent=POST");
        assert_eq!(link("//evil.example/x?a"), "/?a&maint_unsent=POST");
        assert_eq!(link("/\r\nSet-Cookie: x=1"), "/?maint_unsent=POST");
        for method in ["GET", "HEAD", "", "P&x", "POST#", "post"] {
            assert_eq!(unsent("/", method), None, "{method}");
        }
        assert_eq!(unsent_method(b"maint_unsent=DELETE"), Some("DELETE"));
        for parameter in ["maint_unsent", "maint_unsent=", "maint_unsent=GET", "x=POST"] {
            assert_eq!(unsent_method(parameter.as_bytes()), None, "{parameter}");
        }
    }

    #[test]
    fn what_others_wrote_is_text_in_a_notice_and_in_a_frame() {
        let text = "Down <b>now</b>\n\nBack at \"noon\"\n";
        let shown = "<p>Down &lt;b&gt;now&lt;/b&gt;</p><p>Back at &quot;noon&quot;</p>";
        assert!(notice(text).contains(&format!(">{shown}<form method=\"dialog\">")));
        assert_eq!(
            framed(text, "a\"><script>"),
            format!(
                "<turbo-frame id=\"a&quot;&gt;&lt;script&gt;\"><div role=\"status\">{shown}</div>\
                 </turbo-frame>\n"
            )
        );
    }
}
