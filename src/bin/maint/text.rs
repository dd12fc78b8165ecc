//! Text as people read it: colours, characters that are safe to print, durations.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use jiff::SignedDuration;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();

/// A text in a style.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A text that cannot move the cursor, change colours, reverse the line or pass
/// for another one: control characters, ends of lines among them, and bidirectional
/// overrides are shown as escapes.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_unsafe(c) { c.escape_default().collect() } else { vec![c] };
    text.chars().flat_map(shown).collect::<String>().into()
}

fn is_unsafe(c: char) -> bool {
    // Unicode Standard Annex #9: embeddings, overrides and isolates.
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A path as JSON can hold it. What is not UTF-8 in it is replaced, since serde
/// refuses such paths, and a report must not fail on one.
pub(crate) fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A message on one line, in typographic quotes.
pub(crate) fn quoted(message: &str) -> String {
    const SHOWN: usize = 200;
    let flat = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = flat.chars().take(SHOWN).collect();
    if short.len() < flat.len() {
        short.push('…');
    }
    format!("“{}”", printable(&short))
}

/// The two largest units: `2 d 3 h`, `1 h 12 min`, `45 s`.
pub(crate) fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs() + i64::from(duration.subsec_millis() >= 500);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) if seconds < 600 && seconds % 60 != 0 => {
            format!("{minutes} min {} s", seconds % 60)
        }
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, ..) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_51_nothing_a_message_holds_reaches_the_terminal_as_a_command() {
        assert_eq!(printable("Back at noon"), "Back at noon");
        assert_eq!(printable("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(printable("a\u{9b}b\rc\nd"), "a\\u{9b}b\\rc\\nd");
    }

    #[test]
    fn durations_are_short() {
        let say = |seconds| duration(SignedDuration::from_secs(seconds));
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (90, "1 min 30 s"),
            (1_799, "29 min"),
            (5_400, "1 h 30 min"),
            (7_200, "2 h"),
            (97_200, "1 d 3 h"),
            (86_400, "1 d"),
        ] {
            assert_eq!(say(seconds), text);
        }
    }
}
