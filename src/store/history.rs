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
use crate::replace::attached;
use crate::site::Files;
use crate::state::{Change, State};
use crate::sys;
use crate::visible;

/// A history of more bytes than this is set aside; one such file is kept.
const MAX_SIZE: u64 = 8 * 1024 * 1024;

/// A line of more bytes than this is written without its changes.
const MAX_LINE: usize = 64 * 1024;

/// Up to this many changes go into one line.
const MAX_RECORDED: usize = 100;

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
    #[serde(deserialize_with = "crate::shell::read_recorded")]
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
    /// The engine that it came from, in a site that follows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl Record {
    /// The line of a change that led to this state, by what the state says of it.
    pub(super) fn of(
        before: Option<u64>,
        after: &State,
        changes: &[Change],
        renewal: bool,
    ) -> Self {
        let kept = changes.len().min(MAX_RECORDED);
        let last = after.last_change.as_ref();
        Self {
            time: last.map_or_else(crate::time::now, |change| change.at),
            revision: Revisions { before, after: after.revision },
            actor: last.map_or_else(Actor::default, |change| change.by.clone()),
            command: last.map_or_else(String::new, |change| change.command.clone()),
            changes: changes[..kept].to_vec(),
            left_out: changes.len() - kept,
            renewal,
            recovered: false,
            from: None,
        }
    }
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

/// A history that is complete up to the state; `None` if it begins anew.
pub(crate) struct Complete(Option<File>);

/// Opens the history, writes the line that the previous writer may have owed, and sets
/// aside a history that has grown too long.
///
/// Call it before the state is replaced. The state records only its last change,
/// so a line still owed by then is lost if this writer dies as well.
pub(crate) fn complete(files: &Files, state: &State, custody: Custody) -> io::Result<Complete> {
    let mut file = match sys::open_append(&files.history) {
        Ok(file) => Some(file),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(cause) => return Err(cause),
    };
    let mut text = Vec::new();
    let mut last = None;
    if let Some(file) = &file {
        let mut lines = Lines::of(file.try_clone()?)?;
        if !lines.ends_with_a_line()? {
            text.push(b'\n');
        }
        last = lines.last_record()?;
    }
    // The last line may be in the part that was set aside.
    if last.is_none() {
        last = last_of(&files.old_history);
    }
    if let Some(owed) = owed(last.as_ref(), state) {
        text.extend(line(&owed)?);
        if file.is_none() {
            file = Some(create(files, custody)?);
        }
    }
    if let Some(file) = &file
        && !text.is_empty()
    {
        sys::write_all(file, &text)?;
    }
    if let Some(open) = &file
        && open.metadata()?.len() > MAX_SIZE
    {
        sys::rename(&files.history, &files.old_history)?;
        file = None;
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
        None => create(files, custody)?,
    };
    sys::write_all(&file, &line(record)?)
}

fn create(files: &Files, custody: Custody) -> io::Result<File> {
    drop(sys::create_new(&files.history)?);
    let file = sys::open_append(&files.history)?;
    // The history is for the site's own people; only the state is for everyone.
    custody.hand_over(&file, 0o640)?;
    // Whoever may read the part before may read this one. What cannot be kept of that
    // closes the history and harms nothing else.
    if let Ok(metadata) = fs::symlink_metadata(&files.old_history)
        && metadata.is_file()
    {
        attached::carry_over(&files.old_history, sys::ownership(&metadata), &file)?;
    }
    Ok(file)
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
        from: None,
    })
}

/// The revision of the last line, to continue from when the state is lost.
pub(crate) fn last_revision(files: &Files) -> Option<u64> {
    let last = last_of(&files.history).or_else(|| last_of(&files.old_history));
    last.map(|record| record.revision.after)
}

fn last_of(path: &Path) -> Option<Record> {
    Lines::of(sys::open_read(path).ok()?).ok()?.last_record().ok()?
}

/// Returns every record, oldest first, and how many lines could not be read.
///
/// # Errors
///
/// Fails if a file exists and cannot be read; a missing history is empty.
pub fn read(files: &Files) -> crate::Result<(Vec<Record>, usize)> {
    let (mut records, mut broken) = (Vec::new(), 0);
    for record in backwards(files)? {
        match record? {
            Some(record) => records.push(record),
            None => broken += 1,
        }
    }
    records.reverse();
    Ok((records, broken))
}

/// Returns every record, newest first, and `None` for each line that cannot be read. What
/// is not asked for is not read.
///
/// # Errors
///
/// Fails if a file exists and cannot be read; a missing history is empty.
pub fn backwards(
    files: &Files,
) -> crate::Result<impl Iterator<Item = crate::Result<Option<Record>>>> {
    let open = |path: &Path| match sys::open_read(path) {
        Ok(file) => Ok(Some(file)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(unreadable(path, source)),
    };
    let mut newest = open(&files.history)?;
    let older = open(&files.old_history)?;
    // A writer may have set it aside between the two looks.
    if let (Some(one), Some(other)) = (&newest, &older) {
        let metadata = |file: &File, path| file.metadata().map_err(|cause| unreadable(path, cause));
        let one = metadata(one, &files.history)?;
        if sys::same_file(&one, &metadata(other, &files.old_history)?) {
            newest = open(&files.history)?;
        }
    }
    let part = |file: Option<File>, path: &Path| {
        let lines = file.map(|file| Lines::of(file).map_err(|cause| unreadable(path, cause)));
        Ok(lines.transpose()?.into_iter().flatten().map({
            let path = path.to_owned();
            move |line| line.map_err(|cause| unreadable(&path, cause))
        }))
    };
    let lines = part(newest, &files.history)?.chain(part(older, &files.old_history)?);
    Ok(lines.map(|line| line.map(|line| serde_json::from_slice(&line).ok())))
}

fn unreadable(path: &Path, source: io::Error) -> crate::Error {
    crate::Error::Unreadable { path: path.to_owned(), source }
}

/// The lines of a file that are not empty, last one first.
struct Lines {
    file: File,
    /// Where the part begins that was read.
    from: u64,
    /// Reading stops here.
    until: u64,
    /// How much is read next. Most lines are short; it doubles, so that a long one costs
    /// no more than its length.
    next: u64,
    /// The end of a line whose beginning was not read yet.
    rest: Vec<u8>,
    /// Whole lines, the last one last.
    whole: Vec<Vec<u8>>,
}

impl Lines {
    /// The first part of a history that is read, in bytes.
    const FIRST: u64 = 4 * 1024;

    /// Refuses what was swapped for a pipe.
    fn of(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if let Some(kind) = sys::special_kind(&metadata) {
            return Err(io::Error::other(format!("it is {kind}")));
        }
        Ok(Self {
            file,
            from: metadata.len(),
            until: metadata.len().saturating_sub(2 * MAX_SIZE),
            next: Self::FIRST,
            rest: Vec::new(),
            whole: Vec::new(),
        })
    }

    /// Whether the last line is whole. Ask before any line is taken.
    fn ends_with_a_line(&mut self) -> io::Result<bool> {
        if self.from == 0 {
            return Ok(true);
        }
        let mut last = [0];
        self.file.seek(SeekFrom::Start(self.from - 1))?;
        self.file.read_exact(&mut last)?;
        Ok(last == *b"\n")
    }

    /// The last record; what is no record is passed over.
    fn last_record(self) -> io::Result<Option<Record>> {
        for line in self {
            if let Ok(record) = serde_json::from_slice(&line?) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Reads the part before; false if there is none.
    fn read_on(&mut self) -> io::Result<bool> {
        if self.from <= self.until {
            return Ok(false);
        }
        let start = self.from.saturating_sub(self.next).max(self.until);
        let mut bytes = vec![0; usize::try_from(self.from - start).map_err(io::Error::other)?];
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes)?;
        bytes.append(&mut self.rest);
        (self.from, self.next) = (start, self.next * 2);
        let whole = match bytes.iter().position(|&byte| byte == b'\n') {
            _ if start == self.until => 0,
            Some(at) => at + 1,
            None => bytes.len(),
        };
        let lines = bytes[whole..].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        self.whole = lines.map(<[u8]>::to_vec).collect();
        bytes.truncate(whole);
        self.rest = bytes;
        Ok(true)
    }
}

impl Iterator for Lines {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.whole.pop() {
                return Some(Ok(line));
            }
            match self.read_on() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(cause) => {
                    self.from = self.until;
                    return Some(Err(cause));
                }
            }
        }
    }
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
            from: None,
        };
        let file = sys::create_new(&path).unwrap();
        for after in 1..=200 {
            sys::write_all(&file, &line(&record(after, "on")).unwrap()).unwrap();
        }
        for (after, command) in [(201, "on".to_owned()), (202, "x".repeat(20_000))] {
            sys::write_all(&file, &line(&record(after, &command)).unwrap()).unwrap();
            assert_eq!(last_of(&path).unwrap().revision.after, after);
        }
        // A line that a killed writer left unfinished is skipped.
        sys::write_all(&file, b"{\"time\":\"20").unwrap();
        assert_eq!(last_of(&path).unwrap().revision.after, 202);
        let mut lines = Lines::of(sys::open_read(&path).unwrap()).unwrap();
        assert!(!lines.ends_with_a_line().unwrap());
        assert_eq!(lines.count(), 203, "each line once, over all parts that are read");
    }
}
