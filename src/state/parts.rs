//! A state in two parts, so that a reader need not read its rules again when
//! something else changed.
//!
//! The ignore rules can be megabytes and seldom change; all else is small, and
//! `maint on` and `maint off` change it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Malformed, State, strict};
use crate::rules::Rule;

/// A state without its ignore rules, and their text as it stands in the file.
pub(crate) struct Parts {
    pub(crate) state: State,
    pub(crate) rules: String,
}

/// Reads all of a state but its ignore rules.
///
/// That the whole is JSON is checked; what the rules say is left to [`rules`].
pub(crate) fn split(bytes: &[u8]) -> Result<Parts, Malformed> {
    #[derive(Deserialize)]
    struct Top<'b> {
        #[serde(borrow)]
        ignore: Option<&'b RawValue>,
    }
    // What cannot be split is refused by the one reader of whole states, in its words.
    let top = || serde_json::from_slice::<Top<'_>>(bytes).ok()?.ignore;
    let Some(raw) = (bytes.len() <= super::LARGEST).then(top).flatten() else {
        let state = State::from_json(bytes)?;
        return Ok(Parts { state, rules: EMPTY.to_owned() });
    };
    let raw = raw.get();
    let start = raw.as_ptr().addr() - bytes.as_ptr().addr();
    let rest = [&bytes[..start], EMPTY.as_bytes(), &bytes[start + raw.len()..]].concat();
    Ok(Parts { state: State::from_json(&rest)?, rules: raw.to_owned() })
}

const EMPTY: &str = "{}";

/// Reads the ignore rules from their text, as strictly as a whole state.
pub(crate) fn rules(text: &str) -> Result<BTreeMap<String, Rule>, Malformed> {
    let broken = |cause: &dyn std::fmt::Display| Malformed::Broken(format!("in `ignore`: {cause}"));
    strict::check(text.as_bytes()).map_err(|cause| broken(&cause))?;
    let ignore = serde_json::from_str(text).map_err(|cause| broken(&cause))?;
    let state = State { ignore, ..State::default() };
    state.validate().map_err(|cause| broken(&cause))?;
    Ok(state.ignore)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads both parts and puts them together again.
    fn join(text: &str) -> Result<State, String> {
        let told = |cause| match cause {
            Malformed::Newer(version) => format!("newer {version}"),
            Malformed::Broken(reason) => reason,
        };
        let mut parts = split(text.as_bytes()).map_err(told)?;
        parts.state.ignore = rules(&parts.rules).map_err(told)?;
        Ok(parts.state)
    }

    #[test]
    fn the_two_parts_are_the_whole() {
        let full = super::super::schema_test::full().to_string();
        for text in
            [r#"{"version":1,"revision":0}"#, r#"{"ignore":{},"version":1,"revision":3}"#, &full]
        {
            assert_eq!(join(text).unwrap(), State::from_json(text.as_bytes()).unwrap());
        }
    }

    #[test]
    fn requirement_11_what_the_whole_refuses_the_parts_refuse() {
        for text in [
            "",
            "{",
            "[]",
            r#"{"version":1,"revision":1} x"#,
            r#"{"version":2,"revision":1,"ignore":{}}"#,
            r#"{"version":1,"revision":1,"ignore":{},"ignore":{}}"#,
            r#"{"version":1,"revision":1,"ignore":{},"page":{},"page":{}}"#,
            r#"{"version":1,"revision":1,"ignore":[]}"#,
            r#"{"version":1,"revision":1,"ignore":null}"#,
            r#"{"version":1,"revision":1,"ignore":{"r1":{"kind":"path","value":"x"}}}"#,
            r#"{"version":1,"revision":1,"ignore":{"r1":{"kind":"ip","value":"::1"},"r1":{"kind":"ip","value":"::1"}}}"#,
        ] {
            assert!(State::from_json(text.as_bytes()).is_err(), "{text}");
            assert!(join(text).is_err(), "{text}");
        }
    }
}
