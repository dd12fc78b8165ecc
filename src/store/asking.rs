//! Asking the engine of a fleet, again while it is away, for as long as the caller waits.

use std::thread;
use std::time::{Duration, Instant};

use super::options::{OnRetry, Options};
use crate::error::{Error, Result};
use crate::fleet::{Document, Engine, Failure, FailureKind, Following, Outcome, Snapshot};

/// An engine needs some time to answer, even if nobody wants to wait.
pub(super) const LEAST: Duration = Duration::from_secs(2);

/// The shortest time that an engine gets for one answer, however late it is.
const SHORTEST: Duration = Duration::from_millis(200);

/// How long to wait before an engine is asked again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// A conversation with an engine.
pub(super) struct Asking<'a> {
    pub(super) following: &'a Following,
    pub(super) engine: Box<dyn Engine>,
    until: Instant,
    pause: Duration,
    can_wait: bool,
    on_retry: Option<OnRetry<'a>>,
}

impl<'a> Asking<'a> {
    pub(super) fn begin(options: &Options<'a>, following: &'a Following) -> Result<Self> {
        Ok(Self {
            following,
            engine: following.open().map_err(|failure| following.failed(failure))?,
            until: Instant::now() + options.patience.max(LEAST),
            pause: PAUSES.0,
            can_wait: !options.patience.is_zero(),
            on_retry: options.on_retry,
        })
    }

    pub(super) fn failed(&self, failure: Failure) -> Error {
        self.following.failed(failure)
    }

    /// How long the caller still waits.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// How long the engine may take for the next answer.
    pub(super) fn within(&self) -> Duration {
        self.left().max(SHORTEST)
    }

    /// Asks, and again while the engine is away and there is time. What is asked must change
    /// nothing.
    pub(super) fn ask<T>(
        &mut self,
        ask: impl Fn(&mut dyn Engine, Duration) -> Outcome<T>,
    ) -> Result<T> {
        loop {
            let within = self.within();
            match ask(&mut *self.engine, within) {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.wait_after(failure)?,
            }
        }
    }

    /// Waits for a moment after a failure that may pass.
    pub(super) fn wait_after(&mut self, failure: Failure) -> Result<()> {
        let may_pass =
            failure.kind == FailureKind::Unavailable && self.can_wait && self.left() > self.pause;
        if !may_pass {
            return Err(self.failed(failure));
        }
        if let Some(call) = self.on_retry.take() {
            call(&self.following.address.to_string(), &failure.reason);
        }
        thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
        Ok(())
    }

    /// The document, if there is one that can be understood.
    pub(super) fn document(&mut self) -> Result<Option<(Snapshot, Document)>> {
        let Some(snapshot) = self.ask(|engine, within| engine.load(within))? else {
            return Ok(None);
        };
        let document = Document::from_json(&snapshot.document)
            .map_err(|odd| self.failed(Failure::protocol(odd.to_string())))?;
        Ok(Some((snapshot, document)))
    }

    /// The same, where one has to be.
    pub(super) fn known_document(&mut self) -> Result<(Snapshot, Document)> {
        self.document()?.ok_or_else(|| {
            let site = &self.following.address.site;
            let reason = format!("there is no document of the site `{site}`");
            self.failed(Failure::protocol(reason).with_hint(
                "`maint init` begins one; `maint store import`, on a host that still has the last \
                 state, puts that there again",
            ))
        })
    }
}
