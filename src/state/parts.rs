//! A state in two parts, so that a reader need not read the rules again when
//! something else changed.
//!
//! The ignore rules can be megabytes and seldom change. Everything else is small, and
//! every `maint on` and `maint off` changes it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{LeanRule, Malformed, State, lean};

/// A state without its ignore rules.
pub(crate) struct Parts<'t> {
    pub(crate) state: State,
    /// The text of the ignore rules; `None` if it is the known one.
    pub(crate) rules: Option<&'t str>,
}

/// The ignore rules of a state that has none.
const EMPTY: &str = "{}";

#[derive(Deserialize)]
struct Top<'t> {
    #[serde(borrow)]
    ignore: Option<&'t RawValue>,
}

/// Reads all of a state but its ignore rules.
///
/// It checks that the whole is JSON and leaves the content of the rules to [`rules`].
/// Rules that are the `known` ones were read before and are skipped.
pub(crate) fn split<'t>(bytes: &'t [u8], known: Option<&str>) -> Result<Parts<'t>, Malformed> {
    if bytes.len() <= super::MAX_SIZE {
        if let Some(rest) = known.and_then(|known| without(bytes, known)) {
            return Ok(Parts { state: State::from_json(&rest)?, rules: None });
        }
        // What cannot be split goes to the reader of whole states, so that errors have
        // one wording.
        if let Ok(Top { ignore: Some(raw) }) = serde_json::from_slice(bytes) {
            let rest = cut(bytes, offset(raw, bytes), raw.get().len());
            return Ok(Parts { state: State::from_json(&rest)?, rules: Some(raw.get()) });
        }
    }
    let state = State::from_json(bytes)?;
    Ok(Parts { state, rules: (known != Some(EMPTY)).then_some(EMPTY) })
}

/// Returns the state without its rules, if they are the known ones.
///
/// The text after the first `"ignore":` must be the known one. With `{}` in its place,
/// that `{}` must be the rules of the state, since the key may first occur elsewhere.
/// Replacing one JSON value by another changes nothing else.
fn without(bytes: &[u8], known: &str) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"\"ignore\":";
    let name = bytes.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let start = name + bytes[name..].iter().position(|byte| !byte.is_ascii_whitespace())?;
    if !bytes[start..].starts_with(known.as_bytes()) {
        return None;
    }
    let rest = cut(bytes, start, known.len());
    let top: Top<'_> = serde_json::from_slice(&rest).ok()?;
    let is_there = top.ignore.is_some_and(|raw| offset(raw, &rest) == start);
    is_there.then_some(rest)
}

/// Replaces a value by `{}`.
fn cut(bytes: &[u8], start: usize, length: usize) -> Vec<u8> {
    [&bytes[..start], EMPTY.as_bytes(), &bytes[start + length..]].concat()
}

/// The position of a value in its text.
fn offset(raw: &RawValue, bytes: &[u8]) -> usize {
    raw.get().as_ptr().addr() - bytes.as_ptr().addr()
}

/// Reads the ignore rules from their text, as strictly as a whole state, the
/// oldest first.
pub(crate) fn rules(text: &str) -> Result<Vec<LeanRule<'_>>, Malformed> {
    lean::read(text).map_err(|cause| Malformed::Broken(format!("in `ignore`: {cause}")))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::rules::{Matcher, Rule};
    use crate::state::by_number;

    /// A state without its rules, and what decisions need of these.
    type Both = (State, Vec<(String, Option<Matcher>, Option<Timestamp>)>);

    fn message(cause: Malformed) -> String {
        match cause {
            Malformed::Newer(version) => format!("newer {version}"),
            Malformed::Broken(reason) => reason,
        }
    }

    fn in_parts(text: &str) -> Result<Both, String> {
        let parts = split(text.as_bytes(), None).map_err(message)?;
        let rules = rules(parts.rules.unwrap_or(EMPTY)).map_err(message)?;
        let lean = |rule: LeanRule<'_>| (rule.id.into_owned(), rule.matcher, rule.expires_at);
        Ok((parts.state, rules.into_iter().map(lean).collect()))
    }

    fn whole(text: &str) -> Result<Both, String> {
        let mut state = State::from_json(text.as_bytes()).map_err(message)?;
        let ignore = std::mem::take(&mut state.ignore);
        let lean =
            |(id, rule): (&str, &Rule)| (id.to_owned(), rule.matcher().unwrap(), rule.expires_at);
        Ok((state, by_number(&ignore).into_iter().map(lean).collect()))
    }

    fn with_rules(rules: &str) -> String {
        format!(r#"{{"version":1,"revision":1,"ignore":{rules},"name":"a"}}"#)
    }

    #[test]
    fn the_two_parts_are_the_whole() {
        let full = super::super::schema_test::full().to_string();
        let rules = r#" { "r10": {"kind":"path","value":"/a","note":null,"later":{"a":[1]}},
            "r9":{"value":"10.0.0.0/8","kind":"ip","expires_at":"2026-11-22T03:00:00Z"},
            "\u0072\u0031":{"kind":"as\u006e","value":"\u002f"}, "x":{"kind":"host","value":"*"} } "#;
        for text in [
            r#"{"version":1,"revision":0}"#,
            r#"{"ignore":{},"version":1,"revision":3}"#,
            &full,
            &with_rules(rules),
        ] {
            assert_eq!(in_parts(text).unwrap(), whole(text).unwrap());
        }
    }

    #[test]
    fn requirement_11_what_the_whole_refuses_the_parts_refuse() {
        let long =
            format!(r#"{{"r1":{{"kind":"ip","value":"::1","note":"{}"}}}}"#, "a".repeat(2000));
        let many = |number: u32, value: &str| {
            let rule = |id| format!(r#""r{id}":{{"kind":"path","value":"{value}"}}"#);
            format!("{{{}}}", (0..number).map(rule).collect::<Vec<_>>().join(","))
        };
        let rules = [
            "[]",
            "null",
            r#"{"r1":{"kind":"path","value":"x"}}"#,
            r#"{"r1":{"kind":"ip","value":"::1"},"r1":{"kind":"ip","value":"::1"}}"#,
            r#"{"r1":{"kind":"ip","value":"::1"},"r2":{"kind":"ip","value":"::1"},"r1":{"kind":"asn","value":"::1"}}"#,
            r#"{"r1":{"kind":"ip","value":"::1","value":"::1"}}"#,
            r#"{"r1":{"kind":"ip","value":"::1","note":null,"note":null}}"#,
            r#"{"r1":{"kind":"ip","value":"::1","later":1,"l\u0061ter":1}}"#,
            r#"{"r1":{"kind":"ip","value":"::1","later":[{"a":1,"a":1}]}}"#,
            r#"{"r1":{"kind":"ip"}}"#,
            r#"{"r1":{"value":"::1"}}"#,
            r#"{"r1":{"kind":7,"value":"::1"}}"#,
            r#"{"r1":{"kind":"ip","value":null}}"#,
            r#"{"r1":{"kind":"ip","value":"::1","added_at":"noon"}}"#,
            r#"{"r1":{"kind":"ip","value":"::1","expires_at":7}}"#,
            r#"{"r1":{"kind":"ip","value":"::1","added_by":7}}"#,
            r#"{"r1":{"kind":"ip","value":"::1","note":"a\u0000b"}}"#,
            r#"{"r1":{"kind":"ip","value":"::1"},}"#,
            r#"{"r1":["ip","::1"]}"#,
            &long,
            &many(100_001, "/a"),
            &many(1_001, "re:/a"),
        ]
        .map(with_rules);
        let texts = [
            "",
            "{",
            "[]",
            r#"{"version":1,"revision":1} x"#,
            r#"{"version":2,"revision":1,"ignore":{}}"#,
            r#"{"version":1,"revision":1,"ignore":{},"ignore":{}}"#,
            r#"{"version":1,"revision":1,"ignore":{},"page":{},"page":{}}"#,
        ]
        .map(str::to_owned);
        for text in texts.into_iter().chain(rules) {
            assert!(whole(&text).is_err(), "{text:.200}");
            assert!(in_parts(&text).is_err(), "{text:.200}");
        }
    }

    #[test]
    fn rules_that_are_known_are_told_from_others() {
        const KNOWN: &str = r#"{"r1":{"kind":"path","value":"/a"}}"#;
        let is_known = |text: &str| {
            let parts = split(text.as_bytes(), Some(KNOWN)).map_err(message)?;
            let mut rest = State::from_json(text.as_bytes()).map_err(message)?;
            rest.ignore.clear();
            assert_eq!(parts.state, rest);
            Ok::<_, String>(parts.rules.is_none())
        };
        assert_eq!(is_known(&with_rules(KNOWN)), Ok(true));
        assert_eq!(is_known(&with_rules(&format!("\n  {KNOWN}\n"))), Ok(true));
        assert_eq!(is_known(&with_rules("{}")), Ok(false));
        assert_eq!(is_known(&with_rules(&KNOWN.replace("/a", "/b"))), Ok(false));
        assert_eq!(is_known(r#"{"version":1,"revision":1}"#), Ok(false));
        // The same text elsewhere is not the rules of the state.
        let elsewhere = format!(r#"{{"later":{{"ignore":{KNOWN}}},"version":1,"revision":1}}"#);
        assert_eq!(is_known(&elsewhere), Ok(false));
        let first = elsewhere.replace("\"version\"", "\"ignore\":{},\"version\"");
        assert_eq!(is_known(&first), Ok(false));
        for text in [
            with_rules(&format!("{KNOWN}{KNOWN}")),
            with_rules(&format!("{KNOWN},\"ignore\":{KNOWN}")),
            with_rules(&KNOWN[..KNOWN.len() - 1]),
            format!("{} x", with_rules(KNOWN)),
        ] {
            assert!(split(text.as_bytes(), Some(KNOWN)).is_err(), "{text}");
        }
    }
}
