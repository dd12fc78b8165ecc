//! Replacing a file as a whole, so that after a crash it holds either the old
//! bytes or the new ones.
//!
//! In the target's own directory: a new private file, written, given the mode, owner
//! and attributes of the old one, synced, renamed over it, and the
//! directory synced. See rename(2) and fsync(2).

pub(crate) mod attached;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::Error;
use crate::sys::{self, FileKey, Ownership, leftover_of};

/// The mode of a new file: everyone may read it, whatever the umask.
pub(crate) const NEW_FILE: u32 = 0o644;

/// What is to be replaced by what.
pub(crate) struct Replacement<'a> {
    pub(crate) path: &'a Path,
    pub(crate) bytes: &'a [u8],
    /// The file that is there now.
    pub(crate) old: Option<OldFile>,
    /// The mode of the new file, whatever the old one had; if absent, the new file keeps what is
    /// attached to the old one, and everyone may read one that was not there.
    pub(crate) mode: Option<u32>,
    /// Where the old file is kept.
    pub(crate) backup: Option<&'a Path>,
}

/// What is carried over from the file that is replaced.
#[derive(Clone, Copy)]
pub(crate) struct OldFile {
    pub(crate) key: FileKey,
    pub(crate) ownership: Ownership,
}

/// How a replacement failed.
pub(crate) enum Failure {
    /// Nothing has changed.
    NotApplied(Error),
    /// Another writer came first, so nothing has changed: there is a new file, or
    /// that writer took ours for a leftover.
    Overtaken,
    /// The new file is in place, but may not survive a power cut.
    Unsynced(PathBuf, io::Error),
}

/// Replaces a file, and returns in words what could not be carried over.
pub(crate) fn replace(replacement: &Replacement<'_>) -> Result<Vec<String>, Failure> {
    let path = replacement.path;
    let temp = temporary_name(path).map_err(Failure::NotApplied)?;
    let mut warnings = Vec::new();
    let mut kept = None;
    let result = write_temp(&temp, replacement, &mut warnings).and_then(|()| {
        if let Some(backup) = replacement.backup
            && replacement.old.is_some()
        {
            match keep_backup(path, backup) {
                Ok(earlier) => kept = Some(earlier),
                Err(cause) => warnings.push(format!(
                    "could not keep the old state as `{}`: {}",
                    backup.display(),
                    crate::error::describe(&cause)
                )),
            }
        }
        rename_over(&temp, replacement)
    });
    if let Err(failure) = result {
        let _ = sys::unlink(&temp);
        if let Some(earlier) = kept {
            earlier.undo();
        }
        return Err(failure);
    }
    if let Some(earlier) = kept {
        earlier.settle();
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    match sys::sync_dir(directory) {
        Ok(()) => Ok(warnings),
        Err(cause) => Err(Failure::Unsynced(directory.to_owned(), cause)),
    }
}

fn write_temp(
    temp: &Path,
    replacement: &Replacement<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), Failure> {
    let failed =
        |action| move |source| Failure::NotApplied(Error::io(action, replacement.path, source));
    let file = sys::create_new(temp).map_err(failed("create a new version of"))?;
    sys::write_all(&file, replacement.bytes).map_err(failed("write a new version of"))?;
    if let Some(old) = replacement.old {
        raise_mtime(&file, old.key.mtime_ns).map_err(failed("date a new version of"))?;
    }
    match replacement.old {
        Some(old) if replacement.mode.is_none() => {
            attached::carry_over(replacement.path, old.ownership, &file)
                .map(|unkept| warnings.extend(unkept))
        }
        _ => sys::set_mode(&file, replacement.mode.unwrap_or(NEW_FILE)),
    }
    .map_err(failed("set the mode of a new version of"))?;
    sys::sync(&file).map_err(failed("sync a new version of"))
}

/// Gives a file a later modification time than its predecessor, so that the time
/// is a generation number even within one tick of the kernel's clock.
fn raise_mtime(file: &fs::File, old: i128) -> io::Result<()> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0));
    // File systems keep times in steps of one nanosecond to two seconds.
    for step in [1, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000] {
        sys::set_mtime(file, now.max(old + step))?;
        if sys::key(&file.metadata()?).mtime_ns > old {
            return Ok(());
        }
    }
    Err(io::Error::other("its modification time does not rise"))
}

/// The file that a path led to before a change, kept until the change holds or
/// has failed.
pub(crate) struct Earlier<'a> {
    path: &'a Path,
    before: Before,
}

enum Before {
    /// There was none.
    Nothing,
    /// It is still there, under this name.
    Aside(PathBuf),
    /// It could not be kept.
    Lost,
}

impl<'a> Earlier<'a> {
    /// Gives the file a second name before its own is replaced or removed.
    pub(crate) fn keep(path: &'a Path) -> crate::error::Result<Self> {
        let aside = temporary_name(path)?;
        let before = match sys::link(path, &aside) {
            Ok(()) => Before::Aside(aside),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Before::Nothing,
            Err(_) => Before::Lost,
        };
        Ok(Self { path, before })
    }

    /// Drops the old file: the change holds.
    pub(crate) fn settle(self) {
        if let Before::Aside(aside) = self.before {
            let _ = sys::unlink(&aside);
        }
    }

    /// Puts the old file back: the change has failed.
    pub(crate) fn undo(self) {
        match self.before {
            Before::Nothing => {
                let _ = sys::unlink(self.path);
            }
            Before::Aside(aside) => {
                if sys::exchange(&aside, self.path).is_err() {
                    let _ = sys::rename_new(&aside, self.path);
                }
                let _ = sys::unlink(&aside);
            }
            Before::Lost => {}
        }
    }
}

/// Gives the old file a second name, so that there is a backup at every moment.
fn keep_backup<'a>(path: &Path, backup: &'a Path) -> io::Result<Earlier<'a>> {
    let temp = temporary_name(backup).map_err(|cause| io::Error::other(cause.to_string()))?;
    match sys::link(path, &temp) {
        Ok(()) => {}
        // No hard links here (FAT, some network and FUSE file systems): copy.
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            if let Err(cause) = copy(path, &temp) {
                let _ = sys::unlink(&temp);
                return Err(cause);
            }
        }
        Err(cause) => return Err(cause),
    }
    // Only a file: a directory could be exchanged as well.
    let before = match fs::symlink_metadata(backup) {
        Ok(metadata) if metadata.is_file() && sys::exchange(&temp, backup).is_ok() => {
            return Ok(Earlier { path: backup, before: Before::Aside(temp) });
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Before::Nothing,
        _ => Before::Lost,
    };
    let renamed = sys::rename(&temp, backup);
    // rename(2) between two names of one file does nothing and leaves both.
    let _ = sys::unlink(&temp);
    renamed.map(|()| Earlier { path: backup, before })
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = fs::read(from)?;
    let ownership = sys::ownership(&fs::metadata(from)?);
    let file = sys::create_new(to)?;
    sys::write_all(&file, &bytes)?;
    // What a backup cannot keep, the new state cannot either, and that is told.
    attached::carry_over(from, ownership, &file)?;
    sys::sync(&file)
}

fn rename_over(temp: &Path, replacement: &Replacement<'_>) -> Result<(), Failure> {
    let path = replacement.path;
    let result = match replacement.old {
        Some(_) => sys::rename(temp, path),
        None => sys::rename_new(temp, path),
    };
    result.map_err(|source| {
        let is_overtaken = match source.kind() {
            io::ErrorKind::AlreadyExists => replacement.old.is_none(),
            io::ErrorKind::NotFound => true,
            _ => false,
        };
        if is_overtaken {
            Failure::Overtaken
        } else if sys::is_busy_mount(&source) {
            Failure::NotApplied(mounted(path))
        } else {
            Failure::NotApplied(Error::io("replace", path, source))
        }
    })
}

/// The error for a file that is a mount point of its own.
pub(crate) fn mounted(path: &Path) -> Error {
    Error::Refused {
        path: path.to_owned(),
        reason: "it is a mount point of its own and cannot be replaced".to_owned(),
        hint: Some("mount the directory it is in, not the file".to_owned()),
    }
}

/// A name for a new version of a file, beside it.
pub(crate) fn temporary_name(path: &Path) -> crate::error::Result<PathBuf> {
    sys::temporary_name(path).map_err(|cause| Error::io("name a new version of", path, cause))
}

/// The temporary files that killed writers left in a directory, for the files
/// that `is_ours` accepts.
pub(crate) fn leftovers(directory: &Path, is_ours: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let names = sys::names(directory).unwrap_or_default();
    names
        .iter()
        .filter(|name| name.to_str().and_then(leftover_of).is_some_and(&is_ours))
        .map(|name| directory.join(name))
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_04_no_two_temporary_names_are_the_same() {
        let name = || temporary_name(Path::new("/x/state.json")).unwrap();
        assert_ne!(name(), name(), "one process may be every process, in a container");
    }

    #[test]
    fn requirement_20_the_modification_time_rises_though_the_clock_does_not() {
        let temp = tempfile::tempdir().unwrap();
        let file = sys::create_new(&temp.path().join("state.json")).unwrap();
        // The year 2100, which the clock has not reached.
        let mut last = 4_102_444_800_000_000_000_i128;
        for _ in 0..3 {
            raise_mtime(&file, last).unwrap();
            let raised = sys::key(&file.metadata().unwrap()).mtime_ns;
            assert!(raised > last, "{raised} after {last}");
            assert!(raised <= last + 2_000_000_000, "no further than it has to be");
            last = raised;
        }
    }

    #[test]
    fn requirement_04_only_our_own_leftovers_are_known() {
        let name = temporary_name(Path::new("/x/state.json")).unwrap();
        let name = name.file_name().unwrap().to_str().unwrap();
        assert_eq!(leftover_of(name), Some("state.json"), "{name}");
        for other in [
            "state.json",
            "state.tmp",
            ".state.json.tmp",
            ".state.json.1234.tmp",
            ".state.json.0123456789abcdef.tmp.gz",
            ".other.json.0123456789abcdef.tmp",
            ".state.json.0123456789abcdeX.tmp",
        ] {
            assert_ne!(leftover_of(other), Some("state.json"), "{other}");
        }
    }
}
