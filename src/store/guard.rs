//! What must not be written to, and what is worth a warning.

use std::fs;
use std::path::Path;

use super::current::Current;
use super::lock::Lock;
use crate::error::{Error, Result};
use crate::replace;
use crate::site::Files;
use crate::sys::{self, Ownership};

/// Checks the directory.
pub(super) fn prepare(files: &Files) -> Result<Ownership> {
    let look = |path: &Path| {
        fs::metadata(path)
            .map(|metadata| sys::ownership(&metadata))
            .map_err(|source| Error::io("write into", path, source))
    };
    let directory = look(files.directory())?;
    let refuse = |path: &Path| {
        Err(Error::Refused {
            path: files.state.clone(),
            reason: format!("everyone can write to `{}`", path.display()),
            hint: Some(format!("run `chmod o-w {}`", path.display())),
        })
    };
    if directory.is_world_writable() && (sys::is_root() || !files.links.is_empty()) {
        return refuse(files.directory());
    }
    for link in &files.links {
        let parent = link.parent().unwrap_or(Path::new("/"));
        if look(parent)?.is_world_writable() {
            return refuse(parent);
        }
    }
    Ok(directory)
}

/// Refuses files that must not be replaced.
pub(super) fn check_target(files: &Files, current: &Current) -> Result<()> {
    let Some(old) = current.old else {
        return Ok(());
    };
    let refuse = |reason: &str, hint: String| {
        Err(Error::Refused {
            path: files.state.clone(),
            reason: reason.to_owned(),
            hint: Some(hint),
        })
    };
    if old.ownership.mode & 0o6000 != 0 {
        return refuse(
            "it is setuid or setgid",
            format!("run `chmod ug-s {}`", files.state.display()),
        );
    }
    if sys::is_root() && old.ownership.is_world_writable() {
        return refuse(
            "everyone can write to it",
            format!("run `chmod o-w {}`", files.state.display()),
        );
    }
    let absolute = fs::canonicalize(&files.state).unwrap_or_else(|_| files.state.clone());
    if sys::is_mount_point(&absolute) {
        return Err(replace::mounted(&files.state));
    }
    Ok(())
}

pub(super) fn warnings_about(files: &Files, current: &Current, lock: Option<&Lock>) -> Vec<String> {
    let mut warnings = Vec::new();
    match lock {
        None => {
            warnings.push("no lock was taken, so another writer's change may be lost".to_owned());
        }
        Some(lock) if !lock.is_writable => {
            warnings
                .push(format!("lock `{}` could be opened for reading only", files.lock.display()));
        }
        Some(_) => {}
    }
    let is_backup = || match (fs::metadata(&files.state), fs::metadata(&files.backup)) {
        (Ok(state), Ok(backup)) => current.hard_links == 2 && sys::same_file(&state, &backup),
        _ => false,
    };
    if current.hard_links > 1 && !is_backup() {
        warnings.push(format!(
            "`{}` had {} hard links; only this one has the new state",
            files.state.display(),
            current.hard_links
        ));
    }
    warnings
}
