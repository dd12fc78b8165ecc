//! Keeps what is in force up to date: when the state file has changed, one request
//! reads it again while others wait.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;

use super::content::{Content, Fresh, Source};
use super::snapshot::{Post, Snapshot, is_unsettled, read};
use super::trouble::{Consequence, OnProblem, Problem, Trouble, Untold};
use crate::error::{Error, Result};
use crate::state::State;
use crate::sys;

/// What is in force, and all that keeps it so.
pub(super) struct Live {
    /// How long a look at the file holds good; absent: look every time.
    recheck: Option<Duration>,
    on_problem: Option<OnProblem>,
    pub(super) current: ArcSwap<Snapshot>,
    /// When the next look is due on the coarse clock, with a recheck interval.
    pub(super) next_look: AtomicU64,
    reload: ArcSwap<Reload>,
    /// Whether it was reported that the app does not tell the client, and the user.
    told: [AtomicBool; 2],
}

/// The lock under which one request at a time reads the state again.
pub(super) struct Reload {
    /// A process forked while another thread held the lock would find it held
    /// forever, so each process has its own.
    pid: u32,
    trouble: Mutex<Trouble>,
}

impl Live {
    /// Reads the state for the first time. If that fails, `makeshift` says what is
    /// in force instead.
    pub(super) fn begin(
        source: Source,
        recheck: Option<Duration>,
        on_problem: Option<OnProblem>,
        makeshift: impl FnOnce(Error) -> Result<(State, Problem)>,
    ) -> Result<Self> {
        let unreadable =
            |path: &Path, cause| Error::Unreadable { path: path.to_owned(), source: cause };
        let path = source.state.clone();
        let post = Post::new(source).map_err(|cause| unreadable(&path, cause))?;
        let mut trouble = Trouble::default();
        let began = Timestamp::now();
        let reading = read(&Arc::new(post), None);
        let seek_at = reading.seek_at();
        let (post, look) = (reading.post, reading.look);
        let (content, consequence, problems) = match reading.read {
            Ok(Fresh { content, errors }) => {
                (content, None, trouble.of_pages(errors, Instant::now()))
            }
            Err(error) => {
                let (state, problem) = makeshift(error)?;
                let content = Arc::new(Content::of(&post.source, state)?);
                (content, Some(problem.consequence), vec![problem])
            }
        };
        let snapshot = Snapshot {
            post,
            seek_at,
            look,
            is_unsettled: is_unsettled(look, began),
            content,
            makeshift: consequence,
            failing: consequence.map(|_| trouble.of_state(None, Instant::now()).0),
        };
        let live = Self {
            recheck,
            on_problem,
            current: ArcSwap::from_pointee(snapshot),
            next_look: AtomicU64::new(0),
            reload: ArcSwap::from_pointee(Reload::new(trouble)),
            told: Default::default(),
        };
        live.put_off(0);
        live.report(&problems);
        Ok(live)
    }

    /// The state file that is looked at.
    pub(super) fn state_file(&self) -> PathBuf {
        self.current.load().post.source.state.clone()
    }

    /// What is in force, after a look at the file if one is due.
    pub(super) fn fresh(&self) -> Guard<Arc<Snapshot>> {
        let snapshot = self.current.load();
        if !self.is_due() || !snapshot.is_outdated(snapshot.post.lookout.look()) {
            return snapshot;
        }
        drop(snapshot);
        self.notice();
        self.current.load()
    }

    /// Whether the file is to be looked at now, by this request.
    fn is_due(&self) -> bool {
        if self.recheck.is_none() {
            return true;
        }
        let due = self.next_look.load(Ordering::Relaxed);
        sys::coarse_clock() >= due && self.put_off(due)
    }

    /// Puts the next look off, unless another thread just did.
    pub(super) fn put_off(&self, due: u64) -> bool {
        let Some(interval) = self.recheck else { return true };
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let next = sys::coarse_clock().saturating_add(interval);
        self.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Reads the state again. Requests that come meanwhile wait, since what is in
    /// force may be over.
    fn notice(&self) {
        let reload = self.reload();
        let trouble = reload.trouble();
        let before = self.current.load_full();
        if before.is_outdated(before.post.lookout.look()) {
            let problems = self.read_again(&before, trouble);
            self.report(&problems);
        }
    }

    /// Reads the state again and puts it in force if it is good. Returns what to
    /// report once the lock is released.
    pub(super) fn read_again(
        &self,
        before: &Snapshot,
        mut trouble: MutexGuard<'_, Trouble>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        let began = Timestamp::now();
        let reading = read(&before.post, Some(before));
        let seek_at = reading.seek_at();
        let (post, look) = (reading.post, reading.look);
        let is_unsettled = is_unsettled(look, began);
        let next = match reading.read {
            Ok(Fresh { content, errors }) => {
                if before.failing.is_some_and(|failing| failing.is_told) {
                    let consequence = Consequence::Revision(content.revision());
                    problems.push(Problem { error: None, consequence });
                }
                problems.extend(trouble.of_pages(errors, Instant::now()));
                let (makeshift, failing) = (None, None);
                Snapshot { post, seek_at, look, is_unsettled, content, makeshift, failing }
            }
            Err(error) => {
                let (failing, is_due) = trouble.of_state(before.failing, Instant::now());
                if is_due {
                    let consequence = before.consequence();
                    problems.push(Problem { error: Some(error), consequence });
                }
                let failing = Some(failing);
                Snapshot { post, seek_at, look, is_unsettled, failing, ..before.clone() }
            }
        };
        self.current.store(Arc::new(next));
        problems
    }

    /// The lock of this process, which its parent's threads cannot hold.
    pub(super) fn reload(&self) -> Arc<Reload> {
        let pid = std::process::id();
        let reload = self.reload.load_full();
        if reload.pid == pid {
            return reload;
        }
        let own = Arc::new(Reload::new(Trouble::default()));
        self.reload.rcu(|now| if now.pid == pid { now.clone() } else { own.clone() });
        self.reload.load_full()
    }

    /// Reports, once for each, a fact that rules ask for and the app does not tell: the operator
    /// adds a rule, nobody gets through, and the command, which knows no app, finds it right.
    pub(super) fn tell(&self, untold: Untold) {
        if !self.told[untold as usize].swap(true, Ordering::Relaxed) {
            self.report(&[untold.problem()]);
        }
    }

    /// Reports a page that could not be made when a visitor asked for it.
    pub(super) fn tell_mishap(&self, mishap: Error) {
        let problems = self.reload().trouble().of_pages(vec![mishap], Instant::now());
        self.report(&problems);
    }

    fn report(&self, problems: &[Problem]) {
        for problem in problems {
            match &self.on_problem {
                Some(call) => call(problem),
                None => sys::say(&format!("maint: {problem}\n")),
            }
        }
    }
}

impl Reload {
    fn new(trouble: Trouble) -> Self {
        Self { pid: std::process::id(), trouble: Mutex::new(trouble) }
    }

    /// Takes the lock, once no other request reads.
    pub(super) fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
