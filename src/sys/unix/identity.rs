//! Acting as another user, and walking a path by descriptors.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags};

use super::files::retry;
use crate::sys::Ownership;

/// Another user's identity for the calling thread, until it is dropped.
///
/// Only the effective ids change (setresuid(2)), so that root can take its own back and
/// the other user cannot send it signals or trace it. The system calls change one
/// thread, unlike the functions of the C library.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) struct Identity {
    uid: rustix::process::Uid,
    gid: rustix::process::Gid,
    groups: Vec<rustix::process::Gid>,
    /// It belongs to the thread that took it.
    _thread: std::marker::PhantomData<*const ()>,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Identity {
    /// Takes the identity of a user, with its groups.
    pub(crate) fn take(uid: u32, gid: u32) -> io::Result<Self> {
        use super::{Account, account_of};
        use rustix::process::{Gid, Uid, getegid, geteuid, getgroups};
        use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
        let Account { gids, .. } = account_of(uid, gid);
        let gids: Vec<Gid> = gids.into_iter().map(Gid::from_raw).collect();
        let own = Self {
            uid: geteuid(),
            gid: getegid(),
            groups: getgroups()?,
            _thread: std::marker::PhantomData,
        };
        retry(|| set_thread_groups(&gids))?;
        retry(|| set_thread_res_gid(None, gids.first().copied(), None))?;
        // From here on dropping `own` undoes everything, whatever fails.
        retry(|| set_thread_res_uid(None, Uid::from_raw(uid), None))?;
        Ok(own)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Drop for Identity {
    fn drop(&mut self) {
        use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
        // The saved user id is still root's, so this cannot fail; if it did, the thread
        // would go on with fewer rights.
        let _ = retry(|| set_thread_res_uid(None, self.uid, None));
        let _ = retry(|| set_thread_res_gid(None, self.gid, None));
        let _ = retry(|| set_thread_groups(&self.groups));
    }
}

/// Elsewhere the identity of one thread cannot change.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) struct Identity;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Identity {
    pub(crate) fn take(_uid: u32, _gid: u32) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A directory that a walk has come to, held by a descriptor: whatever happens to its
/// name, it stays the same directory.
pub(crate) struct Place(OwnedFd);

/// What a name in a directory is.
pub(crate) enum Step {
    /// A directory.
    Directory(Place, Ownership),
    /// A symbolic link, and where it points.
    Link(PathBuf, Ownership),
    /// Anything else.
    Other,
}

impl Place {
    /// The root of the file system.
    pub(crate) fn root() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(retry(|| rustix::fs::open("/", flags, Mode::empty()))?))
    }

    /// Whose it is.
    pub(crate) fn ownership(&self) -> io::Result<Ownership> {
        Ok(ownership(&retry(|| rustix::fs::fstat(&self.0))?))
    }

    /// Looks at a name, without following it.
    pub(crate) fn step(&self, name: &OsStr) -> io::Result<Step> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // A link cannot be opened there, only be looked at.
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        {
            let nofollow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            let stat = retry(|| rustix::fs::statat(&self.0, name, nofollow))?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                return self.link(name, &stat);
            }
        }
        let found = retry(|| rustix::fs::openat(&self.0, name, flags, Mode::empty()))?;
        let stat = retry(|| rustix::fs::fstat(&found))?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Step::Directory(Self(found), ownership(&stat)),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            FileType::Symlink => return Self(found).link(OsStr::new(""), &stat),
            _ => Step::Other,
        })
    }

    /// Reads a link; on Linux an empty name is the link that the descriptor is.
    fn link(&self, name: &OsStr, stat: &rustix::fs::Stat) -> io::Result<Step> {
        let target = retry(|| rustix::fs::readlinkat(&self.0, name, Vec::new()))?;
        let target = PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes()));
        Ok(Step::Link(target, ownership(stat)))
    }
}

#[allow(clippy::useless_conversion, reason = "a mode has 16 bits on some platforms")]
fn ownership(stat: &rustix::fs::Stat) -> Ownership {
    Ownership { uid: stat.st_uid, gid: stat.st_gid, mode: u32::from(stat.st_mode) & 0o7777 }
}
