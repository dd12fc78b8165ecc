//! The service manager that began this process, see `sd_notify(3)`.

use std::time::{Duration, Instant};

/// A service manager, if one asks to be told. Where nobody listens, nothing happens.
pub(crate) struct Manager {
    watchdog: Option<Duration>,
    tell_at: Instant,
    told: Option<String>,
}

impl Manager {
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> Self {
        let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 3);
        Self { watchdog, tell_at: Instant::now(), told: None }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new() -> Self {
        Self { watchdog: None, tell_at: Instant::now(), told: None }
    }

    /// How often it wants to hear that this process is alive, if it does.
    #[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "an agent has its own turns"))]
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells that this process is ready and alive, and what it does.
    pub(crate) fn tell(&mut self, status: &str) {
        let is_alive_due = self.watchdog.is_some() && Instant::now() >= self.tell_at;
        if let Some(interval) = self.watchdog.filter(|_| is_alive_due) {
            self.tell_at = Instant::now() + interval;
            Self::notify(&[State::Alive]);
        }
        if self.told.as_deref() != Some(status) {
            Self::notify(&[State::Ready, State::Status(status)]);
            self.told = Some(status.to_owned());
        }
    }

    /// Tells that this process is about to end.
    pub(crate) fn leave() {
        Self::notify(&[State::Stopping]);
    }

    #[cfg(target_os = "linux")]
    fn notify(states: &[State<'_>]) {
        use sd_notify::NotifyState;
        let states: Vec<NotifyState<'_>> = states
            .iter()
            .map(|state| match state {
                State::Ready => NotifyState::Ready,
                State::Alive => NotifyState::Watchdog,
                State::Stopping => NotifyState::Stopping,
                State::Status(text) => NotifyState::Status(text),
            })
            .collect();
        // Whether the manager heard it is its affair.
        let _ = sd_notify::notify(&states);
    }

    #[cfg(not(target_os = "linux"))]
    fn notify(_states: &[State<'_>]) {}
}

/// What a service manager can be told.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nobody listens"))]
enum State<'a> {
    Ready,
    Alive,
    Stopping,
    Status(&'a str),
}
