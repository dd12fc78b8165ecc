//! The operating system, behind one interface.
//!
//! Only this module knows which platform it is on. On Unix, calls go through
//! `rustix`; an interrupted one is repeated a bounded number of times, so that no
//! fault can make a writer hang.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod no_attributes;
#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) use no_attributes::*;
#[cfg(not(unix))]
pub(crate) use other::*;
#[cfg(unix)]
pub(crate) use unix::*;

/// What distinguishes two generations of a file.
///
/// The writer forces the modification time strictly upwards, so equal keys mean
/// an unchanged file even where inode numbers are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileKey {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i128,
    pub(crate) ctime_ns: i128,
}

/// What one look at a path showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A file.
    File(FileKey),
    /// Nothing.
    Missing,
    /// It could not be looked at.
    Failed,
}

/// The owner, group and mode of a file, as in stat(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ownership {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Permission bits, including setuid, setgid and sticky.
    pub(crate) mode: u32,
}

impl Ownership {
    /// Whether users other than the owner and the group may write.
    pub(crate) fn is_world_writable(self) -> bool {
        self.mode & 0o002 != 0
    }
}

/// `.NAME.RANDOM.tmp`, beside the file: what a writer that is killed leaves has such a name.
/// Random, since every container may use the same process id.
pub(crate) fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|cause| io::Error::other(cause.to_string()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{:016x}.tmp", u64::from_be_bytes(random))))
}

/// The name of the file that a temporary file was to become, if it is one of ours.
pub(crate) fn leftover_of(name: &str) -> Option<&str> {
    let (of, random) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let is_random = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_random.then_some(of)
}

/// Lets two names change their files where the kernel cannot. The other name has a file at
/// every moment.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange_by_links(one: &Path, other: &Path) -> io::Result<()> {
    // The name of a leftover, should this process be killed here.
    let third = temporary_name(other)?;
    link(other, &third)?;
    let exchanged = rename(one, other).and_then(|()| rename(&third, one));
    // rename(2) between two names of one file does nothing and leaves both.
    let _ = unlink(&third);
    exchanged
}
