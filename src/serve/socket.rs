//! Sockets in the file system.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::address::{Access, Address};
use crate::error::{Result, describe};
use crate::identity;
use crate::sys::{self, FileKey};

/// How a socket is called until it has its mode and its owner. Only who has locked the directory
/// makes one, so one that is there is a dead process's.
const NEW: &str = ".maint.new";

/// How long another process may be at work in the directory.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What a socket is called in the file system.
#[derive(Debug)]
pub(super) struct Entry {
    path: PathBuf,
    key: FileKey,
}

impl Entry {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, unless another has its name now.
    pub(super) fn remove(self) {
        // What is left is a socket of a dead process, which the next one replaces.
        let _ = identity::as_owner_of(&self.path, || {
            let found = fs::symlink_metadata(&self.path);
            if found.is_ok_and(|found| is_same(&sys::key(&found), &self.key)) {
                let _ = sys::unlink(&self.path);
            }
            Ok(())
        });
    }
}

/// Whether both are the same file, whatever has become of its mode.
fn is_same(one: &FileKey, other: &FileKey) -> bool {
    (one.dev, one.ino) == (other.dev, other.ino)
}

/// Listens at a path. The socket appears there with its mode and its owner.
pub(super) fn bind(
    address: &Address,
    path: &Path,
    access: Access,
) -> Result<(UnixListener, Entry)> {
    let path = std::path::absolute(path).map_err(|cause| address.failed(&cause))?;
    let directory = match (path.parent(), path.file_name()) {
        (Some(directory), Some(_)) => directory.to_owned(),
        _ => return Err(address.refused("a directory is there", None)),
    };
    let new = directory.join(NEW);
    if !sys::is_socket_path(&path) || !sys::is_socket_path(&new) {
        let hint = "choose a shorter path, such as `/run/maint/serve.sock`";
        return Err(address.refused("the path of a socket is too long", Some(hint.to_owned())));
    }
    // In somebody else's directory root can do what they can, and no more.
    identity::as_owner_of(&path, || {
        let failed = |cause: io::Error| address.failed(&cause);
        // It is let go when it is closed.
        let _lock = lock(address, &directory)?;
        vacate(address, &path)?;
        if fs::symlink_metadata(&new).is_ok_and(|found| found.file_type().is_socket()) {
            sys::unlink(&new).map_err(failed)?;
        }
        let listener = sys::listen_closed(&new).map_err(failed)?;
        let entry = open(address, &new, access).and_then(|key| {
            sys::rename(&new, &path).map_err(failed)?;
            Ok(Entry { path: path.clone(), key })
        });
        if entry.is_err() {
            let _ = sys::unlink(&new);
        }
        Ok((listener, entry?))
    })
}

fn lock(address: &Address, directory: &Path) -> Result<File> {
    let file = File::open(directory).map_err(|cause| address.failed(&cause))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match fs2::FileExt::try_lock_exclusive(&file) {
            Ok(()) => return Ok(file),
            // Two that start there at the same moment are then kept apart by the name alone.
            Err(cause) if sys::is_lock_unsupported(&cause) => return Ok(file),
            // Whoever may read a directory may lock it, and must not keep others from starting.
            Err(_) if Instant::now() >= until => {
                sys::say(&format!(
                    "maint: `{0}` stays locked, and {address} is made without; `lslocks` shows who \
                     has locked `{0}`\n",
                    directory.display()
                ));
                return Ok(file);
            }
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// Refuses a path where something is that is not a dead process's socket.
fn vacate(address: &Address, path: &Path) -> Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(address.failed(&cause)),
    };
    if !found.file_type().is_socket() {
        let hint = "choose another path, or move away what is there";
        return Err(address.refused("what is there is no socket", Some(hint.to_owned())));
    }
    let reason = match sys::connect(path) {
        Err(cause) if sys::is_abandoned(&cause) || cause.kind() == io::ErrorKind::NotFound => {
            return Ok(());
        }
        Ok(_) => "another process answers there".to_owned(),
        // Its queue is full.
        Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
            "another process listens there".to_owned()
        }
        Err(cause) => {
            format!("whether another process listens there is unknown: {}", describe(&cause))
        }
    };
    let hint = format!("`ss -lxp src {}` shows the process", path.display());
    Err(address.refused(reason, Some(hint)))
}

/// Gives a socket its mode and its owner.
fn open(address: &Address, new: &Path, access: Access) -> Result<FileKey> {
    sys::open_socket(new, access.uid, access.gid, access.mode).map_err(|cause| {
        let hint = "only root gives a socket away; others may name a group that they are in";
        let is_foreign = cause.kind() == io::ErrorKind::PermissionDenied;
        let reason = format!("its owner or mode cannot be set: {}", describe(&cause));
        address.refused(reason, is_foreign.then(|| hint.to_owned()))
    })?;
    let found = fs::symlink_metadata(new).map_err(|cause| address.failed(&cause))?;
    Ok(sys::key(&found))
}
