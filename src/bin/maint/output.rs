//! What people and programs see: text with colour, or JSON.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::args::{Global, When};
use crate::exit::OutputFailed;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();

/// A text in a style.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Where answers go.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    choice: ColorChoice,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let choice = match global.color {
            When::Auto => ColorChoice::Auto,
            When::Always => ColorChoice::AlwaysAnsi,
            When::Never => ColorChoice::Never,
        };
        Self { json: global.json, quiet: global.quiet, choice }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints the answer to a question: text, or with `--json` the object.
    pub(crate) fn answer(&self, text: &str, object: &impl Serialize) -> Result<()> {
        if self.json { self.object(object) } else { self.text(text).map(drop) }
    }

    /// Like [`Output::answer`], and puts together only the one that is printed.
    pub(crate) fn answer_with<T: Serialize>(
        &self,
        text: impl FnOnce() -> String,
        object: impl FnOnce() -> T,
    ) -> Result<()> {
        if self.json { self.object(&object()) } else { self.text(&text()).map(drop) }
    }

    /// Whether only answers are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet && !self.json
    }

    /// Prints what was done, which `--quiet` leaves out.
    pub(crate) fn done(&self, text: &str, object: &impl Serialize) -> Result<()> {
        if self.is_quiet() { Ok(()) } else { self.answer(text, object) }
    }

    /// Prints one JSON object on a line.
    pub(crate) fn object(&self, object: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(object)?;
        line.push('\n');
        self.text(&line).map(drop)
    }

    /// Writes to standard output. `false`: nobody reads any more, which is no error.
    pub(crate) fn text(&self, text: &str) -> Result<bool> {
        let mut stream = AutoStream::new(io::stdout().lock(), self.choice_for(&io::stdout()));
        match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(cause) => Err(OutputFailed(cause).into()),
        }
    }

    /// Says something that is not the answer, on standard error. With `--json`
    /// that is for errors alone.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            self.error_line(text);
        }
    }

    /// Reports what did not go as it should although the change is in force.
    pub(crate) fn warn(&self, warnings: &[String]) {
        if !self.json {
            for warning in warnings {
                self.error_line(&format!("{}: {}", paint(YELLOW, "warning"), printable(warning)));
            }
        }
    }

    /// Shows progress to a person who watches; programs are left alone.
    pub(crate) fn progress(&self, text: &str) {
        if io::stderr().is_terminal() && !self.json {
            self.note(text);
        }
    }

    /// Writes a line to standard error. There is nowhere to report a failure to.
    pub(crate) fn error_line(&self, line: &str) {
        let mut stream = AutoStream::new(io::stderr().lock(), self.choice_for(&io::stderr()));
        let _ = writeln!(stream, "{line}");
    }

    fn choice_for(&self, stream: &impl anstream::stream::RawStream) -> ColorChoice {
        match self.choice {
            ColorChoice::Auto => AutoStream::choice(stream),
            chosen => chosen,
        }
    }
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

/// The clock and the time zone in which times are shown.
pub(crate) struct Clock {
    fixed: Option<Timestamp>,
    /// Looked up when the first time is shown.
    zone: OnceCell<TimeZone>,
}

impl Clock {
    pub(crate) fn new(fixed: Option<Timestamp>) -> Self {
        Self { fixed, zone: OnceCell::new() }
    }

    /// The time in tests, if it is fixed.
    pub(crate) fn fixed(&self) -> Option<Timestamp> {
        self.fixed
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.fixed.unwrap_or_else(maint::time::now)
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        self.zone.get_or_init(maint::time::zone)
    }

    /// `03:45 UTC`, with the date unless it is today, and seconds unless they are zero.
    pub(crate) fn time(&self, time: Timestamp) -> String {
        let local = time.to_zoned(self.zone().clone());
        let today = self.now().to_zoned(self.zone().clone()).date();
        let date = if local.date() == today { "" } else { "%Y-%m-%d " };
        let clock = if local.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
        local.strftime(&format!("{date}{clock} %Z")).to_string()
    }

    /// `03:45 UTC (in 29 min)` or `03:02 UTC (14 min ago)`.
    pub(crate) fn relative(&self, time: Timestamp) -> String {
        let distance = time.duration_since(self.now());
        let text = duration(distance.abs());
        if distance.as_secs() == 0 {
            format!("{} (now)", self.time(time))
        } else if distance.is_positive() {
            format!("{} (in {text})", self.time(time))
        } else {
            format!("{} ({text} ago)", self.time(time))
        }
    }

    /// The whole time, for the history.
    pub(crate) fn full(&self, time: Timestamp) -> String {
        time.to_zoned(self.zone().clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
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
