//! The application's own settings.

use super::*;
use crate::rules::{Kind, Matcher};
use crate::state::page::PageSettings;

fn gate_of(desk: &Desk, app: App) -> Gate {
    let options = Options { app, ..Options::default() };
    Gate::open_with(&Site::at(&desk.dir), options).unwrap()
}

fn rule(kind: &Kind, value: &str) -> (String, Matcher) {
    ("of the app".to_owned(), Matcher::parse(kind, value).unwrap())
}

fn by(gate: &Gate, request: &RequestParts) -> Option<String> {
    match gate.answer(request) {
        Answer::Pass(pass) => Some(pass.by.map_or_else(String::new, |by| by.to_string())),
        Answer::Reply(_) => None,
    }
}

#[test]
fn an_app_that_says_that_it_is_down_is_down_whatever_the_state_says() {
    let mut desk = Desk::new();
    desk.put(1, &json!({ "ignore": { "r1": { "kind": "path", "value": "/health" } } }));
    let gate = gate_of(&desk, App { is_down: Some(true), ..App::default() });
    assert!(is_blocked(&gate, "/"), "there is no window");
    assert_eq!(by(&gate, &get("/health")).as_deref(), Some("r1"), "rules go on counting");
    assert!(gate.is_down());
    let Answer::Reply(reply) = gate.answer(&get("/")) else { panic!("it is down") };
    assert_eq!((reply.status(), reply.window()), (503, None));
    desk.put(2, &down("Bigger disks"));
    let Answer::Reply(reply) = gate.answer(&get("/")) else { panic!("it is down") };
    assert_eq!(reply.window(), Some("w"), "a window says more");
    assert_eq!(reply.context().unwrap().reason.as_deref(), Some("Bigger disks"));
}

#[test]
fn an_app_that_says_that_it_is_up_is_never_down() {
    let mut desk = Desk::new();
    desk.put(1, &down("x"));
    let gate = gate_of(&desk, App { is_down: Some(false), ..App::default() });
    assert_eq!(by(&gate, &get("/")).as_deref(), Some(""));
    assert!(!gate.is_down());
    assert!(matches!(gate.answer_overridden(&get("/"), Override::On), Answer::Reply(_)));
}

#[test]
fn rules_of_the_app_count_beside_those_of_the_state() {
    let mut desk = Desk::new();
    let mut parts = down("x");
    parts["ignore"] = json!({ "r1": { "kind": "user", "value": "superuser" } });
    desk.put(1, &parts);
    let ignore = vec![rule(&Kind::Path, "/health"), rule(&Kind::User, "staff")];
    let gate = gate_of(&desk, App { ignore, ..App::default() });
    assert!(is_blocked(&gate, "/"));
    assert_eq!(by(&gate, &get("/health")).as_deref(), Some("of the app"));
    let user = |is_superuser| RequestParts {
        user: Some(User { is_authenticated: true, is_staff: true, is_superuser }),
        ..get("/")
    };
    assert_eq!(by(&gate, &user(true)).as_deref(), Some("r1"), "those of the state first");
    assert_eq!(by(&gate, &user(false)).as_deref(), Some("of the app"));
    desk.put(2, &down("x"));
    assert_eq!(by(&gate, &get("/health")).as_deref(), Some("of the app"), "after a change too");
}

#[test]
fn requirement_43_an_app_cannot_let_everyone_in() {
    let desk = Desk::new();
    let app = App { ignore: vec![rule(&Kind::Path, "/**")], ..App::default() };
    let options = Options { app, ..Options::default() };
    let error = Gate::open_with(&Site::at(&desk.dir), options).unwrap_err().to_string();
    assert!(error.starts_with("of the app: `/**`"), "{error}");
}

#[test]
fn the_page_of_an_app_fills_in_what_window_and_site_leave_open() {
    let mut desk = Desk::new();
    desk.put(1, &down("x"));
    let page = PageSettings { status: Some(500), retry_after: Some(7), ..PageSettings::default() };
    let gate = gate_of(&desk, App { page, ..App::default() });
    let told = |gate: &Gate| match gate.answer(&get("/")) {
        Answer::Reply(reply) => (reply.status(), reply.header("retry-after").unwrap()),
        Answer::Pass(_) => panic!("it is down"),
    };
    assert_eq!(told(&gate), (500, "7".to_owned()));
    let mut parts = down("x");
    parts["page"] = json!({ "status": 502 });
    parts["windows"]["w"]["page"] = json!({ "retry_after": 9 });
    desk.put(2, &parts);
    assert_eq!(told(&gate), (502, "9".to_owned()));
    desk.put(3, &down("x"));
    assert_eq!(told(&gate), (500, "7".to_owned()));
}

#[test]
fn the_address_that_the_app_found_out_goes_before_peer_and_proxies() {
    use std::net::IpAddr;

    struct Known(RequestParts, Option<IpAddr>);
    impl Request for Known {
        fn path(&self) -> &[u8] {
            self.0.path()
        }
        fn method(&self) -> &str {
            self.0.method()
        }
        fn host(&self) -> Option<&str> {
            self.0.host()
        }
        fn peer(&self) -> Option<IpAddr> {
            self.0.peer
        }
        fn client(&self) -> Option<IpAddr> {
            self.1
        }
        fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
            self.0.header(name, each);
        }
    }

    let mut desk = Desk::new();
    let mut parts = down("x");
    parts["ignore"] = json!({ "r1": { "kind": "ip", "value": "10.0.0.7" } });
    parts["trusted_proxies"] = json!({ "header": "x-forwarded-for", "networks": ["10.0.0.0/8"] });
    desk.put(1, &parts);
    let gate = desk.gate();
    let request = |client: Option<&str>| {
        let facts = RequestParts { peer: "10.0.0.1".parse().ok(), ..get("/") };
        Known(facts.with("x-forwarded-for", "203.0.113.9"), client.map(|ip| ip.parse().unwrap()))
    };
    assert!(matches!(gate.answer(&request(None)), Answer::Reply(_)));
    assert!(matches!(gate.answer(&request(Some("10.0.0.7"))), Answer::Pass(_)));
    assert!(matches!(gate.answer(&request(Some("10.0.0.1"))), Answer::Reply(_)));
}

#[test]
fn requirement_11_an_app_has_no_more_regular_expressions_than_a_state() {
    let desk = Desk::new();
    let open = |number: usize| {
        let ignore = (0..number).map(|n| rule(&Kind::Path, &format!("re:/{n}/[a-z]"))).collect();
        let options = Options { app: App { ignore, ..App::default() }, ..Options::default() };
        Gate::open_with(&Site::at(&desk.dir), options).map(drop)
    };
    assert!(open(10).is_ok());
    let error = open(crate::state::MAX_REGEXES + 1).unwrap_err().to_string();
    assert!(error.contains("at most 1000 regular expressions"), "{error}");
}

#[test]
fn a_rule_of_the_app_is_no_placeholder_and_is_named_once_in_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let gate = Gate::open(&Site::at(temp.path())).unwrap();
    let refused = |value: &str| {
        let rule = Matcher::parse(&Kind::Path, value).unwrap();
        gate.ignoring(value, rule).unwrap_err().to_string()
    };
    assert_eq!(
        refused("/items/{id}"),
        "`{id}` stands for itself in `/items/{id}`; write `*` for any one segment"
    );
    assert_eq!(refused("/**"), "`/**` would let everyone through every window");
}
