//! The gate: what an app asks about every request.
//!
//! ```
//! use maint::gate::{Answer, Gate};
//! use maint::request::Facts;
//! use maint::Site;
//!
//! # let temp = tempfile::tempdir()?;
//! # let directory = temp.path();
//! let gate = Gate::open(&Site::at(directory))?;
//! match gate.answer(&Facts::new("GET", "/shop?id=7")) {
//!     Answer::Pass(_) => println!("ask the app"),
//!     Answer::Reply(reply) => println!("send {} instead", reply.status()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A gate looks at the state file before every answer, by one stat(2), so a
//! request that starts after `maint on` has returned is blocked. It never
//! writes and never locks, and may be used from any number of threads and
//! after a fork(2).

mod link;
pub mod plan;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::load;
use crate::page::Reply;
use crate::request::Request;
use crate::site::Site;
use crate::snapshot::{self, Content, Fresh, Pending, Snapshot, Source};
use crate::state::State;
use crate::sys::{self, Look, Lookout};

pub use plan::{Decision, Plan};

/// How often the same trouble is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What to do where the state cannot be read when the app starts.
///
/// Once there was a good state it stays in force, whatever becomes of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// [`Gate::open`] fails, so that somebody notices.
    #[default]
    Refuse,
    /// Every request passes until the state can be read.
    Open,
    /// Every request is blocked until the state can be read, with a
    /// `Retry-After` of 30 seconds.
    Closed,
}

/// Told of trouble that keeps no request from being answered.
pub type OnProblem = Arc<dyn Fn(&Problem) + Send + Sync>;

/// How a gate is opened.
#[derive(Clone, Default)]
pub struct Options {
    /// Look at the state file at most so often. A change may then go unnoticed
    /// for that long, and the system call is saved. Absent: look every time.
    pub recheck: Option<Duration>,
    /// What to do if there is no good state to begin with.
    pub on_error: OnError,
    /// Who is told of trouble, at most once a minute and when it is over.
    /// Absent: standard error.
    pub on_problem: Option<OnProblem>,
}

/// Trouble with the files of a site, and what is done about it.
#[derive(Debug)]
pub struct Problem {
    /// What is wrong; absent if all is well again.
    pub error: Option<Error>,
    /// What is done about it.
    pub consequence: Consequence,
}

/// What requests meet while something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The state of this revision is in force: the last good one, or the new one
    /// if nothing is wrong any more.
    Revision(u64),
    /// There never was a good state, and every request passes.
    Open,
    /// There never was a good state, and every request is blocked.
    Closed,
    /// The page is the built-in one.
    BuiltinPage,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{error}; ")?,
            None => f.write_str("the state can be read again; ")?,
        }
        match self.consequence {
            Consequence::Revision(revision) if self.error.is_some() => {
                write!(f, "the last good state, revision {revision}, stays in force")
            }
            Consequence::Revision(revision) => write!(f, "revision {revision} is in force"),
            Consequence::Open => f.write_str("until it can be read, every request passes"),
            Consequence::Closed => f.write_str("until it can be read, every request is blocked"),
            Consequence::BuiltinPage => f.write_str("visitors get the built-in page"),
        }
    }
}

/// What a view says of itself, before any window or rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is always down.
    On,
    /// It is never down.
    Off,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Answer {
    /// The app answers.
    Pass(Pass),
    /// This is sent, and the app is not asked.
    Reply(Reply),
}

/// Why a request passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// The rule or token that lets it through; absent if nothing holds it up.
    pub by: Option<Arc<str>>,
    /// Others would have been blocked, so what the app answers must not be
    /// shared: set `Cache-Control` to [`Pass::CACHE_CONTROL`], and take off what
    /// [`Pass::is_overruling`] (requirement 50).
    pub is_private: bool,
}

impl Pass {
    /// Keeps an answer out of every cache that somebody else reads.
    pub const CACHE_CONTROL: &'static str = "private, no-store";

    /// Whether a header field, named in lower case, is one that some caches
    /// believe before `Cache-Control`: those for one kind of cache (RFC 9213),
    /// `Surrogate-Control`, and nginx's own.
    #[must_use]
    pub fn is_overruling(name: &str) -> bool {
        name.ends_with("-cache-control")
            || matches!(name, "surrogate-control" | "edge-control" | "x-accel-expires")
    }

    fn by(id: &Arc<str>, is_private: bool) -> Answer {
        Answer::Pass(Self { by: Some(id.clone()), is_private })
    }
}

/// The reading side of a site. Cheap to clone; clones share what was read.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    lookout: Lookout,
    source: Source,
    options: Options,
    current: ArcSwap<Snapshot>,
    /// When the next look is due on the coarse clock, with a recheck interval.
    next_look: AtomicU64,
    reload: ArcSwap<Reload>,
}

/// Who reads the state again, one at a time.
struct Reload {
    /// A process forked off while another thread held the lock would find it
    /// held for ever; so each process has its own.
    pid: u32,
    trouble: Mutex<Trouble>,
}

/// What is known of the trouble there is.
#[derive(Default)]
struct Trouble {
    is_failing: bool,
    told_at: Option<Instant>,
}

impl Gate {
    /// Opens the gate of a site.
    ///
    /// # Errors
    ///
    /// If the site directory is missing, or the state is there and cannot be
    /// read, naming file and cause. A missing state file means that nothing is down.
    pub fn open(site: &Site) -> Result<Self> {
        Self::open_with(site, Options::default())
    }

    /// Opens the gate of a site, not in the usual way.
    ///
    /// # Errors
    ///
    /// As [`Gate::open`], unless [`Options::on_error`] says what to do instead.
    pub fn open_with(site: &Site, options: Options) -> Result<Self> {
        // A server may change its directory later.
        let absolute = std::path::absolute(site.dir());
        let site = absolute.map_or_else(|_| site.clone(), Site::at);
        let source = Source::new(&site);
        let unreadable =
            |path: &Path, cause| Error::Unreadable { path: path.to_owned(), source: cause };
        let lookout =
            Lookout::new(&source.state).map_err(|cause| unreadable(&source.state, cause))?;
        let (look, content, errors, makeshift) = match read(&source, None) {
            (look, Ok(fresh)) => (look, fresh.content, fresh.errors, None),
            (look, Err(error)) => {
                let (state, consequence) = match options.on_error {
                    OnError::Refuse => return Err(error),
                    OnError::Open => (State::default(), Consequence::Open),
                    OnError::Closed => (closed(), Consequence::Closed),
                };
                (look, Content::of(state)?, vec![error], Some(consequence))
            }
        };
        let snapshot = Snapshot {
            look,
            is_unsettled: snapshot::is_unsettled(look),
            content: Arc::new(content),
            pending: None,
            makeshift,
        };
        let inner = Inner {
            lookout,
            source,
            options,
            current: ArcSwap::from_pointee(snapshot),
            next_look: AtomicU64::new(0),
            reload: ArcSwap::from_pointee(Reload::new()),
        };
        let gate = Self(Arc::new(inner));
        gate.put_off();
        let reload = gate.reload();
        let mut trouble = reload.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.is_failing = makeshift.is_some();
        trouble.tell(&gate, errors, makeshift.unwrap_or(Consequence::BuiltinPage));
        drop(trouble);
        Ok(gate)
    }

    /// What to do with a request that starts now.
    pub fn answer(&self, request: &impl Request) -> Answer {
        self.decide(request, None)
    }

    /// What to do with a request for a view that is always or never down.
    pub fn answer_forced(&self, request: &impl Request, force: Force) -> Answer {
        match force {
            Force::Off => Answer::Pass(Pass::default()),
            Force::On => {
                let snapshot = self.fresh();
                Answer::Reply(snapshot.content.page_without_window.reply(request, Timestamp::now()))
            }
        }
    }

    /// What to do with a request at another time, for looking ahead and for tests.
    pub fn answer_at(&self, request: &impl Request, now: Timestamp) -> Answer {
        self.decide(request, Some(now))
    }

    /// The revision of the state that is in force.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.fresh().content.revision()
    }

    fn decide(&self, request: &impl Request, now: Option<Timestamp>) -> Answer {
        let snapshot = self.fresh();
        let content = &snapshot.content;
        if content.plan.is_idle() {
            return Answer::Pass(Pass::default());
        }
        let now = now.unwrap_or_else(Timestamp::now);
        if let Some(reply) = link::follow(&content.plan, request, now) {
            return Answer::Reply(reply);
        }
        match content.plan.decide(request, now) {
            Decision::Up => Answer::Pass(Pass::default()),
            Decision::Ignored { id, is_personal } => Pass::by(id, is_personal),
            Decision::Bypassed(id) => Pass::by(id, true),
            Decision::Blocked(window) => Answer::Reply(content.pages(window).reply(request, now)),
        }
    }

    /// What is in force, after a look at the file if one is due.
    fn fresh(&self) -> Guard<Arc<Snapshot>> {
        let snapshot = self.0.current.load();
        if !self.is_due() {
            return snapshot;
        }
        let look = self.0.lookout.look();
        if look == snapshot.look && look != Look::Failed && !snapshot.is_unfinished() {
            return snapshot;
        }
        drop(snapshot);
        self.notice();
        self.0.current.load()
    }

    /// Whether the file is to be looked at now, by this request.
    fn is_due(&self) -> bool {
        if self.0.options.recheck.is_none() {
            return true;
        }
        let due = self.0.next_look.load(Ordering::Relaxed);
        sys::coarse_clock() >= due && self.put_off()
    }

    /// Puts the next look off, unless another thread just did.
    fn put_off(&self) -> bool {
        let Some(interval) = self.0.options.recheck else { return true };
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let next = sys::coarse_clock().saturating_add(interval);
        let due = self.0.next_look.load(Ordering::Relaxed);
        self.0.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Reads the state again. Whoever comes meanwhile waits, since what is in
    /// force may be over.
    fn notice(&self) {
        let reload = self.reload();
        let mut trouble = reload.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.0.current.load_full();
        let look = self.0.lookout.look();
        if look == before.look && look != Look::Failed && !before.is_unfinished() {
            return;
        }
        match read(&self.0.source, Some(&before.content)) {
            (look, Ok(Fresh { content, rules, errors })) => {
                let in_force = Consequence::Revision(content.revision());
                let pending = rules.map(|text| Pending { text, pid: std::process::id() });
                self.put_in_force(look, Arc::new(content), pending.clone(), None);
                if std::mem::take(&mut trouble.is_failing) {
                    trouble.told_at = None;
                    self.tell(&Problem { error: None, consequence: in_force });
                }
                trouble.tell(self, errors, Consequence::BuiltinPage);
                if let Some(pending) = pending {
                    self.compile_apart(&pending);
                }
            }
            (look, Err(error)) => {
                self.put_in_force(look, before.content.clone(), None, before.makeshift);
                trouble.is_failing = true;
                trouble.tell(self, vec![error], before.consequence());
            }
        }
    }

    /// The lock of this process.
    fn reload(&self) -> Arc<Reload> {
        let reload = self.0.reload.load_full();
        if reload.pid == std::process::id() {
            return reload;
        }
        let own = Arc::new(Reload::new());
        self.0.reload.store(own.clone());
        own
    }

    fn put_in_force(
        &self,
        look: Look,
        content: Arc<Content>,
        pending: Option<Pending>,
        makeshift: Option<Consequence>,
    ) {
        let is_unsettled = snapshot::is_unsettled(look);
        let snapshot = Snapshot { look, is_unsettled, content, pending, makeshift };
        self.0.current.store(Arc::new(snapshot));
    }

    /// Compiles rules off the path of the requests; those from before stay in
    /// force until then.
    fn compile_apart(&self, pending: &Pending) {
        let thread = std::thread::Builder::new().name("maint-rules".to_owned());
        let (gate, of_thread) = (self.clone(), pending.clone());
        if thread.spawn(move || gate.compile(&of_thread)).is_err() {
            // Without a thread it takes longer, and is done all the same.
            self.compile(pending);
        }
    }

    fn compile(&self, pending: &Pending) {
        let compiled = snapshot::compile(&self.0.source, &pending.text);
        let rules = compiled.as_ref().ok();
        self.0.current.rcu(|now| {
            let is_meant =
                now.pending.as_ref().is_some_and(|of| Arc::ptr_eq(&of.text, &pending.text));
            if !is_meant {
                return now.clone();
            }
            let content = rules.map_or_else(
                || now.content.clone(),
                |rules| Arc::new(now.content.with_rules(pending.text.clone(), rules.clone())),
            );
            Arc::new(Snapshot { content, pending: None, ..**now })
        });
        if let Err(error) = compiled {
            let consequence = self.0.current.load().consequence();
            self.tell(&Problem { error: Some(error), consequence });
        }
    }

    fn tell(&self, problem: &Problem) {
        match &self.0.options.on_problem {
            Some(tell) => tell(problem),
            None => eprintln!("maint: {problem}"),
        }
    }
}

impl Reload {
    fn new() -> Self {
        Self { pid: std::process::id(), trouble: Mutex::default() }
    }
}

impl Trouble {
    /// Tells of trouble, unless that was done just now.
    fn tell(&mut self, gate: &Gate, errors: Vec<Error>, consequence: Consequence) {
        if errors.is_empty() || self.told_at.is_some_and(|at| at.elapsed() < TOLD_EVERY) {
            return;
        }
        // A page that fails is told of with each state that has it.
        self.told_at = self.is_failing.then(Instant::now);
        for error in errors {
            gate.tell(&Problem { error: Some(error), consequence });
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gate").field(&self.0.source.state).finish()
    }
}

impl Snapshot {
    /// What requests meet if the state cannot be read any more.
    fn consequence(&self) -> Consequence {
        self.makeshift.unwrap_or_else(|| Consequence::Revision(self.content.revision()))
    }

    /// Whether it has to be gone over again although the file looks the same.
    fn is_unfinished(&self) -> bool {
        // What a forked process was compiling, its child has to compile itself.
        self.pending.as_ref().is_some_and(|pending| pending.pid != std::process::id())
            || self.is_unsettled && !snapshot::is_unsettled(self.look)
    }
}

/// What the file looked like, and what came of reading it.
type Reading = (Look, Result<Fresh>);

/// Reads the state. A file that makes no sense is not read again before it
/// changes; one that cannot be read is.
fn read(source: &Source, before: Option<&Content>) -> Reading {
    match load::bytes(&source.state) {
        Ok(Some((key, bytes))) => (Look::File(key), snapshot::read(source, &bytes, before)),
        Ok(None) if source.directory().is_dir() => {
            let nothing = Content::of(State::default());
            let fresh = nothing.map(|content| Fresh { content, rules: None, errors: Vec::new() });
            (Look::Missing, fresh)
        }
        Ok(None) => (
            Look::Failed,
            Err(Error::NotASite {
                path: source.directory().to_owned(),
                reason: "there is no such directory".to_owned(),
                hint: Some("make it: `maint init`".to_owned()),
            }),
        ),
        Err(error) => (Look::Failed, Err(error)),
    }
}

/// The state that blocks everything until there is a better one.
fn closed() -> State {
    let mut state = State::default();
    let now = crate::time::now();
    let settings = crate::state::WindowSettings {
        page: crate::page::PageSettings { retry_after: Some(30), ..Default::default() },
        ..Default::default()
    };
    let actor = crate::Actor::default();
    // The settings are sound, so this cannot fail; were it to, nothing would be blocked.
    let _ = state.open_window("unreadable-state", &settings, now, &actor);
    state
}
