//! Paths as real sites have them, each named by a rule of its own.

use maint::rules::{Kind, Matcher};
use maint::state::RuleSettings;
use maint::store;

use super::servers;
use crate::say::figure;
use crate::site::TestSite;
use crate::wire::Client;

const NAMES: [&str; 25] = [
    "health",
    "robots.txt",
    ".well-known",
    "Tok_en-1~x",
    "~ann",
    "caf\u{e9}",
    "a b",
    "x:y",
    "@me",
    "a,b",
    "a+b",
    "k=v",
    "a&b",
    "it's",
    "(x)",
    "!",
    "$1",
    "a..b",
    "...",
    "\u{4f60}\u{597d}",
    "v1.2.3",
    "index.html",
    "50\u{20ac}",
    "Q&A (2)",
    "UPPER",
];

/// A thousand paths, decoded.
fn paths() -> Vec<String> {
    let mut paths = Vec::new();
    for number in 0..10 {
        for name in NAMES {
            paths.push(format!("/shop{number}/{name}"));
            paths.push(format!("/shop{number}/{name}/"));
            paths.push(format!("/shop{number}/7/{name}"));
            paths.push(format!("/{name}/shop{number}"));
        }
    }
    paths
}

/// A path in one of three spellings: as browsers write it, with more encoded than
/// necessary, or with one letter encoded.
fn spell(path: &str, number: usize) -> String {
    let mut is_letter_left = number % 3 == 2;
    let mut text = String::new();
    for byte in path.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"/.-_~".contains(&byte);
        let is_common = byte.is_ascii_graphic() && number % 3 != 1;
        let is_hidden = byte.is_ascii_alphabetic() && std::mem::take(&mut is_letter_left);
        if (is_plain || is_common) && !is_hidden {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

#[test]
fn requirement_41_no_legitimate_path_is_blocked() {
    let site = TestSite::new();
    site.maint(&["on"]);
    let options = store::Options::new("test");
    let paths = paths();
    assert_eq!(paths.len(), 1_000);
    store::update(&site.site(), &options, |state, stamp| {
        for path in &paths {
            let matcher = Matcher::parse(&Kind::Path, path)?;
            state.add_rule(&matcher, &RuleSettings::new(), stamp)?;
        }
        Ok::<(), maint::Error>(())
    })
    .unwrap();
    let judges = servers::gated(&site);
    for judge in &judges {
        let mut client = Client::new(judge.port);
        let mut blocked = Vec::new();
        for (number, path) in paths.iter().enumerate() {
            let target = spell(path, number);
            if client.get(&target, &[]).status != 200 {
                blocked.push(target);
            }
            let other = spell(&format!("{path}x"), number);
            let seen = client.get(&other, &[]);
            assert!(seen.is_of_maint(), "{}: {other}: {seen:?}", judge.name);
        }
        figure(&format!("{}: {} of {} legitimate paths blocked", judge.name, blocked.len(), 1_000));
        assert!(blocked.is_empty(), "{}: {blocked:?}", judge.name);
    }
}
