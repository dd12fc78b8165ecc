//! The rest of a blocked request: what its client still has to send.

use std::pin::Pin;
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

use bytes::Buf as _;
use http::header::EXPECT;
use http::{Request, Version};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::drain::{MAX_READ, PATIENCE};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// It is good for the next request.
    GoesOn,
    /// Something of this request is still to come, so the server has to close it.
    Ends,
}

pin_project! {
    /// Reads the rest of a request, and returns what becomes of the connection.
    #[derive(Debug)]
    pub(super) struct Rest<B> {
        #[pin]
        body: Option<B>,
        unread: Connection,
        read: u64,
        last: Instant,
        alarm: Option<(Instant, Waker)>,
    }
}

impl<B: Body> Rest<B> {
    pub(super) fn of(request: Request<B>) -> Self {
        // HTTP/2 ends a stream without ending the connection.
        let is_over = request.version() >= Version::HTTP_2 || request.body().is_end_stream();
        let unread = if is_over { Connection::GoesOn } else { Connection::Ends };
        // A client that expects `100 Continue` sends nothing if it gets the page
        // instead. Reading the body would send it `100 Continue`.
        let is_read = !is_over
            && !request.headers().contains_key(EXPECT)
            && request.body().size_hint().lower() <= MAX_READ;
        let body = is_read.then(|| request.into_body());
        Self { body, unread, read: 0, last: Instant::now(), alarm: None }
    }

    pub(super) fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Connection> {
        let this = self.project();
        let Some(mut body) = this.body.as_pin_mut() else { return Poll::Ready(*this.unread) };
        loop {
            match body.as_mut().poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    *this.read += frame.data_ref().map_or(0, |data| data.remaining() as u64);
                    *this.last = Instant::now();
                    if *this.read > MAX_READ {
                        return Poll::Ready(Connection::Ends);
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Connection::Ends),
                Poll::Ready(None) => return Poll::Ready(Connection::GoesOn),
                Poll::Pending => break,
            }
        }
        let now = Instant::now();
        if now.duration_since(*this.last) >= PATIENCE {
            return Poll::Ready(Connection::Ends);
        }
        let is_set = this
            .alarm
            .as_ref()
            .is_some_and(|(due, waker)| *due > now && waker.will_wake(context.waker()));
        if !is_set {
            let alarm = (now + PATIENCE, context.waker().clone());
            if !ring_later(alarm.clone()) {
                return Poll::Ready(Connection::Ends);
            }
            *this.alarm = Some(alarm);
        }
        Poll::Pending
    }
}

/// Wakes a task when its time has come, whatever runtime it belongs to. One
/// thread serves all tasks, since they wait equally long and so in order.
/// Returns false if there can be no thread.
fn ring_later(alarm: (Instant, Waker)) -> bool {
    static ALARMS: LazyLock<Option<Sender<(Instant, Waker)>>> = LazyLock::new(|| {
        let (sender, alarms) = mpsc::channel::<(Instant, Waker)>();
        let ring = move || {
            for (due, waker) in alarms {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                waker.wake();
            }
        };
        let thread = thread::Builder::new().name("maint-alarms".to_owned());
        thread.spawn(ring).is_ok().then_some(sender)
    });
    ALARMS.as_ref().is_some_and(|alarms| alarms.send(alarm).is_ok())
}
