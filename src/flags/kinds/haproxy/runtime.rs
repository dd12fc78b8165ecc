//! The stats socket: one command for each connection, and its answer.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sys;
use crate::visible::visible;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// How much of an answer is shown, in characters.
const SHOWN: usize = 200;

/// Forced maintenance among the bits of `srv_admin_state`: by the runtime API, or by `disabled`
/// in the configuration.
const FORCED: u32 = 0x01;

pub(super) struct Runtime<'a> {
    socket: &'a Path,
}

impl<'a> Runtime<'a> {
    pub(super) fn at(socket: &'a Path) -> Self {
        Self { socket }
    }

    /// The values of a key in a map, in the words of `HAProxy`.
    pub(super) fn entries(&self, map: &str, key: &str) -> Result<Vec<String>> {
        let command = format!("show map {map}");
        let answer = self.ask(&command)?;
        let mut values = Vec::new();
        for line in answer.lines().filter(|line| !line.is_empty()) {
            // An address in memory, the key, the value.
            let Some(entry) = line.strip_prefix("0x").and_then(|line| line.split_once(' ')) else {
                return Err(self.refused(&command, &answer));
            };
            let (found, value) = entry.1.split_once(' ').unwrap_or((entry.1, ""));
            if found == key {
                values.push(value.to_owned());
            }
        }
        Ok(values)
    }

    /// Gives a key of a map this one value, or none.
    pub(super) fn set_entry(&self, map: &str, key: &str, value: Option<&str>) -> Result<()> {
        let known = self.entries(map, key)?;
        let value = value.map(escaped);
        match value {
            Some(value) if known.is_empty() => self.order(&format!("add map {map} {key} {value}")),
            Some(value) => self.order(&format!("set map {map} {key} {value}")),
            None if known.is_empty() => Ok(()),
            None => self.order(&format!("del map {map} {key}")),
        }
    }

    /// Whether each of these servers is in forced maintenance.
    pub(super) fn servers_down(&self, servers: &[(&str, &str)]) -> Result<Vec<bool>> {
        let mut states: BTreeMap<&str, BTreeMap<String, u32>> = BTreeMap::new();
        for (backend, _) in servers {
            if !states.contains_key(backend) {
                states.insert(backend, self.states(backend)?);
            }
        }
        let is_down = |(backend, name): &(&str, &str)| {
            let state = states.get(backend).and_then(|servers| servers.get(*name));
            let state = state.ok_or_else(|| {
                Error::invalid(format!("HAProxy has no server `{name}` in backend `{backend}`"))
            });
            Ok(state? & FORCED != 0)
        };
        servers.iter().map(is_down).collect()
    }

    /// The administrative state of each server of a backend.
    fn states(&self, backend: &str) -> Result<BTreeMap<String, u32>> {
        let command = format!("show servers state {backend}");
        let answer = self.ask(&command)?;
        let mut lines = answer.lines().filter(|line| !line.is_empty());
        // The version of the format, and the names of its columns.
        let columns: Option<Vec<&str>> = lines
            .nth(1)
            .and_then(|line| line.strip_prefix("# "))
            .map(|line| line.split(' ').collect());
        let of = |name: &str| columns.iter().flatten().position(|column| *column == name);
        let (Some(name), Some(state)) = (of("srv_name"), of("srv_admin_state")) else {
            return Err(self.refused(&command, &answer));
        };
        let server = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            Some(((*words.get(name)?).to_owned(), words.get(state)?.parse().ok()?))
        };
        lines.map(|line| server(line).ok_or_else(|| self.refused(&command, line))).collect()
    }

    /// Has something done, of which `HAProxy` says nothing unless it fails.
    pub(super) fn order(&self, command: &str) -> Result<()> {
        let answer = self.ask(command)?;
        if answer.trim().is_empty() { Ok(()) } else { Err(self.refused(command, &answer)) }
    }

    fn refused(&self, command: &str, answer: &str) -> Error {
        let line = answer.lines().map(str::trim).find(|line| !line.is_empty());
        let line: String = line.unwrap_or("nothing").chars().take(SHOWN).collect();
        let why = if line.contains("Permission denied") {
            "; its `stats socket` needs `level admin`"
        } else {
            ""
        };
        Error::invalid(format!(
            "HAProxy at `{}` answered `{command}` with: {}{why}",
            self.socket.display(),
            visible(&line)
        ))
    }

    /// Sends a command and returns the answer.
    fn ask(&self, command: &str) -> Result<String> {
        self.answer(command).map_err(|source| Error::io("ask HAProxy at", self.socket, source))
    }

    fn answer(&self, command: &str) -> io::Result<String> {
        let deadline = Instant::now() + TIMEOUT;
        let mut stream = sys::connect(self.socket)?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Err(late()),
                Err(cause) => return Err(cause),
            }
            if answer.len() > MAX_ANSWER {
                return Err(io::Error::other(format!("it says more than {MAX_ANSWER} bytes")));
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn late() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("it did not answer within {} s", TIMEOUT.as_secs()),
    )
}

/// A value as one word of a command.
fn escaped(value: &str) -> String {
    let mut word = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, ' ' | '\\' | ';') {
            word.push('\\');
        }
        word.push(c);
    }
    word
}
