//! What libraries in the page get that ask in place of the browser, so that they show the page.

use super::*;

/// A gate with one open window.
fn gate(scope: &Value) -> (Desk, Gate) {
    let mut desk = Desk::new();
    let window =
        json!({ "opened_at": "2026-11-22T03:00:00Z", "reason": "Bigger <disks>", "scope": scope });
    desk.put(1, &json!({ "windows": { "w": window } }));
    let gate = desk.gate();
    (desk, gate)
}

fn reply(gate: &Gate, method: &str, target: &str, fields: &[(&str, &str)]) -> Reply {
    let request = RequestParts::new(method, target).with_host("shop.example.com");
    let request = fields.iter().fold(request, |request, (name, value)| request.with(name, value));
    match gate.answer(&request) {
        Answer::Reply(reply) => reply,
        Answer::Pass(_) => panic!("{method} {target} passes"),
    }
}

const HTMX: (&str, &str) = ("HX-Request", "true");
const HERE: (&str, &str) = ("HX-Current-URL", "https://shop.example.com/list?page=2#top");
const TURBO: (&str, &str) = ("X-Turbo-Request-Id", "2d3a");
const REFERER: (&str, &str) = ("Referer", "https://shop.example.com/list?page=2");
const STREAM: (&str, &str) =
    ("Accept", "text/vnd.turbo-stream.html, text/html, application/xhtml+xml");

#[test]
fn htmx_loads_the_page_of_the_visitor_anew_where_that_is_down_as_well() {
    let (_desk, whole) = gate(&json!({}));
    let reply_of = |fields: &[(&str, &str)]| reply(&whole, "GET", "/list/rows?page=3", fields);
    let answer = reply_of(&[HTMX, HERE]);
    assert_eq!((answer.status(), answer.header("hx-refresh").as_deref()), (503, Some("true")));
    assert_eq!(answer.format(), Some(Format::Html));
    // A link that htmx follows in place of the browser leads where it says.
    let boosted = reply_of(&[HTMX, HERE, ("HX-Boosted", "true")]);
    assert_eq!(boosted.header("hx-redirect").unwrap(), "/list/rows?page=3");
    assert_eq!(boosted.header("hx-refresh"), None);
    for unknown in [("HX-Current-URL", "https://evil.example/"), ("X", "")] {
        let answer = reply_of(&[HTMX, unknown]);
        assert_eq!((answer.header("hx-refresh"), answer.header("hx-redirect")), (None, None));
    }
    // Or it would be loaded anew for ever, with each part of it that is asked for.
    let (_desk, part) = gate(&json!({ "paths": ["/list/rows"] }));
    let answer = reply(&part, "GET", "/list/rows", &[HTMX, HERE]);
    assert_eq!((answer.status(), answer.header("hx-refresh")), (503, None));
}

#[test]
fn what_htmx_and_inertia_sent_has_an_answer_that_the_browser_can_be_led_to() {
    for scope in [json!({}), json!({ "read_only": true }), json!({ "methods": ["PUT"] })] {
        let (_desk, gate) = gate(&scope);
        let sent = reply(&gate, "PUT", "/cart/7?a=1", &[HTMX, HERE]);
        let link = sent.header("hx-redirect").unwrap();
        assert_eq!((sent.status(), &*link), (503, "/list?page=2&maint_unsent=PUT"), "{scope}");
        let inertia = [("X-Inertia", "true"), ("Accept", "text/html, application/xhtml+xml")];
        let sent = reply(&gate, "PUT", "/cart/7?a=1", &inertia);
        assert_eq!(sent.status(), 409, "{scope}");
        assert_eq!(sent.header("x-inertia-location").unwrap(), "/cart/7?a=1&maint_unsent=PUT");
        assert_eq!(sent.header("maint-decision").unwrap(), "block");
        // The browser comes by the link.
        let page = reply(&gate, "GET", &link, &[("Accept", "text/html,*/*;q=0.8")]);
        let text = String::from_utf8(page.body().to_vec()).unwrap();
        assert_eq!(page.status(), 503, "{scope}");
        assert!(text.contains("What you sent has not been processed."), "{scope}: {text}");
    }
    // What was sent would pass, and so does the link.
    let (_desk, gate) = gate(&json!({ "methods": ["PUT"] }));
    for target in ["/cart?maint_unsent=POST", "/cart?maint_unsent=GET", "/cart?maint_unsent="] {
        assert!(!is_blocked(&gate, target), "{target}");
    }
    let head = RequestParts::new("HEAD", "/cart?maint_unsent=PUT");
    assert!(matches!(gate.answer(&head), Answer::Pass(_)));
}

#[test]
fn a_link_to_an_answer_leads_where_the_visitor_is_only_if_it_will_be_given_there() {
    let (_desk, gate) = gate(&json!({ "paths": ["/cart"] }));
    let sent = reply(&gate, "POST", "/cart", &[HTMX, HERE]);
    assert_eq!(sent.header("hx-redirect").unwrap(), "/cart?maint_unsent=POST");
}

#[test]
fn inertia_leaves_a_visit_to_the_browser() {
    let (_desk, gate) = gate(&json!({}));
    let answer = reply(&gate, "GET", "/list?page=2", &[("X-Inertia", "true")]);
    assert_eq!(answer.status(), 409, "no other status makes it go there");
    assert_eq!(answer.header("x-inertia-location").unwrap(), "/list?page=2");
    assert_eq!(reply(&gate, "GET", "/list?page=2", &[]).status(), 503);
}

#[test]
fn turbo_leaves_a_visit_to_the_browser_since_it_gets_no_html() {
    let (_desk, gate) = gate(&json!({}));
    let accept = ("Accept", "text/html, application/xhtml+xml");
    let visit = reply(&gate, "GET", "/list", &[TURBO, accept]);
    assert_eq!((visit.status(), visit.format()), (503, Some(Format::Txt)));
    // Earlier versions look like any script.
    assert_eq!(reply(&gate, "GET", "/list", &[accept]).format(), Some(Format::Html));
}

#[test]
fn a_frame_of_turbo_shows_the_page_or_says_what_is_down_in_its_place() {
    let frame = ("Turbo-Frame", "rows");
    let text = |reply: &Reply| String::from_utf8(reply.body().to_vec()).unwrap();
    let (_desk, whole) = gate(&json!({}));
    let answer = reply(&whole, "GET", "/list/rows", &[TURBO, frame, REFERER]);
    assert_eq!(answer.header("content-type").unwrap(), "text/vnd.turbo-stream.html; charset=utf-8");
    assert_eq!(text(&answer), "<turbo-stream action=\"refresh\"></turbo-stream>\n");
    assert_eq!((answer.status(), answer.format()), (503, None), "no app renders it");
    let (_desk, part) = gate(&json!({ "paths": ["/list/rows"] }));
    for fields in [&[TURBO, frame, REFERER][..], &[frame], &[TURBO, frame]] {
        let answer = reply(&part, "GET", "/list/rows", fields);
        assert_eq!(answer.header("content-type").unwrap(), "text/html; charset=utf-8");
        let shown = text(&answer);
        assert!(shown.starts_with("<turbo-frame id=\"rows\"><div role=\"status\"><p>"), "{shown}");
        assert!(shown.contains("<p>Bigger &lt;disks&gt;</p>"), "{shown}");
        assert!(!shown.contains("processed"), "{shown}");
    }
    let sent = text(&reply(&part, "POST", "/list/rows", &[frame]));
    assert!(sent.contains("<p>What you sent has not been processed."), "{sent}");
}

#[test]
fn a_form_that_turbo_sent_stays_and_a_notice_says_that_it_was_not_processed() {
    for scope in [json!({}), json!({ "read_only": true })] {
        let (_desk, gate) = gate(&scope);
        let sent = reply(&gate, "POST", "/cart", &[TURBO, STREAM, REFERER]);
        let shown = String::from_utf8(sent.body().to_vec()).unwrap();
        assert_eq!(sent.status(), 503);
        assert!(shown.starts_with("<turbo-stream action=\"append\" targets=\"body\">"), "{shown}");
        assert!(shown.contains("<p>What you sent has not been processed."), "{shown}");
        assert_eq!(sent.header("content-length").unwrap(), shown.len().to_string());
    }
}

#[test]
fn a_browser_that_asks_itself_gets_the_page_as_ever() {
    let (_desk, gate) = gate(&json!({}));
    let navigation = [("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html"), HTMX, HERE];
    let answer = reply(&gate, "GET", "/", &navigation);
    assert_eq!((answer.status(), answer.format()), (503, Some(Format::Html)));
    assert_eq!(answer.header("hx-refresh"), None);
}
