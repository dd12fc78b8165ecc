//! Following the state of a site: its changes, and the edges of its windows.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::error::Result;
use crate::load;
use crate::site::Site;
use crate::state::State;
use crate::sys::{self, FileKey};

/// How often the state file is looked at: one stat(2), some 0.2 % of a core, and it works
/// where no file watcher does (network file systems, containers).
pub const LOOK: Duration = Duration::from_millis(40);

/// Follows the state of a site, for a tool that acts on it: a balancer, a worker that pauses.
///
/// ```no_run
/// use std::time::Duration;
///
/// use maint::{Site, Watch};
///
/// let mut watch = Watch::new(&Site::discover(None)?);
/// loop {
///     match watch.wait(Duration::from_secs(60)) {
///         Ok(Some(state)) if state.is_down(maint::jiff::Timestamp::now()) => println!("pause"),
///         Ok(Some(_)) => println!("work"),
///         Ok(None) => {} // nothing happened within the minute
///         Err(error) => eprintln!("{error}"), // what was said last holds
///     }
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), maint::Error>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    site: Site,
    has_looked: bool,
    /// `None` where there was no file.
    seen: Option<FileKey>,
    /// The last good state.
    state: State,
    /// Until when what was told holds, unless the file changes.
    edge: Option<Timestamp>,
}

impl Watch {
    /// Starts to watch a site, which need not be there yet.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        let (site, state) = (site.clone(), State::default());
        Self { site, has_looked: false, seen: None, state, edge: None }
    }

    /// The site that is watched: once it appears, the one that was made.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Returns the state if the file changed since the last look, and always on the
    /// first. It does not wait.
    pub fn changed(&mut self) -> Option<Result<State>> {
        match self.look() {
            Ok(is_new) => is_new.then(|| Ok(self.state.clone())),
            Err(error) => Some(Err(error)),
        }
    }

    /// Reads the state if the file changed since the last look, and returns whether it did.
    fn look(&mut self) -> Result<bool> {
        self.seek()?;
        // The key is taken before the file is read: a change in between shows next time.
        let key = key(&self.site.state_file());
        if self.has_looked && self.seen == key {
            return Ok(false);
        }
        (self.has_looked, self.seen) = (true, key);
        self.state = load::read(&self.site.state_file())?;
        Ok(true)
    }

    /// Waits until the file changes or the clock opens or closes a window, and returns the
    /// state that is then in force; the first call returns at once. `None` if neither comes
    /// within `timeout`.
    ///
    /// # Errors
    ///
    /// Once for each change to what cannot be read. What was returned last stays in force, as
    /// it does for a gate, and the next call goes on waiting.
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<State>> {
        self.wait_by(Some(timeout), Timestamp::now)
    }

    /// The same by another clock, and without an end if there is no `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Watch::wait`].
    pub fn wait_by(
        &mut self,
        timeout: Option<Duration>,
        now: impl Fn() -> Timestamp,
    ) -> Result<Option<State>> {
        let begun = Instant::now();
        loop {
            let is_new = self.look()?;
            let at = now();
            if is_new || self.edge.is_some_and(|edge| edge <= at) {
                self.edge = self.state.next_edge(at);
                return Ok(Some(self.state.clone()));
            }
            let left = timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            std::thread::sleep(pause(&self.state, at).min(left.unwrap_or(LOOK)));
        }
    }

    /// Looks for a site that is not there yet.
    fn seek(&mut self) -> Result<()> {
        if self.site.is_awaited() {
            let now = self.site.current()?;
            self.has_looked &= now.dir() == self.site.dir();
            self.site = now;
        }
        Ok(())
    }
}

fn key(path: &Path) -> Option<FileKey> {
    fs::metadata(path).ok().map(|metadata| sys::key(&metadata))
}

/// Until the next look, or until the clock opens or closes a window.
#[must_use]
pub fn pause(state: &State, now: Timestamp) -> Duration {
    let edge = state.next_edge(now).map(|edge| edge.duration_since(now).unsigned_abs());
    edge.unwrap_or(LOOK).min(LOOK)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::PathBuf;

    use super::*;

    /// A wait that ends for nothing else has failed.
    const HANG: Duration = Duration::from_secs(300);

    fn put(path: &Path, text: &str) {
        let temp: PathBuf = path.with_extension("new");
        sys::write_all(&sys::create_new(&temp).unwrap(), text.as_bytes()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a writer that does nothing but write")]
        fs::rename(&temp, path).unwrap();
    }

    #[test]
    fn the_first_look_tells_and_then_every_change_once() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("state.json");
        let mut watch = Watch::new(&Site::at(temp.path()));
        let mut revision = || watch.changed().map(|state| state.unwrap().revision);
        assert_eq!((revision(), revision()), (Some(0), None), "no file, which is off");
        put(&path, r#"{"version":1,"revision":7}"#);
        assert_eq!((revision(), revision()), (Some(7), None));
        fs::remove_file(&path).unwrap();
        assert_eq!((revision(), revision()), (Some(0), None));
    }

    #[test]
    fn waiting_ends_with_a_change_or_with_the_time() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("state.json");
        let mut watch = Watch::new(&Site::at(temp.path()));
        assert_eq!(watch.wait(Duration::ZERO).unwrap().unwrap().revision, 0, "at first at once");
        assert!(watch.wait(Duration::from_millis(1)).unwrap().is_none());
        let (asked, asking) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            asked.send(()).unwrap();
            (watch.wait(HANG).unwrap().unwrap().revision, watch)
        });
        asking.recv().unwrap();
        put(&path, r#"{"version":1,"revision":7}"#);
        let (revision, mut watch) = waiting.join().unwrap();
        assert_eq!(revision, 7);
        // A file that cannot be read is told once, and what was told before holds.
        put(&path, "broken");
        assert!(watch.wait(HANG).is_err());
        assert!(watch.wait(Duration::from_millis(1)).unwrap().is_none());
        assert_eq!(watch.state.revision, 7);
    }

    #[test]
    fn waiting_ends_at_each_edge_of_a_window() {
        let temp = tempfile::tempdir().unwrap();
        put(
            &temp.path().join("state.json"),
            r#"{"version":1,"revision":1,"windows":{"w":{"opened_at":"2026-11-22T02:00:00Z",
                "start":"2026-11-22T03:00:00Z","end":"2026-11-22T04:00:00Z"}}}"#,
        );
        let clock: Cell<Timestamp> = Cell::new("2026-11-22T02:59:59Z".parse().unwrap());
        // Each look at the clock moves it on by a second.
        let tick = || clock.replace(clock.get() + Duration::from_secs(1));
        let mut watch = Watch::new(&Site::at(temp.path()));
        let mut seen = Vec::new();
        for _ in 0..3 {
            let state = watch.wait_by(Some(HANG), tick).unwrap().unwrap();
            let told_at = clock.get() - Duration::from_secs(1);
            seen.push((told_at.to_string(), state.is_down(told_at)));
            if let Some(edge) = watch.edge {
                clock.set(edge - Duration::from_secs(1));
            }
        }
        let told = |at: &str, is_down| (at.to_owned(), is_down);
        assert_eq!(
            seen,
            [
                told("2026-11-22T02:59:59Z", false),
                told("2026-11-22T03:00:00Z", true),
                told("2026-11-22T04:00:00Z", false),
            ]
        );
        assert!(watch.wait_by(Some(Duration::from_millis(1)), tick).unwrap().is_none());
    }

    #[test]
    fn a_site_that_is_not_there_yet_is_followed_from_when_it_is_made() {
        let temp = tempfile::tempdir().unwrap();
        let project = temp.path().join("shop");
        fs::create_dir(&project).unwrap();
        let around = crate::site::Environment {
            variable: None,
            directory: Some(project.clone()),
            code: Some(project.clone()),
            project: Some(project.clone()),
            home: Some(temp.path().to_owned()),
            ..crate::site::Environment::current()
        };
        let site = Site::discover_in(None, &around).unwrap();
        assert!(site.is_awaited());
        let mut watch = Watch::new(&site);
        assert_eq!(watch.wait(Duration::ZERO).unwrap().unwrap().revision, 0);
        let options = crate::store::Options::new("test");
        crate::store::update(&site, &options, |state, stamp| {
            state.open_window("w", &crate::state::WindowSettings::new(), stamp)
        })
        .unwrap();
        assert_eq!(watch.wait(HANG).unwrap().unwrap().revision, 1);
        assert!(!watch.site().is_awaited());
    }
}
