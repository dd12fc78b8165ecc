//! The lock that keeps writers apart.
//!
//! It is a file of its own, since replacing the state file gives its name a new
//! inode. It is never deleted or renamed, readers never touch it, and the
//! kernel releases it when its holder dies.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::custody::Custody;
use crate::actor::Holder;
use crate::error::{Error, Result};
use crate::sys;
use crate::visible;

/// How long a writer waits for the lock by default: 10 seconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// After this long a waiting writer reports what it waits for.
const QUIET: Duration = Duration::from_secs(1);

/// The pauses between two attempts, doubling from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// Called with the lock that is waited for, and its holder if known.
pub type OnWait<'a> = &'a dyn Fn(&Path, Option<&Holder>);

/// How a writer takes the lock.
pub(crate) struct Request<'a> {
    pub(crate) path: &'a Path,
    /// How long to wait; zero means not at all.
    pub(crate) patience: Duration,
    pub(crate) holder: Holder,
    pub(crate) custody: Custody,
    /// Called once if waiting takes longer than a second.
    pub(crate) on_wait: Option<OnWait<'a>>,
}

/// The lock, held until it is dropped.
pub(crate) struct Lock {
    #[cfg_attr(not(test), expect(dead_code, reason = "dropping it releases the lock"))]
    file: File,
    /// False where the file could be opened for reading only.
    pub(crate) is_writable: bool,
}

impl Lock {}

/// Takes the lock, waiting as long as the request allows.
///
/// # Errors
///
/// [`Error::Busy`] if another writer kept it, [`Error::LockUnsupported`] if this
/// file system has no locks, [`Error::Io`] if the file cannot be made or opened.
pub(crate) fn acquire(request: &Request<'_>) -> Result<Lock> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut has_reported = false;
    loop {
        let (file, is_writable) = open(request)?;
        match try_lock(&file) {
            // If the file was deleted after it was opened, its lock guards
            // nothing: start again with the new one.
            Ok(()) if is_at(&file, request.path) => {
                if is_writable {
                    sign(&file, &request.holder);
                }
                return Ok(Lock { file, is_writable });
            }
            Ok(()) => {}
            Err(cause) if is_contended(&cause) => {}
            Err(source) if sys::is_lock_unsupported(&source) => {
                return Err(Error::LockUnsupported { path: request.path.to_owned(), source });
            }
            Err(source) => return Err(Error::io("lock", request.path, source)),
        }
        let waited = begun.elapsed();
        if waited >= request.patience {
            return Err(Error::Busy {
                path: request.path.to_owned(),
                holder: holder(request.path),
                waited: if request.patience.is_zero() { Duration::ZERO } else { waited },
            });
        }
        if waited >= QUIET && !has_reported {
            has_reported = true;
            if let Some(report) = request.on_wait {
                report(request.path, holder(request.path).as_ref());
            }
        }
        std::thread::sleep(jittered(pause).min(request.patience.saturating_sub(waited)));
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Tries to take the lock. A signal says nothing about it, so an interrupted call
/// is repeated, a bounded number of times.
fn try_lock(file: &File) -> io::Result<()> {
    for _ in 0..100 {
        match fs2::FileExt::try_lock_exclusive(file) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Tries to lock a state file itself, which may be open for reading only; `Ok(false)` if
/// another writer holds it.
///
/// It is a second line of defence for when the lock file was deleted, so callers may treat
/// an error as "not available here".
pub(super) fn try_lock_state(file: &File) -> io::Result<bool> {
    if !cfg!(unix) {
        // Locks are mandatory on Windows and would keep readers out.
        return Err(io::ErrorKind::Unsupported.into());
    }
    match try_lock(file) {
        Ok(()) => Ok(true),
        Err(cause) if is_contended(&cause) => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Whether another writer holds the lock.
fn is_contended(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::WouldBlock
        || cause.raw_os_error() == fs2::lock_contended_error().raw_os_error()
}

fn open(request: &Request<'_>) -> Result<(File, bool)> {
    let failed = |source| Error::io("open lock", request.path, source);
    // Bounded: another process might delete the file as fast as it is made.
    for _ in 0..1_000 {
        match sys::open_lock(request.path) {
            Ok((file, is_writable)) => {
                let metadata = file.metadata().map_err(failed)?;
                if let Some(kind) = sys::special_kind(&metadata) {
                    return Err(Error::Refused {
                        path: request.path.to_owned(),
                        reason: format!("the lock is {kind}"),
                        hint: Some("move it away; maint makes a new one".to_owned()),
                    });
                }
                return Ok((file, is_writable));
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed(source)),
        }
        match sys::create_new(request.path) {
            Ok(file) => {
                // Anyone who can open the file can hold it and lock the owner out,
                // so only those who may write to the site can open it.
                request.custody.hand_over(&file, 0o600).map_err(failed)?;
                return Ok((file, true));
            }
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed(source)),
        }
    }
    Err(failed(io::Error::other("it disappears as fast as it is made")))
}

fn is_at(file: &File, path: &Path) -> bool {
    let same = |one: Metadata, other: Metadata| sys::same_file(&one, &other);
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => same(open, named),
        _ => false,
    }
}

/// Writes down who holds the lock. If that fails, waiting writers miss the name
/// and nothing else.
fn sign(file: &File, holder: &Holder) {
    if let Ok(mut text) = serde_json::to_vec(holder).map(visible::json) {
        text.push(b'\n');
        let _ = sys::overwrite(file, &text);
    }
}

/// Who holds the lock, if they wrote it down. A note left by a dead process of
/// this host is ignored.
pub(crate) fn holder(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    sys::open_read(path).ok()?.take(16 * 1024).read_to_string(&mut text).ok()?;
    let holder: Holder = serde_json::from_str(&text).ok()?;
    (holder.host != sys::host_name() || sys::is_alive(holder.pid)).then_some(holder)
}

/// A random time from half of the pause to all of it, so that waiting writers
/// spread out.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0_u8; 1];
    let _ = getrandom::fill(&mut random);
    pause.mul_f64(0.5 + f64::from(random[0]) / 512.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    use crate::sys::Ownership;

    fn request(path: &Path, patience: Duration) -> Request<'_> {
        Request {
            path,
            patience,
            holder: Holder {
                pid: 7,
                host: "web1".to_owned(),
                command: "on".to_owned(),
                since: Timestamp::UNIX_EPOCH,
            },
            custody: Custody(Ownership { uid: 0, gid: 0, mode: 0o755 }),
            on_wait: None,
        }
    }

    #[test]
    fn requirement_17_a_contended_lock_is_busy_and_not_an_error() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let held = acquire(&request(&path, Duration::ZERO)).unwrap();
        match acquire(&request(&path, Duration::ZERO)) {
            Err(Error::Busy { holder: Some(holder), waited, .. }) => {
                assert_eq!((holder.pid, waited), (7, Duration::ZERO));
            }
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("two holders"),
        }
        drop(held);
        assert!(acquire(&request(&path, Duration::ZERO)).is_ok());
    }

    #[test]
    fn requirement_15_pauses_spread_out_between_half_and_all_of_the_longest() {
        let pauses: Vec<Duration> = (0..1_000).map(|_| jittered(LAST_PAUSE)).collect();
        assert!(pauses.iter().all(|pause| (LAST_PAUSE / 2..LAST_PAUSE).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause < LAST_PAUSE * 5 / 8));
        assert!(pauses.iter().any(|pause| *pause > LAST_PAUSE * 7 / 8));
    }

    #[test]
    fn a_lock_that_cannot_be_made_is_told_with_its_cause() {
        let temp = tempfile::tempdir().unwrap();
        match acquire(&request(&temp.path().join("missing/lock"), Duration::ZERO)) {
            Err(Error::Io { source, .. }) => assert_eq!(source.kind(), io::ErrorKind::NotFound),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("there is no such directory"),
        }
    }

    #[test]
    fn requirement_13_the_lock_stays_where_it_is_when_it_is_given_up() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let first = acquire(&request(&path, Duration::ZERO)).unwrap();
        let before = first.file.metadata().unwrap();
        drop(first);
        assert!(path.is_file(), "deleted by its holder");
        let next = acquire(&request(&path, Duration::ZERO)).unwrap();
        assert!(sys::same_file(&before, &next.file.metadata().unwrap()), "another one");
    }

    #[test]
    fn requirement_14_a_deleted_lock_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let held = acquire(&request(&path, Duration::ZERO)).unwrap();
        fs::remove_file(&path).unwrap();
        let other = acquire(&request(&path, Duration::ZERO)).unwrap();
        assert!(is_at(&other.file, &path) && !is_at(&held.file, &path));
    }

    #[cfg(unix)]
    #[test]
    fn requirement_13_a_link_in_place_of_the_lock_is_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(acquire(&request(&path, Duration::ZERO)), Err(Error::Io { .. })));
    }
}
