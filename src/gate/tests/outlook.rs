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
fn the_gate_says_what_is_to_come_at_any_time_and_by_any_method() {
    let mut desk = Desk::new();
    let scheduled = |start: &str, scope: serde_json::Value| json!({ "opened_at": OPENED, "start": start, "scope": scope });
    desk.put(
        1,
        &json!({ "windows": {
            "writes": scheduled("2026-11-22T04:00:00Z", json!({ "read_only": true, "paths": ["/shop/**"] })),
            "posts": scheduled("2026-11-22T05:00:00Z", json!({ "methods": ["POST"], "hosts": ["example.com"] })),
            "all": scheduled("2026-11-22T06:00:00Z", json!({})),
        } }),
    );
    let gate = gate_at(&desk, "2026-11-22T03:00:00Z");
    let next = |target: &str, host: &str, now: Option<&str>| {
        let request = get(target).with_host(host);
        let found = gate.next(&request, now.map(|now| now.parse().unwrap()))?;
        Some((found.name.to_string(), found.is_read_only(), found.covers_everything()))
    };
    let is = |name: &str, is_read_only, is_all| Some((name.to_owned(), is_read_only, is_all));
    assert_eq!(next("/shop/1", "example.com", None), is("writes", true, false));
    assert_eq!(next("/", "example.com", None), is("posts", false, false), "its form is blocked");
    assert_eq!(next("/", "example.org", None), is("all", false, true));
    assert_eq!(
        next("/shop/1", "example.com", Some("2026-11-22T04:00:00Z")),
        is("posts", false, false)
    );
    assert_eq!(
        next("/shop/1", "example.com", Some("2026-11-22T05:30:00Z")),
        is("all", false, true)
    );
    assert_eq!(next("/", "example.com", Some("2026-11-22T06:00:00Z")), None);
    let later = gate.current().at("2026-11-22T05:30:00Z".parse().unwrap());
    assert_eq!(&*later.next(&get("/")).unwrap().name, "all");
    // What the app says of itself goes before.
    for is_down in [true, false] {
        let options = Options::new().app(App::new().is_down(is_down));
        let fixed = Gate::open_with(&Site::at(&desk.dir), options).unwrap();
        assert_eq!(fixed.next(&get("/"), Some(OPENED.parse().unwrap())), None);
    }
    desk.put(2, &json!({}));
    assert_eq!(next("/", "example.com", None), None);
}

#[test]
fn a_rule_for_the_place_silences_the_announcement_and_one_for_visitors_does_not() {
    let mut desk = Desk::new();
    let window = json!({ "opened_at": OPENED, "start": "2026-11-22T04:00:00Z" });
    desk.put(
        1,
        &json!({
            "windows": { "w": window },
            "ignore": {
                "r1": { "kind": "path", "value": "/status" },
                "r2": { "kind": "host", "value": "api.example.com" },
                "r3": { "kind": "path", "value": "/early", "expires_at": "2026-11-22T04:00:00Z" },
                "r4": { "kind": "path", "value": "/late", "expires_at": "2026-11-22T04:00:01Z" },
                "r5": { "kind": "header", "value": "X-Probe: blue" },
                "r6": { "kind": "user", "value": "staff" },
                "r7": { "kind": "ip", "value": "10.0.0.0/8" },
                "r8": { "kind": "method", "value": "GET" },
            },
        }),
    );
    let gate = gate_at(&desk, "2026-11-22T03:00:00Z");
    let is_announced = |request: &RequestParts| {
        let by_pass = pass(&gate, request).next.is_some();
        assert_eq!(gate.next(request, None).is_some(), by_pass, "one answer to one question");
        by_pass
    };
    assert!(!is_announced(&get("/status")));
    assert!(!is_announced(&get("/").with_host("api.example.com")));
    assert!(is_announced(&get("/early")), "the rule ends when the window begins");
    assert!(!is_announced(&get("/late")));
    let staff = User::authenticated().staff(true);
    assert!(is_announced(&get("/").with("X-Probe", "blue").with_user(staff)));
    assert!(is_announced(&get("/").with_peer("10.1.2.3".parse::<std::net::IpAddr>().unwrap())));
    // Whoever gets through an open window sees what is to come after it.
    let open = json!({ "opened_at": OPENED });
    let next = json!({ "opened_at": OPENED, "start": "2026-11-22T04:00:00Z" });
    desk.put(
        2,
        &json!({ "windows": { "now": open, "next": next },
                 "ignore": { "r1": { "kind": "user", "value": "staff" } } }),
    );
    let passed = pass(&gate, &get("/").with_user(staff));
    assert_eq!(passed.by.as_deref(), Some("r1"));
    assert_eq!(&*passed.next.unwrap().name, "next");
}

#[test]
fn what_the_app_calls_a_read_passes_under_read_only_windows_alone() {
    let mut desk = Desk::new();
    let writes = json!({ "opened_at": OPENED, "scope": { "read_only": true } });
    let rules = json!({
        "r1": { "kind": "path", "value": "/health" },
        "r2": { "kind": "user", "value": "staff" },
    });
    desk.put(1, &json!({ "windows": { "w": writes }, "ignore": rules }));
    let gate = desk.gate();
    let ask = |method: &str, path: &str, is_read: bool, is_staff: bool| {
        let user = User::authenticated().staff(is_staff);
        let parts = RequestParts::new(method, path).with_read(is_read).with_user(user);
        let request = AppRequest::of(parts);
        let said = match gate.answer(&request) {
            Answer::Pass(pass) => {
                let mark = pass.mark().map(|(_, value)| value);
                Some((pass.by.map(|by| by.to_string()), mark))
            }
            Answer::Reply(_) => None,
        };
        (said, request.asked.get())
    };
    let read = Some((None, Some("read-only")));
    let by = |id: &str| Some((Some(id.to_owned()), None));
    assert_eq!(ask("POST", "/graphql", true, false), (read.clone(), 1));
    assert_eq!(ask("POST", "/graphql", false, false), (None, 1));
    assert_eq!(ask("GET", "/", false, false), (read, 0), "nothing blocks it");
    assert_eq!(ask("POST", "/health", true, false), (by("r1"), 0));
    assert_eq!(ask("POST", "/", true, true), (by("r2"), 0));
    assert_eq!(ask("GET", "/health", true, false), (Some((None, None)), 0), "all may write there");
    // A window that covers everything blocks reads as well, so nobody is asked.
    let all = json!({ "opened_at": OPENED });
    desk.put(2, &json!({ "windows": { "w": writes, "all": all } }));
    assert_eq!(ask("POST", "/graphql", true, false), (None, 0));
    // The same for an app that says that it is down.
    desk.put(3, &json!({ "windows": { "w": writes } }));
    let down = Options::new().app(App::new().is_down(true));
    let down = Gate::open_with(&Site::at(&desk.dir), down).unwrap();
    let request = AppRequest::of(RequestParts::new("POST", "/").with_read(true));
    assert!(matches!(down.answer(&request), Answer::Reply(_)));
    assert_eq!(request.asked.get(), 0);
}

#[test]
fn an_announcement_is_in_the_language_that_the_page_will_have() {
    let (mut desk, mut revision) = (Desk::new(), 0);
    let reasons = json!({ "de": "Platten", "pt-br": "Discos", "fr": "Disques" });
    let mut both = |site: serde_json::Value, window: serde_json::Value, accepted: &str| {
        let mut window = window;
        window["opened_at"] = json!(OPENED);
        window["start"] = json!("2026-11-22T04:00:00Z");
        revision += 1;
        desk.put(revision, &json!({ "page": site, "windows": { "w": window } }));
        let request = get("/").with("Accept-Language", accepted).with("Accept", "text/plain");
        let next = pass(&gate_at(&desk, "2026-11-22T03:00:00Z"), &request).next.unwrap();
        let told = next.reason_in(accepted).map(str::to_owned);
        let Answer::Reply(reply) = gate_at(&desk, "2026-11-22T04:00:00Z").answer(&request) else {
            panic!("it is open")
        };
        let page = String::from_utf8(reply.body().to_vec()).unwrap();
        for word in ["Disks", "Platten", "Discos", "Disques"] {
            assert_eq!(page.contains(word), told.as_deref() == Some(word), "{accepted}: {page}");
        }
        told
    };
    let english = json!({ "reason": "Disks", "reasons": reasons });
    for (accepted, expected) in [
        ("", "Disks"),
        ("de-AT,en;q=0.9", "Platten"),
        ("en,de;q=0.9", "Disks"),
        ("en-GB;q=0.1, fr;q=0.2", "Disques"),
        ("pt-BR", "Discos"),
        ("pt", "Disks"),
        ("ja", "Disks"),
        ("*", "Disks"),
        ("ja, *;q=0.5", "Disks"),
    ] {
        let told = both(json!({}), english.clone(), accepted);
        assert_eq!(told.as_deref(), Some(expected), "{accepted}");
    }
    // Of a site, or of a window, in another language.
    let french = json!({ "language": "fr" });
    let plain = json!({ "reason": "Disques", "reasons": { "en": "Disks" } });
    assert_eq!(both(french.clone(), plain.clone(), "fr-CA,en").as_deref(), Some("Disques"));
    assert_eq!(both(french.clone(), plain, "en,fr").as_deref(), Some("Disks"));
    let of_window = json!({ "page": { "language": "de" }, "reasons": reasons });
    assert_eq!(both(french.clone(), of_window, "ja").as_deref(), Some("Platten"));
    assert_eq!(both(french, json!({}), "de"), None);
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
