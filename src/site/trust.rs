//! Whom a site may belong to that nobody named.

use std::path::Path;

#[cfg(unix)]
use super::project::is_open_to_all;
#[cfg(unix)]
use crate::sys;

/// Accepts a site found by walking up if it belongs to the caller, to root or to the owner
/// of the directory where the search began, and not everyone can write to it. Directly in the
/// project it may belong to anybody, unless everyone can write to the project: whoever can
/// make an entry there can replace the code as well.
///
/// # Errors
///
/// The reason why it is not trusted.
#[cfg(unix)]
pub(super) fn trust(dir: &Path, start: &Path, project: Option<&Path>) -> Result<(), String> {
    use std::fs;

    let owner_of = |path: &Path, follow: bool| {
        let metadata = if follow { fs::metadata(path) } else { fs::symlink_metadata(path) };
        metadata.map(|metadata| sys::ownership(&metadata))
    };
    let mut trusted = vec![sys::effective_uid(), 0];
    if let Ok(start) = owner_of(start, true) {
        // Anyone can make files in a directory that everyone can write to, so its
        // owner does not vouch for them.
        if !start.is_world_writable() {
            trusted.push(start.uid);
        }
    }
    if dir.parent() == project
        && !project.is_some_and(is_open_to_all)
        && let Ok(entry) = owner_of(dir, false)
    {
        trusted.push(entry.uid);
    }
    // A planted link to somebody's real site is as bad as a planted site.
    for follow in [false, true] {
        let Ok(owner) = owner_of(dir, follow) else {
            return Err("it cannot be looked at".to_owned());
        };
        if !trusted.contains(&owner.uid) {
            return Err(format!("it belongs to `{}`", sys::user_name(owner.uid)));
        }
        if follow && owner.is_world_writable() {
            return Err("everyone can write to it".to_owned());
        }
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub(super) fn trust(_dir: &Path, _start: &Path, _project: Option<&Path>) -> Result<(), String> {
    Ok(())
}
