//! Windows, and every other platform of Rust's standard library.
//!
//! Replacement is atomic and locks are real; owners, modes, access lists and
//! directory syncing have no counterpart here and are left to the system.
//!
//! On Windows a file that somebody has open may refuse to be replaced, removed or opened
//! for that moment. Such a call is repeated for a bounded time.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::{FileKey, Look, Ownership, exchange_by_links};
use crate::visible::visible_lines;

/// How long a writer waits for those who have a file open. Readers of ours close it within
/// microseconds; a scanner of viruses takes longer.
const WRITER_PATIENCE: Duration = Duration::from_secs(2);

/// How long a reader waits for a writer. A request may be waiting for it.
const READER_PATIENCE: Duration = Duration::from_millis(100);

/// The pauses between two attempts, doubling from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(16);

/// Repeats a call that fails because another process has the file open.
fn patiently<T>(patience: Duration, call: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match call() {
            Err(cause) if is_in_use(&cause) && begun.elapsed() < patience => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LAST_PAUSE);
            }
            other => return other,
        }
    }
}

/// Whether a file may be free in a moment. What lacks a permission fails in the same way, and
/// so does a name whose file is being deleted.
fn is_in_use(cause: &io::Error) -> bool {
    const ACCESS_DENIED: i32 = 5;
    const SHARING_VIOLATION: i32 = 32;
    cfg!(windows) && matches!(cause.raw_os_error(), Some(ACCESS_DENIED | SHARING_VIOLATION))
}

pub(crate) fn open_read(path: &Path) -> io::Result<File> {
    patiently(READER_PATIENCE, || open_file_or_directory(path))
}

fn open_file_or_directory(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt as _;
        /// Without it no directory can be opened.
        const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
        options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    }
    options.open(path)
}

pub(crate) fn open_read_here(path: &Path) -> io::Result<File> {
    open_read(path)
}

pub(crate) fn is_link(_cause: &io::Error) -> bool {
    false
}

pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    patiently(WRITER_PATIENCE, || OpenOptions::new().write(true).create_new(true).open(path))
}

pub(crate) fn open_append(path: &Path) -> io::Result<File> {
    patiently(WRITER_PATIENCE, || OpenOptions::new().read(true).append(true).open(path))
}

pub(crate) fn open_lock(path: &Path) -> io::Result<(File, bool)> {
    patiently(WRITER_PATIENCE, || OpenOptions::new().read(true).write(true).open(path))
        .map(|file| (file, true))
}

pub(crate) fn write_all(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}

#[expect(clippy::disallowed_methods, reason = "the library's own door")]
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(visible_lines(text).as_bytes());
}

pub(crate) fn overwrite(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(bytes)
}

#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub(crate) fn share(_file: &File) -> io::Result<()> {
    Ok(())
}

pub(crate) fn boot_id() -> Option<String> {
    None
}

#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub(crate) fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub(crate) fn set_owner(_file: &File, _uid: Option<u32>, _gid: Option<u32>) -> io::Result<()> {
    Ok(())
}

pub(crate) fn set_mtime(file: &File, mtime_ns: i128) -> io::Result<()> {
    let since = u64::try_from(mtime_ns).map_err(|_| io::ErrorKind::InvalidInput)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_nanos(since))
}

pub(crate) fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub(crate) fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

#[expect(clippy::disallowed_methods, reason = "this is the write path's own rename")]
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    patiently(WRITER_PATIENCE, || fs::rename(from, to))
}

pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match link(from, to) {
        Ok(()) => {
            let _ = unlink(from);
            Ok(())
        }
        Err(cause) if to.symlink_metadata().is_ok() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, cause))
        }
        // No hard links here (FAT, some network file systems).
        Err(_) => rename(from, to),
    }
}

pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    exchange_by_links(one, other)
}

pub(crate) fn names(path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)
}

pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    patiently(WRITER_PATIENCE, || fs::remove_file(path))
}

pub(crate) fn is_lock_unsupported(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::Unsupported
}

pub(crate) fn is_busy_mount(_cause: &io::Error) -> bool {
    false
}

pub(crate) fn key(metadata: &Metadata) -> FileKey {
    let modified = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(i128::MAX));
    FileKey { dev: 0, ino: 0, size: metadata.len(), mtime_ns: modified, ctime_ns: 0 }
}

/// A path to look at again and again.
pub(crate) struct Lookout(std::path::PathBuf);

impl Lookout {
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn look(&self) -> Look {
        match fs::metadata(&self.0) {
            Ok(metadata) => Look::File(key(&metadata)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Look::Missing,
            Err(_) => Look::Failed,
        }
    }
}

/// A clock that never goes back, in nanoseconds.
pub(crate) fn coarse_clock() -> u64 {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn same_file(_one: &Metadata, _other: &Metadata) -> bool {
    // The standard library does not say which file it is.
    true
}

pub(crate) fn hard_links(_metadata: &Metadata) -> u64 {
    1
}

pub(crate) fn ownership(_metadata: &Metadata) -> Ownership {
    Ownership { uid: 0, gid: 0, mode: 0o644 }
}

pub(crate) fn special_kind(metadata: &Metadata) -> Option<&'static str> {
    match metadata.file_type() {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a directory"),
        _ => Some("not a regular file"),
    }
}

pub(crate) fn is_alive(_pid: u32) -> bool {
    true
}

pub(crate) fn is_root() -> bool {
    false
}

pub(crate) fn user_name(uid: u32) -> String {
    format!("uid {uid}")
}

pub(crate) fn current_user() -> String {
    std::env::var("USERNAME").unwrap_or_else(|_| "unknown".to_owned())
}

pub(crate) fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "localhost".to_owned())
}

pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gids: Vec<u32>,
}

pub(crate) fn account(_name: &str) -> Option<Account> {
    None
}

pub(crate) fn file_system(_path: &Path) -> Option<&'static str> {
    None
}

pub(crate) fn is_mount_point(_path: &Path) -> bool {
    false
}

pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) files: Option<u64>,
    pub(crate) is_read_only: bool,
}

pub(crate) fn room(_path: &Path) -> Option<Room> {
    None
}

pub(crate) fn current_account() -> Account {
    Account { uid: 0, gids: Vec::new() }
}

pub(crate) fn effective_uid() -> u32 {
    0
}

pub(crate) fn acts_for_another() -> bool {
    false
}

/// A command of the shell, ready to run.
pub(crate) fn shell(text: &str) -> std::process::Command {
    let mut command = std::process::Command::new("cmd");
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt as _;
        // `cmd` takes the rest of the line between the outer quotes as it is.
        command.raw_arg(format!("/S /C \"{text}\""));
    }
    #[cfg(not(windows))]
    command.arg(text);
    command
}

pub(crate) fn lead_group(_command: &mut std::process::Command) {}

pub(crate) fn kill_group(leader: &mut std::process::Child) {
    let _ = leader.kill();
}

pub(crate) fn connect(_path: &Path) -> io::Result<std::net::TcpStream> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(feature = "serve")]
pub(crate) fn raise_descriptors() -> Option<u64> {
    None
}
