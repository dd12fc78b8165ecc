//! Characters that a terminal obeys or that disguise a text, made visible.
//!
//! Others write much of what is shown: messages, names, rules, file names, what the lock
//! says of its holder. As an escape it can neither drive a terminal nor look like a line
//! of ours.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Whether a character must not be shown as it is.
///
/// Joiners (U+200C, U+200D) may: Persian and emoji are written with them, and they move
/// nothing.
fn is_hidden(c: char) -> bool {
    // Control characters are C0, DEL and C1.
    c.is_control()
        || matches!(
            c,
            // What has no width.
            '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            // Ends of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // Unicode Standard Annex #9: marks, embeddings, overrides and isolates, with the
            // deprecated ones.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        )
}

/// A text with an escape in place of each such character, ends of lines among them.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// The same, for a text of many lines: a page, a script.
#[must_use]
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, may_stay: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |c: char| is_hidden(c) && !may_stay(c);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Makes visible what is written into it.
pub(crate) struct Visible<'w, W>(pub(crate) &'w mut W);

impl<W: Write> Write for Visible<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&visible(text))
    }
}

/// JSON with the same value, in which such characters are escapes. Only strings can hold
/// them: between values JSON has spaces and ends of lines (RFC 8259, 2).
#[must_use]
pub fn json(text: Vec<u8>) -> Vec<u8> {
    if text.iter().all(|byte| *byte < 0x7f) {
        return text;
    }
    let Ok(chars) = str::from_utf8(&text) else { return text };
    let is_escaped = |c: char| is_hidden(c) && !c.is_ascii_whitespace();
    if !chars.contains(is_escaped) {
        return text;
    }
    let mut shown = String::with_capacity(chars.len() + 16);
    for c in chars.chars() {
        if is_escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown.into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The characters that requirement 65 names, and some that look alike.
    const HIDDEN: [(u32, u32); 9] = [
        (0x00, 0x1f),
        (0x7f, 0x9f),
        (0x61c, 0x61c),
        (0x200b, 0x200b),
        (0x200e, 0x200f),
        (0x2028, 0x202e),
        (0x2066, 0x2069),
        (0xfeff, 0xfeff),
        (0xe0041, 0xe0041),
    ];

    fn hidden() -> impl Iterator<Item = char> {
        HIDDEN.into_iter().flat_map(|(from, to)| from..=to).filter_map(char::from_u32)
    }

    #[test]
    fn requirement_65_what_drives_a_terminal_or_disguises_a_text_is_an_escape() {
        for c in hidden() {
            let shown = visible(&format!("a{c}b")).into_owned();
            assert!(shown.starts_with("a\\") && shown.ends_with('b'), "{shown:?}");
            assert!(!shown.contains(is_hidden), "{shown:?}");
        }
        assert_eq!(visible("a\u{9b}b\rc\nd"), "a\\u{9b}b\\rc\\nd");
        assert_eq!(visible_lines("a\tb\nc\u{1b}[2J"), "a\tb\nc\\u{1b}[2J");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["Back at noon", "Grüße – “x”…", "می\u{200c}خواهم", "👩\u{200d}🚒", "日本語"]
        {
            assert_eq!(visible(text), text);
            assert_eq!(json(text.into()), text.as_bytes());
        }
    }

    #[test]
    fn requirement_65_json_has_the_same_value_and_none_of_them() {
        let all: String = hidden().collect();
        let value = json!({ &all: [&all, 1, null], "more": "ä" });
        for text in [serde_json::to_vec(&value), serde_json::to_vec_pretty(&value)] {
            let shown = json(text.unwrap());
            assert_eq!(serde_json::from_slice::<Value>(&shown).unwrap(), value);
            let shown = String::from_utf8(shown).unwrap();
            assert!(!shown.contains(|c| is_hidden(c) && c != '\n'), "{shown:?}");
            assert!(shown.contains('ä'), "{shown}");
        }
    }
}
