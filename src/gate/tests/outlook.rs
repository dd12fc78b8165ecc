//! What a request that passes may know: what is read-only, and what is to come.

use super::*;

/// A gate by a clock that is stopped at a moment.
fn gate_at(desk: &Desk, now: &str) -> Gate {
    let now: Timestamp = now.parse().unwrap();
    Gate::open_with(&Site::at(&desk.dir), Options::new().clock(move || now)).unwrap()
}

fn pass(gate: &Gate, request: &RequestParts) -> Pass {
    match gate.answer(request) {
        Answer::Pass(pass) => pass,
        Answer::Reply(_) => panic!("it is blocked"),
    }
}

const OPENED: &str = "2026-11-22T02:00:00Z";

#[test]
fn what_is_to_come_is_the_next_window_that_will_cover_what_is_asked_for() {
    let mut desk = Desk::new();
    let window = |start: &str, path: Option<&str>| {
        let scope = path.map_or_else(|| json!({}), |path| json!({ "paths": [path] }));
        json!({ "opened_at": OPENED, "start": start, "end": "2026-11-22T06:00:00Z",
                "scope": scope, "reason": format!("from {start}") })
    };
    desk.put(
        1,
        &json!({ "windows": {
        "late": window("2026-11-22T05:00:00Z", None),
        "shop": window("2026-11-22T04:00:00Z", Some("/shop/**")),
        "over": window("2026-11-22T02:30:00Z", Some("/old")),
    } }),
    );
    let gate = gate_at(&desk, "2026-11-22T03:00:00Z");
    let next = pass(&gate, &get("/")).next.expect("all of the site goes down");
    assert_eq!((&*next.name, next.start.to_string()), ("late", "2026-11-22T05:00:00Z".to_owned()));
    assert_eq!(next.end.unwrap().to_string(), "2026-11-22T06:00:00Z");
    assert_eq!(next.reason.as_deref(), Some("from 2026-11-22T05:00:00Z"));
    let next = pass(&gate, &get("/shop/1")).next.expect("the shop goes down first");
    assert_eq!((&*next.name, &*next.scope.paths), ("shop", &["/shop/**".to_owned()][..]));
    // At its start a window is open, and no longer to come.
    let gate = gate_at(&desk, "2026-11-22T04:00:00Z");
    assert_eq!(&*pass(&gate, &get("/")).next.unwrap().name, "late");
    let gate = gate_at(&desk, "2026-11-22T06:00:00Z");
    assert_eq!(pass(&gate, &get("/")), Pass::default());
}

#[test]
fn the_end_of_a_lease_is_not_announced() {
    let mut desk = Desk::new();
    desk.put(1, &json!({ "windows": { "w": {
        "opened_at": OPENED, "start": "2026-11-22T04:00:00Z", "end": "2026-11-22T04:01:00Z", "lease": 60,
    } } }));
    let next = pass(&gate_at(&desk, "2026-11-22T03:00:00Z"), &get("/")).next.unwrap();
    assert_eq!(next.end, None);
}

#[test]
fn an_app_that_is_read_only_knows_it() {
    let mut desk = Desk::new();
    let scope = json!({ "read_only": true, "paths": ["/shop/**"] });
    desk.put(
        1,
        &json!({
            "windows": { "w": { "opened_at": OPENED, "scope": scope } },
            "ignore": { "r1": { "kind": "path", "value": "/shop/health" } },
        }),
    );
    let gate = desk.gate();
    assert_eq!(pass(&gate, &get("/shop/1")).read_only.as_deref(), Some("w"));
    assert_eq!(pass(&gate, &get("/")).read_only, None, "that is not covered");
    let post = |path: &str| RequestParts::new("POST", path);
    assert!(matches!(gate.answer(&post("/shop/1")), Answer::Reply(_)));
    let writer = pass(&gate, &post("/shop/health"));
    assert_eq!((writer.by.as_deref(), writer.read_only), (Some("r1"), None), "it may write");
    // An app that says that it is up lets everyone write.
    let up = Options::new().app(App::new().is_down(false));
    let up = Gate::open_with(&Site::at(&desk.dir), up).unwrap();
    assert_eq!(pass(&up, &get("/shop/1")), Pass::default());
}

#[test]
fn the_app_may_choose_the_format_whatever_the_client_accepts() {
    let mut desk = Desk::new();
    let mut parts = down("x");
    parts["windows"]["w"]["page"] = json!({ "redirect": "https://status.example/" });
    desk.put(1, &parts);
    let gate = desk.gate();
    let format = |path: &str, accept: &str| {
        // The app knows its routes.
        let format = path.starts_with("/api/").then_some(Format::Json);
        let request = AppRequest { format, ..AppRequest::of(get(path).with("Accept", accept)) };
        let Answer::Reply(reply) = gate.answer(&request) else { panic!("it is down") };
        (reply.status(), reply.format())
    };
    assert_eq!(format("/api/1", "*/*"), (503, Some(Format::Json)), "as `fetch` sends it");
    assert_eq!(format("/api/1", "text/html"), (503, Some(Format::Json)));
    assert_eq!(format("/", "*/*"), (503, Some(Format::Html)));
    assert_eq!(format("/", "text/html"), (302, None), "a browser follows the redirect");
}
