//! Text as people read it, and the one way to make it.
//!
//! A [`Text`] holds our own words and colours, and what others wrote made visible. Only this
//! module makes one, and the output takes nothing else: what is not made visible does not
//! compile.

use std::fmt::Display;
use std::ops::{Add, AddAssign};
use std::path::Path;

use jiff::SignedDuration;
use maint::internal::visible::{json, visible, visible_lines};
use owo_colors::Style;
use serde::Serialize;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const RED: Style = Style::new().red().bold();
/// That of clap's own `tip:`.
pub(crate) const TIP: Style = Style::new().green();
pub(crate) const GREEN: Style = Style::new().green().bold();
pub(crate) const YELLOW: Style = Style::new().yellow().bold();

/// What is shown, safe for a terminal. It is no `Display`, so that `format!` cannot take it
/// apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(String);

impl Text {
    /// Our words, with each argument in its place. [`say!`] counts the places.
    pub(crate) fn of(ours: &'static str, arguments: &[&dyn Show]) -> Self {
        let mut pieces = ours.split("{}");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for (piece, argument) in pieces.zip(arguments) {
            text += &argument.show().0;
            text += piece;
        }
        Self(text)
    }

    /// A text of many lines that somebody else wrote: a page, a script.
    pub(crate) fn lines(theirs: &str) -> Self {
        Self(visible_lines(theirs).into_owned())
    }

    /// One JSON object on a line.
    pub(crate) fn json(object: &impl Serialize) -> serde_json::Result<Self> {
        let mut bytes = json(serde_json::to_vec(object)?);
        bytes.push(b'\n');
        Ok(Self(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// What clap writes on its own: its words and styles, and no word of the command line.
    pub(crate) fn clap(text: &clap::builder::StyledStr) -> Self {
        Self(text.ansi().to_string())
    }

    pub(crate) fn join(texts: &[Self], separator: &'static str) -> Self {
        let texts: Vec<&str> = texts.iter().map(Self::as_str).collect();
        Self(texts.join(separator))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn trim_end(&self) -> Self {
        Self(self.0.trim_end().to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Our own words.
impl From<&'static str> for Text {
    fn from(ours: &'static str) -> Self {
        Self(ours.to_owned())
    }
}

impl From<&Self> for Text {
    fn from(text: &Self) -> Self {
        text.clone()
    }
}

impl<T: Into<Self>> Add<T> for Text {
    type Output = Self;

    fn add(mut self, more: T) -> Self {
        self += more;
        self
    }
}

impl<T: Into<Self>> AddAssign<T> for Text {
    fn add_assign(&mut self, more: T) {
        self.0 += &more.into().0;
    }
}

impl FromIterator<Self> for Text {
    fn from_iter<T: IntoIterator<Item = Self>>(texts: T) -> Self {
        Self(texts.into_iter().map(|text| text.0).collect())
    }
}

/// What can stand in a [`Text`].
pub(crate) trait Show {
    fn show(&self) -> Text;
}

impl Show for Text {
    fn show(&self) -> Text {
        self.clone()
    }
}

/// Whatever others wrote.
impl<T: Display + ?Sized> Show for T {
    fn show(&self) -> Text {
        Text(visible(&self.to_string()).into_owned())
    }
}

/// Makes a [`Text`]: the words are ours, and each `{}` is made visible. A name in the braces
/// does not compile.
macro_rules! say {
    ($ours:literal $(, $argument:expr)* $(,)?) => {{
        const {
            let arguments: &[&str] = &[$(stringify!($argument)),*];
            assert!(
                $crate::text::places($ours) == arguments.len(),
                "each `{{}}` needs an argument, and each argument a `{{}}`"
            );
        }
        $crate::text::Text::of($ours, &[$(&$argument as &dyn $crate::text::Show),*])
    }};
}
pub(crate) use say;

/// How many arguments these words take.
pub(crate) const fn places(ours: &str) -> usize {
    let bytes = ours.as_bytes();
    let (mut at, mut number) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'{' {
            at += 1;
            assert!(at < bytes.len() && bytes[at] == b'}', "write `{{}}`, and the value behind");
            number += 1;
        } else {
            assert!(bytes[at] != b'}', "write `{{}}`, and the value behind");
        }
        at += 1;
    }
    number
}

/// A text in a style. The output strips the style where colour is not wanted.
#[expect(clippy::needless_pass_by_value, reason = "as for a macro: `paint(RED, \"down\")`")]
pub(crate) fn paint(style: Style, text: impl Show) -> Text {
    Text(style.style(text.show().0).to_string())
}

/// A text that fills its column.
#[expect(clippy::needless_pass_by_value, reason = "as for a macro")]
pub(crate) fn padded(text: impl Show, width: usize) -> Text {
    Text(format!("{:<width$}", text.show().0))
}

/// Words on lines of so many columns, the first behind a label of ours.
pub(crate) fn wrapped(label: &'static str, words: &str, width: usize) -> Text {
    let mut lines = vec![Text::from(label)];
    let mut column = label.chars().count();
    let mut is_first = true;
    for word in words.split(' ') {
        let shown = word.show();
        let length = shown.0.chars().count();
        if !is_first && column + 1 + length > width {
            lines.push(Text(" ".repeat(4)));
            (column, is_first) = (4, true);
        }
        if let Some(line) = lines.last_mut() {
            if !is_first {
                *line += " ";
                column += 1;
            }
            *line += shown;
        }
        (column, is_first) = (column + length, false);
    }
    Text::join(&lines, "\n") + "\n"
}

/// A path for JSON. Bytes that are not UTF-8 are replaced: serde refuses such paths,
/// and a report must not fail on one.
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
    format!("“{short}”")
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
    fn requirement_65_what_others_wrote_stands_in_our_words_as_an_escape() {
        let text = say!("window `{}` is {}\n", "a\x1b[31mb\nc", paint(RED, "do\u{202e}wn"));
        let shown = "window `a\\u{1b}[31mb\\nc` is \u{1b}[31;1mdo\\u{202e}wn\u{1b}[0m\n";
        assert_eq!(text.as_str(), shown);
        assert_eq!(say!("{}", quoted("up\u{9b}0m\n now")).as_str(), "“up\\u{9b}0m now”");
        assert_eq!(Text::lines("a\n\tb\r").as_str(), "a\n\tb\\r");
        let object = Text::json(&["\u{9b}\u{2028}é"]).unwrap();
        assert_eq!(object.as_str(), "[\"\\u009b\\u2028é\"]\n");
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
