//! The agent-check of `HAProxy`: a word about a site for whoever connects.

use std::io;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::endpoint::Endpoint;
use super::listen::Listener;
use crate::error::{Error, Result};
use crate::state::Phase;

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
        match (endpoint.site(self.site.as_deref()), &self.site) {
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
        let Some(served) = endpoint.site(self.site.as_deref()) else { return b"down\n" };
        let current = served.gate.current();
        // A part of a site is for the gate alone: this stops all of it.
        let mut open = current.state().windows_in(Phase::Open, Timestamp::now());
        if open.any(|(_, window)| window.scope.is_whole()) { self.down } else { b"ready up\n" }
    }

    /// Says the word to one who has connected. It has room in a new socket, so this waits for
    /// nobody.
    pub(super) async fn tell(
        &self,
        endpoint: &Endpoint,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        stream.write_all(self.word(endpoint)).await?;
        stream.shutdown().await
    }
}

/// Waits until a client that was told the word is gone. A socket that is closed before all is
/// read resets the connection, and the word is lost.
pub(super) async fn linger(stream: impl AsyncRead + Unpin) {
    let mut sent = Vec::new();
    let _ = stream.take(MAX_SENT).read_to_end(&mut sent).await;
}
