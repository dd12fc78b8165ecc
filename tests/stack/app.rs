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

/// Answers one request. `/own-503` is an error of the app itself.
fn answer(stream: TcpStream, port: u16) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut connection = BufReader::new(stream);
    let mut first = String::new();
    connection.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut field = String::new();
        connection.read_line(&mut field).ok()?;
        match field.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => {}
            None => break,
        }
    }
    connection.read_exact(&mut vec![0; length]).ok()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let (status, body) = match path {
        "/own-503" => ("503 Service Unavailable", "the app is busy\n".to_owned()),
        _ => ("200 OK", format!("the app: {method} {path}\n")),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{OURS}: {port}\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let body = if method == "HEAD" { "" } else { &body };
    connection.get_mut().write_all(format!("{head}{body}").as_bytes()).ok()
}
