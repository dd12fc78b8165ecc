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
mod trouble;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use plan::RulesPlan;
use trouble::Trouble;

pub use plan::{Decision, Plan};
pub(crate) use trouble::Failing;
pub use trouble::{Consequence, OnProblem, Problem};

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
    /// shared: set `Cache-Control` to [`Pass::CACHE_CONTROL`] (requirement 50).
    pub is_private: bool,
}

impl Pass {
    /// Keeps an answer out of every cache that somebody else reads.
    pub const CACHE_CONTROL: &'static str = "private, no-store";

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
        let mut trouble = Trouble::default();
        let mut problems = Vec::new();
        let began = Timestamp::now();
        let (look, content, makeshift) = match read(&source, None) {
            (look, Ok(fresh)) => {
                problems.extend(trouble.of_pages(fresh.errors, Instant::now()));
                (look, fresh.content, None)
            }
            (look, Err(error)) => {
                let (state, consequence) = match options.on_error {
                    OnError::Refuse => return Err(error),
                    OnError::Open => (State::default(), Consequence::Open),
                    OnError::Closed => (closed(), Consequence::Closed),
                };
                problems.push(Problem { error: Some(error), consequence });
                (look, Arc::new(Content::of(state)?), Some(consequence))
            }
        };
        let failing = makeshift.map(|_| trouble.of_state(None, Instant::now()).0);
        let snapshot = Snapshot {
            look,
            is_unsettled: snapshot::is_unsettled(look, began),
            content,
            pending: None,
            makeshift,
            failing,
        };
        let inner = Inner {
            lookout,
            source,
            options,
            current: ArcSwap::from_pointee(snapshot),
            next_look: AtomicU64::new(0),
            reload: ArcSwap::from_pointee(Reload::new(trouble)),
        };
        let gate = Self(Arc::new(inner));
        gate.put_off(0);
        gate.tell(&problems);
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
        if !self.is_due() || !snapshot.is_outdated(self.0.lookout.look()) {
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
        sys::coarse_clock() >= due && self.put_off(due)
    }

    /// Puts the next look off, unless another thread just did.
    fn put_off(&self, due: u64) -> bool {
        let Some(interval) = self.0.options.recheck else { return true };
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let next = sys::coarse_clock().saturating_add(interval);
        self.0.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Reads the state again. Whoever comes meanwhile waits, since what is in
    /// force may be over.
    fn notice(&self) {
        let reload = self.reload();
        let trouble = reload.lock();
        let before = self.0.current.load_full();
        if before.is_outdated(self.0.lookout.look()) {
            let problems = self.read_again(&before, trouble);
            self.tell(&problems);
        }
    }

    /// Reads the state again and puts it in force, unless it is no good; returns
    /// what is to be told, for which the lock must not be held.
    fn read_again(&self, before: &Snapshot, mut trouble: MutexGuard<'_, Trouble>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let began = Timestamp::now();
        let (look, read) = read(&self.0.source, Some(before));
        let is_unsettled = snapshot::is_unsettled(look, began);
        match read {
            Ok(Fresh { content, pending, errors }) => {
                if before.failing.is_some_and(|failing| failing.is_told) {
                    let consequence = Consequence::Revision(content.revision());
                    problems.push(Problem { error: None, consequence });
                }
                problems.extend(trouble.of_pages(errors, Instant::now()));
                let next = Snapshot {
                    look,
                    is_unsettled,
                    content,
                    pending,
                    makeshift: None,
                    failing: None,
                };
                self.0.current.store(Arc::new(next));
            }
            Err(error) => {
                let (failing, is_due) = trouble.of_state(before.failing, Instant::now());
                if is_due {
                    let consequence = before.consequence();
                    problems.push(Problem { error: Some(error), consequence });
                }
                // What is being compiled belongs to the last good state.
                let pending = before.pending.as_ref().map(Pending::of_this_process);
                let failing = Some(failing);
                let next = Snapshot { look, is_unsettled, pending, failing, ..before.clone() };
                self.0.current.store(Arc::new(next));
            }
        }
        if let Some(pending) = &self.0.current.load().pending
            && !before.pending.as_ref().is_some_and(|known| known.is_same(pending))
        {
            problems.extend(self.compile_apart(pending, trouble));
        }
        problems
    }

    /// The lock of this process, which its parent's threads cannot hold.
    fn reload(&self) -> Arc<Reload> {
        let pid = std::process::id();
        let reload = self.0.reload.load_full();
        if reload.pid == pid {
            return reload;
        }
        let own = Arc::new(Reload::new(Trouble::default()));
        self.0.reload.rcu(|now| if now.pid == pid { now.clone() } else { own.clone() });
        self.0.reload.load_full()
    }

    /// Compiles rules off the path of the requests; those from before stay in
    /// force until then.
    fn compile_apart(&self, pending: &Pending, trouble: MutexGuard<'_, Trouble>) -> Vec<Problem> {
        let thread = std::thread::Builder::new().name("maint-rules".to_owned());
        let (gate, of_thread) = (self.clone(), pending.clone());
        let started = thread.spawn(move || {
            let compiled = snapshot::compile(&gate.0.source, &of_thread.text);
            let reload = gate.reload();
            let problems = gate.install(&of_thread, compiled, reload.lock());
            gate.tell(&problems);
        });
        match started {
            Ok(_) => Vec::new(),
            // Without a thread it takes longer, and is done all the same.
            Err(_) => {
                let compiled = snapshot::compile(&self.0.source, &pending.text);
                self.install(pending, compiled, trouble)
            }
        }
    }

    /// Puts rules in force, if they are still meant. If they are no good,
    /// neither is the state they are from.
    fn install(
        &self,
        pending: &Pending,
        compiled: Result<Arc<RulesPlan>>,
        mut trouble: MutexGuard<'_, Trouble>,
    ) -> Vec<Problem> {
        let now = self.0.current.load_full();
        if !now.pending.as_ref().is_some_and(|meant| meant.is_same(pending)) {
            return Vec::new();
        }
        let mut next = Snapshot { pending: None, ..Snapshot::clone(&now) };
        let mut problems = Vec::new();
        match compiled {
            Ok(rules) => {
                next.content = Arc::new(now.content.with_rules(pending.text.clone(), rules));
            }
            Err(error) => {
                next.content = pending.whole.clone();
                let (failing, is_due) = trouble.of_state(now.failing, Instant::now());
                next.failing = Some(failing);
                if is_due {
                    let consequence = next.consequence();
                    problems.push(Problem { error: Some(error), consequence });
                }
            }
        }
        self.0.current.store(Arc::new(next));
        problems
    }

    fn tell(&self, problems: &[Problem]) {
        for problem in problems {
            match &self.0.options.on_problem {
                Some(tell) => tell(problem),
                None => sys::say(&format!("maint: {problem}\n")),
            }
        }
    }
}

impl Reload {
    fn new(trouble: Trouble) -> Self {
        Self { pid: std::process::id(), trouble: Mutex::new(trouble) }
    }

    fn lock(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether the state has to be read again, now that its file looks like this.
    fn is_outdated(&self, look: Look) -> bool {
        look != self.look || look == Look::Failed || self.is_unfinished()
    }

    /// Whether it has to be gone over again although the file looks the same.
    fn is_unfinished(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| !pending.is_of_this_process())
            || self.is_unsettled && !snapshot::is_unsettled(self.look, Timestamp::now())
            || self.failing.is_some_and(|failing| failing.again_at <= Instant::now())
    }
}

/// What the file looked like, and what came of reading it.
type Reading = (Look, Result<Fresh>);

/// Reads the state. A file that makes no sense is not read again before it
/// changes, or has to be told of again; one that cannot be read is.
fn read(source: &Source, before: Option<&Snapshot>) -> Reading {
    match load::bytes(&source.state) {
        Ok(Some((key, bytes))) => {
            let look = Look::File(key);
            (look, snapshot::read(source, look, &bytes, before))
        }
        Ok(None) => match source.missing_directory() {
            None => {
                let fresh = Content::of(State::default()).map(|nothing| Fresh {
                    content: Arc::new(nothing),
                    pending: None,
                    errors: Vec::new(),
                });
                (Look::Missing, fresh)
            }
            Some(error) => (Look::Failed, Err(error)),
        },
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
