//! The state is read again when its file has changed: by one request, while the
//! others that come wait for it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::Guard;
use jiff::Timestamp;

use super::plan::RulesPlan;
use super::snapshot::{self, Content, Fresh, Pending, Snapshot, Source};
use super::trouble::Trouble;
use super::{Consequence, Gate, Problem};
use crate::error::Result;
use crate::load;
use crate::state::State;
use crate::sys::{self, Look};

/// Who reads the state again, one at a time.
pub(super) struct Reload {
    /// A process forked off while another thread held the lock would find it
    /// held for ever; so each process has its own.
    pid: u32,
    trouble: Mutex<Trouble>,
}

impl Gate {
    /// What is in force, after a look at the file if one is due.
    pub(super) fn fresh(&self) -> Guard<Arc<Snapshot>> {
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
    pub(super) fn put_off(&self, due: u64) -> bool {
        let Some(interval) = self.0.options.recheck else { return true };
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let next = sys::coarse_clock().saturating_add(interval);
        self.0.next_look.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Reads the state again. Whoever comes meanwhile waits, since what is in
    /// force may be over.
    fn notice(&self) {
        let reload = self.reload();
        let trouble = reload.trouble();
        let before = self.0.current.load_full();
        if before.is_outdated(self.0.lookout.look()) {
            let problems = self.read_again(&before, trouble);
            self.tell(&problems);
        }
    }

    /// Reads the state again and puts it in force, unless it is no good; returns
    /// what is to be told, for which the lock must not be held.
    pub(super) fn read_again(
        &self,
        before: &Snapshot,
        mut trouble: MutexGuard<'_, Trouble>,
    ) -> Vec<Problem> {
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
    pub(super) fn reload(&self) -> Arc<Reload> {
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
            let problems = gate.install(&of_thread, compiled, reload.trouble());
            gate.tell(&problems);
        });
        if started.is_ok() {
            return Vec::new();
        }
        // Without a thread it takes longer, and is done all the same.
        let compiled = snapshot::compile(&self.0.source, &pending.text);
        self.install(pending, compiled, trouble)
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

    pub(super) fn tell(&self, problems: &[Problem]) {
        for problem in problems {
            match &self.0.options.on_problem {
                Some(tell) => tell(problem),
                None => sys::say(&format!("maint: {problem}\n")),
            }
        }
    }
}

impl Reload {
    pub(super) fn new(trouble: Trouble) -> Self {
        Self { pid: std::process::id(), trouble: Mutex::new(trouble) }
    }

    /// Waits for whoever reads now.
    pub(super) fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// What requests meet if the state cannot be read any more.
    fn consequence(&self) -> Consequence {
        self.makeshift.unwrap_or_else(|| Consequence::Revision(self.content.revision()))
    }

    /// Whether the state has to be read again, now that its file looks like this.
    pub(super) fn is_outdated(&self, look: Look) -> bool {
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
pub(super) type Reading = (Look, Result<Fresh>);

/// Reads the state. A file that makes no sense is not read again before it
/// changes, or has to be told of again; one that cannot be read is.
pub(super) fn read(source: &Source, before: Option<&Snapshot>) -> Reading {
    match load::bytes(&source.state) {
        Ok(Some((key, bytes))) => {
            let look = Look::File(key);
            (look, snapshot::read(source, look, &bytes, before))
        }
        Ok(None) => match source.missing_directory() {
            None => {
                let fresh = Content::of(source, State::default()).map(|nothing| Fresh {
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
