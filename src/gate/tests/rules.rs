//! Ignore rules by the thousand: they hold up no window, and they are compiled
//! again only if they change.

use super::*;
use crate::state::MAX_RULES;

fn plan_of(gate: &Gate) -> Arc<RulesPlan> {
    gate.0.live.current.load().content.plan.rules().clone()
}

/// A state with rules, and with an open window or none.
fn with(rules: &Value, is_down: bool) -> Value {
    let mut parts = if is_down { down("x") } else { json!({}) };
    parts["ignore"] = rules.clone();
    parts
}

#[test]
fn ten_thousand_rules_hold_no_window_up() {
    let mut desk = Desk::new();
    let mut many = rules(MAX_RULES);
    desk.put(1, &with(&many, false));
    let gate = desk.gate();
    let compiled = plan_of(&gate);
    assert!(!is_blocked(&gate, "/"));

    desk.put(2, &with(&many, true));
    assert!(is_blocked(&gate, "/"), "the very next request obeys the window");
    assert!(!is_blocked(&gate, &format!("/rule/{MAX_RULES}")));
    assert!(Arc::ptr_eq(&compiled, &plan_of(&gate)), "unchanged rules are not compiled again");

    many["r1"]["value"] = json!("/first");
    desk.put(3, &with(&many, false));
    assert!(!is_blocked(&gate, "/"), "the window is over at once");
    desk.put(4, &with(&many, true));
    assert!(!is_blocked(&gate, "/first"), "the very next request knows the new rule");
    assert!(is_blocked(&gate, "/rule/1"), "the old one is gone");
    assert!(is_blocked(&gate, "/") && !is_blocked(&gate, "/rule/2"), "no rule gets lost");
    assert!(!Arc::ptr_eq(&compiled, &plan_of(&gate)));
    assert_eq!(desk.told(), [""; 0]);
}

#[test]
fn a_few_rules_are_in_force_with_the_request_that_notices_them() {
    let mut desk = Desk::new();
    desk.put(1, &with(&rules(10), true));
    let gate = desk.gate();
    for revision in 2..20 {
        let path = format!("/new/{revision}");
        desk.put(revision, &with(&json!({ "r1": { "kind": "path", "value": path } }), true));
        assert!(!is_blocked(&gate, &path));
    }
}

#[test]
fn a_file_that_breaks_does_not_lose_the_rules() {
    let mut desk = Desk::new();
    desk.put(1, &with(&rules(2), true));
    let gate = desk.gate();
    desk.put(2, &with(&rules(8_000), true));
    assert!(is_blocked(&gate, "/"));
    desk.replace("{");
    assert!(is_blocked(&gate, "/") && !is_blocked(&gate, "/rule/8000"));
    assert_eq!(gate.revision(), 2);
    assert_eq!(desk.told().len(), 1);
}

#[test]
fn requirement_58_many_rules_that_are_no_good_take_the_whole_state_with_them() {
    let mut desk = Desk::new();
    desk.put(1, &with(&rules(2), false));
    let gate = desk.gate();
    let mut many = rules(8_000);
    many["r7"]["value"] = json!("no path");
    desk.put(2, &with(&many, true));
    assert!(!is_blocked(&gate, "/"), "its windows as well as its rules");
    assert_eq!(gate.revision(), 1, "the last good state");
    let told = desk.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`r7`") && told[0].contains("revision 1, stays"), "{told:?}");
    // However often it is read again, half of it never counts.
    desk.put(3, &with(&many, true));
    for _ in 0..100 {
        assert!(!is_blocked(&gate, "/"));
    }
    desk.put(4, &with(&rules(8_000), true));
    assert!(is_blocked(&gate, "/") && !is_blocked(&gate, "/rule/8000"), "fixed, at once");
    assert_eq!(desk.told(), ["the state can be read again; revision 4 is in force"]);
}
