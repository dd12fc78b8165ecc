//! What people and programs see: text with colour, or JSON. The one door to the terminal.

#![expect(clippy::disallowed_methods, reason = "the streams are opened here and nowhere else")]

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anyhow::Result;
use serde::Serialize;

use crate::args::{Global, When};
use crate::text::{Text, YELLOW, paint, say};

/// Standard output did not take the answer.
#[derive(Debug)]
pub(crate) struct OutputFailed(pub(crate) io::Error);

impl std::fmt::Display for OutputFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_string().to_lowercase();
        write!(
            f,
            "could not write the answer: {}",
            text.split(" (os error").next().unwrap_or(&text)
        )
    }
}

impl std::error::Error for OutputFailed {}

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

    /// As the command line asks for it, where it could not be parsed or asks for help.
    pub(crate) fn unparsed() -> Self {
        let words: Vec<String> = std::env::args_os()
            .map(|word| word.to_string_lossy().into_owned())
            .take_while(|word| word != "--")
            .collect();
        let mut colors = words.iter().enumerate().filter_map(|(position, word)| {
            match word.strip_prefix("--color")? {
                "" => words.get(position + 1).map(String::as_str),
                value => value.strip_prefix('='),
            }
        });
        let choice = match colors.next_back() {
            Some("always") => ColorChoice::AlwaysAnsi,
            Some("never") => ColorChoice::Never,
            _ => ColorChoice::Auto,
        };
        Self { json: words.iter().any(|word| word == "--json"), quiet: false, choice }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints the answer to a question: text, or with `--json` the object.
    pub(crate) fn answer(&self, text: &Text, object: &impl Serialize) -> Result<()> {
        if self.json { self.object(object) } else { self.text(text).map(drop) }
    }

    /// Like [`Output::answer`], but builds only the one that is printed.
    pub(crate) fn answer_with<T: Serialize>(
        &self,
        text: impl FnOnce() -> Text,
        object: impl FnOnce() -> T,
    ) -> Result<()> {
        if self.json { self.object(&object()) } else { self.text(&text()).map(drop) }
    }

    /// Prints what a file or a program is to get as it is: a page, a script, a path. On a
    /// terminal it is made visible, and ends its line.
    pub(crate) fn content(&self, theirs: &[u8]) -> Result<()> {
        if io::stdout().is_terminal() {
            let text = Text::lines(&String::from_utf8_lossy(theirs));
            let end = if text.as_str().ends_with('\n') { "" } else { "\n" };
            return self.text(&(text + end)).map(drop);
        }
        let mut stream = io::stdout().lock();
        written(stream.write_all(theirs).and_then(|()| stream.flush())).map(drop)
    }

    /// Whether only answers are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet && !self.json
    }

    /// Prints what was done, which `--quiet` leaves out.
    pub(crate) fn done(&self, text: &Text, object: &impl Serialize) -> Result<()> {
        if self.is_quiet() { Ok(()) } else { self.answer(text, object) }
    }

    /// Prints one JSON object on a line.
    pub(crate) fn object(&self, object: &impl Serialize) -> Result<()> {
        self.text(&Text::json(object)?).map(drop)
    }

    /// Writes to standard output. `false` if the reader has gone, which is no error.
    pub(crate) fn text(&self, text: &Text) -> Result<bool> {
        let mut stream = AutoStream::new(io::stdout().lock(), self.choice_for(&io::stdout()));
        written(stream.write_all(text.as_str().as_bytes()).and_then(|()| stream.flush()))
    }

    /// Prints a note beside the answer, on standard error. With `--json` that is for
    /// errors alone.
    pub(crate) fn note(&self, text: impl Into<Text>) {
        if !self.quiet && !self.json {
            self.error_line(text);
        }
    }

    /// Prints what went wrong although the change is in force.
    pub(crate) fn warn(&self, warnings: &[String]) {
        if !self.json {
            for warning in warnings {
                self.error_line(say!("{}: {}", paint(YELLOW, "warning"), warning));
            }
        }
    }

    /// Whether a person sees what stands beside the answer.
    pub(crate) fn is_watched(&self) -> bool {
        io::stderr().is_terminal() && !self.quiet && !self.json
    }

    /// Shows progress on a terminal.
    pub(crate) fn progress(&self, text: impl Into<Text>) {
        if self.is_watched() {
            self.note(text);
        }
    }

    /// Prints a question on standard error, and returns the answer of a person, in lower case;
    /// `None` if no person can answer.
    pub(crate) fn ask(&self, question: &Text) -> Option<String> {
        if self.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        self.error_text(question);
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok()?;
        Some(answer.trim().to_lowercase())
    }

    /// Writes a text beside the answer to standard error.
    pub(crate) fn error_text(&self, text: &Text) {
        if !self.json {
            let mut stream = AutoStream::new(io::stderr().lock(), self.choice_for(&io::stderr()));
            let _ = stream.write_all(text.as_str().as_bytes());
        }
    }

    /// Writes a line to standard error. There is nowhere to report a failure to.
    pub(crate) fn error_line(&self, line: impl Into<Text>) {
        let mut stream = AutoStream::new(io::stderr().lock(), self.choice_for(&io::stderr()));
        let _ = writeln!(stream, "{}", line.into().as_str());
    }

    /// Writes one JSON object to standard error.
    pub(crate) fn error_object(&self, object: &impl Serialize) {
        if let Ok(line) = Text::json(object) {
            self.error_line(line.trim_end());
        }
    }

    fn choice_for(&self, stream: &impl anstream::stream::RawStream) -> ColorChoice {
        match self.choice {
            ColorChoice::Auto => AutoStream::choice(stream),
            chosen => chosen,
        }
    }
}

/// `false` if the reader has gone, which is no error.
fn written(result: io::Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(cause) => Err(OutputFailed(cause).into()),
    }
}
