//! The locks that keep writers apart.
//!
//! The [`Lock`] is a file of its own, since replacing the state file gives its name a
//! new inode. It is never deleted or renamed, readers never touch it, and the kernel
//! releases it when its holder dies.
//!
//! Others do delete it, and then two writers hold "the" lock, each its own. So whoever
//! writes takes a [`Turn`] as well: a second file, which is there while somebody writes.
//! Both belong to those who may write. Nobody else can open them, let alone hold them.

use std::fs::{self, File};
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
    file: File,
    /// The process that took it. A child that was forked meanwhile has the file as well.
    pid: u32,
    /// False where the file could be opened for reading only.
    pub(crate) is_writable: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A child keeps the file open for as long as it lives, and with it a lock that
        // nobody gives up by name. See flock(2).
        if self.pid == std::process::id() {
            let _ = fs2::FileExt::unlock(&self.file);
        }
    }
}

impl Lock {
    /// Replaces what the file says, for whoever asks who holds it.
    pub(super) fn note(&self, bytes: &[u8]) -> io::Result<()> {
        sys::overwrite(&self.file, bytes)
    }
}

/// The turn to write, had until it is dropped.
pub(crate) struct Turn<'a> {
    path: &'a Path,
    lock: Lock,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.lock.pid == std::process::id() && is_same(&self.lock.file, self.path) != Some(false)
        {
            let _ = sys::unlink(self.path);
        }
    }
}

/// Takes the turn to write, after the lock proper; `None` where that cannot be had.
///
/// # Errors
///
/// [`Error::Busy`] if another writer kept it.
pub(crate) fn take_turn<'a>(request: &Request<'a>) -> Result<Option<Turn<'a>>> {
    let was_there = fs::symlink_metadata(request.path).is_ok();
    match acquire(request) {
        Ok(lock) => Ok(Some(Turn { path: request.path, lock })),
        Err(busy @ Error::Busy { .. }) => Err(busy),
        Err(_) => {
            if !was_there {
                let _ = sys::unlink(request.path);
            }
            Ok(None)
        }
    }
}

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
                let lock = Lock { file, pid: std::process::id(), is_writable };
                if is_writable {
                    sign(&lock.file, &request.holder, begun.elapsed());
                }
                return Ok(lock);
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

/// Tries to take the lock. Who is interrupted all the time does not get it.
pub(super) fn try_lock(file: &File) -> io::Result<()> {
    retry(|| fs2::FileExt::try_lock_exclusive(file)).map_err(|cause| match cause.kind() {
        io::ErrorKind::Interrupted => io::ErrorKind::WouldBlock.into(),
        _ => cause,
    })
}

/// Whether nobody holds the lock on a file alone. It stays shared until the file is closed.
pub(super) fn try_lock_shared(file: &File) -> io::Result<bool> {
    match retry(|| fs2::FileExt::try_lock_shared(file)) {
        Ok(()) => Ok(true),
        Err(cause) if is_contended(&cause) => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// A signal says nothing about a lock, so an interrupted call is repeated, a bounded number
/// of times.
fn retry(call: impl Fn() -> io::Result<()>) -> io::Result<()> {
    for _ in 0..100 {
        match call() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

#[cfg(test)]
pub(super) fn unlock(file: &File) {
    fs2::FileExt::unlock(file).unwrap();
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
    is_same(file, path) == Some(true)
}

/// Whether a file is the one at a path; `None` if that cannot be found out.
fn is_same(file: &File, path: &Path) -> Option<bool> {
    let open = file.metadata().ok()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Some(sys::same_file(&open, &named)),
        Err(cause) => (cause.kind() == io::ErrorKind::NotFound).then_some(false),
    }
}

/// Writes down who holds the lock. If that fails, waiting writers miss the name
/// and nothing else.
fn sign(file: &File, holder: &Holder, waited: Duration) {
    let since = jiff::SignedDuration::try_from(waited)
        .ok()
        .and_then(|waited| holder.since.checked_add(waited).ok())
        .unwrap_or(holder.since);
    if let Ok(mut text) = serde_json::to_vec(&Holder { since, ..holder.clone() }).map(visible::json)
    {
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
    fn requirement_66_a_child_that_was_forked_meanwhile_does_not_keep_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let lock = acquire(&request(&path, Duration::ZERO)).unwrap();
        // What a child has after fork(2): the same open file.
        let of_child = lock.file.try_clone().unwrap();
        drop(lock);
        assert!(acquire(&request(&path, Duration::ZERO)).is_ok());
        drop(of_child);
    }

    #[test]
    fn requirement_66_a_child_gives_up_nothing_of_its_parent() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock");
        let lock = acquire(&request(&path, Duration::ZERO)).unwrap();
        let file = lock.file.try_clone().unwrap();
        drop(Lock { file, pid: lock.pid + 1, is_writable: true });
        assert!(matches!(acquire(&request(&path, Duration::ZERO)), Err(Error::Busy { .. })));
    }

    #[test]
    fn requirement_64_the_turn_is_for_writers_alone_and_leaves_nothing_behind() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join(".state.json.turn");
        let turn = take_turn(&request(&path, Duration::ZERO)).unwrap().unwrap();
        assert_eq!(sys::ownership(&fs::metadata(&path).unwrap()).mode & 0o077, 0);
        assert!(matches!(take_turn(&request(&path, Duration::ZERO)), Err(Error::Busy { .. })));
        drop(turn);
        assert!(!path.exists());
        // One that a killed writer left is nobody's.
        drop(sys::create_new(&path).unwrap());
        drop(take_turn(&request(&path, Duration::ZERO)).unwrap().unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn the_time_of_a_holder_counts_from_when_it_got_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let file = sys::create_new(&temp.path().join("lock")).unwrap();
        let waited = Duration::from_secs(3);
        sign(&file, &request(temp.path(), Duration::ZERO).holder, waited);
        let text = fs::read_to_string(temp.path().join("lock")).unwrap();
        assert!(text.contains("1970-01-01T00:00:03Z"), "{text}");
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
