//! The agent-check of `HAProxy`: a word about a site for whoever connects.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Semaphore, watch};

use super::endpoint::Endpoint;
use super::listen::Listener;
use super::server::{Accepting, Limits, Stream, has_ended};
use crate::error::{Error, Result};
use crate::state::Phase;

/// How many connections are served at once. `HAProxy` has one for each of its servers, for a
/// moment.
const CONNECTIONS: usize = 64;

/// The most that is read of what `HAProxy` sends, which says nothing.
const MAX_SENT: u64 = 1024;

/// A socket where `HAProxy` asks about a site.
pub struct AgentCheck {
    pub(super) listener: Listener,
    site: Option<String>,
    /// The word for a site that is down.
    down: &'static [u8],
}

impl AgentCheck {
    /// Answers for the site of a name, or for the only one. With `drain`, connections that there
    /// are may go on while it is down.
    #[must_use]
    pub fn new(listener: Listener, site: Option<String>, drain: bool) -> Self {
        Self { listener, site, down: if drain { b"drain\n" } else { b"maint\n" } }
    }

    /// Checks that there is such a site.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if there is not.
    pub fn validate(&self, endpoint: &Endpoint) -> Result<()> {
        match (endpoint.site(self.site.as_deref(), None), &self.site) {
            (Some(_), _) => Ok(()),
            (None, Some(name)) => Err(Error::invalid(format!("no site has the name `{name}`"))),
            (None, None) => Err(Error::invalid_with(
                "an agent-check answers for one site, and several are served",
                "write `NAME=ADDRESS:PORT`",
            )),
        }
    }

    /// What is said now. It is `ready` as well as `up`, since that alone ends a `maint`. While
    /// the state cannot be read, the last good one stays in force here as everywhere.
    fn word(&self, endpoint: &Endpoint) -> &'static [u8] {
        let Some(served) = endpoint.site(self.site.as_deref(), None) else { return b"down\n" };
        let current = served.gate.current();
        // A part of a site is for the gate alone: this stops all of it.
        let mut open = current.state().windows_in(Phase::Open, Timestamp::now());
        if open.any(|(_, window)| window.scope.is_whole()) { self.down } else { b"ready up\n" }
    }

    pub(super) async fn run(
        self,
        endpoint: Arc<Endpoint>,
        listener: Accepting,
        limits: Limits,
        mut ended: watch::Receiver<bool>,
    ) {
        let check = Arc::new(self);
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = room.clone().acquire_owned().await else { return };
            tokio::select! {
                stream = listener.accept() => match stream {
                    Ok(stream) => {
                        let (check, endpoint) = (check.clone(), endpoint.clone());
                        tokio::spawn(async move {
                            let told = tell(stream, check.word(&endpoint));
                            let _ = tokio::time::timeout(limits.patience, told).await;
                            drop(place);
                        });
                    }
                    // None is left to be had, for now.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                },
                () = has_ended(&mut ended) => return,
            }
        }
    }
}

async fn tell(mut stream: Stream, word: &[u8]) -> std::io::Result<()> {
    stream.write_all(word).await?;
    stream.shutdown().await?;
    // A socket that is closed before all is read resets the connection, and the word is lost.
    let mut sent = Vec::new();
    stream.take(MAX_SENT).read_to_end(&mut sent).await?;
    Ok(())
}
