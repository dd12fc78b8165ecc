//! Linux, macOS and the BSDs.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::{FileKey, Ownership};

/// How often an interrupted call is repeated before the interruption is reported.
const RETRIES: usize = 100;

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
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
fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as _)
}

fn open(path: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
    retry(|| rustix::fs::open(path, flags | OFlags::CLOEXEC, permissions(mode))).map(File::from)
}

/// Opens for reading without blocking on a FIFO or taking over a terminal.
pub(crate) fn open_read(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, 0)
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

/// Fails where writing on to this length would not fail but end the process: past
/// `RLIMIT_FSIZE` the kernel sends SIGXFSZ.
fn check_size_limit(length: u64) -> io::Result<()> {
    match rustix::process::getrlimit(rustix::process::Resource::Fsize).current {
        Some(limit) if length > limit => Err(Errno::FBIG.into()),
        _ => Ok(()),
    }
}

/// Writes everything at the end of a file, tolerating short writes.
pub(crate) fn write_all(file: &File, mut bytes: &[u8]) -> io::Result<()> {
    check_size_limit(file.metadata()?.len() + bytes.len() as u64)?;
    while !bytes.is_empty() {
        match retry(|| rustix::io::write(file, bytes))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    Ok(())
}

/// Replaces the content of a small advisory file such as the lock.
pub(crate) fn overwrite(file: &File, bytes: &[u8]) -> io::Result<()> {
    check_size_limit(bytes.len() as u64)?;
    // Cut afterwards: a file that is cut to nothing first loses its block on the disk,
    // and the sync of the state would pay for finding it a new one.
    let written = retry(|| rustix::io::pwrite(file, bytes, 0));
    let length = written.as_ref().map_or(0, |&length| length as u64);
    retry(|| rustix::fs::ftruncate(file, length))?;
    written.map(drop)
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

/// Makes a directory that everyone may enter and read, whatever the umask. As
/// root it goes to the owner of the directory it is in, if `hand_over`.
pub(crate) fn create_dir(path: &Path, hand_over: bool) -> io::Result<()> {
    retry(|| rustix::fs::mkdir(path, permissions(0o755)))?;
    let dir = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, 0)?;
    set_mode(&dir, 0o755)?;
    if hand_over && is_root() {
        let above = ownership(&fs::metadata(path.parent().unwrap_or(Path::new("/")))?);
        set_owner(&dir, Some(above.uid), Some(above.gid))?;
    }
    Ok(())
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    retry(|| rustix::fs::rename(from, to))
}

/// Renames unless `to` exists, which is `AlreadyExists`.
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
    rename(from, to)
}

/// Gives two existing files each other's name, where the file system can.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        retry(|| renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    {
        let _ = (one, other);
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    retry(|| rustix::fs::linkat(rustix::fs::CWD, from, rustix::fs::CWD, to, AtFlags::empty()))
}

pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    retry(|| rustix::fs::unlink(path))
}

/// Tries flock(2) on a file opened for reading; `Ok(false)` if another holds it.
///
/// Unlike the lock proper this is a second line of defence, so callers may
/// treat an error as "not available here".
pub(crate) fn try_flock(file: &File) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    match retry(|| flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Whether flock(2) failed because this file system cannot lock at all.
pub(crate) fn is_lock_unsupported(cause: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(cause),
        Some(Errno::NOLCK | Errno::NOSYS | Errno::NOTSUP | Errno::BADF | Errno::INVAL)
    )
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

/// Whether a process exists on this host.
pub(crate) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| {
        // EPERM: it is there, and somebody else's.
        !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH))
    })
}

/// The effective user id.
pub(crate) fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn is_root() -> bool {
    effective_uid() == 0
}

/// The name of a user, or `uid N` if the user database does not know it.
pub(crate) fn user_name(uid: u32) -> String {
    nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid))
        .ok()
        .flatten()
        .map_or_else(|| format!("uid {uid}"), |user| user.name)
}

pub(crate) fn current_user() -> String {
    user_name(effective_uid())
}

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A user as access checks need it: its id and all its groups.
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gids: Vec<u32>,
}

/// Looks a user up by name or number; `None` if there is no such name. A number
/// needs no entry in the user database, as is usual in containers.
pub(crate) fn account(name: &str) -> Option<Account> {
    let Some(user) = nix::unistd::User::from_name(name).ok().flatten() else {
        return name.parse().ok().map(|uid| Account { uid, gids: vec![] });
    };
    let gids = groups(name, user.gid).unwrap_or_else(|| vec![user.gid.as_raw()]);
    Some(Account { uid: user.uid.as_raw(), gids })
}

#[cfg(not(target_vendor = "apple"))]
fn groups(name: &str, primary: nix::unistd::Gid) -> Option<Vec<u32>> {
    let name = std::ffi::CString::new(name).ok()?;
    let groups = nix::unistd::getgrouplist(&name, primary).ok()?;
    Some(groups.into_iter().map(nix::unistd::Gid::as_raw).collect())
}

/// nix does not offer `getgrouplist(3)` there.
#[cfg(target_vendor = "apple")]
fn groups(_name: &str, _primary: nix::unistd::Gid) -> Option<Vec<u32>> {
    None
}

/// The value of an extended attribute, or `None` if there is none or no support.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 64 * 1024];
    let length = rustix::fs::getxattr(path, name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(crate) fn set_attribute(file: &File, name: &str, value: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::fsetxattr(file, name, value, rustix::fs::XattrFlags::empty()))
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn attribute(_path: &Path, _name: &str) -> Option<Vec<u8>> {
    None
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) fn set_attribute(_file: &File, _name: &str, _value: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The file system a path is on, where its name matters: `nfs`, `tmpfs`, ….
pub(crate) fn file_system(path: &Path) -> Option<&'static str> {
    #[cfg(target_os = "linux")]
    {
        let statfs = rustix::fs::statfs(path).ok()?;
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation)]
        file_system_name(statfs.f_type as u32)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// The name of a file system by its number in linux/magic.h.
#[cfg(target_os = "linux")]
fn file_system_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "nfs",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "smb",
        0x5346_414f => "afs",
        0x00c3_6400 => "ceph",
        0x0102_1997 => "9p",
        0x6573_5546 => "fuse",
        0x0102_1994 => "tmpfs",
        0x8584_58f6 => "ramfs",
        0x794c_7630 => "overlay",
        _ => return None,
    })
}

/// What a file system has left for this process.
pub(crate) struct Room {
    pub(crate) bytes: u64,
    /// Absent where files need no number.
    pub(crate) files: Option<u64>,
    pub(crate) is_read_only: bool,
}

/// The room on the file system of a path, if it can be told.
pub(crate) fn room(path: &Path) -> Option<Room> {
    let vfs = rustix::fs::statvfs(path).ok()?;
    // Root may use the blocks that are kept back for it.
    let (blocks, files) =
        if is_root() { (vfs.f_bfree, vfs.f_ffree) } else { (vfs.f_bavail, vfs.f_favail) };
    Some(Room {
        bytes: blocks.saturating_mul(vfs.f_frsize),
        files: (vfs.f_files > 0).then_some(files),
        is_read_only: vfs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// The user that this process acts as.
pub(crate) fn current_account() -> Account {
    let mut gids = vec![rustix::process::getegid().as_raw()];
    if let Ok(groups) = rustix::process::getgroups() {
        gids.extend(groups.into_iter().map(rustix::process::Gid::as_raw));
    }
    Account { uid: effective_uid(), gids }
}

/// Whether a path is itself a mount point; on older kernels according to
/// `proc_pid_mountinfo(5)`.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    // Since Linux 5.8 statx(2) tells, without reading a table that may be long.
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, StatxAttributes, StatxFlags, statx};
        if let Ok(found) = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
            && found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        {
            return found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        }
    }
    let Ok(table) = fs::read("/proc/self/mountinfo") else {
        return false;
    };
    table.split(|&byte| byte == b'\n').any(|line| {
        line.split(|&byte| byte == b' ').nth(4).is_some_and(|field| {
            use std::os::unix::ffi::OsStrExt;
            OsStr::from_bytes(&unescape(field)) == path.as_os_str()
        })
    })
}

/// Undoes the octal escapes of `proc_pid_mountinfo(5)`: `\040` is a space.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let code = (byte == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(code) = code {
            plain.push(code);
            rest = &tail[3..];
        } else {
            plain.push(byte);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_point_escapes_are_undone() {
        assert_eq!(unescape(br"/srv/my\040app/x\134y"), br"/srv/my app/x\y");
        assert_eq!(unescape(br"/a\04"), br"/a\04", "a cut escape is left alone");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn requirement_30_file_systems_are_known_by_their_numbers() {
        // As statfs(2) lists them.
        for (magic, name) in [
            (0x6969, "nfs"),
            (0xff53_4d42, "smb"),
            (0xfe53_4d42, "smb"),
            (0x0102_1994, "tmpfs"),
            (0x8584_58f6, "ramfs"),
        ] {
            assert_eq!(file_system_name(magic), Some(name));
        }
        assert_eq!(file_system_name(0xef53), None, "ext4");
    }

    #[test]
    fn the_root_is_a_mount_point_and_this_directory_is_not() {
        assert!(is_mount_point(Path::new("/")));
        assert!(!is_mount_point(Path::new("/no/such/place")));
    }
}
