//! The bypass token in a cookie: lines of the header field.

use std::sync::LazyLock;

use jiff::Timestamp;

use crate::gate::Plan;
use crate::request::RequestParts;
use crate::request::cookie::COOKIES;
use crate::state::bypass::digest;

/// A valid token, and an expired one.
const TOKEN: &str = "maint_0123456789abcdef0123456789abcdef01234567";
const EXPIRED: &str = "maint_fedcba9876543210fedcba9876543210fedcba98";

const NOW: &str = "2026-11-22T04:00:00Z";

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let state = serde_json::json!({
        "version": 1, "revision": 1,
        "windows": { "w": { "opened_at": NOW } },
        "bypass": {
            "b1": { "sha256": digest(TOKEN) },
            "b2": { "sha256": digest(EXPIRED), "expires_at": NOW },
        },
    });
    Plan::new(&serde_json::from_value(state).unwrap()).unwrap()
});

/// A request passes if a cookie of the right name has the token as its value, and only
/// then.
///
/// # Panics
///
/// If that does not hold.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let values: Vec<&str> = text.split(['\n', ';']).filter_map(value).collect();
    let is_shown = values.contains(&TOKEN);
    let is_granted = passes(data);
    assert!(is_shown || !is_granted, "without the token");
    // Values after the eighth are ignored.
    assert!(is_granted || !is_shown || values.len() > 8, "with the token");

    // One character changed, which the length of the input picks; and the expired token.
    let mut other = TOKEN.as_bytes().to_vec();
    other[data.len() % TOKEN.len()] ^= 1 + u8::try_from(data.len() / TOKEN.len() % 127).unwrap();
    for other in [&other, EXPIRED.as_bytes()] {
        assert!(!passes(&replace(data, TOKEN.as_bytes(), other)), "{}", other.escape_ascii());
    }
}

/// The value of a cookie that may carry a token.
fn value(pair: &str) -> Option<&str> {
    let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
    COOKIES.contains(&name).then_some(value)
}

fn passes(data: &[u8]) -> bool {
    let lines = data.split(|&byte| byte == b'\n');
    let headers = lines.map(|line| ("Cookie".to_owned(), line.to_vec())).collect();
    let request = RequestParts { headers, ..RequestParts::new("GET", "/") };
    PLAN.decide(&request, NOW.parse::<Timestamp>().unwrap()).is_pass()
}

fn replace(data: &[u8], part: &[u8], other: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = data;
    while let Some(place) = rest.windows(part.len()).position(|window| window == part) {
        replaced.extend_from_slice(&rest[..place]);
        replaced.extend_from_slice(other);
        rest = &rest[place + part.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}
