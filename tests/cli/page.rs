//! `maint page`, and messages by language.

use serde_json::json;

use crate::env::TestEnv;

#[test]
fn what_is_set_stays_until_it_is_taken_away() {
    let env = TestEnv::new();
    let text = env.ok(&["page", "set", "--contact", "help@example.com", "--language", "pt_BR"]);
    assert!(text.contains("contact     help@example.com\n"), "{text}");
    env.ok(&["page", "set", "--title", "Back soon", "--status-url", "https://status.example.com/"]);
    let all = json!({ "title": "Back soon", "contact": "help@example.com", "language": "pt-br",
        "status_url": "https://status.example.com/" });
    assert_eq!(env.state()["page"], all);
    assert_eq!(env.json(&["page", "show"])["page"], all);
    env.ok(&["page", "unset", "title", "status-url", "language"]);
    assert_eq!(env.state()["page"], json!({ "contact": "help@example.com" }));
    let text = env.ok(&["page", "unset", "title"]);
    assert!(text.starts_with("unchanged:\ntitle       (that of the page)\n"), "{text}");
}

#[test]
fn what_a_page_cannot_say_changes_nothing() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    let before = env.state();
    for args in [
        &["page", "set"][..],
        &["page", "set", "--title", " "],
        &["page", "set", "--title", "Back soon", "--contact", "javascript:alert(1)"],
        &["page", "set", "--status-url", "/status"],
        &["page", "set", "--language", "xx"],
        &["page", "unset"],
        &["page", "unset", "template"],
    ] {
        env.fails(2, args);
        assert_eq!(env.state(), before, "{args:?}");
    }
}

#[test]
fn a_message_is_for_everybody_or_for_a_language() {
    let env = TestEnv::new();
    let text =
        env.ok(&["on", "-m", "Back at noon", "-m", "de=Zurück um zwölf", "-m", "PT_br=Já = volto"]);
    assert!(text.contains("    in de  “Zurück um zwölf”\n"), "{text}");
    let window = &env.state()["windows"]["default"];
    assert_eq!(window["reason"], "Back at noon");
    assert_eq!(window["reasons"], json!({ "de": "Zurück um zwölf", "pt-br": "Já = volto" }));
    let render =
        |language: &str| env.ok(&["template", "render", "--format", "txt", "--language", language]);
    assert!(render("de").starts_with("Wartungsarbeiten\n\nZurück um zwölf\n"), "{}", render("de"));
    assert!(render("it").contains("\n\nBack at noon\n"), "{}", render("it"));

    for plain in ["a=b", "x=1 is what we wait for", " de=this is no tag", "v1.2=v1.3"] {
        env.ok(&["on", "--yes", "-m", plain]);
        assert_eq!(env.state()["windows"]["default"]["reason"], plain);
        assert_eq!(env.state()["windows"]["default"].get("reasons"), None, "{plain}");
    }
    let before = env.state();
    for args in [
        &["on", "--yes", "-m", "Back", "-m", "at noon"][..],
        &["on", "--yes", "-m", "de=Zurück", "-m", "DE=Wieder da"],
    ] {
        env.fails(2, args);
        assert_eq!(env.state(), before, "{args:?}");
    }
}

#[test]
fn a_run_that_takes_a_window_over_keeps_the_messages_that_it_does_not_say_anew() {
    let env = TestEnv::ticking();
    let reasons = |words: &[&str]| {
        let script = ["--", "sh", "-c", "cp .maint/state.json seen; exit 1"];
        let run = [&["run", "--name", "deploy"], words, &script].concat();
        assert_eq!(env.run(&run).code, 1);
        let seen = std::fs::read_to_string(env.dir().join("seen")).unwrap();
        let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
        let window = seen["windows"]["deploy"].clone();
        json!([window["reason"], window["reasons"]])
    };
    let both = json!(["Back", { "de": "Zurück" }]);
    assert_eq!(reasons(&["-m", "Back", "-m", "de=Zurück"]), both);
    assert_eq!(reasons(&["--take-over"]), both);
    let said = reasons(&["--take-over", "-m", "Soon"]);
    assert_eq!(said, json!(["Soon", { "de": "Zurück" }]), "as `set -m` does");
}
