//! Judges from a trace whether a state was replaced safely, and changed at all.

use std::path::{Path, PathBuf};

use crate::env::is_temporary;
use crate::trace::Call;

/// How often the state file was replaced, if every replacement was safe.
///
/// # Errors
///
/// The first broken promise.
pub(crate) fn judge(calls: &[Call], dir: &Path) -> Result<usize, String> {
    let state = dir.join("state.json");
    let state = state.to_str().unwrap();
    let backup = dir.join("state.json.bak");
    let backup = backup.to_str().unwrap();
    let mut replacements = 0;
    for (at, call) in calls.iter().enumerate() {
        never_in_place(call, &[state, backup])?;
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

fn never_in_place(call: &Call, files: &[&str]) -> Result<(), String> {
    let writes = ["O_TRUNC", "O_WRONLY", "O_RDWR", "O_APPEND", "O_CREAT"];
    let is_one = call.paths().first().is_some_and(|path| files.contains(path));
    let opens =
        call.is(&["openat", "open"]) && writes.iter().any(|flag| call.arguments.contains(flag));
    if is_one && (opens || call.is(&["creat", "truncate"])) {
        return Err(format!("a state is edited in place: {call:?}"));
    }
    Ok(())
}

/// Checks the order of requirement 1 around one rename.
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

/// Whether a call changes a file of the site, or would have.
pub(crate) fn changes(call: &Call, dir: &Path) -> bool {
    let is_in = |path: &str| Path::new(path).starts_with(dir);
    let by_name = call.paths().into_iter().any(is_in);
    let by_descriptor = call.descriptor().is_some_and(is_in);
    let flags = ["O_TRUNC", "O_WRONLY", "O_RDWR", "O_APPEND", "O_CREAT"];
    match call.name.as_str() {
        "openat" | "open" => by_name && flags.iter().any(|flag| call.arguments.contains(flag)),
        "write" | "writev" | "pwrite64" | "fchmod" | "fchown" | "fsync" | "fdatasync" | "flock"
        | "ftruncate" => by_descriptor,
        "close" | "fcntl" | "exit_group" => false,
        // The remaining calls change names, or a file by its name.
        _ => by_name || by_descriptor,
    }
}
