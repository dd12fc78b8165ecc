//! Requirement 24: trouble is reported once a minute, and when it is over.

use super::trouble::{Failing, TOLD_EVERY, Trouble};
use super::*;

#[test]
fn a_rule_for_users_in_an_app_that_knows_none_is_reported_once() {
    let mut desk = Desk::new();
    let mut parts = down("x");
    parts["ignore"] = json!({ "r1": { "kind": "user", "value": "staff" } });
    desk.put(1, &parts);
    let gate = desk.gate();
    assert!(matches!(gate.answer(&get("/")), Answer::Reply(_)));
    assert_eq!(desk.told(), [""; 0], "that app may know one later");
    for _ in 0..3 {
        assert!(matches!(
            gate.answer(&AppRequest { tells_user: false, ..AppRequest::of(get("/")) }),
            Answer::Reply(_)
        ));
    }
    let told = desk.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`user_from`") && told[0].ends_with("`user` rules match nobody here"));
}

#[test]
fn a_rule_for_addresses_in_an_app_that_knows_none_is_reported_once() {
    let mut desk = Desk::new();
    desk.put(1, &down("x"));
    let gate = desk.gate();
    let unknown = || RequestParts { peer: None, ..get("/") };
    assert!(matches!(gate.answer(&unknown()), Answer::Reply(_)));
    assert_eq!(desk.told(), [""; 0], "no rule asks for it");
    let mut parts = down("x");
    parts["ignore"] = json!({ "r1": { "kind": "ip", "value": "192.0.2.0/24" } });
    desk.put(2, &parts);
    let known = get("/").with_peer(std::net::IpAddr::from([198, 51, 100, 7]));
    assert!(matches!(gate.answer(&known), Answer::Reply(_)));
    assert_eq!(desk.told(), [""; 0], "the app says who connects");
    for _ in 0..3 {
        assert!(matches!(gate.answer(&unknown()), Answer::Reply(_)));
    }
    let told = desk.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("`peer_from`") && told[0].ends_with("`ip` rules match nobody here"),
        "{told:?}"
    );
}

#[test]
fn requirement_24_a_minute_is_a_minute_whatever_happens_in_between() {
    let mut trouble = Trouble::default();
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut times = Vec::new();
    let mut failing: Option<Failing> = None;
    // Ten minutes of a file that breaks and is fixed again and again.
    for number in 0..600 {
        let (now, is_due) = trouble.of_state(failing, start + second * number);
        failing = (number % 7 != 0).then_some(now);
        times.extend(is_due.then_some(number));
        assert!(now.again_at > start + second * number, "told again within a minute");
    }
    assert_eq!(times, [0, 60, 120, 180, 240, 300, 360, 420, 480, 540]);
}

#[test]
fn requirement_24_what_was_not_told_is_not_over_either() {
    let mut trouble = Trouble::default();
    let start = Instant::now();
    let (first, is_due) = trouble.of_state(None, start);
    assert!(is_due && first.is_told);
    let (second, is_due) = trouble.of_state(None, start + Duration::from_secs(5));
    assert!(!is_due && !second.is_told);
    let (later, is_due) = trouble.of_state(Some(second), start + TOLD_EVERY);
    assert!(is_due && later.is_told);
    let (later, is_due) = trouble.of_state(Some(later), start + TOLD_EVERY + TOLD_EVERY / 2);
    assert!(!is_due && later.is_told, "it is the same trouble");
}

#[test]
fn another_page_that_fails_is_told_at_once_and_the_same_one_is_not() {
    let mut trouble = Trouble::default();
    let start = Instant::now();
    let missing = |names: &[&str]| -> Vec<Error> {
        let error = |name: &&str| Error::Unknown {
            kind: "template",
            name: (*name).to_owned(),
            known: Vec::new(),
        };
        names.iter().map(error).collect()
    };
    assert_eq!(trouble.of_pages(missing(&["a", "a"]), start).len(), 1);
    assert_eq!(trouble.of_pages(missing(&["a", "b"]), start).len(), 1);
    assert_eq!(trouble.of_pages(missing(&["b", "a"]), start).len(), 0);
    assert_eq!(trouble.of_pages(missing(&["a"]), start + TOLD_EVERY).len(), 1);
}

#[test]
fn requirement_24_a_broken_state_is_told_again_after_a_minute_though_nothing_changed() {
    let mut desk = Desk::new();
    desk.put(7, &down("x"));
    let gate = desk.gate();
    desk.replace("{");
    for _ in 0..10_000 {
        assert!(is_blocked(&gate, "/"));
    }
    let told = desk.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("is broken") && told[0].contains("revision 7, stays"), "{told:?}");

    // As if the minute were over.
    let Some(past) = Instant::now().checked_sub(TOLD_EVERY) else {
        skip("this host is up for less");
        return;
    };
    let reload = gate.0.live.reload();
    *reload.trouble() = Trouble::default();
    let now = gate.0.live.current.load_full();
    let failing = Some(Failing { again_at: past, is_told: true });
    gate.0.live.current.store(Arc::new(Snapshot { failing, ..(*now).clone() }));
    for _ in 0..1_000 {
        assert!(is_blocked(&gate, "/"));
    }
    assert_eq!(desk.told(), told, "once more");

    desk.put(8, &json!({}));
    for _ in 0..100 {
        assert!(!is_blocked(&gate, "/"));
    }
    assert_eq!(desk.told(), ["the state can be read again; revision 8 is in force"]);
}

#[test]
fn who_is_told_may_ask_the_gate() {
    let mut desk = Desk::new();
    desk.put(1, &down("x"));
    let asked = Arc::new(Mutex::new(None::<Gate>));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (asks, notes) = (asked.clone(), seen.clone());
    let on_problem: OnProblem = Arc::new(move |_| {
        let gate = asks.lock().unwrap().clone();
        notes.lock().unwrap().extend(gate.map(|gate| gate.revision()));
    });
    let options = Options { on_problem: Some(on_problem), ..Options::default() };
    let gate = Gate::open_with(&Site::at(&desk.dir), options).unwrap();
    *asked.lock().unwrap() = Some(gate.clone());
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        fs::remove_file(desk.state_file()).unwrap();
        // A file that cannot be read is tried again on every request.
        fs::create_dir(desk.state_file()).unwrap();
        let _ = gate.revision();
        fs::remove_dir(desk.state_file()).unwrap();
        desk.put(2, &json!({}));
        let _ = gate.revision();
        done.send(()).unwrap();
    });
    is_done.recv_timeout(HANG).expect("it waits for itself");
    assert_eq!(*seen.lock().unwrap(), [1, 2]);
}

#[test]
fn a_page_that_fails_is_told_once_a_state_and_not_by_each_request() {
    let mut desk = Desk::new();
    let mut parts = down("x");
    parts["windows"]["v"] = parts["windows"]["w"].clone();
    parts["page"] = json!({ "template": "gone" });
    desk.put(1, &parts);
    let gate = desk.gate();
    until("rest", || {
        assert!(is_blocked(&gate, "/"));
        !gate.0.live.current.load().is_unsettled
    });
    desk.put(2, &parts);
    assert!(is_blocked(&gate, "/"));
    assert_eq!(desk.told(), ["no template named `gone`; visitors get the built-in page"]);
}

#[test]
fn a_page_that_fails_in_the_language_of_a_visitor_is_told_once_it_is_asked_for() {
    let mut desk = Desk::new();
    fs::create_dir(desk.dir.join("templates")).unwrap();
    let source = "{{ title }}{% if language == 'de' %}{{ 'x' - 1 }}{% endif %}";
    desk.put_template("sorry.txt", source);
    let mut parts = down("x");
    parts["page"] = json!({ "template": "sorry" });
    desk.put(1, &parts);
    let gate = desk.gate();
    let ask = |language: &str| {
        let request = RequestParts::new("GET", "/").with("Accept", "text/plain");
        let Answer::Reply(reply) = gate.answer(&request.with("Accept-Language", language)) else {
            panic!("it is blocked");
        };
        reply.template().map(str::to_owned)
    };
    assert_eq!(ask("fr").as_deref(), Some("sorry"));
    assert!(desk.told().is_empty());
    for _ in 0..3 {
        assert_eq!(ask("de"), None, "the built-in page");
    }
    let told = desk.told();
    assert!(told.len() == 1 && told[0].contains("sorry.txt"), "{told:?}");
    assert!(told[0].ends_with("visitors get the built-in page"), "{told:?}");
}

#[test]
fn a_link_into_a_directory_that_is_gone_does_not_bring_the_site_up() {
    let mut desk = Desk::new();
    let shared = desk.dir.join("shared");
    fs::create_dir(&shared).unwrap();
    desk.put(1, &down("x"));
    fs::hard_link(desk.state_file(), shared.join("app.json")).unwrap();
    fs::remove_file(desk.state_file()).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("shared/app.json", desk.state_file()).unwrap();
    let gate = desk.gate();
    assert!(is_blocked(&gate, "/"));
    // The volume is gone.
    fs::remove_dir_all(&shared).unwrap();
    assert!(is_blocked(&gate, "/"));
    assert!(Gate::open(&Site::at(&desk.dir)).is_err());
    let told = desk.told();
    assert!(told.len() == 1 && told[0].contains("shared"), "{told:?}");
    // It is back, and empty: a missing state means that nothing is down.
    fs::create_dir(&shared).unwrap();
    assert!(!is_blocked(&gate, "/"));
}
