//! What a client may take.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
    asked: Arc<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    /// Milliseconds since the beginning.
    at: AtomicU64,
    /// Whether something has come since: a part of the next question.
    is_amid: AtomicBool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), asked: Arc::default() }
    }

    /// A whole question has come.
    pub(super) fn asks(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.asked.at.store(now, Ordering::Relaxed);
        self.asked.is_amid.store(false, Ordering::Relaxed);
    }

    /// Whether a part of a question has come.
    pub(super) fn is_amid(&self) -> bool {
        self.asked.is_amid.load(Ordering::Relaxed)
    }

    /// Waits until no question has come for so long.
    pub(super) async fn stalls(&self, patience: Duration) {
        loop {
            let asked = Duration::from_millis(self.asked.at.load(Ordering::Relaxed));
            let due = self.begun + asked + patience;
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// A connection that shows when something comes.
pub(super) struct Heard<S> {
    stream: S,
    pace: Pace,
}

impl<S> Heard<S> {
    pub(super) fn new(stream: S, pace: Pace) -> Self {
        Self { stream, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pace.asked.is_amid.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
