//! What caches may share, and what they may not.

use super::*;
use crate::state::bypass;

const TOKEN: &str = "maint_0123456789abcdef0123456789abcdef01234567";

#[test]
fn requirement_50_what_only_some_may_see_is_private() {
    let mut desk = Desk::new();
    let mut parts = down("x");
    parts["bypass"] = json!({ "b1": { "sha256": bypass::digest(TOKEN) } });
    parts["ignore"] = json!({
        "r1": { "kind": "path", "value": "/health" },
        "r2": { "kind": "ip", "value": "192.0.2.0/24" },
    });
    desk.put(1, &parts);
    let gate = desk.gate();
    let of_office = RequestParts { peer: Some([192, 0, 2, 7].into()), ..get("/") };
    for (request, by, is_private) in [
        (get("/").with_token(TOKEN), "b1", true),
        (of_office, "r2", true),
        (get("/health"), "r1", false),
    ] {
        let Answer::Pass(pass) = gate.answer(&request) else { panic!("{by} lets it through") };
        assert_eq!((pass.by.as_deref(), pass.is_private), (Some(by), is_private));
    }
}

#[test]
fn requirement_49_no_cache_is_told_to_keep_a_page() {
    let mut desk = Desk::new();
    desk.put(1, &down("x"));
    let gate = desk.gate();
    let of_view = gate.answer_overridden(&get("/"), Override::On);
    for answer in [gate.answer(&get("/")), of_view] {
        let Answer::Reply(reply) = answer else { panic!("it is down") };
        for name in ["cache-control", "surrogate-control", "cdn-cache-control"] {
            assert_eq!(reply.header(name).as_deref(), Some("no-store"), "{name}");
        }
        let vary = reply.header("vary").unwrap();
        assert!(["Accept", "Cookie"].iter().all(|field| vary.contains(field)), "{vary}");
    }
}
