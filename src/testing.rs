//! A temporary site and a clock that stands still, for the tests of apps.
//!
//! ```
//! use maint::gate::Answer;
//! use maint::request::RequestParts;
//! use maint::state::WindowSettings;
//! use maint::testing::TemporarySite;
//!
//! let site = TemporarySite::new();
//! let gate = site.gate(); // the app asks it
//! site.on(&WindowSettings::new().reason("Back at noon"));
//! let reply = gate.answer(&RequestParts::new("GET", "/"));
//! assert!(matches!(reply, Answer::Reply(reply) if reply.status() == 503));
//! site.off();
//! assert!(matches!(gate.answer(&RequestParts::new("GET", "/")), Answer::Pass(_)));
//! ```
//!
//! Each test has a site of its own, so tests run side by side. Depend on the feature for tests
//! only:
//!
//! ```toml
//! [dev-dependencies]
//! maint = { version = "0.1", default-features = false, features = ["testing"] }
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::actor::{Actor, Stamp};
use crate::error::{Error, Result};
use crate::gate::{Gate, Options};
use crate::rules::{Kind, Matcher};
use crate::site::Site;
use crate::state::{BypassToken, DEFAULT_WINDOW, RuleSettings, State, WindowSettings};
use crate::store::{self, Applied};

/// The person and the command in the history.
const BY: &str = "tests";
const COMMAND: &str = "maint::testing";

/// A site of its own that is up, without rules and templates. It is removed when the value is
/// dropped.
///
/// Its methods panic where the site cannot be changed as asked, with the reason: in a test
/// that is a mistake of the test.
#[derive(Debug)]
pub struct TemporarySite {
    /// Removed when dropped.
    _directory: tempfile::TempDir,
    site: Site,
    clock: Clock,
}

impl TemporarySite {
    /// Makes a site in the directory for temporary files.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("maint-").tempdir();
        let directory =
            done(directory.map_err(|cause| Error::io("make", &std::env::temp_dir(), cause)));
        let site = Site::at(directory.path().join(".maint"));
        done(store::create(&site));
        Self { _directory: directory, site, clock: Clock::default() }
    }

    /// The site, for everything else: [`store::update`] changes it.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The clock of the site, which its gates go by. It runs until a test stops it.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Opens a gate of the site, by its clock: what the app asks, or what
    /// `MaintenanceLayer::new` is given.
    ///
    /// # Panics
    ///
    /// If it cannot be opened.
    #[must_use]
    #[track_caller]
    pub fn gate(&self) -> Gate {
        self.gate_with(Options::new())
    }

    /// The same, with the options of the app.
    ///
    /// # Panics
    ///
    /// If it cannot be opened.
    #[must_use]
    #[track_caller]
    pub fn gate_with(&self, options: Options) -> Gate {
        let clock = self.clock.clone();
        done(Gate::open_with(&self.site, options.clock(move || clock.now())))
    }

    /// Opens the window `default`, as `maint on` does; the app sees it with its next request.
    ///
    /// # Panics
    ///
    /// If the settings make no sense.
    #[track_caller]
    pub fn on(&self, settings: &WindowSettings) {
        self.change(|state, stamp| state.open_window(DEFAULT_WINDOW, settings, stamp));
    }

    /// Closes every window, as `maint off --all` does.
    ///
    /// # Panics
    ///
    /// If the state cannot be written.
    #[track_caller]
    pub fn off(&self) {
        self.change(|state, stamp| Ok(state.close_all_windows(stamp.now)));
    }

    /// Adds an ignore rule and returns its id, as `maint ignore add` does.
    ///
    /// # Panics
    ///
    /// For a rule that cannot be or that lets everyone in.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "a test may not care for the id")]
    pub fn ignore(&self, kind: &Kind, value: &str) -> String {
        let rule = done(Matcher::parse(kind, value));
        self.change(|state, stamp| state.add_rule(&rule, &RuleSettings::new(), stamp)).value
    }

    /// Makes a bypass token and returns its secret, as `maint bypass new` does. A visitor comes
    /// with `?maint_bypass=SECRET`, and from then on with a cookie.
    ///
    /// # Panics
    ///
    /// If the state cannot be written.
    #[must_use]
    #[track_caller]
    pub fn bypass(&self) -> String {
        let (secret, token) = done(BypassToken::generate());
        self.change(|state, stamp| state.add_token(token.clone(), stamp));
        secret
    }

    /// Writes a template, as `sorry.html`, which a window that is opened afterwards may name.
    ///
    /// # Panics
    ///
    /// If it has a mistake.
    #[track_caller]
    pub fn add_template(&self, file_name: &str, text: &str) {
        done(store::put_template(&self.site, &self.options(), file_name, text));
    }

    /// Changes the state in any other way, and returns what that did.
    ///
    /// # Panics
    ///
    /// If the change fails.
    #[track_caller]
    pub fn change<T>(&self, change: impl Fn(&mut State, Stamp<'_>) -> Result<T>) -> Applied<T> {
        done(store::update(&self.site, &self.options(), change))
    }

    /// Whether any window is open now, by the clock of the site.
    ///
    /// # Panics
    ///
    /// If the state cannot be read.
    #[must_use]
    #[track_caller]
    pub fn is_down(&self) -> bool {
        done(self.site.state()).is_down(self.clock.now())
    }

    fn options(&self) -> store::Options<'static> {
        let actor = Actor { user: BY.to_owned(), ..Actor::current() };
        store::Options::new(COMMAND).actor(actor).now(self.clock.now())
    }
}

impl Default for TemporarySite {
    fn default() -> Self {
        Self::new()
    }
}

/// A clock that a test can stop; clones are the same clock.
#[derive(Clone, Default)]
pub struct Clock(Arc<Mutex<Option<Timestamp>>>);

impl Clock {
    /// The time by this clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.at().unwrap_or_else(crate::time::now)
    }

    /// Stops the clock at a time.
    pub fn freeze(&self, at: Timestamp) {
        self.set(Some(at));
    }

    /// Moves the clock on, and stops it if it was running.
    ///
    /// # Panics
    ///
    /// Beyond the year 9999.
    #[track_caller]
    pub fn advance(&self, by: Duration) {
        let at = self.now().checked_add(by);
        self.set(Some(at.expect("the year is before 10000")));
    }

    /// Lets the clock run again, with the time of the system.
    pub fn run(&self) {
        self.set(None);
    }

    fn at(&self) -> Option<Timestamp> {
        *self.stopped_at()
    }

    fn set(&self, at: Option<Timestamp>) {
        *self.stopped_at() = at;
    }

    fn stopped_at(&self) -> MutexGuard<'_, Option<Timestamp>> {
        let stopped_at: &Mutex<_> = &self.0;
        stopped_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at() {
            Some(at) => write!(f, "Clock(stopped at {at})"),
            None => f.write_str("Clock(running)"),
        }
    }
}

/// The value, or a panic that says what failed, at the line of the test.
#[track_caller]
fn done<T>(result: Result<T, Error>) -> T {
    // A closure would show its own line.
    match result {
        Ok(value) => value,
        // `Debug` of an error is its message with the hint.
        Err(error) => panic!("{error:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Answer, App};
    use crate::request::RequestParts;

    fn get(path: &str) -> RequestParts {
        RequestParts::new("GET", path)
    }

    fn status(gate: &Gate, request: &RequestParts) -> Option<u16> {
        match gate.answer(request) {
            Answer::Pass(_) => None,
            Answer::Reply(reply) => Some(reply.status()),
        }
    }

    #[test]
    fn an_app_is_taken_down_let_through_and_brought_back() {
        let site = TemporarySite::new();
        let gate = site.gate();
        assert_eq!((status(&gate, &get("/")), site.is_down()), (None, false));
        site.add_template("sorry.html", "<h1>{{ reason }}</h1>");
        let page = crate::state::PageSettings::new().status(599).template("sorry");
        site.on(&WindowSettings::new().reason("Back at noon").page(page));
        assert_eq!((status(&gate, &get("/")), site.is_down()), (Some(599), true));
        let Answer::Reply(reply) = gate.answer(&get("/")) else { panic!("it is down") };
        assert_eq!(reply.body(), b"<h1>Back at noon</h1>");
        let id = site.ignore(&Kind::Path, "/health");
        let Answer::Pass(pass) = gate.answer(&get("/health")) else { panic!("it is let through") };
        assert_eq!(pass.by.as_deref(), Some(&*id));
        let secret = site.bypass();
        assert_eq!(status(&gate, &get("/").with_token(&secret)), None);
        site.off();
        assert_eq!((status(&gate, &get("/")), site.is_down()), (None, false));
    }

    #[test]
    fn windows_begin_and_end_by_the_clock_of_the_site_alone() {
        let (site, other) = (TemporarySite::new(), TemporarySite::new());
        let gate = site.gate_with(Options::new().app(App::new()));
        let start: Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
        site.clock().freeze(start - Duration::from_secs(1));
        let window = WindowSettings::new().start(start).end(start + Duration::from_secs(1800));
        site.on(&window);
        other.clock().freeze(start);
        assert_eq!(status(&gate, &get("/")), None);
        for (seconds, answer) in [(1, Some(503)), (1799, Some(503)), (1, None)] {
            site.clock().advance(Duration::from_secs(seconds));
            assert_eq!(status(&gate, &get("/")), answer, "{:?}", site.clock());
            assert_eq!((gate.is_down(), site.is_down()), (answer.is_some(), answer.is_some()));
        }
        assert!(!other.is_down());
        site.clock().run();
        assert!(Timestamp::now().duration_since(site.clock().now()).unsigned_abs() < WEEK);
    }

    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

    #[test]
    fn a_mistake_of_the_test_says_what_it_is_and_the_site_goes_with_the_value() {
        let site = TemporarySite::new();
        let directory = site.site().dir().to_owned();
        let (noted, place) = std::sync::mpsc::channel();
        let usual = std::panic::take_hook();
        let thread = std::thread::current().id();
        std::panic::set_hook(Box::new(move |panic| {
            let at = panic.location().unwrap();
            if std::thread::current().id() == thread {
                noted.send((at.file().to_owned(), at.line())).unwrap();
            } else {
                usual(panic);
            }
        }));
        let line = line!() + 2;
        let mistake = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            site.ignore(&Kind::Path, "health")
        }));
        let _ = std::panic::take_hook();
        let said = *mistake.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("`health` is not a path pattern"), "{said}");
        assert_eq!(place.recv().unwrap(), (file!().to_owned(), line));
        assert!(directory.is_dir());
        drop(site);
        assert!(!directory.exists());
    }
}
