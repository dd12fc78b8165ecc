//! What monitors see of a site: the state in force, and what has to be looked for on the disk.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::flags::{self, Standing};
use crate::site::Site;
use crate::store::agent::{Duty, duty};

/// How long what was found holds good, so that many monitors cost no more than one.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// How long a monitor waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was found on the disk.
#[derive(Clone, Default)]
pub(super) struct Found {
    /// Where each flag stands; `None` if that cannot be told.
    pub(super) flags: Option<Vec<Standing>>,
    /// Whether an agent runs; `None` if that cannot be told.
    pub(super) has_agent: Option<bool>,
}

/// What was found last.
#[derive(Default)]
pub(super) struct LastFound {
    looks: Arc<Looks>,
}

#[derive(Default)]
struct Looks {
    last: Mutex<Last>,
    done: Condvar,
}

#[derive(Default)]
struct Last {
    /// At which revision, and when.
    found: Option<(u64, Instant, Found)>,
    is_looking: bool,
}

impl LastFound {
    /// Looks for what is not part of the state. One looks at a time, and others share what it
    /// finds. A disk or a command of a flag that takes long is waited for no longer than monitors
    /// wait: nothing is known then.
    pub(super) fn look(&self, site: &Site, revision: u64, now: Timestamp) -> Found {
        let until = Instant::now() + PATIENCE;
        let mut last = self.looks.last();
        loop {
            if let Some((of, at, found)) = &last.found
                && *of == revision
                && at.elapsed() < SHARED_FOR
            {
                return found.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Found::default();
            }
            if !last.is_looking {
                let (looks, site) = (self.looks.clone(), site.clone());
                let look = move || looks.look(&site, revision, now);
                if thread::Builder::new().name("look".to_owned()).spawn(look).is_err() {
                    return Found::default();
                }
                last.is_looking = true;
            }
            let waited = self.looks.done.wait_timeout_while(last, left, |last| last.is_looking);
            last = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Looks {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, site: &Site, revision: u64, now: Timestamp) {
        // The next one looks, whatever becomes of this.
        let _done = Done(self);
        let found = Found::of(site, now);
        self.last().found = Some((revision, Instant::now(), found));
    }
}

/// The end of a look.
struct Done<'l>(&'l Looks);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.last().is_looking = false;
        self.0.done.notify_all();
    }
}

impl Found {
    fn of(site: &Site, now: Timestamp) -> Self {
        // Rules are part of what some flags carry, and the gate keeps none as they were written.
        let flags = site.current().and_then(|site| flags::look(&site, &site.state()?, now)).ok();
        let has_agent = duty(site).ok().map(|duty| matches!(duty, Duty::Runs(_)));
        Self { flags, has_agent }
    }
}
