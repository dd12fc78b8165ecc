//! One connection to a server that speaks Redis's protocol.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use redis::{Cmd, Parser, Value, cmd};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::answer::Refusal;
use crate::error::describe;
use crate::fleet::address::Address;
use crate::fleet::engine::{Failure, Outcome};
use crate::fleet::secret::Secret;
use crate::fleet::tls::{self, Tls};

/// How a server is reached: the same for all endpoints of an address.
pub(super) struct Access {
    user: Option<String>,
    secret: Option<Secret>,
    tls: Option<Tls>,
    database: u32,
}

/// An endpoint: a name or an address, and a port.
pub(super) type Endpoint = (String, u16);

/// An endpoint as it is shown.
pub(super) fn shown((host, port): &Endpoint) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl Access {
    pub(super) fn read(address: &Address, secret: Option<Secret>) -> Outcome<Self> {
        Ok(Self {
            user: address.user.clone(),
            secret,
            tls: Tls::read(address)?,
            database: address.database,
        })
    }

    /// Whether a name or a password is shown to the server.
    pub(super) fn has_credentials(&self) -> bool {
        self.user.is_some() || self.secret.is_some()
    }

    /// Whether the server lets in only those who prove who they are.
    pub(super) fn is_proved(&self) -> bool {
        self.secret.is_some() || self.tls.as_ref().is_some_and(|tls| tls.has_certificate)
    }

    /// Connects to a server of data, as the user and to the database of the address.
    pub(super) fn open(&self, endpoint: &Endpoint, until: Instant) -> Outcome<Wire> {
        let mut wire = self.connect(endpoint, until)?;
        if self.has_credentials() {
            self.log_in(&mut wire, until)?;
        }
        if self.database != 0 {
            let selected = wire.ask(cmd("SELECT").arg(self.database), until);
            match selected {
                Err(Trouble::Refused(refusal)) if refusal.code == "ERR" => {
                    let reason = format!("{}: it has no database {}", wire.peer, self.database);
                    return Err(Failure::protocol(reason));
                }
                other => wire.settle(other)?,
            };
        }
        Ok(wire)
    }

    /// Connects, and no more.
    pub(super) fn connect(&self, endpoint: &Endpoint, until: Instant) -> Outcome<Wire> {
        Wire::connect(endpoint, self.tls.as_ref(), until)
    }

    /// Shows the server who this is.
    pub(super) fn log_in(&self, wire: &mut Wire, until: Instant) -> Outcome<()> {
        let mut command = cmd("AUTH");
        if let Some(user) = &self.user {
            command.arg(user);
        }
        // A user without a password takes any.
        command.arg(self.secret.as_ref().map_or("", Secret::reveal));
        let answer = match wire.ask(&command, until) {
            Err(Trouble::Refused(refusal)) if refusal.code == "ERR" => {
                // It may repeat what was sent, so it is not shown.
                let reason = format!("{}: it takes no such name or password", wire.peer);
                let hint = "leave out the password if the server has none, and the user if it is \
                            older than Redis 6";
                return Err(Failure::denied(reason).with_hint(hint));
            }
            other => other,
        };
        wire.settle(answer).map(drop)
    }
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// The server refused, and did nothing.
    Refused(Refusal),
    /// The connection is of no use any more. What was sent may have been done.
    Lost(Failure),
}

/// A connection. After a [`Trouble::Lost`] it must be dropped: an answer may still come.
pub(super) struct Wire {
    stream: Stream,
    parser: Parser,
    /// Whose it is, as it is shown.
    pub(super) peer: String,
    has_answered: bool,
    has_certificate: bool,
}

enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Wire {
    fn connect(endpoint: &Endpoint, tls: Option<&Tls>, until: Instant) -> Outcome<Self> {
        let peer = shown(endpoint);
        let has_certificate = tls.is_some_and(|tls| tls.has_certificate);
        let failed = |cause: &io::Error| trouble(cause, &peer, has_certificate);
        let tcp = dial(endpoint, until).map_err(|cause| failed(&cause))?;
        let mut timed = Timed { tcp, until, grace: Duration::ZERO };
        let stream = match tls {
            None => Stream::Plain(timed),
            Some(tls) => {
                let name = ServerName::try_from(endpoint.0.clone()).map_err(|_| {
                    Failure::denied(format!("{peer}: no certificate has this name"))
                })?;
                let mut session = ClientConnection::new(tls.config.clone(), name)
                    .map_err(|cause| Failure::protocol(format!("{peer}: no TLS: {cause}")))?;
                while session.is_handshaking() {
                    session.complete_io(&mut timed).map_err(|cause| {
                        let failure = failed(&cause);
                        if !is_timeout(&cause) {
                            return failure;
                        }
                        // Redis waits for the end of what it takes for a line.
                        failure.with_hint(
                            "if it speaks no TLS on this port, write `redis` in the address instead \
                             of `rediss`",
                        )
                    })?;
                }
                Stream::Tls(Box::new(StreamOwned::new(session, timed)))
            }
        };
        Ok(Self { stream, parser: Parser::new(), peer, has_answered: false, has_certificate })
    }

    /// Sends a command and waits for its answer, which is whole by then.
    pub(super) fn ask(&mut self, command: &Cmd, until: Instant) -> Result<Value, Trouble> {
        self.follow(command, until, Duration::ZERO)
    }

    /// Sends a command and waits until its answer begins. Each next part of it may take as long as
    /// `grace`: a slow network is no frozen server.
    pub(super) fn follow(
        &mut self,
        command: &Cmd,
        until: Instant,
        grace: Duration,
    ) -> Result<Value, Trouble> {
        let timed = match &mut self.stream {
            Stream::Plain(timed) => timed,
            Stream::Tls(stream) => &mut stream.sock,
        };
        (timed.until, timed.grace) = (until, grace);
        // What a server says while it closes, as that it misses a certificate, is still to be read.
        let sent = self.stream.send(&command.get_packed_command());
        if sent.as_ref().is_err_and(is_timeout) {
            return Err(self.lost(sent.err().as_ref()));
        }
        let mut reader = Noting { stream: &mut self.stream, cause: None };
        let answer = self.parser.parse_value(&mut reader);
        let cause = reader.cause.or(sent.err());
        match answer {
            Ok(Value::ServerError(error)) => {
                self.has_answered = true;
                Err(Trouble::Refused(Refusal::new(error.code(), error.details())))
            }
            Ok(value) => {
                self.has_answered = true;
                Ok(value)
            }
            Err(error) if cause.is_none() && !error.is_io_error() => {
                Err(Trouble::Lost(self.odd("it does not speak Redis's protocol")))
            }
            Err(_) => Err(self.lost(cause.as_ref())),
        }
    }

    /// The answer, or the failure in its place.
    pub(super) fn settle(&self, answer: Result<Value, Trouble>) -> Outcome<Value> {
        answer.map_err(|trouble| match trouble {
            Trouble::Refused(refusal) => refusal.failure(&self.peer),
            Trouble::Lost(failure) => failure,
        })
    }

    /// An answer that makes no sense.
    pub(super) fn odd(&self, reason: &str) -> Failure {
        let failure = Failure::protocol(format!("{}: {reason}", self.peer));
        self.hinted(failure)
    }

    fn lost(&self, cause: Option<&io::Error>) -> Trouble {
        let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
        let cause = cause.unwrap_or(&ended);
        let failure = trouble(cause, &self.peer, self.has_certificate);
        Trouble::Lost(if is_timeout(cause) { failure } else { self.hinted(failure) })
    }

    /// A server that wants TLS ends a plain connection without a word.
    fn hinted(&self, failure: Failure) -> Failure {
        if self.has_answered || matches!(self.stream, Stream::Tls(_)) {
            return failure;
        }
        failure.with_hint("if it speaks TLS on this port, write `rediss` in the address")
    }
}

/// The failure that an error of a connection is.
fn trouble(cause: &io::Error, peer: &str, has_certificate: bool) -> Failure {
    if let Some(failure) = tls::failure(cause, peer, has_certificate) {
        return failure;
    }
    let reason = match cause.kind() {
        _ if is_timeout(cause) => "it does not answer".to_owned(),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => "it ended the connection".to_owned(),
        _ => describe(cause),
    };
    Failure::unavailable(format!("{peer}: {reason}"))
}

fn is_timeout(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// Connects to the first address of a name that answers.
fn dial((host, port): &Endpoint, until: Instant) -> io::Result<TcpStream> {
    let addresses = resolve(host, *port, until)?;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "no address has this name");
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, left_until(until)? / left) {
            Ok(tcp) => {
                // A command is one packet, and waits for no other.
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(cause) => failure = cause,
        }
    }
    Err(failure)
}

/// The addresses of a name. The system's resolver has no timeout that can be chosen.
fn resolve(host: &str, port: u16, until: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    thread::Builder::new().name("maint-resolver".to_owned()).spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs();
        let _ = sender.send(found.map(Iterator::collect));
    })?;
    let found = receiver.recv_timeout(left_until(until)?);
    found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// How long until then; an error if no time is left.
fn left_until(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A socket of which nothing is awaited beyond a moment.
struct Timed {
    tcp: TcpStream,
    until: Instant,
    /// How far each read moves that moment. With zero it stays where it is, however slowly an answer
    /// trickles.
    grace: Duration,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.tcp.set_read_timeout(Some(left_until(self.until)?))?;
            match self.tcp.read(buffer) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Ok(count) => {
                    self.until = self.until.max(Instant::now() + self.grace);
                    return Ok(count);
                }
                failed => return failed,
            }
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(left_until(self.until)?))?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// Keeps the cause of a failure, which the parser replaces by one of its own.
struct Noting<'a> {
    stream: &'a mut Stream,
    cause: Option<io::Error>,
}

impl Read for Noting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.stream {
            Stream::Plain(timed) => timed.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        };
        read.map_err(|cause| {
            let kind = cause.kind();
            self.cause = Some(cause);
            kind.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_that_trickles_is_awaited_only_where_that_is_meant() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let endpoint = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                thread::spawn(move || {
                    let _ = client.read(&mut [0; 100]);
                    for part in "$8\r\npatience\r\n".split_inclusive('e') {
                        let _ = client.write_all(part.as_bytes());
                        thread::sleep(Duration::from_millis(700));
                    }
                });
            }
        });
        let soon = || Instant::now() + Duration::from_secs(1);
        let mut wire = Wire::connect(&endpoint, None, soon()).unwrap();
        let Err(Trouble::Lost(failure)) = wire.ask(&cmd("PING"), soon()) else { panic!() };
        assert!(failure.reason.ends_with("it does not answer"), "{failure}");
        let mut wire = Wire::connect(&endpoint, None, soon()).unwrap();
        let whole = wire.follow(&cmd("PING"), soon(), Duration::from_secs(10));
        let whole = wire.settle(whole);
        assert_eq!(whole, Ok(Value::BulkString(b"patience".to_vec())));
    }

    #[test]
    fn an_endpoint_is_shown_as_it_is_written() {
        assert_eq!(shown(&("::1".to_owned(), 1)), "[::1]:1");
        assert_eq!(shown(&("h1".to_owned(), 6379)), "h1:6379");
    }
}
