//! What monitors see of a site: the state in force, and what has to be looked for on the disk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::flags::{self, Standing};
use crate::site::Site;
use crate::store::agent::{Duty, duty};

/// How long what was found holds good, so that many monitors cost no more than one.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// What was found on the disk.
#[derive(Clone, Default)]
pub(super) struct Found {
    /// Where each flag stands; `None` if that cannot be told.
    pub(super) flags: Option<Vec<Standing>>,
    /// Whether an agent runs; `None` if that cannot be told.
    pub(super) has_agent: Option<bool>,
}

/// What was found last: at which revision, and when.
#[derive(Default)]
pub(super) struct LastFound {
    last: Mutex<Option<(u64, Instant, Found)>>,
}

impl LastFound {
    /// Looks for what is not part of the state. One looks at a time, and others share what it
    /// finds.
    pub(super) fn look(&self, site: &Site, revision: u64, now: Timestamp) -> Found {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, at, found)) = &*last
            && *of == revision
            && at.elapsed() < SHARED_FOR
        {
            return found.clone();
        }
        let found = Found::of(site, now);
        *last = Some((revision, Instant::now(), found.clone()));
        found
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
