//! `maint proxy`

use serde_json::json;

use crate::env::TestEnv;

#[test]
fn nobody_is_trusted_until_somebody_says_so() {
    let env = TestEnv::new();
    assert!(env.ok(&["proxy", "list"]).starts_with("no proxy is trusted"));
    env.ok(&["proxy", "add", "10.0.0.0/8", "192.0.2.1"]);
    assert_eq!(
        env.state()["trusted_proxies"],
        json!({"header": "x-forwarded-for", "networks": ["10.0.0.0/8", "192.0.2.1/32"]})
    );
    env.ok(&["proxy", "add", "10.0.0.0/8", "--header", "forwarded"]);
    assert_eq!(env.ok(&["proxy", "list"]), "`Forwarded` is trusted from 10.0.0.0/8, 192.0.2.1\n");
    env.ok(&["proxy", "remove", "192.0.2.1"]);
    env.fails(2, &["proxy", "remove", "192.0.2.1"]);
    env.ok(&["proxy", "clear"]);
    assert_eq!(env.state().get("trusted_proxies"), None);
}

#[test]
fn requirement_39_trusting_everyone_is_refused() {
    let env = TestEnv::new();
    for network in ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "*", ""] {
        env.fails(2, &["proxy", "add", network]);
    }
}
