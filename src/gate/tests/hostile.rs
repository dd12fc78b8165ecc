//! Whatever a client sends: no panic, and no way out.

use proptest::prelude::*;

use super::*;
use crate::request::cookie;
use crate::request::cookie::{COOKIES, PARAMETER};

const TOKEN: &str = "maint_0123456789abcdef0123456789abcdef01234567";

fn plan() -> Plan {
    let digest = crate::state::bypass::digest(TOKEN);
    let mut parts = down("x");
    parts["bypass"] = json!({ "b1": { "sha256": digest } });
    Plan::new(&serde_json::from_str(&state(1, &parts)).unwrap()).unwrap()
}

fn at() -> Timestamp {
    "2026-11-22T04:00:00Z".parse().unwrap()
}

proptest! {
    #[test]
    fn requirement_46_a_link_leads_to_a_path_of_this_host_whatever_it_says(
        path in r"[/\\.;%a-z0-9@:?#\t\r\n\x00é]{0,24}",
        query in r"[&=/\\%a-z0-9\r\n#]{0,16}",
        bytes in proptest::collection::vec(any::<u8>(), 0..24),
        is_wild: bool,
    ) {
        let path = if is_wild { bytes } else { path.into_bytes() };
        let query = format!("{query}&{PARAMETER}={TOKEN}").into_bytes();
        let request = RequestParts { path, query: Some(query), ..RequestParts::new("GET", "/") };
        let reply = link::follow(&plan(), &request, at()).expect("the token is good");
        let place = reply.header("location").unwrap();
        prop_assert!(place.starts_with('/'), "{place:?}");
        prop_assert!(!place.starts_with("//") && !place.starts_with("/\\"), "{place:?}");
        prop_assert!(place.bytes().all(|byte| byte.is_ascii_graphic()), "{place:?}");
        prop_assert!(!place.contains(TOKEN), "{place:?}");
        for (name, value) in reply.headers() {
            prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value}");
        }
    }

    #[test]
    fn requirement_27_no_cookie_makes_the_reader_panic_and_none_is_made_up(
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..4),
        shaped in proptest::collection::vec(
            r#"(__Host-)?(maint_bypass)?[=;, "\t]{0,3}[a-z0-9_=;%\\"]{0,50}"#, 0..4),
    ) {
        let mut request = get("/");
        let shaped = shaped.iter().map(|line| line.clone().into_bytes());
        let lines: Vec<Vec<u8>> = lines.iter().cloned().chain(shaped).collect();
        for line in &lines {
            request.headers.push(("Cookie".to_owned(), line.clone()));
        }
        let found = cookie::find(&request, &COOKIES, |value| Some(value.to_owned()));
        if let Some(value) = found {
            prop_assert!(!value.contains(';'));
            let is_there = |line: &Vec<u8>| {
                line.windows(value.len().max(1)).any(|part| part == value.as_bytes())
            };
            prop_assert!(value.is_empty() || lines.iter().any(is_there));
        }
        prop_assert!(!plan().decide(&request, at()).is_pass());
    }

    #[test]
    fn requirement_27_no_request_makes_the_gate_panic(
        path in proptest::collection::vec(any::<u8>(), 0..40),
        query in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        method in "[A-Za-z-]{0,9}",
        host in proptest::option::of(r"[\[\]:a-z0-9.*é]{0,20}"),
        names in proptest::collection::vec(0_usize..6, 0..6),
        value in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        const NAMES: [&str; 6] =
            ["accept", "content-type", "sec-fetch-mode", "upgrade", "cookie", "x-forwarded-for"];
        let headers =
            names.into_iter().map(|which| (NAMES[which].to_owned(), value.clone())).collect();
        let request = RequestParts { path, query, method, host, headers, ..RequestParts::default() };
        let gate = thread_gate();
        let Answer::Reply(reply) = gate.answer(&request) else {
            return Err(TestCaseError::fail("nothing lets it through"));
        };
        // A call of gRPC ends with 200 and a status of its own.
        let is_grpc = reply.header("grpc-status").is_some();
        prop_assert!(reply.status() == 503 || is_grpc);
    }
}

/// One gate for many cases.
fn thread_gate() -> Gate {
    thread_local! {
        static GATE: (Desk, Gate) = {
            let mut desk = Desk::new();
            let mut parts = down("Back <soon>");
            parts["bypass"] = json!({ "b1": { "sha256": crate::state::bypass::digest(TOKEN) } });
            desk.put(1, &parts);
            let gate = desk.gate();
            (desk, gate)
        };
    }
    GATE.with(|(_, gate)| gate.clone())
}
