//! Links in what the operator wrote: addresses of pages and of mail become links, and
//! everything else stays text.

use super::escape::escape;
use crate::state::contact::is_address;
use crate::state::link::validate_url;

/// Makes HTML of a text. `http` and `https` URLs and mail addresses become links, whose texts
/// are the addresses.
pub(super) fn html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8);
    let mut from = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find([':', '@']) {
        let sign = at + found;
        at = sign + 1;
        let link = match text.as_bytes()[sign] {
            b':' => url(text, sign, from),
            _ => address(text, sign, from),
        };
        let Some((start, end)) = link else { continue };
        let target = &text[start..end];
        escape(&text[from..start], &mut html);
        html += "<a href=\"";
        if text.as_bytes()[sign] == b'@' {
            html += "mailto:";
        }
        escape(target, &mut html);
        html += "\" rel=\"noopener noreferrer\">";
        escape(target, &mut html);
        html += "</a>";
        (from, at) = (end, end);
    }
    escape(&text[from..], &mut html);
    html
}

/// The longest URL that is looked for, in bytes, so that a text of beginnings costs little.
const MAX_URL: usize = 2048;

/// The longest host with its port that is looked for, in bytes.
const MAX_HOST: usize = 300;

/// How many brackets may end one that are none of it.
const MAX_BRACKETS: usize = 4;

/// Where the URL begins and ends whose scheme ends at `colon`.
fn url(text: &str, colon: usize, from: usize) -> Option<(usize, usize)> {
    let before = &text.as_bytes()[from..colon];
    let is_scheme = |scheme: &&str| {
        let start = before.len().checked_sub(scheme.len());
        start.is_some_and(|start| before[start..].eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let scheme = ["https", "http"].into_iter().find(is_scheme)?;
    let start = colon - scheme.len();
    if text[from..start].ends_with(|c: char| c.is_alphanumeric() || "+-._".contains(c)) {
        return None;
    }
    let is_part = |byte: &&u8| byte.is_ascii_graphic() && !b"\\\"<>`{}|^".contains(byte);
    // The host goes first, since it is short: a text of hosts that are none costs little.
    let authority = text.as_bytes()[colon + 1..].strip_prefix(b"//")?;
    let is_host = |byte: &&u8| is_part(byte) && !b"/?#".contains(byte);
    let length = authority.iter().take(MAX_HOST + 1).take_while(is_host).count();
    let is_followed = authority.get(length).is_some_and(|byte| b"/?#".contains(byte));
    if length > MAX_HOST || is_followed && validate_url(&text[start..colon + 3 + length]).is_err() {
        return None;
    }
    let length = text.as_bytes()[start..].iter().take(MAX_URL + 1).take_while(is_part).count();
    let url = without_punctuation(&text[start..start + length]);
    validate_url(url).ok()?;
    Some((start, start + url.len()))
}

/// Leaves out what belongs to the sentence and not to the URL.
fn without_punctuation(url: &str) -> &str {
    let mut url = url;
    for _ in 0..=MAX_BRACKETS {
        let shorter = url.trim_end_matches(|c| ".,:;!?'*_~".contains(c));
        let shorter = match shorter.as_bytes().last() {
            Some(b')') if shorter.matches('(').count() < shorter.matches(')').count() => {
                &shorter[..shorter.len() - 1]
            }
            Some(b']') if shorter.matches('[').count() < shorter.matches(']').count() => {
                &shorter[..shorter.len() - 1]
            }
            _ => shorter,
        };
        if shorter.len() == url.len() {
            break;
        }
        url = shorter;
    }
    url
}

/// Where the mail address around an `@` begins and ends.
fn address(text: &str, sign: usize, from: usize) -> Option<(usize, usize)> {
    /// The longest part before the sign, and after it, in bytes.
    const MAX: (usize, usize) = (64, 255);
    let bytes = text.as_bytes();
    let is_local = |byte: &&u8| byte.is_ascii_alphanumeric() || b"!$'*+-._~".contains(byte);
    let is_host = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let local = bytes[from..sign].iter().rev().take(MAX.0 + 1).take_while(is_local).count();
    let host = bytes[sign + 1..].iter().take(MAX.1 + 1).take_while(is_host).count();
    let start = sign - local;
    // What stands around it is no part of it.
    let opening = text[start..sign].len() - text[start..sign].trim_start_matches(['\'', '*']).len();
    let start = start + opening;
    if text[from..start].ends_with(|c: char| c.is_alphanumeric() || "/@".contains(c)) {
        return None;
    }
    let end = sign + 1 + text[sign + 1..sign + 1 + host].trim_end_matches(['.', '-']).len();
    // Names within a network are no addresses that visitors can write to.
    let is_public = text[sign + 1..end].contains('.');
    (is_public && is_address(&text[start..end])).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What becomes of a text, with links as `[target]`.
    fn marked(text: &str) -> String {
        html(text)
            .replace("\" rel=\"noopener noreferrer\">", "]")
            .split("<a href=\"")
            .map(|part| match part.split_once(']') {
                Some((target, rest)) if rest.contains("</a>") => {
                    format!("[{target}]{}", rest.split_once("</a>").unwrap().1)
                }
                _ => part.to_owned(),
            })
            .collect()
    }

    #[test]
    fn addresses_become_links_and_the_sentence_around_them_does_not() {
        for (text, expected) in [
            ("See https://status.example.com/.", "See [https://status.example.com/]."),
            ("(see http://example.com/a_(b))", "(see [http://example.com/a_(b)])"),
            ("HTTPS://EXAMPLE.COM/x?a=b&c=d!", "[HTTPS://EXAMPLE.COM/x?a=b&amp;c=d]!"),
            ("请访问https://example.com/。谢谢", "请访问https://example.com/。谢谢"),
            ("请访问 https://example.com/。谢谢", "请访问 [https://example.com/]。谢谢"),
            ("Write to help@example.com.", "Write to [mailto:help@example.com]."),
            ("<help+me@example.com>", "&lt;[mailto:help+me@example.com]&gt;"),
            ("https://a.example https://b.example", "[https://a.example] [https://b.example]"),
            ("Uhr: 12:30, http: nothing", "Uhr: 12:30, http: nothing"),
            ("@you a@b x@ @x.example", "@you a@b x@ @x.example"),
            ("javascript:alert(1)", "javascript:alert(1)"),
            ("javascript://example.com/%0aalert(1)", "javascript://example.com/%0aalert(1)"),
            ("https://user@example.com/", "https://user@example.com/"),
            ("https://good@evil.example/", "https://good@evil.example/"),
            ("xhttps://example.com/", "xhttps://example.com/"),
            ("ftp://example.com/", "ftp://example.com/"),
            ("https://", "https://"),
            ("", ""),
        ] {
            assert_eq!(marked(text), expected, "{text}");
        }
    }

    #[test]
    fn requirement_51_nothing_that_is_written_becomes_markup() {
        for text in [
            "https://example.com/\"onmouseover=\"alert(1)",
            "https://example.com/'><script>alert(1)</script>",
            "https://example.com/<b>",
            "a\"onclick=x@example.com",
            "&amp; <b> \"q\" 'a'",
        ] {
            let html = html(text);
            let rest = html.replace("<a href=\"https://example.com/", "").replace("</a>", "");
            let rest = rest.replace("<a href=\"mailto:x@example.com", "");
            let rest = rest.replace("\" rel=\"noopener noreferrer\">", "");
            assert!(!rest.contains(['<', '>', '"', '\'']), "{text}: {html}");
        }
    }

    #[test]
    fn a_url_is_given_up_at_its_host() {
        for text in ["http://a.b:http://", "http://-/", "https://a..b/x"] {
            assert_eq!(html(text), text);
        }
        let long = format!("http://{}.example/", "a".repeat(MAX_HOST));
        assert_eq!(html(&long), long);
        let port = "http://a.example:8080?x http://a.example:80.";
        let expected = "[http://a.example:8080?x] [http://a.example:80].";
        assert_eq!(marked(port), expected);
    }

    proptest! {
        #[test]
        fn requirement_51_links_keep_the_text(
            text in r#"((https?://|mailto:)?[a-z@.:/&<>"'()é ]{0,12}(example\.com)?){0,6}"#,
        ) {
            let html = html(&text);
            let mut shown = String::new();
            let mut rest = &*html;
            while let Some((before, after)) = rest.split_once('<') {
                shown += before;
                let (tag, after) = after.split_once('>').unwrap();
                let is_link = tag.strip_prefix("a href=\"").is_some_and(|tag| {
                    let target = tag.strip_suffix("\" rel=\"noopener noreferrer").map(str::to_owned);
                    target.or_else(|| tag.strip_suffix("\" rel=\"noopener noreferrer\"").map(str::to_owned))
                        .is_some_and(|target| {
                            !target.contains('"')
                                && ["http://", "https://", "mailto:"].iter().any(|it| target.to_ascii_lowercase().starts_with(it))
                        })
                });
                prop_assert!(tag == "/a" || is_link, "{html}");
                rest = after;
            }
            shown += rest;
            // Ampersands last, so that none is made.
            for (code, c) in
                [("lt", "<"), ("gt", ">"), ("quot", "\""), ("#x27", "'"), ("amp", "&")]
            {
                shown = shown.replace(&format!("&{code};"), c);
            }
            prop_assert_eq!(shown, text);
        }
    }
}
