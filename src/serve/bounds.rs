//! What a client may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What a client may take.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How long a connection may go on without a whole question. It bounds all at once: how long
    /// a question takes to come, its answer to be taken, and the next question to begin.
    pub patience: Duration,
    /// How many bytes the head of a question may have, and an answer that waits to be taken.
    pub head: usize,
    /// How many connections are served at once, by all workers together; the others wait to be
    /// accepted. It is less where the process may not have so many descriptors.
    pub connections: usize,
    /// How long connections may go on once the server is to end.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(8),
            head: 64 * 1024,
            connections: 4096,
            drain: Duration::from_secs(10),
        }
    }
}

/// When a connection asked last. A question costs it no timer.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    begun: Instant,
    /// Milliseconds since then.
    asked: Arc<AtomicU64>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), asked: Arc::default() }
    }

    /// A whole question has come.
    pub(super) fn asks(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.asked.store(now, Ordering::Relaxed);
    }

    /// Waits until no question has come for so long.
    pub(super) async fn stalls(&self, patience: Duration) {
        loop {
            let asked = Duration::from_millis(self.asked.load(Ordering::Relaxed));
            let due = self.begun + asked + patience;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}
