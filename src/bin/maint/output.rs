//! What people and programs see: text with colour, or JSON.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anyhow::Result;
use serde::Serialize;

use crate::args::{Global, When};
use crate::text::{YELLOW, paint, printable};

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
