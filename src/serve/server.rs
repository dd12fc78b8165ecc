//! Connections, and what bounds them.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;

use super::agent_check::AgentCheck;
use super::endpoint::{Endpoint, Step, plain};
use super::listen::Listener;

/// How many agent-checks are answered at once at each address. `HAProxy` has one for each of its
/// servers, for a moment.
const AGENT_CHECKS: usize = 64;

/// What a client may take.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How long it may take to ask, to take an answer, and to ask again.
    pub patience: Duration,
    /// How many bytes the head of a request may have; each connection has so much memory.
    pub head: usize,
    /// How many connections each worker serves at once.
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

/// An endpoint with the sockets where it is asked.
pub struct Server {
    endpoint: Arc<Endpoint>,
    listeners: Vec<Listener>,
    agent_checks: Vec<AgentCheck>,
    limits: Limits,
    workers: usize,
}

impl Server {
    /// Makes a server with one worker.
    #[must_use]
    pub fn new(endpoint: Endpoint, listeners: Vec<Listener>) -> Self {
        let (agent_checks, limits) = (Vec::new(), Limits::default());
        Self { endpoint: Arc::new(endpoint), listeners, agent_checks, limits, workers: 1 }
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

    /// Answers until `ended` returns, and then what has been asked by then. `ended` waits in a
    /// thread of its own.
    ///
    /// # Errors
    ///
    /// If a socket or a thread is not to be had.
    pub fn run(mut self, ended: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (end, _) = watch::channel(false);
        let mut workers = Vec::new();
        for number in 0..self.workers {
            let listeners =
                self.listeners.iter().map(Listener::shared).collect::<io::Result<_>>()?;
            // They are few, so one thread answers all of them.
            let agent_checks = std::mem::take(&mut self.agent_checks);
            let worker = Worker {
                endpoint: self.endpoint.clone(),
                limits: self.limits,
                ended: end.subscribe(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .max_blocking_threads(2)
                .build()?;
            let begun = thread::Builder::new().name(format!("serve-{number}"));
            workers
                .push(begun.spawn(move || runtime.block_on(worker.run(listeners, agent_checks)))?);
        }
        thread::Builder::new().name("ended".to_owned()).spawn(move || {
            ended();
            end.send_replace(true);
        })?;
        for worker in workers {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a worker has died")))?;
        }
        Ok(())
    }
}

/// One thread that answers.
#[derive(Clone)]
struct Worker {
    endpoint: Arc<Endpoint>,
    limits: Limits,
    ended: watch::Receiver<bool>,
}

impl Worker {
    async fn run(self, listeners: Vec<Listener>, checks: Vec<AgentCheck>) -> io::Result<()> {
        for check in checks {
            let listener = check.listener.shared()?.into_async()?;
            tokio::spawn(self.clone().check(listener, check));
        }
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                Ok(tokio::spawn(self.clone().accept(listener.into_async()?, room.clone())))
            })
            .collect::<io::Result<_>>()?;
        for one in accepting {
            let _ = one.await;
        }
        // Every connection has given back its place.
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(self.limits.drain, room.acquire_many(all)).await;
        Ok(())
    }

    async fn accept(self, listener: Accepting, room: Arc<Semaphore>) {
        let mut ended = self.ended.clone();
        loop {
            let Ok(place) = room.clone().acquire_owned().await else { return };
            tokio::select! {
                stream = listener.accept() => match stream {
                    Ok(stream) => {
                        let worker = self.clone();
                        tokio::spawn(async move {
                            worker.serve(stream).await;
                            drop(place);
                        });
                    }
                    // None is left to be had, for now.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                () = has_ended(&mut ended) => return,
            }
        }
    }

    /// Answers agent-checks. They have room of their own, so that no other client keeps them from
    /// it, nor they others.
    async fn check(mut self, listener: Accepting, check: AgentCheck) {
        let check = Arc::new(check);
        let room = Arc::new(Semaphore::new(AGENT_CHECKS));
        loop {
            let Ok(place) = room.clone().acquire_owned().await else { return };
            tokio::select! {
                stream = listener.accept() => match stream {
                    Ok(stream) => {
                        let (check, endpoint) = (check.clone(), self.endpoint.clone());
                        let patience = self.limits.patience;
                        tokio::spawn(async move {
                            let told = check.tell(&endpoint, stream);
                            let _ = tokio::time::timeout(patience, told).await;
                            drop(place);
                        });
                    }
                    // None is left to be had, for now.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                () = has_ended(&mut self.ended) => return,
            }
        }
    }

    async fn serve(mut self, stream: Stream) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.patience));
        let endpoint = self.endpoint.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let endpoint = endpoint.clone();
            async move { Ok::<_, Infallible>(answer(&endpoint, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.patience)
            .max_buf_size(self.limits.head)
            .half_close(true)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            () = has_ended(&mut self.ended) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

/// Waits until the server is to end.
async fn has_ended(ended: &mut watch::Receiver<bool>) {
    let _ = ended.wait_for(|ended| *ended).await;
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
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => Ok(Box::pin(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // An answer is sent in one piece.
                stream.set_nodelay(true)?;
                Ok(Box::pin(stream))
            }
        }
    }
}

impl Listener {
    /// The same socket, for another worker.
    fn shared(&self) -> io::Result<Self> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
        }
    }

    fn into_async(self) -> io::Result<Accepting> {
        match self {
            #[cfg(unix)]
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::UnixListener::from_std(listener).map(Accepting::Unix)
            }
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(listener).map(Accepting::Tcp)
            }
        }
    }
}
