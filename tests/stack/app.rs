//! An app that knows nothing of maintenance.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wire::try_ask;

/// The header field that every answer of the app has, and nobody else's: the port of the app.
pub(crate) const OURS: &str = "x-app";

/// The header field of an answer that repeats the `Host` of the request.
pub(crate) const HOST: &str = "x-app-host";

/// The one that repeats `X-Forwarded-For`.
pub(crate) const FOR: &str = "x-app-for";

/// The one that repeats `Maint-Decision`.
pub(crate) const DECISION: &str = "x-app-decision";

/// It answers until this is dropped.
pub(crate) struct App {
    pub(crate) port: u16,
    is_over: Arc<AtomicBool>,
    listens: Option<JoinHandle<()>>,
}

impl App {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let listens = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::spawn(move || answer(stream, port));
            }
        });
        Self { port, is_over, listens: Some(listens) }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        // From here on nobody listens at the port.
        let _ = self.listens.take().map(JoinHandle::join);
    }
}

/// Whether the app of this port is reached at another, through a server.
pub(crate) fn answers_at(port: u16, app: u16) -> bool {
    let answer = try_ask(port, "GET", "/", &[]);
    answer.is_ok_and(|it| it.header(OURS) == Some(&app.to_string()))
}

/// One line of a request, whatever bytes it has.
fn line(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    connection.read_until(b'\n', &mut line).ok()?;
    Some(String::from_utf8_lossy(&line).into_owned())
}

/// Answers one request. `/own-503` is an error of the app itself, and what comes over a WebSocket
/// goes back as it is.
fn answer(stream: TcpStream, port: u16) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut connection = BufReader::new(stream);
    let first = line(&mut connection)?;
    let mut length = 0;
    let mut is_websocket = false;
    let mut repeated = [(HOST, "host"), (FOR, "x-forwarded-for"), (DECISION, "maint-decision")]
        .map(|(as_what, name)| (as_what, name, String::new()));
    loop {
        match line(&mut connection)?.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("upgrade") => {
                is_websocket = value.trim().eq_ignore_ascii_case("websocket");
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some((name, value)) => {
                for (_, repeats, found) in &mut repeated {
                    if name.eq_ignore_ascii_case(repeats) {
                        value.trim().clone_into(found);
                    }
                }
            }
            None => break,
        }
    }
    if is_websocket {
        return echo(connection, port);
    }
    connection.read_exact(&mut vec![0; length]).ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let (status, body) = match path {
        "/own-503" => ("503 Service Unavailable", "the app is busy\n".to_owned()),
        _ => ("200 OK", format!("the app: {method} {path}\n")),
    };
    let repeated = repeated.map(|(name, _, value)| format!("{name}: {value}\r\n")).concat();
    let head = format!(
        "HTTP/1.1 {status}\r\n{OURS}: {port}\r\nContent-Type: text/plain\r\n\
         {repeated}\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let body = if method == "HEAD" { "" } else { &body };
    connection.get_mut().write_all(format!("{head}{body}").as_bytes()).ok()
}

/// Takes a WebSocket. Proxies look at no more than these fields, and pass on bytes.
fn echo(mut connection: BufReader<TcpStream>, port: u16) -> Option<()> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         {OURS}: {port}\r\n\r\n"
    );
    connection.get_mut().write_all(head.as_bytes()).ok()?;
    let mut byte = [0];
    while connection.read_exact(&mut byte).is_ok() {
        connection.get_mut().write_all(&byte).ok()?;
    }
    Some(())
}
