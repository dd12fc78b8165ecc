//! Running a command that somebody wrote down, with bounds on its time and its words.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::site::PASSWORD;
use crate::sys;
use crate::visible::visible;

/// How much of what it says is kept, in bytes. The rest is read and thrown away.
const KEPT: usize = 4096;

/// How much of a line is shown, in characters.
const SHOWN: usize = 300;

/// How long words may take that were said before the end.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The longest pause between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// A command for `/bin/sh`.
pub(super) struct Command<'a> {
    pub(super) text: &'a str,
    pub(super) directory: &'a Path,
    pub(super) environment: &'a [(&'a str, &'a str)],
    pub(super) timeout: Duration,
}

/// How a command ended.
pub(super) struct Ended {
    /// Its exit code; `None` if it was killed.
    pub(super) code: Option<i32>,
    /// In words.
    how: String,
    /// The first line that it said, on standard error if there is one.
    line: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.how)?;
        if self.line.is_empty() { Ok(()) } else { write!(f, ": {}", visible(&self.line)) }
    }
}

impl Command<'_> {
    /// Runs it to its end, or kills it with all that it started.
    pub(super) fn run(&self) -> io::Result<Ended> {
        let mut command = sys::shell(self.text);
        command.current_dir(self.directory);
        command.env_remove(PASSWORD).envs(self.environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        sys::lead_group(&mut command);
        let mut child = command.spawn()?;
        let out = child.stdout.take().map(Words::of);
        let err = child.stderr.take().map(Words::of);
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if began.elapsed() >= self.timeout {
                // Before it is waited for, so that the number is still its own.
                sys::kill_group(&mut child);
                child.wait()?;
                break None;
            }
            thread::sleep(pause.min(self.timeout.saturating_sub(began.elapsed())));
            pause = (pause * 2).min(PAUSE);
        };
        let deadline = Instant::now() + LAST_WORDS;
        let mut line = String::new();
        for words in [err, out].into_iter().flatten() {
            let said = words.until(deadline);
            if line.is_empty() {
                line = first_line(&said);
            }
        }
        let code = status.and_then(|status| status.code());
        let how = match (status, code) {
            (None, _) => format!("took more than {} s", self.timeout.as_secs()),
            (_, Some(code)) => format!("exited with {code}"),
            (Some(status), None) => format!("was killed ({status})"),
        };
        Ok(Ended { code, how, line })
    }
}

fn first_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(SHOWN).collect()
}

fn locked(words: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    words.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a command says, read as long as it speaks, so that it never has to wait.
struct Words {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Words {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kept);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                let mut kept = locked(&shared);
                let room = KEPT.saturating_sub(kept.len());
                kept.extend_from_slice(&buffer[..length.min(room)]);
            }
        });
        Self { kept, reader }
    }

    /// What was said by now. Something that it left in the background may never end.
    fn until(self, deadline: Instant) -> Vec<u8> {
        while !self.reader.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        locked(&self.kept).clone()
    }
}
