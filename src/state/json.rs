//! A state as JSON, read strictly and written whole.

use serde::Deserialize;

use super::{MAX_SIZE, State, VERSION, strict};
use crate::error::{Error, Result};
use crate::visible;

/// Up to this size the file is indented for people.
const INDENTED_UP_TO: usize = 256 * 1024;

/// Why a text is not a state.
#[derive(Debug)]
pub(crate) enum Malformed {
    /// A later version that this one cannot act on.
    Newer(u64),
    /// Anything else, in words.
    Broken(String),
}

impl State {
    /// Reads a state from JSON.
    ///
    /// It refuses duplicate keys, invalid values and whatever exceeds its limit. Fields
    /// of later versions are kept in `extra`.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Header {
            version: u64,
            min_reader: Option<u64>,
        }
        let broken = |cause: &dyn std::fmt::Display| Malformed::Broken(cause.to_string());
        if bytes.len() > MAX_SIZE {
            return Err(Malformed::Broken(format!("it is larger than {MAX_SIZE} bytes")));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Malformed::Broken("it is empty".to_owned()));
        }
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Malformed::Broken("it is not a JSON object".to_owned()));
        }
        strict::check(bytes).map_err(|cause| broken(&cause))?;
        let header: Header = serde_json::from_slice(bytes).map_err(|cause| broken(&cause))?;
        if header.min_reader.unwrap_or(header.version) > VERSION {
            return Err(Malformed::Newer(header.version));
        }
        if header.version == 0 {
            return Err(Malformed::Broken("there is no version 0".to_owned()));
        }
        let state: Self = serde_json::from_slice(bytes).map_err(|cause| broken(&cause))?;
        state.validate().map_err(|cause| broken(&cause))?;
        Ok(state)
    }

    /// Writes the state as JSON, indented while it is small.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        let impossible = |cause: serde_json::Error| {
            Error::invalid(format!("the state cannot be written as JSON: {cause}"))
        };
        let mut bytes = serde_json::to_vec_pretty(self).map_err(impossible)?;
        if bytes.len() > INDENTED_UP_TO {
            bytes = serde_json::to_vec(self).map_err(impossible)?;
        }
        // Whoever looks at the file with cat(1) sees it on a terminal.
        let mut bytes = visible::json(bytes);
        bytes.push(b'\n');
        if bytes.len() > MAX_SIZE {
            return Err(Error::invalid(format!(
                "the state would have {} bytes; {MAX_SIZE} are allowed",
                bytes.len()
            )));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::state::schema_test;

    fn read(text: &str) -> Result<State, String> {
        State::from_json(text.as_bytes()).map_err(|cause| match cause {
            Malformed::Newer(version) => format!("newer {version}"),
            Malformed::Broken(reason) => reason,
        })
    }

    #[test]
    fn the_smallest_state_is_off() {
        let state = read(r#"{"version":1,"revision":0}"#).unwrap();
        assert_eq!(state, State::default());
        assert!(!state.is_down(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn unknown_fields_survive_a_rewrite_at_every_level() {
        let text = r#"{"version":1,"revision":3,"later":{"a":[1,null]},
            "windows":{"w":{"opened_at":"2026-11-22T03:00:00Z","mood":"calm",
              "opened_by":{"user":"ann","tty":"pts/0"},"scope":{"paths":["/a"],"countries":["DE"]},
              "page":{"status":503,"font":"serif"}}},
            "ignore":{"r1":{"kind":"asn","value":"64496","added_at":"2026-11-22T03:00:00Z","weight":2}},
            "page":{"theme":"dark"},
            "trusted_proxies":{"header":"forwarded","networks":["10.0.0.0/8"],"depth":2}}"#;
        let before: Value = serde_json::from_str(text).unwrap();
        let state = read(text).unwrap();
        let after: Value = serde_json::from_slice(&state.to_json().unwrap()).unwrap();
        for pointer in [
            "/later/a",
            "/windows/w/mood",
            "/windows/w/opened_by/tty",
            "/windows/w/scope/countries",
            "/windows/w/page/font",
            "/ignore/r1/weight",
            "/ignore/r1/kind",
            "/page/theme",
            "/trusted_proxies/depth",
        ] {
            assert_eq!(after.pointer(pointer), before.pointer(pointer), "{pointer}");
            assert!(after.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn requirement_26_numbers_of_later_versions_survive_to_the_last_bit() {
        let text = r#"{"version":1,"revision":3,"later":[123456789.1239551616,1e-7,-0.0]}"#;
        let state = read(text).unwrap();
        let later = &state.extra["later"][0];
        assert_eq!(later.as_f64().unwrap().to_bits(), 123_456_789.123_955_16_f64.to_bits());
        assert_eq!(State::from_json(&state.to_json().unwrap()).unwrap(), state);
    }

    #[test]
    fn a_rewrite_says_nothing_of_who_opened_a_window_that_does_not_say_so() {
        let window = r#"{"opened_at":"2026-11-22T03:00:00Z"}"#;
        let state =
            read(&format!(r#"{{"version":1,"revision":3,"windows":{{"w":{window}}}}}"#)).unwrap();
        let after: Value = serde_json::from_slice(&state.to_json().unwrap()).unwrap();
        assert_eq!(after["windows"]["w"].get("opened_by"), None);
    }

    #[test]
    fn requirement_11_broken_states_are_refused_with_the_place() {
        let deep = format!(
            "{{\"version\":1,\"revision\":1,\"x\":{}{}}}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        for (text, part) in [
            ("", "empty"),
            ("  \n", "empty"),
            ("{", "line 1 column 1"),
            ("[]", "not a JSON object"),
            ("{\"version\":1,\"revision\":1,\"revision\":2}", "duplicate key `revision`"),
            ("{\"version\":1,\"revision\":1,\"x\":{\"a\":1,\"a\":2}}", "duplicate key `a`"),
            ("{\"version\":1,\"revision\":1} x", "trailing"),
            ("{\"version\":1,\"revision\":-1}", "expected u64"),
            ("{\"revision\":1}", "version"),
            ("{\"version\":0,\"revision\":1}", "version 0"),
            (
                "{\"version\":1,\"revision\":1,\"windows\":{\"a b\":{\"opened_at\":\"2026-11-22T03:00:00Z\"}}}",
                "name of a window",
            ),
            (
                "{\"version\":1,\"revision\":1,\"windows\":{\"w\":{\"opened_at\":\"noon\"}}}",
                "line 1",
            ),
            (deep.as_str(), "recursion limit"),
        ] {
            let reason = read(text).unwrap_err();
            assert!(reason.contains(part), "{text:.80}: {reason}");
        }
        let error = State::from_json(&vec![b' '; MAX_SIZE + 1]).unwrap_err();
        assert!(matches!(error, Malformed::Broken(reason) if reason.contains("larger")));
    }

    proptest::proptest! {
        #[test]
        fn requirement_27_no_bytes_make_the_reader_panic(
            places in proptest::collection::vec((0usize..1_000, proptest::num::u8::ANY), 0..8),
            cut in 0usize..1_000,
        ) {
            let mut bytes = serde_json::to_vec(&schema_test::full()).unwrap();
            for (place, byte) in places {
                let place = place % bytes.len();
                bytes[place] = byte;
            }
            let _ = State::from_json(&bytes);
            let _ = State::from_json(&bytes[..cut.min(bytes.len())]);
        }
    }

    #[test]
    fn requirement_26_a_later_version_is_read_only_if_it_allows_that() {
        assert_eq!(read(r#"{"version":2,"revision":1}"#).unwrap_err(), "newer 2");
        assert_eq!(read(r#"{"version":2,"min_reader":2,"revision":1}"#).unwrap_err(), "newer 2");
        assert_eq!(read(r#"{"version":2,"min_reader":1,"revision":1}"#).unwrap().version, 2);
    }
}
