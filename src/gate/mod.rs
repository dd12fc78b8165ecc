//! The gate: what an app asks about every request.
//!
//! ```
//! use maint::gate::{Answer, Gate};
//! use maint::request::RequestParts;
//! use maint::Site;
//!
//! # let temp = tempfile::tempdir()?;
//! # let directory = temp.path();
//! let gate = Gate::open(&Site::at(directory))?;
//! match gate.answer(&RequestParts::new("GET", "/shop?id=7")) {
//!     Answer::Pass(_) => println!("ask the app"),
//!     Answer::Reply(reply) => println!("send {} instead", reply.status()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A gate looks at the state file before every answer, with one stat(2), so a
//! request that starts after `maint on` has returned is blocked. It never
//! writes and never locks, and may be used from any number of threads and
//! after a fork(2).

mod answer;
mod app;
mod content;
mod index;
mod link;
mod plan;
mod reload;
pub(crate) mod rules;
mod snapshot;
#[cfg(test)]
mod tests;
mod trouble;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use jiff::Timestamp;

use crate::error::Result;
use crate::page::Reply;
use crate::page::pages::Pages;
use crate::page::scripts::unsent_method;
use crate::request::Request;
use crate::request::elsewhere::Elsewhere;
use crate::request::place::parameters;
use crate::rules::Matcher;
use crate::site::Site;
use crate::state::{PageSettings, State, Window};
use app::AppPlan;
use content::Source;
use reload::Live;
use snapshot::Snapshot;

pub use answer::{Answer, Intercepted, Override, Pass, Upcoming};
pub use app::App;
pub use plan::{Decision, Plan};
pub use trouble::{Consequence, OnProblem, Problem};

/// What to do if the state cannot be read when the app starts.
///
/// Once a good state was read, it stays in force whatever becomes of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// Opening the gate fails, so that somebody notices.
    #[default]
    Refuse,
    /// Every request passes until the state can be read.
    Open,
    /// Every request is blocked until the state can be read, with a
    /// `Retry-After` of 30 seconds.
    Closed,
}

/// How a gate is opened.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// How long a look at the state file holds good. This saves a system call, and
    /// a change may go unnoticed for that long. Absent: look every time.
    pub recheck: Option<Duration>,
    /// What to do if there is no good state to begin with.
    pub on_error: OnError,
    /// Called when the state or a template cannot be used, at most once a minute,
    /// and again on recovery. Absent: write to standard error.
    pub on_problem: Option<OnProblem>,
    /// The application's own settings.
    pub app: App,
    /// Where the time comes from. Absent: the clock of the system.
    pub clock: Option<Clock>,
}

/// Returns the time, see [`Options::clock`].
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl Options {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long a look at the state file holds good.
    #[must_use]
    pub fn recheck(mut self, recheck: impl Into<Option<Duration>>) -> Self {
        self.recheck = recheck.into();
        self
    }

    /// Sets what to do if there is no good state to begin with.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// Sets what is called when the state or a template cannot be used.
    #[must_use]
    pub fn on_problem(mut self, call: impl Fn(&Problem) + Send + Sync + 'static) -> Self {
        self.on_problem = Some(Arc::new(call));
        self
    }

    /// Sets where the time comes from, instead of the clock of the system: for tests, which
    /// look at what a window does before and after its edges.
    #[must_use]
    pub fn clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }

    /// Sets the application's own settings.
    #[must_use]
    pub fn app(mut self, app: App) -> Self {
        self.app = app;
        self
    }
}

/// The reading side of a site. Cheap to clone; clones share what was read.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    live: Arc<Live>,
    app: AppPlan,
    /// What the plan was compiled from.
    settings: App,
    clock: Option<Clock>,
}

impl Inner {
    /// Returns an answer, and reports what a rule could not know of the request, and a page that
    /// could not be made for it.
    fn told(&self, snapshot: &Snapshot, request: &impl Request, answer: Answer) -> Answer {
        if matches!(answer, Answer::Reply(_)) {
            if let Some(untold) = snapshot.content.plan.untold(&self.app, request) {
                self.live.tell(untold);
            }
            if let Some(mishap) = snapshot.content.mishap() {
                self.live.tell_mishap(mishap);
            }
        }
        answer
    }

    /// The time, where it is not that of the system.
    fn now(&self) -> Option<Timestamp> {
        self.clock.as_ref().map(|now| now())
    }
}

impl Gate {
    /// Opens the gate of a site.
    ///
    /// # Errors
    ///
    /// Fails, naming file and cause, if a site directory that was named is missing or if the
    /// state exists and cannot be read. A missing state file means that nothing is
    /// down, and so does a site that is not there yet, see [`Site::is_awaited`]: the gate
    /// notices when it is made.
    pub fn open(site: &Site) -> Result<Self> {
        Self::open_with(site, Options::default())
    }

    /// Opens the gate of a site with options.
    ///
    /// # Errors
    ///
    /// As [`Gate::open`], unless [`Options::on_error`] says what to do instead; and
    /// [`Error::Invalid`](crate::Error::Invalid) if [`Options::app`] is invalid.
    pub fn open_with(site: &Site, options: Options) -> Result<Self> {
        // A server may change its working directory later.
        let app = AppPlan::new(&options.app)?;
        let source = Source::new(site.absolute(), &options.app.page);
        let live = Live::begin(source, options.recheck, options.on_problem, |error| {
            let (state, consequence) = match options.on_error {
                OnError::Refuse => return Err(error),
                OnError::Open => (State::default(), Consequence::Open),
                OnError::Closed => (closed(), Consequence::Closed),
            };
            Ok((state, Problem { error: Some(error), consequence }))
        })?;
        let (live, settings, clock) = (Arc::new(live), options.app, options.clock);
        Ok(Self(Arc::new(Inner { live, app, settings, clock })))
    }

    /// Returns a gate of the same site that lets more requests through: those that match the
    /// rule, which has a name for [`Pass::by`](field@Pass::by). Both share what was read.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for a rule that lets everyone in.
    pub fn ignoring(&self, name: impl Into<String>, rule: Matcher) -> Result<Self> {
        let settings = self.0.settings.clone().ignore(name, rule);
        let app = AppPlan::new(&settings)?;
        let (live, clock) = (self.0.live.clone(), self.0.clock.clone());
        Ok(Self(Arc::new(Inner { live, app, settings, clock })))
    }

    /// Decides what to do with a request that starts now.
    pub fn answer(&self, request: &impl Request) -> Answer {
        let snapshot = self.0.live.fresh();
        self.0.told(&snapshot, request, snapshot.answer(&self.0.app, request, self.0.now()))
    }

    /// Decides what to do with a request for a view that is always or never down.
    pub fn answer_overridden(&self, request: &impl Request, by: Override) -> Answer {
        match by {
            Override::Off => Answer::Pass(Pass::default()),
            Override::On => self.0.live.fresh().answer_down(request, self.0.now()),
        }
    }

    /// Returns the earliest scheduled window that would cover this request, so that the app can
    /// announce it; `None` at once if no window is to come. `now`: `None` for the gate's clock.
    ///
    /// It looks at path and host, not at the method, since a page that is read now may have a
    /// form: see [`Upcoming::is_read_only`]. Where a rule for that path or host will let everyone
    /// through, nothing is announced. Rules by who asks and bypass tokens make no difference, so
    /// all get the same announcement, and caches may share it. Nothing is announced in an app
    /// whose settings override the state ([`App::is_down`]).
    #[must_use]
    pub fn next(&self, request: &impl Request, now: Option<Timestamp>) -> Option<Arc<Upcoming>> {
        let now = now.or_else(|| self.0.now());
        self.0.live.fresh().next(&self.0.app, request, now)
    }

    /// Whether any window is open; [`App::is_down`] overrides that. Some requests
    /// may pass all the same.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.0.live.fresh().is_down(&self.0.app, self.0.now())
    }

    /// Returns the revision of the state that is in force.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.0.live.fresh().content.revision()
    }

    /// Returns what is in force now, after a look at the state file if one is due.
    ///
    /// Use it where a file may be read now but not while the request is examined,
    /// for example before taking Python's GIL; and to ask about another time.
    #[must_use]
    pub fn current(&self) -> Current {
        let snapshot = Guard::into_inner(self.0.live.fresh());
        Current { gate: self.clone(), snapshot, now: self.0.now() }
    }
}

/// What is in force at one moment. It does not look at the state file again, so
/// use it only for the requests of that moment.
pub struct Current {
    gate: Gate,
    snapshot: Arc<Snapshot>,
    now: Option<Timestamp>,
}

impl Current {
    /// Sets another time, for looking ahead and for tests.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Decides as [`Gate::answer`] does.
    pub fn answer(&self, request: &impl Request) -> Answer {
        let answer = self.snapshot.answer(&self.gate.0.app, request, self.now);
        self.gate.0.told(&self.snapshot, request, answer)
    }

    /// Decides as [`Gate::answer_overridden`] does.
    pub fn answer_overridden(&self, request: &impl Request, by: Override) -> Answer {
        match by {
            Override::Off => Answer::Pass(Pass::default()),
            Override::On => self.snapshot.answer_down(request, self.now),
        }
    }

    /// Returns what is to come, as [`Gate::next`] does.
    #[must_use]
    pub fn next(&self, request: &impl Request) -> Option<Arc<Upcoming>> {
        self.snapshot.next(&self.gate.0.app, request, self.now)
    }

    /// Returns the revision of the state that is in force.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.snapshot.content.revision()
    }

    /// Whether the site is down, as [`Gate::is_down`] says.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.snapshot.is_down(&self.gate.0.app, self.now)
    }

    /// The state that is in force, without its ignore rules.
    #[cfg(feature = "serve")]
    pub(crate) fn state(&self) -> &State {
        &self.snapshot.content.state
    }

    /// Whether that is what the state file says; otherwise the file cannot be used.
    #[cfg(feature = "serve")]
    pub(crate) fn is_of_the_file(&self) -> bool {
        self.snapshot.makeshift.is_none() && self.snapshot.failing.is_none()
    }
}

impl Snapshot {
    fn answer(&self, app: &AppPlan, request: &impl Request, now: Option<Timestamp>) -> Answer {
        let content = &self.content;
        if content.plan.is_idle() && app.is_down != Some(true) {
            return Answer::Pass(Pass::default());
        }
        // Reading the clock is a third of what a decision costs.
        let clock = || {
            if content.plan.is_timeless() { Timestamp::UNIX_EPOCH } else { Timestamp::now() }
        };
        let now = now.unwrap_or_else(clock);
        if let Some(reply) = link::follow(&content.plan, request, now) {
            return self.told_from(reply);
        }
        let plan = &content.plan;
        let by = |id, is_private| {
            let next = plan.next(app, request, now);
            Answer::Pass(Pass { next, ..Pass::by(id, is_private) })
        };
        match plan.decide_for(app, request, now) {
            Decision::Up => {
                // What was sent was blocked, and this asks for the answer to it.
                if plan.has_methods()
                    && let Some(method) = unsent(request)
                    && let sent = Elsewhere::by(method, request)
                    && let Decision::Blocked(window) = plan.decide_for(app, &sent, now)
                {
                    return self.told_from(content.pages(window).reply(&sent, now));
                }
                Answer::Pass(plan.outlook(app, request, now))
            }
            Decision::Ignored { id, is_personal } => by(id, is_personal),
            Decision::Bypassed(id) => by(id, true),
            Decision::Blocked(window) => {
                self.told_from(reply(content.pages(window), request, now, &|method, target| {
                    let there = Elsewhere::at(method, target, request);
                    matches!(plan.decide_for(app, &there, now), Decision::Blocked(_))
                }))
            }
        }
    }

    fn next(
        &self,
        app: &AppPlan,
        request: &impl Request,
        now: Option<Timestamp>,
    ) -> Option<Arc<Upcoming>> {
        let plan = &self.content.plan;
        if !plan.has_scheduled() {
            return None;
        }
        plan.next(app, request, now.unwrap_or_else(Timestamp::now))
    }

    fn is_down(&self, app: &AppPlan, now: Option<Timestamp>) -> bool {
        let is_open = || self.content.plan.is_down(now.unwrap_or_else(Timestamp::now));
        app.is_down.unwrap_or_else(is_open)
    }

    fn answer_down(&self, request: &impl Request, now: Option<Timestamp>) -> Answer {
        let now = now.unwrap_or_else(Timestamp::now);
        // Of other views nothing is known here.
        let path = request.path();
        self.told_from(reply(self.content.pages(None), request, now, &|_, target| {
            target.split('?').next().is_some_and(|there| there.as_bytes() == path)
        }))
    }

    /// Tells whoever asks which state an answer was made from.
    fn told_from(&self, reply: Reply) -> Answer {
        let revision = self.makeshift.is_none().then(|| self.content.revision());
        Answer::Reply(reply.of_revision(revision))
    }
}

/// The method of what was sent, if a library leads its visitor to the answer.
fn unsent<R: Request>(request: &R) -> Option<&str> {
    if request.method() != "GET" {
        return None;
    }
    parameters(request.query()?).find_map(unsent_method)
}

/// The answer to a blocked request, or to what was sent before.
fn reply(
    pages: &Pages,
    request: &impl Request,
    now: Timestamp,
    is_blocked: &dyn Fn(&str, &str) -> bool,
) -> Reply {
    match unsent(request) {
        Some(method) => pages.reply(&Elsewhere::by(method, request), now),
        None => pages.reply_within(request, now, is_blocked),
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.0.live.state_file()).finish()
    }
}

/// A state that blocks everything until the real one can be read.
fn closed() -> State {
    // Made by hand: an edit of the state could fail, and nothing would be blocked.
    let page = PageSettings::new().retry_after(30);
    let window = Window { page, ..Window::new(crate::time::now()) };
    State { windows: [("unreadable-state".to_owned(), window)].into(), ..State::default() }
}
