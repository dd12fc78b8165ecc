//! Which form of the page a client wants (RFC 9110, 12.5.1).

use crate::format::Format;
use crate::request::Request;
use crate::request::field::trim;

/// The weight of a range that has none, in thousandths.
const HEAVIEST: u16 = 1000;

/// What the client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) format: Format,
    /// Whether the client named the format, rather than accepting any.
    pub(crate) is_explicit: bool,
}

/// What the app says, or else every `Accept` line of a request.
///
/// A named type goes before a wildcard, whatever their weights, so that
/// `application/json, text/plain, */*` gets JSON. Then the heavier goes first, then
/// the earlier. A client that accepts none of the formats, or sends no `Accept`, gets
/// HTML.
pub(crate) fn wanted(request: &impl Request) -> Wanted {
    if let Some(format) = request.format() {
        return Wanted { format, is_explicit: true };
    }
    let mut refused = Vec::new();
    let mut best: Option<(u16, Format)> = None;
    let mut wildcards = Vec::new();
    request.header("accept", &mut |line| {
        for range in line.split(|&byte| byte == b',') {
            // A named type with the highest weight cannot be beaten.
            if best.is_some_and(|(heaviest, _)| heaviest == HEAVIEST) {
                return;
            }
            let mut parts = range.split(|&byte| byte == b';').map(trim);
            let media = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(HEAVIEST);
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
    let mut possible = wildcards.iter().flat_map(|(_, formats)| formats.iter().copied());
    let format = possible.find(|format| !refused.contains(format)).unwrap_or(Format::Html);
    Wanted { format, is_explicit: false }
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
        let wanted = wanted(&RequestParts::new("GET", "/").with("Accept", accept));
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
        let silent = wanted(&RequestParts::new("GET", "/"));
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
        assert_eq!(wanted(&request).format, Format::Json);
    }
}
