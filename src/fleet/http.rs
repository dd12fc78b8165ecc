//! HTTP as the engines use it: bounded in time and size, straight to the endpoint, and with one
//! line for each way to fail.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::{Method, Request, Response, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector as _, NextTimeout, TcpConnector};
use ureq::{Agent, AsSendBody, Body, BodyReader, Error, Timeout};

use super::address::Address;
use super::engine::{Failure, Outcome};
use super::tls::{self, Tls};
use super::wire::{Meter, Wires};
use crate::error::describe;

/// The longest answer, in bytes: some ten thousand reports of hosts.
const MAX: u64 = 32 * 1024 * 1024;

/// What holds the bytes of a request or an answer on their way.
const BUFFER: usize = 16 * 1024;

/// The endpoints of an address, by HTTP.
pub(super) struct Http {
    /// What goes before a path, for each endpoint.
    bases: Vec<String>,
    /// The same for people: `h1:2379`.
    names: Vec<String>,
    is_tls: bool,
    is_known: bool,
    calls: Agent,
    sent: Arc<Meter>,
    /// Streams have connections of their own, whose reads wait as long as each needs.
    streams: Agent,
    patience: Arc<Meter>,
    /// Whether an endpoint ever answered, so that the scheme is right.
    is_answered: AtomicBool,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    /// Begins with a slash.
    pub(super) path: &'a str,
    /// Sent by POST as JSON, if there is one.
    pub(super) body: Option<&'a [u8]>,
    /// Fields of the header.
    pub(super) fields: &'a [(&'a str, &'a str)],
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    pub(super) body: Vec<u8>,
}

/// No answer.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) failure: Failure,
    /// Whether any of the request may have arrived.
    pub(super) is_sent: bool,
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Until there is a connection.
    pub(super) connect: Duration,
    /// Until the whole answer is here, or the header of a stream.
    pub(super) answer: Duration,
}

impl Http {
    /// Reads the certificates that the address names. It connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Denied`](super::FailureKind::Denied) if a file cannot be used.
    pub(super) fn open(address: &Address) -> Outcome<Self> {
        let tls = Tls::read(address)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let name = |(host, port): &(String, u16)| {
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        let names: Vec<String> = address.endpoints.iter().map(name).collect();
        let (calls, sent) = agent(tls.as_ref());
        let (streams, patience) = agent(tls.as_ref());
        Ok(Self {
            bases: names.iter().map(|name| format!("{scheme}://{name}")).collect(),
            names,
            is_tls: tls.is_some(),
            is_known: tls.is_some_and(|tls| tls.has_certificate),
            calls,
            sent,
            streams,
            patience,
            is_answered: AtomicBool::new(false),
        })
    }

    /// How many endpoints there are.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// An endpoint, for people.
    pub(super) fn name(&self, peer: usize) -> &str {
        &self.names[peer]
    }

    /// Asks one endpoint and reads its whole answer.
    pub(super) fn ask(&self, peer: usize, ask: &Ask<'_>, limits: Limits) -> Result<Answer, Broken> {
        self.sent.reset();
        let asked = send(&self.calls, &self.bases[peer], ask, limits, false);
        let answer = asked.and_then(|response| {
            let status = response.status().as_u16();
            let etag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
            let etag = etag.map(str::to_owned);
            let mut body = response.into_body();
            let body = body.with_config().limit(MAX).read_to_vec()?;
            Ok(Answer { status, etag, body })
        });
        match answer {
            // What Go and nginx say to whoever speaks plain text on a port for TLS.
            Ok(answer) if !self.is_tls && answer.status == 400 && says_https(&answer.body) => {
                let name = self.name(peer);
                let failure = Failure::protocol(format!("{name}: it speaks TLS on this port"))
                    .with_hint("use the scheme with it, as `etcds` or `https`");
                Err(Broken { failure, is_sent: false })
            }
            Ok(answer) => {
                self.is_answered.store(true, Ordering::Relaxed);
                Ok(answer)
            }
            Err(error) => Err(Broken {
                failure: self.failed(peer, error, limits.answer),
                is_sent: self.sent.is_sent(),
            }),
        }
    }

    /// Asks one endpoint for an answer that has no end.
    pub(super) fn stream(&self, peer: usize, ask: &Ask<'_>, limits: Limits) -> Outcome<Stream> {
        self.patience.set_patience(limits.answer);
        let asked = send(&self.streams, &self.bases[peer], ask, limits, true);
        let response = asked.map_err(|error| self.failed(peer, error, limits.answer))?;
        let status = response.status().as_u16();
        let reader = response.into_body().into_reader();
        let meter = Arc::clone(&self.patience);
        Ok(Stream { status, reader, meter, begun: Vec::new() })
    }

    /// What went wrong, in one line.
    pub(super) fn failed(&self, peer: usize, error: Error, waited: Duration) -> Failure {
        let name = self.name(peer);
        let seconds = waited.as_secs_f64();
        let other_scheme = if self.is_tls {
            "if it speaks no TLS there, use the scheme without it"
        } else {
            "if it speaks TLS there, use the scheme with it, as `etcds` or `https`"
        };
        match error {
            Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                Failure::unavailable(format!("{name}: no connection within the time"))
            }
            Error::Timeout(_) => {
                Failure::unavailable(format!("{name}: no answer within {seconds:.1} s"))
            }
            Error::HostNotFound => Failure::unavailable(format!("{name}: no host has this name")),
            Error::BodyExceedsLimit(max) => {
                Failure::protocol(format!("{name}: its answer is longer than {max} bytes"))
            }
            Error::Io(cause) => {
                if let Some(failure) = tls::failure(&cause, name, self.is_known) {
                    return failure;
                }
                match cause.kind() {
                    io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe => {
                        let failure =
                            Failure::unavailable(format!("{name}: the connection was closed"));
                        if self.is_answered.load(Ordering::Relaxed) {
                            failure
                        } else {
                            failure.with_hint(other_scheme)
                        }
                    }
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                        Failure::unavailable(format!("{name}: no answer within {seconds:.1} s"))
                    }
                    _ => Failure::unavailable(format!("{name}: {}", describe(&cause))),
                }
            }
            Error::Other(cause) => tls::failure(&*cause, name, self.is_known)
                .unwrap_or_else(|| Failure::protocol(format!("{name}: {cause}"))),
            Error::Tls(cause) => {
                Failure::unavailable(format!("{name}: {cause}")).with_hint(other_scheme)
            }
            Error::Protocol(_) | Error::Http(_) => {
                Failure::protocol(format!("{name}: it does not speak HTTP on this port"))
                    .with_hint(other_scheme)
            }
            other => Failure::protocol(format!("{name}: {other}")),
        }
    }
}

fn says_https(body: &[u8]) -> bool {
    body.windows(5).any(|part| part == b"HTTPS")
}

/// One that does what it is told: no proxy of the environment, no redirects, no errors for a status.
fn agent(tls: Option<&Tls>) -> (Agent, Arc<Meter>) {
    let meter = Arc::new(Meter::default());
    let wires = Wires { tls: tls.map(|tls| Arc::clone(&tls.config)), meter: Arc::clone(&meter) };
    let config = Config::builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("maint/", env!("CARGO_PKG_VERSION")))
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_response_header_size(BUFFER)
        .build();
    let connector = ().chain(TcpConnector::default()).chain(wires);
    (Agent::with_parts(config, connector, Resolving::default()), meter)
}

/// Takes an address as it is, and looks a name up. A lookup starts a thread for its time limit, with
/// each request and thus every few seconds while a watch is silent.
#[derive(Debug, Default)]
struct Resolving(DefaultResolver);

impl Resolver for Resolving {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let endpoint = uri.scheme().zip(uri.authority());
        let named = endpoint.and_then(|(scheme, authority)| {
            DefaultResolver::host_and_port(scheme, authority)?.parse().ok()
        });
        let Some(address) = named else { return self.0.resolve(uri, config, timeout) };
        let mut addresses = self.empty();
        addresses.push(address);
        Ok(addresses)
    }
}

/// Sends a request and reads the header of the answer.
fn send(
    agent: &Agent,
    base: &str,
    ask: &Ask<'_>,
    limits: Limits,
    is_stream: bool,
) -> Result<Response<Body>, Error> {
    let method = if ask.body.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::builder().method(method).uri(format!("{base}{}", ask.path));
    if ask.body.is_some() {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in ask.fields {
        request = request.header(*name, *value);
    }
    match ask.body {
        Some(body) => run(agent, request.body(body)?, limits, is_stream),
        None => run(agent, request.body(())?, limits, is_stream),
    }
}

fn run<S: AsSendBody>(
    agent: &Agent,
    request: Request<S>,
    limits: Limits,
    is_stream: bool,
) -> Result<Response<Body>, Error> {
    let (connect, answer) = (Some(limits.connect), Some(limits.answer));
    let config = agent.configure_request(request).timeout_resolve(connect).timeout_connect(connect);
    let config = if is_stream {
        // A stream has no end, so each of its reads is limited by itself.
        config.timeout_send_request(answer).timeout_send_body(answer).timeout_recv_response(answer)
    } else {
        config.timeout_global(answer)
    };
    agent.run(config.build())
}

/// An answer that has no end, line by line.
pub(super) struct Stream {
    pub(super) status: u16,
    reader: BodyReader<'static>,
    meter: Arc<Meter>,
    /// What came since the last end of a line.
    begun: Vec<u8>,
}

/// What a stream brought.
pub(super) enum Brought {
    /// A line, without its end.
    Line(Vec<u8>),
    /// Nothing within the time. The stream is as good as before.
    Silence,
    /// It ended.
    End,
}

impl Stream {
    /// The next line, if it comes before anything else has not come for so long.
    pub(super) fn next(&mut self, patience: Duration) -> Result<Brought, Error> {
        self.meter.set_patience(patience);
        let mut bytes = [0; BUFFER];
        loop {
            if let Some(end) = self.begun.iter().position(|&byte| byte == b'\n') {
                let rest = self.begun.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.begun, rest);
                line.pop();
                return Ok(Brought::Line(line));
            }
            if self.begun.len() as u64 > MAX {
                return Err(Error::BodyExceedsLimit(MAX));
            }
            match self.reader.read(&mut bytes) {
                Ok(0) => return Ok(Brought::End),
                Ok(amount) => self.begun.extend_from_slice(&bytes[..amount]),
                Err(cause) => match Error::from(cause) {
                    Error::Timeout(_) => return Ok(Brought::Silence),
                    other => return Err(other),
                },
            }
        }
    }

    /// What is left of an answer that turned out to be an error.
    pub(super) fn rest(mut self, patience: Duration) -> Vec<u8> {
        self.meter.set_patience(patience);
        let mut rest = std::mem::take(&mut self.begun);
        // What cannot be read is not worth another error.
        let _ = self.reader.take(64 * 1024).read_to_end(&mut rest);
        rest
    }
}
