//! Files: every call that reads, writes, names or describes one.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::sys::{FileKey, Look, Ownership};
use crate::visible::visible_lines;

/// How often an interrupted call is repeated before the interruption is reported.
const RETRIES: usize = 100;

pub(super) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    for _ in 0..RETRIES {
        match call() {
            Err(Errno::INTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
    call().map_err(io::Error::from)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "a mode has 16 bits on some platforms, and needs 12"
)]
pub(super) fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as _)
}

fn open(path: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
    retry(|| rustix::fs::open(path, flags | OFlags::CLOEXEC, permissions(mode))).map(File::from)
}

/// Opens for reading without blocking on a FIFO or taking over a terminal.
pub(crate) fn open_read(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, 0)
}

/// Opens for reading in the same way, not following a link.
pub(crate) fn open_read_here(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW, 0)
}

/// Creates a file that must not exist yet, private to its owner.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW, 0o600)
}

/// Opens an existing file for appending, not following a link.
pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    open(
        path,
        OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY,
        0,
    )
}

/// Opens an existing lock file, for writing if that is allowed; `true` if so.
pub(crate) fn open_lock(path: &Path) -> io::Result<(File, bool)> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    match open(path, OFlags::RDWR | flags, 0) {
        Ok(file) => Ok((file, true)),
        Err(cause) if matches!(Errno::from_io_error(&cause), Some(Errno::ACCESS | Errno::ROFS)) => {
            open(path, OFlags::RDONLY | flags, 0).map(|file| (file, false))
        }
        Err(cause) => Err(cause),
    }
}

/// Fails where writing up to this length would end the process: past
/// `RLIMIT_FSIZE` the kernel sends SIGXFSZ (setrlimit(2)).
fn check_size_limit(length: u64) -> io::Result<()> {
    match rustix::process::getrlimit(rustix::process::Resource::Fsize).current {
        Some(limit) if length > limit => Err(Errno::FBIG.into()),
        _ => Ok(()),
    }
}

/// Writes everything at the end of a file, tolerating short writes.
pub(crate) fn write_all(file: &File, mut bytes: &[u8]) -> io::Result<()> {
    let length = file.metadata()?.len() + bytes.len() as u64;
    check_size_limit(length)?;
    while !bytes.is_empty() {
        match retry(|| rustix::io::write(file, bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    // What the kernel reports as written is not always there, and this is the last
    // look before the file takes the place of a good one.
    if file.metadata()?.len() < length {
        return Err(io::Error::other("fewer bytes arrived than were written"));
    }
    Ok(())
}

/// Writes to standard error, and ignores failure. The standard library would panic
/// once nobody reads it any more, and a forked process may find its lock held
/// forever.
#[expect(clippy::disallowed_methods, reason = "the library's own door")]
pub(crate) fn say(text: &str) {
    let _ = retry(|| rustix::io::write(io::stderr(), visible_lines(text).as_bytes()));
}

/// How much of a note is made blank at once.
const MAX_BLANK: u64 = 64 * 1024;

/// Replaces the content of a small advisory file of JSON, such as the lock.
pub(crate) fn overwrite(file: &File, bytes: &[u8]) -> io::Result<()> {
    // Truncate last: a file that is first cut to nothing loses its block on the disk,
    // and the sync of the state would pay for a new one. Whoever reads it before sees the text,
    // and blanks where a longer one was.
    let mut whole = bytes.to_vec();
    let before = usize::try_from(file.metadata()?.len().min(MAX_BLANK)).unwrap_or_default();
    whole.resize(before.max(bytes.len()), b' ');
    check_size_limit(whole.len() as u64)?;
    let written = retry(|| rustix::io::pwrite(file, &whole, 0));
    let length = written.as_ref().map_or(0, |&length| length.min(bytes.len()) as u64);
    retry(|| rustix::fs::ftruncate(file, length))?;
    written.map(drop)
}

/// Lets the programs that this process starts inherit a file, and its lock with it.
pub(crate) fn share(file: &File) -> io::Result<()> {
    retry(|| rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty()))
}

pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    retry(|| rustix::fs::fchmod(file, permissions(mode)))
}

pub(crate) fn set_owner(file: &File, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let uid = uid.map(rustix::fs::Uid::from_raw);
    let gid = gid.map(rustix::fs::Gid::from_raw);
    retry(|| rustix::fs::fchown(file, uid, gid))
}

#[expect(clippy::cast_possible_truncation, reason = "the width of a second differs by platform")]
pub(crate) fn set_mtime(file: &File, mtime_ns: i128) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(mtime_ns.div_euclid(1_000_000_000)).unwrap_or(i64::MAX) as _,
        tv_nsec: mtime_ns.rem_euclid(1_000_000_000) as _,
    };
    let times = Timestamps { last_access: time, last_modification: time };
    retry(|| rustix::fs::futimens(file, &times))
}

/// fsync(2), once: after a failure the kernel may have dropped the dirty pages,
/// so a second call that succeeds would prove nothing.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    retry(|| rustix::fs::fsync(file))
}

pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    let dir = open(path, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    match sync(&dir) {
        // Some file systems (older CIFS, FUSE) cannot sync a directory and say so.
        Err(cause) if Errno::from_io_error(&cause) == Some(Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// The names in a directory. `std::fs::read_dir` would panic if closing it failed.
pub(crate) fn names(path: &Path) -> io::Result<Vec<OsString>> {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = open(path, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::new(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// Makes a directory that everyone may enter and read, whatever the umask.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    retry(|| rustix::fs::mkdir(path, permissions(0o755)))?;
    let dir = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, 0)?;
    set_mode(&dir, 0o755)
}

/// Makes a directory that only its owner may look into.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    retry(|| rustix::fs::mkdir(path, permissions(0o700)))
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    retry(|| rustix::fs::rename(from, to))
}

/// Renames unless `to` exists (`AlreadyExists`). Where the file system can neither do
/// that nor link, `to` is replaced.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match retry(|| renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)) {
            Err(cause)
                if matches!(
                    Errno::from_io_error(&cause),
                    Some(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)
                ) => {}
            other => return other,
        }
    }
    match link(from, to) {
        Ok(()) => unlink(from),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Err(cause),
        Err(_) => rename(from, to),
    }
}

/// Swaps the names of two existing files, where the file system can.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        retry(|| renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    {
        crate::sys::exchange_by_links(one, other)
    }
}

pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    retry(|| rustix::fs::linkat(rustix::fs::CWD, from, rustix::fs::CWD, to, AtFlags::empty()))
}

pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    retry(|| rustix::fs::unlink(path))
}

/// Whether flock(2) failed because this file system cannot lock at all.
pub(crate) fn is_lock_unsupported(cause: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(cause),
        Some(Errno::NOLCK | Errno::NOSYS | Errno::NOTSUP | Errno::BADF | Errno::INVAL)
    )
}

/// Whether a file was not opened because it is a link (open(2)).
pub(crate) fn is_link(cause: &io::Error) -> bool {
    matches!(Errno::from_io_error(cause), Some(Errno::LOOP | Errno::MLINK))
}

pub(crate) fn is_busy_mount(cause: &io::Error) -> bool {
    matches!(Errno::from_io_error(cause), Some(Errno::BUSY | Errno::XDEV))
}

pub(crate) fn key(metadata: &Metadata) -> FileKey {
    FileKey {
        dev: metadata.dev(),
        ino: metadata.ino(),
        size: metadata.size(),
        mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// A path to look at again and again, prepared for the system call.
pub(crate) struct Lookout(CString);

impl Lookout {
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        CString::new(path.as_os_str().as_bytes()).map(Self).map_err(io::Error::from)
    }

    /// One stat(2).
    pub(crate) fn look(&self) -> Look {
        match rustix::fs::stat(self.0.as_c_str()) {
            Ok(stat) => Look::File(key_of_stat(&stat)),
            Err(Errno::NOENT) => Look::Missing,
            Err(_) => Look::Failed,
        }
    }
}

#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::cast_lossless,
    reason = "the types of the fields differ by platform"
)]
fn key_of_stat(stat: &rustix::fs::Stat) -> FileKey {
    FileKey {
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        size: stat.st_size as u64,
        mtime_ns: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        ctime_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}

/// A clock that never goes back and is cheap to read, in nanoseconds; on Linux
/// it advances every few milliseconds.
pub(crate) fn coarse_clock() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::MonotonicCoarse;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    let now = nanoseconds(time.tv_sec.into(), time.tv_nsec.into());
    u64::try_from(now).unwrap_or(0)
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

/// Whether two metadata describe the same file, whatever its content.
pub(crate) fn same_file(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

pub(crate) fn hard_links(metadata: &Metadata) -> u64 {
    metadata.nlink()
}

pub(crate) fn ownership(metadata: &Metadata) -> Ownership {
    Ownership { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777 }
}

/// What a file is, if it is not a regular one.
pub(crate) fn special_kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a FIFO")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_block_device() || kind.is_char_device() {
        Some("a device")
    } else {
        Some("not a regular file")
    }
}

/// The names of the extended attributes of a file; none where there is no support.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn attributes(path: &Path) -> Vec<OsString> {
    let names = filled(|buffer| rustix::fs::listxattr(path, buffer)).unwrap_or_default();
    let names = names.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    names.map(|name| OsStr::from_bytes(name).to_owned()).collect()
}

/// The value of an extended attribute, or `None` if there is none or no support.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn attribute(path: &Path, name: impl AsRef<OsStr>) -> Option<Vec<u8>> {
    filled(|buffer| rustix::fs::getxattr(path, name.as_ref(), buffer))
}

/// The same of an open file.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn attribute_of(file: &File, name: &OsStr) -> Option<Vec<u8>> {
    filled(|buffer| rustix::fs::fgetxattr(file, name, buffer))
}

/// What a call writes into a buffer, which is as long as Linux lets a value or a list of
/// names become (xattr(7)).
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn filled(mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 64 * 1024];
    let length = retry(|| call(&mut buffer)).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn set_attribute(file: &File, name: &OsStr, value: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::fsetxattr(file, name, value, rustix::fs::XattrFlags::empty()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read as _, Seek as _};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::*;

    #[test]
    fn a_note_is_whole_before_it_is_cut() {
        let mut file = File::from(memfd_create("note", MemfdFlags::ALLOW_SEALING).unwrap());
        overwrite(&file, br#"{"a":"a long note"}"#).unwrap();
        fcntl_add_seals(&file, SealFlags::SHRINK).unwrap();
        // As somebody sees it who reads before it is cut.
        assert!(overwrite(&file, b"[7]\n").is_err());
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), 19);
        assert_eq!(serde_json::from_str::<[u8; 1]>(&text).unwrap(), [7]);
    }
}
