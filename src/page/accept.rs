//! Which form of the page a client wants (RFC 9110, 12.5.1).

use super::scripts::Asker;
use crate::format::Format;
use crate::request::Request;
use crate::request::field::{only_header, trim};

/// The weight of a range that has none, in thousandths.
const HEAVIEST: u16 = 1000;

/// What the client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) format: Format,
    /// Whether the client named the format, rather than accepting any.
    pub(crate) is_explicit: bool,
}

/// What the app says, or else every `Accept` line of a request, or else its other header
/// fields, or else `usual`.
///
/// A named type goes before a wildcard, whatever their weights, so that
/// `application/json, text/plain, */*` gets JSON. Then the heavier goes first, then
/// the earlier. A client that names none of the formats gets JSON if it [speaks
/// JSON](speaks_json), and else `usual`, or HTML; but nothing that it refused while it accepts
/// another.
pub(crate) fn wanted(request: &impl Request, usual: Option<Format>) -> Wanted {
    if let Some(format) = request.format() {
        return Wanted { format, is_explicit: true };
    }
    let mut refused = Vec::new();
    let mut best: Option<(u16, Format)> = None;
    let mut wildcards = Vec::new();
    let mut takes_anything = None;
    request.header("accept", &mut |line| {
        for range in line.split(|&byte| byte == b',') {
            // A named type with the highest weight cannot be beaten.
            if best.is_some_and(|(heaviest, _)| heaviest == HEAVIEST) {
                return;
            }
            let mut parts = range.split(|&byte| byte == b';').map(trim);
            let media = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(HEAVIEST);
            let is_anything = media == b"*/*" && weight > 0;
            takes_anything = Some(takes_anything == Some(true) || is_anything);
            match (named(media), weight) {
                (Some(format), 0) => refused.push(format),
                (Some(format), _) if best.is_none_or(|(heaviest, _)| weight > heaviest) => {
                    best = Some((weight, format));
                }
                // Wildcards count only if no type is named.
                (None, 1..) if best.is_none() => wildcards.push((weight, covered(media))),
                _ => {}
            }
        }
    });
    if let Some((_, format)) = best {
        return Wanted { format, is_explicit: true };
    }
    // A stable sort keeps the earlier of two equal ones first.
    wildcards.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let mut possible: Vec<Format> =
        wildcards.iter().flat_map(|(_, formats)| formats.iter().copied()).collect();
    if possible.is_empty() {
        possible = Format::ALL.to_vec();
    }
    possible.retain(|format| !refused.contains(format));
    let is_possible = |format: &Format| possible.contains(format);
    // A client that refuses all of them gets the usual page as well.
    let json = Some(Format::Json).filter(|format| {
        is_possible(format) && speaks_json(request, takes_anything.unwrap_or(true))
    });
    let format = json.or_else(|| usual.filter(is_possible)).or_else(|| possible.first().copied());
    Wanted { format: format.or(usual).unwrap_or(Format::Html), is_explicit: false }
}

/// Whether a client of which `Accept` says nothing is a program that speaks JSON.
///
/// It sends JSON itself; or it is a script in a page that reads the answer itself, by
/// `XMLHttpRequest` as libraries mark it, or by `fetch` (Fetch Metadata, `Sec-Fetch-Dest`).
/// A script that sends for a part of a page says so in `Accept`, as jQuery's `load` does, or is
/// one of the [known](super::scripts) ones.
fn speaks_json(request: &impl Request, takes_anything: bool) -> bool {
    let content = only_header(request, "content-type").unwrap_or_default();
    let media = content.split(|&byte| byte == b';').next().map(trim).unwrap_or_default();
    if named(media) == Some(Format::Json) {
        return true;
    }
    let is = |name: &str, value: &[u8]| {
        only_header(request, name).is_some_and(|found| found.eq_ignore_ascii_case(value))
    };
    takes_anything
        && (is("x-requested-with", b"XMLHttpRequest") || is("sec-fetch-dest", b"empty"))
        && Asker::of(request).is_none()
}

/// The format that a media type names, in any case.
fn named(media: &[u8]) -> Option<Format> {
    let is = |names: &[&str]| names.iter().any(|name| media.eq_ignore_ascii_case(name.as_bytes()));
    // `application/vnd.api+json` and its kin (RFC 6839, 3.1).
    let is_kind_of_json = || {
        let begins =
            media.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"application/"));
        begins && media[media.len() - 5..].eq_ignore_ascii_case(b"+json")
    };
    if is(&["text/html", "application/xhtml+xml"]) {
        Some(Format::Html)
    } else if is(&["application/json", "application/problem+json", "text/json"])
        || is_kind_of_json()
    {
        Some(Format::Json)
    } else {
        is(&["text/plain"]).then_some(Format::Txt)
    }
}

/// The formats that a range covers, the preferred one first.
fn covered(media: &[u8]) -> &'static [Format] {
    match media {
        b"*/*" => &[Format::Html, Format::Json, Format::Txt],
        media if media.eq_ignore_ascii_case(b"text/*") => &[Format::Html, Format::Txt],
        media if media.eq_ignore_ascii_case(b"application/*") => &[Format::Json],
        _ => &[],
    }
}

/// The weight of `q=0.8`, in thousandths; `None` if it cannot be read.
pub(super) fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', value @ ..] = parameter else { return None };
    let value: f32 = str::from_utf8(value).ok()?.trim().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    (0.0..=1.0).contains(&value).then_some((value * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RequestParts;

    fn of(accept: &str) -> (Format, bool) {
        let wanted = wanted(&RequestParts::new("GET", "/").with("Accept", accept), None);
        (wanted.format, wanted.is_explicit)
    }

    #[test]
    fn browsers_get_html() {
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            "text/html, application/xhtml+xml, image/jxr, */*",
            "TEXT/HTML",
            "Text/HTML;Q=0.5, application/json;q=0.4",
            "text/html;level=1;q=0.2, */*",
        ] {
            assert_eq!(of(accept), (Format::Html, true), "{accept}");
        }
    }

    #[test]
    fn api_clients_get_json_though_they_take_anything() {
        for accept in [
            "application/json, text/plain, */*",
            "application/json",
            "application/problem+json",
            "application/vnd.api+json",
            "Application/Vnd.Api+JSON",
            "*/*, application/json;q=0.1",
            "text/plain;q=0.5, application/json",
            "text/html;q=0, application/json;q=0.3",
        ] {
            assert_eq!(of(accept), (Format::Json, true), "{accept}");
        }
    }

    #[test]
    fn who_names_plain_text_gets_plain_text() {
        for accept in ["text/plain", "text/plain, application/json", "text/plain, */*;q=0.9"] {
            assert_eq!(of(accept), (Format::Txt, true), "{accept}");
        }
    }

    #[test]
    fn who_takes_anything_gets_html_and_no_redirect() {
        for accept in [
            "*/*",
            "",
            "text/*",
            "image/png",
            "image/avif,*/*;q=0.8",
            "garbage",
            ",;,=;q",
            "*/*;q=0",
        ] {
            assert_eq!(of(accept), (Format::Html, false), "{accept}");
        }
        let silent = wanted(&RequestParts::new("GET", "/"), None);
        assert_eq!((silent.format, silent.is_explicit), (Format::Html, false));
    }

    #[test]
    fn a_wildcard_does_not_bring_back_what_was_refused() {
        assert_eq!(of("*/*, text/html;q=0"), (Format::Json, false));
        assert_eq!(of("text/*, text/html;q=0.0"), (Format::Txt, false));
        assert_eq!(of("application/*"), (Format::Json, false));
        assert_eq!(of("text/*;q=0.1, Application/*;q=0.9"), (Format::Json, false));
    }

    #[test]
    fn the_lines_of_the_field_are_one_list() {
        let request =
            RequestParts::new("GET", "/").with("accept", "*/*").with("Accept", "application/json");
        assert_eq!(wanted(&request, None).format, Format::Json);
    }

    /// What a request with these header fields gets, by whether a format is usual.
    fn with(fields: &[(&str, &str)], usual: Option<Format>) -> Format {
        let request = RequestParts::new("POST", "/");
        let request =
            fields.iter().fold(request, |request, (name, value)| request.with(name, value));
        let wanted = wanted(&request, usual);
        assert!(!wanted.is_explicit || wanted.format == Format::Html, "{fields:?}");
        wanted.format
    }

    #[test]
    fn a_client_that_sends_json_gets_json_unless_it_asks_for_something_else() {
        for media in ["application/json", "application/json; charset=utf-8", "application/ld+json"]
        {
            let sent = ("Content-Type", media);
            for accept in [None, Some("*/*"), Some("application/*"), Some("application/pdf")] {
                let mut fields = vec![sent];
                fields.extend(accept.map(|accept| ("Accept", accept)));
                assert_eq!(with(&fields, None), Format::Json, "{fields:?}");
                assert_eq!(with(&fields, Some(Format::Txt)), Format::Json, "{fields:?}");
            }
            for accept in ["text/html", "text/*", "*/*, application/json;q=0"] {
                assert_eq!(with(&[sent, ("Accept", accept)], None), Format::Html, "{accept}");
            }
        }
        for media in ["application/x-www-form-urlencoded", "text/plain", "", "application/xml"] {
            assert_eq!(with(&[("Content-Type", media)], None), Format::Html, "{media}");
        }
    }

    #[test]
    fn a_script_that_takes_anything_gets_json() {
        let (xhr, fetch) = (("X-Requested-With", "XMLHttpRequest"), ("Sec-Fetch-Dest", "empty"));
        for script in [xhr, fetch] {
            assert_eq!(with(&[script, ("Accept", "*/*")], None), Format::Json);
            assert_eq!(with(&[script], None), Format::Json);
            for accept in ["text/html", "text/html, */*; q=0.01", "text/event-stream", "text/*"] {
                assert_eq!(with(&[script, ("Accept", accept)], None), Format::Html, "{accept}");
            }
            // htmx puts parts of pages into the page.
            assert_eq!(with(&[script, ("HX-Request", "true")], None), Format::Html);
        }
        for other in [("Sec-Fetch-Dest", "image"), ("X-Requested-With", "com.example.app")] {
            assert_eq!(with(&[other, ("Accept", "*/*")], None), Format::Html, "{other:?}");
        }
    }

    #[test]
    fn the_usual_format_is_for_those_who_do_not_say() {
        for usual in Format::ALL {
            for accept in ["*/*", "image/png", "image/avif,*/*;q=0.8", "*/*;q=0", ""] {
                assert_eq!(with(&[("Accept", accept)], Some(usual)), usual, "{accept}");
            }
            assert_eq!(with(&[], Some(usual)), usual);
            assert_eq!(with(&[("Accept", "text/html")], Some(usual)), Format::Html);
        }
        assert_eq!(with(&[("Accept", "text/*")], Some(Format::Json)), Format::Html);
        let refused = [("Accept", "*/*, application/json;q=0")];
        assert_eq!(with(&refused, Some(Format::Json)), Format::Html);
    }
}
