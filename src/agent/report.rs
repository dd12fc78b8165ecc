//! The thread that tells the fleet where this host stands.
//!
//! It has a connection of its own, so that a slow engine holds up neither the mirror nor the flags.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::fleet::{Engine, Following, HostReport, INTERVAL, KEEP};
use crate::identity::as_owner;
use crate::site::Site;

/// How long the engine is waited for.
const WITHIN: Duration = Duration::from_secs(3);

/// How long whoever ends waits until the host is withdrawn.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

enum Message {
    Report(Box<HostReport>),
    Withdraw,
}

/// Tells the fleet where this host stands.
pub(super) struct Reporter {
    sender: Sender<Message>,
    thread: Option<JoinHandle<()>>,
    last: Option<HostReport>,
    next: Instant,
}

impl Reporter {
    pub(super) fn begin(site: &Site, following: &Following, host: &str) -> Self {
        let (sender, messages) = mpsc::channel();
        let (site, following, host) = (site.clone(), following.clone(), host.to_owned());
        let thread = thread::spawn(move || stay(&site, &following, &host, &messages));
        Self { sender, thread: Some(thread), last: None, next: Instant::now() }
    }

    /// Tells where the host stands, if that changed, or if it is time again.
    pub(super) fn tell(&mut self, report: &HostReport) {
        let is_news = self
            .last
            .as_ref()
            .is_none_or(|last| HostReport { at: report.at, ..last.clone() } != *report);
        if !is_news && Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + INTERVAL;
        self.last = Some(report.clone());
        // The thread ends only when this is dropped.
        let _ = self.sender.send(Message::Report(Box::new(report.clone())));
    }

    /// This host no longer follows: nobody needs to wait for it.
    pub(super) fn withdraw(mut self) {
        let _ = self.sender.send(Message::Withdraw);
        let until = Instant::now() + FAREWELL;
        while let Some(thread) = &self.thread
            && !thread.is_finished()
            && Instant::now() < until
        {
            thread::sleep(Duration::from_millis(5));
        }
        // An engine that does not answer hears of it by silence.
        self.thread.take().filter(JoinHandle::is_finished).map(JoinHandle::join);
    }
}

fn stay(site: &Site, following: &Following, host: &str, messages: &Receiver<Message>) {
    let mut engine: Option<Box<dyn Engine>> = None;
    let mut owed: Option<Box<HostReport>> = None;
    loop {
        let pause = if owed.is_some() { AGAIN } else { Duration::MAX };
        let mut message = match messages.recv_timeout(pause) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Only the last word counts.
        while let Ok(newer) = messages.try_recv() {
            message = Some(newer);
        }
        if engine.is_none() {
            let opened =
                as_owner(site, || following.open().map_err(|cause| following.failed(cause)));
            engine = opened.ok();
        }
        match message {
            Some(Message::Withdraw) => {
                if let Some(engine) = &mut engine {
                    let _ = engine.withdraw(host, FAREWELL);
                }
                return;
            }
            Some(Message::Report(report)) => owed = Some(report),
            None => {}
        }
        let (Some(report), Some(open)) = (&owed, &mut engine) else { continue };
        let Ok(text) = serde_json::to_vec(report) else { continue };
        match open.report(host, &text, KEEP, WITHIN) {
            Ok(()) => owed = None,
            Err(_) => engine = None,
        }
    }
}
