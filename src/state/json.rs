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
    /// It needs a later version, this one.
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
        if let Some(reason) = strange_encoding(bytes) {
            return Err(Malformed::Broken(reason));
        }
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Malformed::Broken("it is not a JSON object".to_owned()));
        }
        strict::check(bytes).map_err(|cause| broken(&cause))?;
        let header: Header = serde_json::from_slice(bytes).map_err(|cause| broken(&cause))?;
        let needed = header.min_reader.unwrap_or(header.version);
        if needed > VERSION {
            return Err(Malformed::Newer(needed));
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

/// Reads a state from JSON, with the reason in words if it is none.
///
/// # Errors
///
/// Why it is no state.
pub fn read(bytes: &[u8]) -> Result<State, String> {
    State::from_json(bytes).map_err(|cause| match cause {
        Malformed::Newer(version) => format!("it needs version {version}"),
        Malformed::Broken(reason) => reason,
    })
}

/// How a text is written, if not as UTF-8 alone: what some editors and a power cut
/// leave looks like a state and cannot be read.
fn strange_encoding(bytes: &[u8]) -> Option<String> {
    let save = "save it as UTF-8 without a byte order mark (RFC 8259, 8.1)";
    // The mark of UTF-32 begins with that of UTF-16.
    let marks: [(&[u8], &str); 5] = [
        (b"\xef\xbb\xbf", "it begins with a byte order mark"),
        (b"\xff\xfe\0\0", "it is UTF-32"),
        (b"\0\0\xfe\xff", "it is UTF-32"),
        (b"\xff\xfe", "it is UTF-16"),
        (b"\xfe\xff", "it is UTF-16"),
    ];
    if let Some((_, what)) = marks.iter().find(|(mark, _)| bytes.starts_with(mark)) {
        return Some(format!("{what}; {save}"));
    }
    let first = bytes.iter().position(|&byte| byte == 0)?;
    if bytes.iter().all(|&byte| byte == 0) {
        return Some(format!("it is {} zero bytes, as after a power cut", bytes.len()));
    }
    // In UTF-16 and UTF-32, ASCII has a zero byte at least in every second place.
    if first <= 1 && matches!(bytes, [b'{', 0, ..] | [0, b'{', ..] | [0, 0, 0, b'{', ..]) {
        return Some(format!("it is UTF-16 or UTF-32; {save}"));
    }
    Some(format!("byte {} of it is zero", first + 1))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;
    use crate::state::parts::split;
    use crate::state::{MAX_REVISION, schema_test};

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

    #[test]
    fn requirement_11_another_encoding_is_called_by_its_name_in_every_reader() {
        let text = "{\"version\":1,\"revision\":1,\"ignore\":{}}";
        let wide = |big: bool| -> Vec<u8> {
            let order = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(order).collect()
        };
        let marked = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
        for (bytes, part) in [
            (marked(b"\xef\xbb\xbf", text.as_bytes()), "byte order mark; save it as UTF-8"),
            (marked(b"\xef\xbb\xbf", b""), "byte order mark"),
            (marked(b"\xff\xfe", &wide(false)), "UTF-16; save it as UTF-8"),
            (marked(b"\xfe\xff", &wide(true)), "UTF-16; save it as UTF-8"),
            (marked(b"\xff\xfe\0\0", b"{\0\0\0}\0\0\0"), "it is UTF-32"),
            (wide(false), "UTF-16 or UTF-32"),
            (wide(true), "UTF-16 or UTF-32"),
            (marked(b"\0\0\0", b"{\0\0\0}"), "UTF-16 or UTF-32"),
            (vec![0; 4_096], "4096 zero bytes, as after a power cut"),
            (marked(text.as_bytes(), b"\0\0"), "byte 39 of it is zero"),
            (Vec::new(), "it is empty"),
            (b"\n\n".to_vec(), "it is empty"),
            (b"null".to_vec(), "not a JSON object"),
        ] {
            let message = |cause| match cause {
                Malformed::Broken(reason) => reason,
                Malformed::Newer(version) => format!("newer {version}"),
            };
            let whole = State::from_json(&bytes).map_err(message).unwrap_err();
            assert!(whole.contains(part), "{whole}");
            for known in [None, Some("{}")] {
                let lean = split(&bytes, known).map(drop).map_err(message).unwrap_err();
                assert_eq!(lean, whole);
            }
        }
    }

    #[test]
    fn requirement_11_numbers_that_grow_are_exact_for_readers_of_doubles() {
        for (number, is_read) in
            [(MAX_REVISION, true), (MAX_REVISION + 1, false), (u64::MAX, false)]
        {
            for text in [
                format!(r#"{{"version":1,"revision":{number}}}"#),
                format!(r#"{{"version":1,"revision":1,"last_id":{number}}}"#),
            ] {
                let found = read(&text);
                assert_eq!(found.is_ok(), is_read, "{text}");
                assert!(is_read || found.unwrap_err().contains("9007199254740991 is the largest"));
            }
        }
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
        assert_eq!(read(r#"{"version":1,"min_reader":9,"revision":1}"#).unwrap_err(), "newer 9");
        assert_eq!(read(r#"{"version":2,"min_reader":1,"revision":1}"#).unwrap().version, 2);
    }
}
