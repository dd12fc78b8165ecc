//! Connections, and what bounds them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Barrier, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;

use super::agent_check::{AgentCheck, linger};
use super::bounds::{Heard, Limits, Pace};
use super::endpoint::{Endpoint, Step, plain};
use super::listen::{Listener, Socket};
use crate::sys;

/// How many clients may stay at each address after an agent-check. `HAProxy` has one for each of
/// its servers, for a moment.
const AGENT_CHECKS: usize = 64;

/// How long a kept connection stays open for a question that is on its way when the server is to
/// end. It is answered then, and the answer closes the connection.
const LINGER: Duration = Duration::from_millis(250);

/// How many descriptors are for other things than connections and workers: state files above all.
const OTHER_DESCRIPTORS: usize = 64;

/// How many descriptors a worker has besides its ends of the sockets.
const WORKER_DESCRIPTORS: usize = 4;

/// How many header fields a question may have: more than any client sends. Room for all of them is
/// taken for each question, so that more would cost all.
const MAX_FIELDS: usize = 512;

/// How far the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serves,
    /// It answers what has been asked.
    Drains,
    /// It has no more time.
    Ends,
}

/// An endpoint with the sockets where it is asked.
pub struct Server {
    endpoint: Arc<Endpoint>,
    listeners: Vec<Listener>,
    agent_checks: Vec<AgentCheck>,
    limits: Limits,
    workers: usize,
    pulse: Option<(Duration, Arc<Pulse>)>,
}

impl Server {
    /// Makes a server with one worker.
    #[must_use]
    pub fn new(endpoint: Endpoint, listeners: Vec<Listener>) -> Self {
        let endpoint = Arc::new(endpoint);
        let (agent_checks, limits) = (Vec::new(), Limits::default());
        Self { endpoint, listeners, agent_checks, limits, workers: 1, pulse: None }
    }

    /// Sets what a client may take.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets where `HAProxy` asks.
    #[must_use]
    pub fn agent_checks(self, agent_checks: Vec<AgentCheck>) -> Self {
        Self { agent_checks, ..self }
    }

    /// Sets how many threads answer, each with connections of its own.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers: workers.max(1), ..self }
    }

    /// Calls something now and then, as long as every worker is alive.
    #[must_use]
    pub fn while_alive(self, every: Duration, call: impl FnMut() + Send + 'static) -> Self {
        let pulse = Pulse { beats: Mutex::new(Beats { seen: Vec::new(), call: Box::new(call) }) };
        Self { pulse: Some((every, Arc::new(pulse))), ..self }
    }

    /// Answers until `ended` returns, and then what has been asked by then; if it returns a second
    /// time, at most that. `ended` waits in a thread of its own.
    ///
    /// # Errors
    ///
    /// If a socket or a thread is not to be had.
    pub fn run(mut self, mut ended: impl FnMut() + Send + 'static) -> io::Result<()> {
        let (phase, _) = watch::channel(Phase::Serves);
        let limits = self.limits_here();
        if let Some((_, pulse)) = &self.pulse {
            pulse.expect(self.workers);
        }
        let leaving: Vec<_> = self.listeners.iter().map(|it| it.leaving(self.workers)).collect();
        let mut workers = Vec::new();
        for number in 0..self.workers {
            let sockets = self.listeners.iter().map(|it| it.socket.shared());
            let sockets =
                sockets.zip(&leaving).map(|(socket, leaving)| Ok((socket?, leaving.clone())));
            let sockets = sockets.collect::<io::Result<_>>()?;
            let worker =
                Worker { endpoint: self.endpoint.clone(), limits, phase: phase.subscribe() };
            let pulse = self.pulse.clone();
            // They are few, so one thread answers all of them.
            let agent_checks = std::mem::take(&mut self.agent_checks);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .max_blocking_threads(2)
                .build()?;
            let begun = thread::Builder::new().name(format!("serve-{number}"));
            workers.push(begun.spawn(move || {
                let done = runtime.block_on(async {
                    if let Some((every, pulse)) = pulse {
                        tokio::spawn(pulse.beat(number, every));
                    }
                    worker.run(sockets, agent_checks).await
                });
                // A disk that hangs holds up nobody here.
                runtime.shutdown_background();
                done
            })?);
        }
        let mut listeners = std::mem::take(&mut self.listeners);
        thread::Builder::new().name("ended".to_owned()).spawn(move || {
            ended();
            listeners.iter_mut().for_each(Listener::withdraw);
            phase.send_replace(Phase::Drains);
            // The workers close their own ends.
            drop(listeners);
            ended();
            phase.send_replace(Phase::Ends);
        })?;
        for worker in workers {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a worker has died")))?;
        }
        Ok(())
    }

    /// What a client may take of one worker, as far as this process may have descriptors.
    fn limits_here(&self) -> Limits {
        let mut connections = self.limits.connections;
        if let Some(most) = sys::raise_descriptors() {
            // Connections never take what the workers and the files that they read need.
            let workers = self.workers * (WORKER_DESCRIPTORS + self.listeners.len());
            let checks = self.agent_checks.len() * AGENT_CHECKS;
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let other = OTHER_DESCRIPTORS + workers + checks;
            connections = connections.min(most.saturating_sub(other));
        }
        Limits { connections: (connections / self.workers).max(1), ..self.limits }
    }
}

/// What is called as long as every worker is alive.
struct Pulse {
    beats: Mutex<Beats>,
}

struct Beats {
    /// Which worker has shown itself since the last call.
    seen: Vec<bool>,
    call: Box<dyn FnMut() + Send>,
}

impl Pulse {
    fn expect(&self, workers: usize) {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).seen = vec![false; workers];
    }

    async fn beat(self: Arc<Self>, worker: usize, every: Duration) {
        loop {
            {
                let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
                beats.seen[worker] = true;
                if beats.seen.iter().all(|seen| *seen) {
                    beats.seen.fill(false);
                    (beats.call)();
                }
            }
            tokio::time::sleep(every).await;
        }
    }
}

/// One thread that answers.
#[derive(Clone)]
struct Worker {
    endpoint: Arc<Endpoint>,
    limits: Limits,
    phase: watch::Receiver<Phase>,
}

impl Worker {
    async fn run(self, sockets: Vec<(Socket, Leaving)>, checks: Vec<AgentCheck>) -> io::Result<()> {
        for check in checks {
            let listener = Accepting::new(check.listener.socket.shared()?)?;
            tokio::spawn(self.clone().check(listener, check));
        }
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let accepting: Vec<_> = sockets
            .into_iter()
            .map(|(socket, leaving)| {
                let listener = Accepting::new(socket)?;
                Ok(tokio::spawn(self.clone().accept(listener, leaving, room.clone())))
            })
            .collect::<io::Result<_>>()?;
        let mut phase = self.phase.clone();
        let _ = phase.wait_for(|phase| *phase >= Phase::Drains).await;
        let drained = async {
            for one in accepting {
                let _ = one.await;
            }
            // Every connection has given back its place.
            let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
            let _ = room.acquire_many(all).await;
        };
        tokio::select! {
            () = drained => (),
            () = tokio::time::sleep(self.limits.drain) => (),
            _ = phase.wait_for(|phase| *phase == Phase::Ends) => (),
        }
        Ok(())
    }

    async fn accept(self, listener: Accepting, leaving: Leaving, room: Arc<Semaphore>) {
        let mut phase = self.phase.clone();
        let mut is_ending = std::pin::pin!(drains(&mut phase));
        loop {
            // Nobody is accepted who would not be served.
            let accepted = async {
                let place = room.clone().acquire_owned().await.ok()?;
                if let Ok(stream) = listener.accept().await {
                    return Some((stream, place));
                }
                // None is left to be had, for now.
                tokio::time::sleep(Duration::from_millis(50)).await;
                None
            };
            tokio::select! {
                accepted = accepted => {
                    if let Some((stream, place)) = accepted {
                        self.begin(stream, place);
                    }
                }
                () = is_ending.as_mut() => break,
            }
        }
        // Who has connected by now has been promised an answer.
        let Ok(listener) = listener.into_waiting() else { return };
        leaving.refuse_further(&listener).await;
        while let Ok(place) = room.clone().acquire_owned().await {
            let Ok(stream) = listener.accept() else { return };
            self.begin(stream, place);
        }
    }

    /// Answers agent-checks. They have room of their own, so that no other client keeps them from
    /// it, nor they others; and whoever stays after the word makes room for the next.
    async fn check(self, listener: Accepting, check: AgentCheck) {
        let mut lingering: VecDeque<AbortHandle> = VecDeque::new();
        let mut phase = self.phase.clone();
        loop {
            tokio::select! {
                stream = listener.accept() => match stream {
                    Ok(mut stream) => {
                        if check.tell(&self.endpoint, &mut stream).await.is_err() {
                            continue;
                        }
                        lingering.retain(|one| !one.is_finished());
                        if lingering.len() >= AGENT_CHECKS
                            && let Some(oldest) = lingering.pop_front()
                        {
                            oldest.abort();
                        }
                        let gone = tokio::time::timeout(self.limits.patience, linger(stream));
                        lingering.push_back(tokio::spawn(gone).abort_handle());
                    }
                    // None is left to be had, for now.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                () = drains(&mut phase) => return,
            }
        }
    }

    fn begin(&self, stream: Stream, place: OwnedSemaphorePermit) {
        let worker = self.clone();
        tokio::spawn(async move {
            worker.serve(stream).await;
            drop(place);
        });
    }

    async fn serve(self, stream: Stream) {
        let pace = Pace::new();
        let service = service_fn(|request: Request<Incoming>| {
            pace.asks();
            let endpoint = self.endpoint.clone();
            let phase = self.phase.clone();
            async move {
                let mut answer = answer(&endpoint, request).await;
                if *phase.borrow() >= Phase::Drains {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            // `Pace` bounds the head, and the rest.
            .header_read_timeout(None)
            .max_buf_size(self.limits.head)
            .max_headers(MAX_FIELDS)
            .half_close(true)
            .serve_connection(TokioIo::new(Heard::new(stream, pace.clone())), service);
        let mut connection = std::pin::pin!(connection);
        let mut phase = self.phase.clone();
        tokio::select! {
            _ = connection.as_mut() => return,
            () = pace.stalls(self.limits.patience) => return,
            () = drains(&mut phase) => (),
        }
        // The next question may be on its way already.
        tokio::select! {
            // Where both are due, as on a busy machine, the question comes first.
            biased;
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(LINGER) => (),
        }
        // A part of it is waited for; its answer ends the connection.
        if !pace.is_amid() {
            connection.as_mut().graceful_shutdown();
        }
        tokio::select! {
            _ = connection.as_mut() => (),
            () = pace.stalls(self.limits.patience) => (),
        }
    }
}

/// How the workers leave a socket that they share.
#[derive(Clone)]
struct Leaving {
    all: Arc<Barrier>,
    can_refuse: bool,
}

impl Leaving {
    /// Refuses further connections where nobody who waits is lost by that. No worker may wait for
    /// readiness then: tokio would find the socket ready for ever.
    async fn refuse_further(&self, socket: &Socket) {
        if self.can_refuse {
            self.all.wait().await;
            socket.refuse_further();
        }
    }
}

impl Listener {
    fn leaving(&self, workers: usize) -> Leaving {
        Leaving { all: Arc::new(Barrier::new(workers)), can_refuse: self.is_own_unix() }
    }
}

/// Waits until the server is to end.
async fn drains(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase >= Phase::Drains).await;
}

async fn answer(endpoint: &Arc<Endpoint>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, _) = request.into_parts();
    let answer = match endpoint.answer(&parts) {
        Step::Now(answer) => answer,
        Step::Later(work) => tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "it failed")),
    };
    answer.map(Full::new)
}

/// A connection of either kind.
trait Connection: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Connection for S {}

type Stream = std::pin::Pin<Box<dyn Connection>>;

/// A listener within a worker.
enum Accepting {
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
    Tcp(tokio::net::TcpListener),
}

impl Accepting {
    fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            #[cfg(unix)]
            Socket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::UnixListener::from_std(listener).map(Self::Unix)
            }
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(listener).map(Self::Tcp)
            }
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => Ok(Box::pin(listener.accept().await?.0)),
            Self::Tcp(listener) => Ok(tcp(listener.accept().await?.0)),
        }
    }

    /// The same, for those who wait already: tokio knows of them only after it has looked.
    fn into_waiting(self) -> io::Result<Socket> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => listener.into_std().map(Socket::Unix),
            Self::Tcp(listener) => listener.into_std().map(Socket::Tcp),
        }
    }
}

impl Socket {
    /// The same socket, for another worker.
    fn shared(&self) -> io::Result<Self> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
        }
    }

    #[cfg_attr(not(unix), expect(clippy::unused_self, reason = "only Unix sockets can refuse"))]
    fn refuse_further(&self) {
        #[cfg(unix)]
        if let Self::Unix(listener) = self {
            sys::refuse_further(listener);
        }
    }

    /// Accepts one who waits, or fails at once.
    fn accept(&self) -> io::Result<Stream> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Box::pin(tokio::net::UnixStream::from_std(stream)?))
            }
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(tcp(tokio::net::TcpStream::from_std(stream)?))
            }
        }
    }
}

fn tcp(stream: tokio::net::TcpStream) -> Stream {
    // An answer is sent in one piece. Where that fails, the client is gone.
    let _ = stream.set_nodelay(true);
    Box::pin(stream)
}
