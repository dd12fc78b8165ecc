//! Reads what strace(1) wrote, and judges whether a state was replaced safely.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::env::{Run, is_temporary, run_with, wrapped};

/// What the oracle has to see.
pub(crate) const CALLS: &str = "openat,open,creat,write,writev,pwrite64,fchmod,fchmodat,chmod,\
fchown,fchownat,chown,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,\
flock,fcntl,close,ftruncate,truncate,utimensat,exit_group";

/// What a verb that reads standard input finds there.
const INPUT: &str = "<p>{{ reason }}</p>\n";

/// One finished system call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) process: u32,
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) result: String,
}

impl Call {
    pub(crate) fn succeeded(&self) -> bool {
        !self.result.starts_with('-') && !self.result.starts_with('?')
    }

    /// The quoted paths among the arguments.
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.arguments.split('"').skip(1).step_by(2).collect()
    }

    /// The path behind the descriptor that is the first argument.
    pub(crate) fn descriptor(&self) -> Option<&str> {
        let first = self.arguments.split(", ").next()?;
        first.split_once('<')?.1.strip_suffix('>')
    }

    pub(crate) fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    fn is_on(&self, names: &[&str], path: &str) -> bool {
        self.is(names) && self.descriptor() == Some(path)
    }
}

/// Runs the command under strace and returns what it did.
pub(crate) fn traced(
    site: &Path,
    args: &[&str],
    setup: impl FnOnce(&mut Command),
) -> (Run, Vec<Call>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let path = log.path().to_str().unwrap();
    let trace = format!("trace={CALLS}");
    let strace = ["strace", "-f", "-y", "-s", "4096", "-o", path, "-e", &trace, "--"];
    let mut command = wrapped(&strace, site, args);
    setup(&mut command);
    let done = run_with(&mut command, INPUT);
    (done, parse(&std::fs::read_to_string(path).unwrap()))
}

/// One line is `PID name(arguments) = result`, unless two processes ran at once
/// and one call is spread over two lines.
pub(crate) fn parse(text: &str) -> Vec<Call> {
    let mut unfinished: HashMap<u32, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((process, rest)) = line.trim_start().split_once(' ') else { continue };
        let Ok(process) = process.parse() else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(process, start.trim_end().to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let end = resumed.split_once(" resumed>").map_or("", |(_, end)| end);
                unfinished.remove(&process).unwrap_or_default() + end
            }
            None => rest.to_owned(),
        };
        let Some((name, rest)) = whole.split_once('(') else { continue };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { continue };
        calls.push(Call {
            process,
            name: name.to_owned(),
            arguments: arguments.trim_end().trim_end_matches(')').to_owned(),
            result: result.to_owned(),
        });
    }
    calls
}

/// How often the state file was replaced, if that was done as it must be.
///
/// # Errors
///
/// The first promise that was broken.
pub(crate) fn judge(calls: &[Call], dir: &Path) -> Result<usize, String> {
    let state = dir.join("state.json");
    let state = state.to_str().unwrap();
    let mut replacements = 0;
    for (at, call) in calls.iter().enumerate() {
        never_in_place(call, state)?;
        let paths = call.paths();
        if call.is(&["rename", "renameat", "renameat2"])
            && call.succeeded()
            && paths.last() == Some(&state)
        {
            let process: Vec<&Call> =
                calls.iter().filter(|other| other.process == call.process).collect();
            let before = calls[..at].iter().filter(|other| other.process == call.process).count();
            sequence(&process[..before], &process[before + 1..], paths[0], dir)?;
            replacements += 1;
        }
    }
    Ok(replacements)
}

fn never_in_place(call: &Call, state: &str) -> Result<(), String> {
    let writes = ["O_TRUNC", "O_WRONLY", "O_RDWR", "O_APPEND", "O_CREAT"];
    let opens = call.is(&["openat", "open"])
        && call.paths().first() == Some(&state)
        && writes.iter().any(|flag| call.arguments.contains(flag));
    let other = call.is(&["creat", "truncate"]) && call.paths().first() == Some(&state);
    if opens || other { Err(format!("the state is edited in place: {call:?}")) } else { Ok(()) }
}

/// The order of requirement 1, around one rename.
fn sequence(before: &[&Call], after: &[&Call], temp: &str, dir: &Path) -> Result<(), String> {
    let directory = dir.to_str().unwrap();
    let lock = dir.join("lock");
    let lock = lock.to_str().unwrap();
    let path = PathBuf::from(temp);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if path.parent() != Some(dir) || !name.starts_with(".state.json.") || !is_temporary(name) {
        return Err(format!("`{temp}` is not a temporary file in the state's own directory"));
    }
    let find = |what: &str, wanted: &dyn Fn(&Call) -> bool| {
        let at = before.iter().rposition(|call| call.succeeded() && wanted(call));
        at.ok_or_else(|| format!("no {what}"))
    };
    let locked =
        find("lock", &|call| call.is_on(&["flock"], lock) && call.arguments.contains("LOCK_EX"))?;
    let created = find("private O_EXCL|O_CLOEXEC open of the temporary file", &|call| {
        call.is(&["openat", "open"])
            && call.paths() == [temp]
            && ["O_CREAT", "O_EXCL", "O_CLOEXEC", "0600"]
                .iter()
                .all(|part| call.arguments.contains(part))
    })?;
    let written = find("write", &|call| call.is_on(&["write", "writev", "pwrite64"], temp))?;
    let dated = find("date", &|call| call.is_on(&["utimensat"], temp)).unwrap_or(written);
    let owned = find("owner", &|call| call.is_on(&["fchown"], temp)).unwrap_or(written);
    let moded = find("mode", &|call| call.is_on(&["fchmod"], temp))?;
    let synced = find("fsync before the rename", &|call| call.is_on(&["fsync"], temp))?;
    for (first, then, what) in [
        (locked, created, "the file is created before the lock is held"),
        (created, written, "the file is written before it is created"),
        (written, owned + 1, "the owner is set before the content is written"),
        (owned, moded, "the mode is set before the owner, who could clear bits of it"),
        (written, moded, "the mode is opened before the content is there"),
        (moded, synced, "the mode is not synced"),
        (dated, synced, "the date is not synced"),
        (written, synced, "the content is not synced"),
    ] {
        if first >= then {
            return Err(what.to_owned());
        }
    }
    let directory_synced = after
        .iter()
        .position(|call| call.succeeded() && call.is_on(&["fsync"], directory))
        .ok_or("no fsync of the directory after the rename")?;
    let ended = after.iter().position(|call| call.is(&["exit_group"])).unwrap_or(after.len());
    if ended < directory_synced {
        return Err("the process ended before the directory was synced".to_owned());
    }
    let held = before[locked + 1..].iter().chain(&after[..directory_synced]);
    for call in held {
        let unlocks = call.is_on(&["close"], lock)
            || call.is_on(&["flock"], lock) && call.arguments.contains("LOCK_UN");
        if unlocks {
            return Err(format!("the lock is given up too early: {call:?}"));
        }
    }
    Ok(())
}
