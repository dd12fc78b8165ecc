//! The connections below HTTP: plain or TLS, with the two things that `ureq` does not say of them:
//! whether anything was sent, and how long the next read may take.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Stream};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, TransportAdapter,
    time,
};

/// What is known of the connections of one agent, which does one thing at a time.
#[derive(Debug, Default)]
pub(super) struct Meter {
    is_sent: AtomicBool,
    /// In milliseconds; 0 is no limit of its own.
    patience: AtomicU64,
}

impl Meter {
    /// Forgets what was sent before.
    pub(super) fn reset(&self) {
        self.is_sent.store(false, Ordering::Relaxed);
    }

    /// Whether any of a request may have been sent since the reset. The handshake of TLS is none.
    pub(super) fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Relaxed)
    }

    /// How long each read may take from now on.
    pub(super) fn set_patience(&self, patience: Duration) {
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.patience.store(millis.max(1), Ordering::Relaxed);
    }

    fn limit(&self, mut timeout: NextTimeout) -> NextTimeout {
        let millis = self.patience.load(Ordering::Relaxed);
        if millis > 0 {
            timeout.per_read = Some(Duration::from_millis(millis).into());
        }
        timeout
    }
}

/// Makes connections of what a socket gives.
pub(super) struct Wires {
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) meter: Arc<Meter>,
}

impl fmt::Debug for Wires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wires")
    }
}

impl<In: Transport> Connector<In> for Wires {
    type Out = Wire;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Wire>, Error> {
        let Some(socket) = chained else { return Ok(None) };
        let meter = Arc::clone(&self.meter);
        let Some(config) = self.tls.as_ref().filter(|_| details.needs_tls()) else {
            return Ok(Some(Wire { meter, kind: Kind::Plain(Box::new(socket)) }));
        };
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|cause| Error::BadUri(cause.to_string()))?;
        let connection =
            ClientConnection::new(Arc::clone(config), name).map_err(|cause| other(&cause))?;
        let socket = Box::new(socket) as Box<dyn Transport>;
        let mut socket = TransportAdapter::new(socket, Arc::clone(&details.current_time));
        socket.set_timeout(left(details));
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        let mut tls = Box::new(Tls { connection, socket, buffers });
        tls.shake_hands()?;
        Ok(Some(Wire { meter, kind: Kind::Tls(tls) }))
    }
}

/// What is left of the time for the connection. The socket had its part of it.
fn left(details: &ConnectionDetails) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (time::Duration::Exact(all), time::Instant::Exact(begun), time::Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    {
        let left = all.saturating_sub(now.saturating_duration_since(begun));
        timeout.after = time::Duration::Exact(left);
    }
    timeout
}

fn other(cause: &rustls::Error) -> Error {
    Error::Other(Box::new(cause.clone()))
}

/// A connection.
pub(super) struct Wire {
    meter: Arc<Meter>,
    kind: Kind,
}

enum Kind {
    Plain(Box<dyn Transport>),
    Tls(Box<Tls>),
}

struct Tls {
    connection: ClientConnection,
    socket: TransportAdapter,
    buffers: LazyBuffers,
}

impl Tls {
    fn parts(&mut self) -> (&mut ClientConnection, &mut TransportAdapter, &mut LazyBuffers) {
        (&mut self.connection, &mut self.socket, &mut self.buffers)
    }

    fn shake_hands(&mut self) -> Result<(), Error> {
        let (connection, socket, _) = self.parts();
        let done = connection.complete_io(socket);
        done.map(drop).map_err(|cause| match cause.kind() {
            // What a server without TLS does.
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Error::Tls("it ended the connection before TLS began"),
            _ => cause.into(),
        })
    }

    /// The reason that the peer gave before it closed the connection, if it gave one. A client that
    /// sends does not read, so it hears of a broken pipe first.
    fn explained(&mut self, cause: io::Error) -> Error {
        let (connection, socket, _) = self.parts();
        if matches!(cause.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
            while connection.read_tls(socket).is_ok_and(|amount| amount > 0) {
                if let Err(alert) = connection.process_new_packets() {
                    return other(&alert);
                }
            }
        }
        cause.into()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        match &mut self.kind {
            Kind::Plain(plain) => plain.buffers(),
            Kind::Tls(tls) => &mut tls.buffers,
        }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.meter.is_sent.store(true, Ordering::Relaxed);
        let tls = match &mut self.kind {
            Kind::Plain(plain) => return plain.transmit_output(amount, timeout),
            Kind::Tls(tls) => tls,
        };
        let (connection, socket, buffers) = tls.parts();
        socket.set_timeout(timeout);
        let sent = Stream::new(connection, socket).write_all(&buffers.output()[..amount]);
        sent.map_err(|cause| tls.explained(cause))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = self.meter.limit(timeout);
        let tls = match &mut self.kind {
            Kind::Plain(plain) => return plain.await_input(timeout),
            Kind::Tls(tls) => tls,
        };
        let (connection, socket, buffers) = tls.parts();
        socket.set_timeout(timeout);
        let amount =
            io::Read::read(&mut Stream::new(connection, socket), buffers.input_append_buf());
        let amount = amount.map_err(|cause| tls.explained(cause))?;
        tls.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        match &mut self.kind {
            Kind::Plain(plain) => plain.is_open(),
            Kind::Tls(tls) => tls.parts().1.get_mut().is_open(),
        }
    }

    fn is_tls(&self) -> bool {
        matches!(self.kind, Kind::Tls(_))
    }
}
