//! Requirement 51: whatever an operator writes, visitors get it as text.

use maint::gate::Answer;
use maint::internal::state::validate_redirect;
use maint::page::Reply;
use serde_json::{Value, json};

use crate::env::{OPENED, TestSite, accepting, body, down, reply, state};
use crate::say::figure;

/// Marks the place of a payload.
const MARK: &str = "SENTINEL";

pub(crate) const PAYLOADS: [&str; 50] = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg/onload=alert(1)>",
    "'><svg onload=alert(1)>",
    "<svg><script>alert&#40;1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<!--><img src=x>",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "<a href=javascript:alert(1)>x",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "<iframe srcdoc='<script>'>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<form action=//evil.example><input>",
    "<link rel=stylesheet href=//evil.example>",
    "<details open ontoggle=alert(1)>",
    "<math><mtext></form><form><mglyph><style>",
    "\" onmouseover=\"alert(1)",
    "' onmouseover='alert(1)",
    "` onmouseover=`alert(1)",
    "x onmouseover=alert(1) y",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "&amp;",
    "&",
    "<",
    ">",
    "\"",
    "'",
    "\\",
    "\\u003cscript\\u003e",
    "\\\"; alert(1); //",
    "${7*7}",
    "{{ 7*7 }}",
    "{% raw %}",
    "{# x #}",
    "{{ self }}",
    "\u{2028}alert(1)\u{2029}",
    "\u{feff}<b>",
    "\u{202e}txt.exe",
    "a\nb\tc",
    "x\r\nSet-Cookie: a=b",
    "x\r\n\r\n<html>",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{1b}]0;title\u{7}",
    "nul\0byte",
];

/// As HTML escapes it (<https://html.spec.whatwg.org/#escapingString>), and `/` as Jinja
/// does.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#x27;".to_owned(),
            '/' => "&#x2f;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

/// The pages of a state with this in each of its fields, or `None` if it is refused.
fn pages(site: &TestSite, revision: u64, text: &str) -> Option<[Reply; 4]> {
    let mut parts = down(text);
    parts["name"] = json!(text);
    let gate = site.gate();
    site.put(revision, &parts);
    if gate.revision() != revision {
        return None;
    }
    let grpc = accepting("text/html").with("content-type", "application/grpc");
    let requests =
        [accepting("text/html"), accepting("application/json"), accepting("text/plain"), grpc];
    let replies = requests.map(|request| reply(gate.answer(&request)));
    for reply in &replies {
        for (name, value) in reply.headers() {
            assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'-')), "{name}");
            assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value:?}");
        }
    }
    Some(replies)
}

/// The outcome for the payloads.
#[derive(Default)]
struct Tally {
    shown: usize,
    refused: usize,
    /// Shown as anything other than the text itself.
    wrong: Vec<&'static str>,
}

/// Puts each payload into the fields that pages show, with this HTML template or with
/// the built-in page.
fn show_all(template: Option<&str>) -> Tally {
    let site = TestSite::new();
    if let Some(html) = template {
        site.template("x.html", html);
        site.template("x.json", r#"{"detail":{{ reason }},"site":{{ site }}}"#);
        site.template("x.txt", "{{ reason }} {{ site }}");
    }
    let settings = if template.is_some() { json!({ "template": "x" }) } else { json!({}) };
    let with_settings = |text: &str| {
        let mut parts = down(text);
        parts["name"] = json!(text);
        parts["page"] = settings.clone();
        parts
    };
    site.put(1, &with_settings(MARK));
    let gate = site.gate();
    let all = || {
        ["text/html", "application/json", "text/plain"].map(|accept| {
            let reply = reply(gate.answer(&accepting(accept)));
            // The declared type counts: a browser does not look for markup in it.
            let sent_as = reply.header("content-type").unwrap();
            assert!(sent_as.starts_with(accept) || sent_as == "application/problem+json");
            assert_eq!(reply.header("x-content-type-options").as_deref(), Some("nosniff"));
            body(&reply)
        })
    };
    let [html, _, txt] = all();
    let mut tally = Tally::default();
    for (payload, revision) in PAYLOADS.into_iter().zip(2..) {
        site.put(revision, &with_settings(payload));
        let is_refused = gate.revision() != revision;
        assert_eq!(
            is_refused,
            payload.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')),
            "{payload:?}"
        );
        if is_refused {
            tally.refused += 1;
            site.put(revision, &with_settings(MARK));
            assert_eq!(all()[0], html, "as before");
            continue;
        }
        let [is_html, is_json, is_txt] = all();
        let problem: Value = serde_json::from_str(&is_json).unwrap();
        let is_same = without_links(&is_html)
            == without_links(&html.replace(MARK, &escaped(payload)))
            && is_txt == txt.replace(MARK, payload)
            && problem["detail"] == payload;
        tally.shown += 1;
        tally.wrong.extend((!is_same).then_some(payload));
    }
    assert_eq!(tally.shown + tally.refused, PAYLOADS.len());
    tally
}

/// A page whose addresses are text, as they stand in the message. A slash is the same with an
/// escape and without.
fn without_links(html: &str) -> String {
    let mut parts = html.split("<a href=\"");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("\" rel=\"noopener noreferrer\">") {
            Some((target, rest)) => {
                let leads = ["http://", "https://", "mailto:"];
                let scheme = target.to_ascii_lowercase();
                assert!(leads.iter().any(|lead| scheme.starts_with(lead)), "{target}");
                text += rest;
            }
            None => text += part,
        }
    }
    text.replace("</a>", "").replace("&#x2f;", "/")
}

fn assert_is_text(template: Option<&str>) {
    let tally = show_all(template);
    assert!(tally.wrong.is_empty(), "{:?}", tally.wrong);
    figure(&format!(
        "{} payloads: {} shown as text in 3 forms, {} refused, 0 unescaped bytes",
        PAYLOADS.len(),
        tally.shown,
        tally.refused
    ));
}

#[test]
fn requirement_51_payloads_are_text_on_the_builtin_page() {
    assert_is_text(None);
}

#[test]
fn requirement_51_payloads_are_text_on_a_page_of_the_site() {
    let html = "<p title=\"{{ reason }}\" id='{{ site }}'>{{ reason }}</p><b>{{ site }}</b>";
    assert_is_text(Some(html));
}

#[test]
fn requirement_57_a_page_that_does_not_escape_is_found() {
    let wrong = show_all(Some("<p>{{ reason|safe }}</p><b>{{ site }}</b>")).wrong;
    let is_markup = |payload: &&&str| escaped(payload) != **payload;
    let markup = show_all(None).shown - PAYLOADS.iter().filter(|one| !is_markup(one)).count();
    figure(&format!("a template that asks not to be escaped: found with {} payloads", wrong.len()));
    assert!(wrong.len() >= markup && wrong.contains(&"<script>alert(1)</script>"), "{wrong:?}");
}

#[test]
fn requirement_51_header_fields_hold_no_control_characters_whatever_the_state_says() {
    let site = TestSite::new();
    site.put(1, &json!({}));
    let mut seen = 0;
    for (payload, revision) in PAYLOADS.into_iter().zip(2..) {
        if let Some([_, _, _, grpc]) = pages(&site, revision, payload) {
            let message = grpc.header("grpc-message").unwrap();
            assert!(!message.contains(['\r', '\n', '\u{1b}']) && !message.is_empty());
            seen += 1;
        }
        site.put(revision, &json!({}));
    }
    assert!(seen > 40, "{seen}");
    figure(&format!(
        "{seen} payloads in 4 kinds of answer: names of lower-case letters, values of printable \
         ASCII, nothing else"
    ));
}

#[test]
fn requirement_51_a_redirect_is_checked_when_it_is_written_and_when_it_is_read() {
    let site = TestSite::new();
    let more = [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "https://a@evil.example/",
        "https://evil.example\r\nSet-Cookie: a=b",
        "/a b",
        "/ü",
        "ftp://evil.example/",
    ];
    let mut refused = 0;
    for (url, revision) in PAYLOADS.into_iter().chain(more).zip(1..) {
        assert!(validate_redirect(url).is_err(), "{url:?}");
        let parts = json!({
            "windows": { "w": { "opened_at": OPENED, "page": { "redirect": url } } },
        });
        site.replace(&state(revision, &parts));
        assert!(maint::Gate::open(&site.site()).is_err(), "{url:?}");
        refused += 1;
    }
    figure(&format!("{refused} of {refused} redirects refused twice"));
    site.put(
        99,
        &json!({
            "windows": { "w": { "opened_at": OPENED, "page": { "redirect": "/sorry?a=1" } } },
        }),
    );
    let Answer::Reply(reply) = site.gate().answer(&accepting("text/html")) else {
        panic!("the window is open")
    };
    assert_eq!((reply.status(), reply.header("location").as_deref()), (302, Some("/sorry?a=1")));
}
