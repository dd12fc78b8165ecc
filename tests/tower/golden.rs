//! The answer to a blocked request, byte for byte: each method, each `Accept`.

use axum::Router;
use axum::routing::any;
use serde_json::{Value, json};

use crate::client::{Client, Response};
use crate::env::{Server, TestSite};
use crate::say::figure;

pub(crate) const BROWSER: &str =
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
pub(crate) const AXIOS: &str = "application/json, text/plain, */*";

/// A reason that is awkward for markup, for a header field and for a JSON string.
const REASON: &str = "Back \"at\" <noon> & später";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Html,
    Json,
    Text,
}

const ACCEPTS: [(Option<&str>, Form); 8] = [
    (Some(BROWSER), Form::Html),
    (Some("text/html"), Form::Html),
    (None, Form::Html),
    (Some("*/*"), Form::Html),
    (Some(AXIOS), Form::Json),
    (Some("application/json"), Form::Json),
    (Some("application/problem+json"), Form::Json),
    (Some("text/plain"), Form::Text),
];

const METHODS: [&str; 8] = ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE"];

/// Every header field except `date` and the revision, which depends on what happened before,
/// sorted, since their order means nothing.
pub(crate) fn fields(response: &Response) -> Vec<(&str, &str)> {
    let is_fixed = |name: &str| !["date", "maint-revision"].contains(&name);
    let fields = response.headers.iter().filter(|(name, _)| is_fixed(name));
    let mut fields: Vec<_> = fields.map(|(name, value)| (&**name, &**value)).collect();
    fields.sort_unstable();
    fields
}

/// The fields expected for a page of this media type and length, with those that
/// only some answers have.
pub(crate) fn expected<'e>(
    media_type: Option<&'e str>,
    length: &'e str,
    others: &[(&'e str, &'e str)],
) -> Vec<(&'e str, &'e str)> {
    let mut fields = vec![
        ("cache-control", "no-store"),
        ("cdn-cache-control", "no-store"),
        ("content-length", length),
        ("maint-decision", "block"),
        ("surrogate-control", "no-store"),
        ("vary", "Accept, Accept-Language, Cookie"),
        ("x-content-type-options", "nosniff"),
    ];
    fields.extend(media_type.map(|media_type| ("content-type", media_type)));
    fields.extend(others);
    fields.sort_unstable();
    fields
}

fn ask(client: &mut Client, method: &str, accept: Option<&str>) -> Response {
    let accept: Vec<_> = accept.map(|accept| ("Accept", accept)).into_iter().collect();
    client.ask(method, "/any?thing", &accept)
}

/// The page's policy: its own style and script, by their digests.
fn is_policy(text: &str) -> bool {
    let digest = |text: &str| {
        text.strip_prefix("'sha256-")
            .and_then(|text| text.strip_suffix("='"))
            .is_some_and(|digest| digest.len() == 43)
    };
    let parts: Vec<&str> = text.split("; ").collect();
    let [default, style, script, rest @ ..] = &parts[..] else { return false };
    *default == "default-src 'none'"
        && style.strip_prefix("style-src ").is_some_and(digest)
        && script.strip_prefix("script-src ").is_some_and(digest)
        && *rest
            == [
                "connect-src 'self'",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ]
}

fn check_html(response: &Response, method: &str) {
    let text = response.text();
    assert!(text.starts_with("<!doctype html>\n<html lang=\"en\""), "{text}");
    assert!(text.trim_end().ends_with("</html>"), "{text}");
    assert!(text.contains("Back &quot;at&quot; &lt;noon&gt; &amp; später"), "{text}");
    assert!(!text.contains("<noon>"), "{text}");
    // Only a request that is safe to repeat is repeated.
    let root = text.lines().find(|line| line.starts_with("<html lang=\"en\" ")).unwrap();
    assert_eq!(root.contains(" data-comes-back"), method == "GET", "{method}: {root}");
}

fn check_json(response: &Response, since: &str) {
    let problem: Value = serde_json::from_slice(&response.body).unwrap();
    let expected = json!({
        "type": "about:blank", "title": "Down for maintenance", "status": 503,
        "detail": REASON, "start": since, "end": null,
    });
    assert_eq!(problem, expected);
}

/// States that nothing was processed; a browser gets it after a POST.
const NOT_PROCESSED: &str = "What you sent has not been processed. Please send it again later.\n";

fn check_text(response: &Response, method: &str, since: &str) {
    let (day, time) = (&since[..10], &since[11..16]);
    let text = format!("Down for maintenance\n\n{REASON}\n\nSince: {day} {time} UTC\n");
    let is_safe = matches!(method, "GET" | "HEAD");
    let text = if is_safe { text } else { format!("{text}\n{NOT_PROCESSED}") };
    assert_eq!(response.text(), text, "{method}");
}

#[test]
fn who_posts_and_reads_text_is_told_that_nothing_was_processed() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let server = Server::start(Router::new().fallback(any(async || "app")).layer(site.layer()));
    let mut client = server.client();
    assert!(!ask(&mut client, "GET", Some("text/plain")).text().contains(NOT_PROCESSED));
    assert!(ask(&mut client, "POST", Some("text/plain")).text().ends_with(NOT_PROCESSED));
}

#[test]
fn requirement_49_golden_answers_for_each_method_and_accept() {
    let site = TestSite::new();
    site.ok(&["on", "-m", REASON]);
    let status: Value = serde_json::from_str(&site.ok(&["status", "--json"])).unwrap();
    let opened = status["windows"][0]["opened_at"].as_str().unwrap().to_owned();
    let since = format!("{}Z", &opened[..19]);
    let server = Server::start(Router::new().fallback(any(async || "app")).layer(site.layer()));
    let mut client = server.client();
    let mut answers = 0;
    for (accept, form) in ACCEPTS {
        let of_get = ask(&mut client, "GET", accept);
        for method in METHODS {
            let response = ask(&mut client, method, accept);
            let what = format!("{method} {accept:?}: {response:?}");
            assert_eq!(response.status, 503, "{what}");
            assert_eq!(response.header("maint-revision"), Some("2"), "{what}");
            let (media_type, is_html) = match form {
                Form::Html => ("text/html; charset=utf-8", true),
                Form::Json => ("application/problem+json", false),
                Form::Text => ("text/plain; charset=utf-8", false),
            };
            let length = match method {
                "HEAD" => of_get.body.len(),
                _ => response.body.len(),
            };
            let length = length.to_string();
            let policy = response.header("content-security-policy").unwrap_or_default();
            let mut others = vec![("retry-after", "120"), ("content-language", "en")];
            if is_html {
                assert!(is_policy(policy), "{policy}");
                others.push(("content-security-policy", policy));
            }
            assert_eq!(fields(&response), expected(Some(media_type), &length, &others), "{what}");
            match (method, form) {
                ("HEAD", _) => {
                    assert!(response.body.is_empty(), "{what}");
                    assert_eq!(fields(&response), fields(&of_get), "{what}");
                }
                (_, Form::Html) => check_html(&response, method),
                (_, Form::Json) => check_json(&response, &since),
                (_, Form::Text) => check_text(&response, method, &since),
            }
            answers += 1;
        }
    }
    figure(&format!("{answers} of {answers} answers as written, on one connection"));
}

#[test]
fn the_lines_of_the_field_are_one_list_and_its_name_has_no_case() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let server = Server::start(Router::new().fallback(any(async || "app")).layer(site.layer()));
    let accept = [("ACCEPT", "*/*;q=0.1"), ("accept", "text/plain;q=0.2")];
    let response = server.client().ask("GET", "/", &accept);
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
}
