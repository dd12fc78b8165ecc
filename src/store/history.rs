//! The history: one line of JSON for each change, newest last.
//!
//! The state is the truth and the history follows it. If a writer dies between
//! the two, the next one writes the missing line from what the state says.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::custody::Custody;
use crate::actor::Actor;
use crate::site::Files;
use crate::state::{Change, State};
use crate::sys;
use crate::visible;

/// A history of more bytes than this is set aside; one such file is kept.
const MAX_SIZE: u64 = 8 * 1024 * 1024;

/// A line of more bytes than this is written without its changes.
const MAX_LINE: usize = 64 * 1024;

/// How many bytes at the end of a history are read first.
const SHORT_LINES: u64 = 4 * 1024;

/// The longest command line that is recorded, in characters.
const MAX_COMMAND: usize = 2_000;

/// How the command of a change begins that was made through the Python package.
pub const PYTHON: &str = "python: ";

/// Cuts a command line to 2000 characters, with `…` for the rest.
#[must_use]
pub fn shortened(line: String) -> String {
    if line.chars().count() <= MAX_COMMAND {
        return line;
    }
    line.chars().take(MAX_COMMAND).chain(['…']).collect()
}

/// One change of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// When, on the writer's clock.
    pub time: Timestamp,
    /// The revisions before and after it.
    pub revision: Revisions,
    /// Who made it.
    pub actor: Actor,
    /// The command, without the name of the program.
    pub command: String,
    /// What changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// How many more changes there were than one line can hold.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// Whether only a lease was renewed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renewal: bool,
    /// Whether this line was written by the next writer, from the state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recovered: bool,
}

/// The revisions before and after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Revisions {
    /// Before; absent if the state before could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// After.
    pub after: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A history that is complete up to the state; `None` if there is none yet.
pub(crate) struct Complete(Option<File>);

/// Opens the history and writes the line that the previous writer may have owed.
///
/// Call it before the state is replaced. The state records only its last change,
/// so a line still owed by then is lost if this writer dies as well.
pub(crate) fn complete(files: &Files, state: &State, custody: Custody) -> io::Result<Complete> {
    let path = &files.history;
    rotate(files)?;
    let mut text = Vec::new();
    let mut file = match sys::open_append(path) {
        Ok(file) => Some(file),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => return Err(cause),
    };
    let mut last = None;
    if let Some(file) = &file {
        if let Some(kind) = sys::special_kind(&file.metadata()?) {
            return Err(io::Error::other(format!("it is {kind}")));
        }
        let tail = tail(file)?;
        last = last_record(&tail);
        if tail.last().is_some_and(|&byte| byte != b'\n') {
            text.push(b'\n');
        }
    }
    if let Some(owed) = owed(last.as_ref(), state) {
        text.extend(line(&owed)?);
        if file.is_none() {
            file = Some(create(path, custody)?);
        }
    }
    if let Some(file) = &file
        && !text.is_empty()
    {
        sys::write_all(file, &text)?;
    }
    Ok(Complete(file))
}

/// Appends the line of the change that was just made.
pub(crate) fn append(
    history: Complete,
    files: &Files,
    record: &Record,
    custody: Custody,
) -> io::Result<()> {
    let file = match history.0 {
        Some(file) => file,
        None => create(&files.history, custody)?,
    };
    sys::write_all(&file, &line(record)?)
}

fn create(path: &Path, custody: Custody) -> io::Result<File> {
    drop(sys::create_new(path)?);
    let file = sys::open_append(path)?;
    // The history is for the site's own people; only the state is for everyone.
    custody.hand_over(&file, 0o640)?;
    Ok(file)
}

fn rotate(files: &Files) -> io::Result<()> {
    match fs::symlink_metadata(&files.history) {
        Ok(metadata) if metadata.is_file() && metadata.len() > MAX_SIZE => {
            sys::rename(&files.history, &files.old_history)
        }
        _ => Ok(()),
    }
}

fn line(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    if line.len() > MAX_LINE {
        let short = Record {
            changes: Vec::new(),
            left_out: record.left_out + record.changes.len(),
            command: record.command.chars().take(1_000).collect(),
            ..record.clone()
        };
        line = serde_json::to_vec(&short)?;
    }
    let mut line = visible::json(line);
    line.push(b'\n');
    Ok(line)
}

/// The line for the state's last change, if the history lacks it.
fn owed(last: Option<&Record>, state: &State) -> Option<Record> {
    let change = state.last_change.as_ref()?;
    let recorded = last.map_or(0, |record| record.revision.after);
    (recorded < state.revision).then(|| Record {
        time: change.at,
        revision: Revisions { before: state.revision.checked_sub(1), after: state.revision },
        actor: change.by.clone(),
        command: change.command.clone(),
        changes: Vec::new(),
        left_out: 0,
        renewal: false,
        recovered: true,
    })
}

/// The end of the file, long enough for one line.
fn tail(mut file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    // Most lines are short, and reading the longest possible one takes longer than
    // everything else about the history.
    for most in [SHORT_LINES, 2 * MAX_LINE as u64] {
        let start = length.saturating_sub(most);
        file.seek(SeekFrom::Start(start))?;
        bytes.clear();
        bytes.reserve(usize::try_from(length - start).unwrap_or(0) + 1);
        file.take(2 * most).read_to_end(&mut bytes)?;
        if start == 0 || last_record(&bytes).is_some() {
            break;
        }
    }
    Ok(bytes)
}

fn last_record(bytes: &[u8]) -> Option<Record> {
    bytes.rsplit(|&byte| byte == b'\n').find_map(|line| serde_json::from_slice(line).ok())
}

/// The revision of the last line, to continue from when the state is lost.
pub(crate) fn last_revision(files: &Files) -> Option<u64> {
    let tail = tail(&sys::open_read(&files.history).ok()?).ok()?;
    last_record(&tail).map(|record| record.revision.after)
}

/// Returns every record, oldest first, and how many lines could not be read.
///
/// # Errors
///
/// Fails if a file exists and cannot be read; a missing history is empty.
pub fn read(files: &Files) -> crate::Result<(Vec<Record>, usize)> {
    let mut records = Vec::new();
    let mut broken = 0;
    for path in [&files.old_history, &files.history] {
        let text = match read_bytes(path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(crate::Error::Unreadable { path: path.clone(), source }),
        };
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(record) => records.push(record),
                Err(_) => broken += 1,
            }
        }
    }
    Ok((records, broken))
}

/// Reads a file of the history, but refuses one that was swapped for a pipe.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = sys::open_read(path)?;
    if let Some(kind) = sys::special_kind(&file.metadata()?) {
        return Err(io::Error::other(format!("it is {kind}")));
    }
    let mut bytes = Vec::new();
    file.take(2 * MAX_SIZE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_found_however_long_it_is() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("history.jsonl");
        let record = |after, command: &str| Record {
            time: Timestamp::UNIX_EPOCH,
            revision: Revisions { before: None, after },
            actor: Actor::default(),
            command: command.to_owned(),
            changes: Vec::new(),
            left_out: 0,
            renewal: false,
            recovered: false,
        };
        let file = sys::create_new(&path).unwrap();
        for after in 1..=200 {
            sys::write_all(&file, &line(&record(after, "on")).unwrap()).unwrap();
        }
        for (after, command) in [(201, "on".to_owned()), (202, "x".repeat(20_000))] {
            sys::write_all(&file, &line(&record(after, &command)).unwrap()).unwrap();
            let tail = tail(&sys::open_read(&path).unwrap()).unwrap();
            assert_eq!(last_record(&tail).unwrap().revision.after, after);
        }
        // A line that a killed writer left unfinished is skipped.
        sys::write_all(&file, b"{\"time\":\"20").unwrap();
        let tail = tail(&sys::open_read(&path).unwrap()).unwrap();
        assert_eq!(last_record(&tail).unwrap().revision.after, 202);
    }
}
