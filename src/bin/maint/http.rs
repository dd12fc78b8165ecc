//! As much of HTTP/1.1 (RFC 9112) as a browser on this machine needs.
//!
//! One request a connection, no body is read, and everything is bounded: the head, the time
//! it may take, and how many are served at once. Only pages of this machine may ask.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use maint::internal::request::is_loopback;
use maint::page::Reply;
use maint::request::{Request as _, RequestParts};

/// The port if none is given and it is free, so that a tab of a browser stays good.
const PORT: u16 = 8503;

/// The longest request line with its header fields, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// How long a client may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many are served at once. A browser opens six connections, some of them
/// just in case.
const MAX_CONNECTIONS: usize = 64;

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A line of text.
    pub(crate) fn plain(status: u16, text: &str) -> Self {
        let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: format!("{text}\n").into_bytes() }
    }

    /// A page of this command's own. `scripts` is where its scripts may come from.
    pub(crate) fn html(status: u16, page: String, scripts: &str) -> Self {
        let policy = format!(
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; {scripts}\
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let headers = [
            ("content-type", "text/html; charset=utf-8".to_owned()),
            ("content-security-policy", policy),
            ("cache-control", "no-store".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ];
        Self { status, headers: headers.into(), body: page.into_bytes() }
    }

    /// For a path that is not served.
    pub(crate) fn not_found() -> Self {
        Self::plain(404, "there is nothing here")
    }

    /// For what only GET and HEAD may ask.
    pub(crate) fn not_allowed() -> Self {
        let mut answer = Self::plain(405, "only GET and HEAD are answered here");
        answer.headers.push(("allow", "GET, HEAD".to_owned()));
        answer
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let headers = reply.headers().map(|(name, value)| (name, value.into_owned())).collect();
        Self { status: reply.status(), headers, body: reply.body().to_vec() }
    }
}

/// Whether a request only wants to see something.
pub(crate) fn is_look(request: &RequestParts) -> bool {
    matches!(request.method(), "GET" | "HEAD")
}

/// Text in a page.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Listens to this machine alone, and returns the address for a browser.
pub(crate) fn listen(port: Option<u16>) -> Result<(TcpListener, String)> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let bound = match port {
        Some(port) => bind(port),
        None => bind(PORT).or_else(|_: io::Error| bind(0)),
    };
    let listener =
        bound.with_context(|| format!("could not listen on 127.0.0.1:{}", port.unwrap_or(0)))?;
    let url = format!("http://{}/", listener.local_addr().context("could not find the port")?);
    Ok((listener, url))
}

/// Answers requests on a thread of its own, for as long as the process lives.
pub(crate) fn serve(
    listener: TcpListener,
    answer: impl Fn(&RequestParts) -> Answer + Send + Sync + 'static,
) -> Result<()> {
    let thread = thread::Builder::new().spawn(move || accept(&listener, &Arc::new(answer)));
    thread.context("could not start serving").map(drop)
}

fn accept(
    listener: &TcpListener,
    answer: &Arc<impl Fn(&RequestParts) -> Answer + Send + Sync + 'static>,
) -> ! {
    let served = Arc::new(Served::default());
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of file descriptors, as a rule: it passes.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let Some(guard) = Served::begin(&served, stream) else { continue };
        let answer = answer.clone();
        // A client that hangs up does not want the answer.
        let _ = thread::Builder::new().spawn(move || {
            let _ = converse(&guard.stream, &*answer);
        });
    }
}

/// The connections that are served, the oldest first.
#[derive(Default)]
struct Served {
    streams: Mutex<VecDeque<Arc<TcpStream>>>,
}

/// One of them, which is taken off when it ends, also where the answer panics.
struct Guard {
    served: Arc<Served>,
    stream: Arc<TcpStream>,
}

impl Served {
    /// Takes on a connection. Too many are a client that opens them and says nothing, or too
    /// little: the oldest are ended, so that nobody waits for them to.
    fn begin(served: &Arc<Self>, stream: TcpStream) -> Option<Guard> {
        let stream = Arc::new(stream);
        let mut list = served.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() >= MAX_CONNECTIONS {
            // Its thread notices and takes it off the list.
            let oldest = list.front()?;
            let _ = oldest.shutdown(Shutdown::Both);
            list.rotate_left(1);
        }
        if list.len() >= 2 * MAX_CONNECTIONS {
            return None;
        }
        list.push_back(stream.clone());
        Some(Guard { served: served.clone(), stream })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut list = self.served.streams.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|other| !Arc::ptr_eq(other, &self.stream));
    }
}

fn converse(stream: &TcpStream, answer: &impl Fn(&RequestParts) -> Answer) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let (answer, is_head) = match read_head(stream)? {
        Head::Whole(head) => match understand(&head) {
            Ok(request) => {
                let request = request.with_peer(stream.peer_addr().ok().map(|peer| peer.ip()));
                (answer(&request), request.method() == "HEAD")
            }
            Err(refusal) => (refusal, false),
        },
        Head::TooLong => (Answer::plain(431, "the request is too long"), false),
        // A connection that was opened just in case.
        Head::None => return Ok(()),
    };
    send(stream, &answer, is_head)?;
    stream.shutdown(Shutdown::Write)?;
    // What is closed with something unread is reset, and the answer lost.
    let begun = Instant::now();
    let mut rest = [0; 4096];
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    while begun.elapsed() < PATIENCE && (&*stream).read(&mut rest)? > 0 {}
    Ok(())
}

enum Head {
    Whole(Vec<u8>),
    TooLong,
    None,
}

fn read_head(mut stream: &TcpStream) -> io::Result<Head> {
    const END: &[u8] = b"\r\n\r\n";
    let begun = Instant::now();
    let mut head = Vec::new();
    let mut part = [0; 2048];
    loop {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(Head::None);
        }
        stream.set_read_timeout(Some(left))?;
        let number = stream.read(&mut part)?;
        if number == 0 {
            return Ok(Head::None);
        }
        let seen = head.len().saturating_sub(END.len() - 1);
        head.extend_from_slice(&part[..number]);
        let end = head[seen..].windows(END.len()).position(|window| window == END);
        match end.map(|at| seen + at) {
            Some(end) if end <= MAX_HEAD => {
                head.truncate(end);
                return Ok(Head::Whole(head));
            }
            None if head.len() <= MAX_HEAD => {}
            _ => return Ok(Head::TooLong),
        }
    }
}

/// What is asked for, or why that is refused.
fn understand(head: &[u8]) -> Result<RequestParts, Answer> {
    let bad = || Answer::plain(400, "this is no request of HTTP/1.1");
    let text = str::from_utf8(head).map_err(|_| bad())?;
    let mut lines = text.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words[..] else { return Err(bad()) };
    let fields: Option<Vec<_>> = lines.map(|line| line.split_once(':')).collect();
    let fields = fields.ok_or_else(bad)?;
    let mut hosts = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let (Some((_, host)), None) = (hosts.next(), hosts.next()) else { return Err(bad()) };
    let host = host.trim_matches([' ', '\t']);
    // A page elsewhere whose name was made to lead here would send its own (DNS rebinding).
    if !is_loopback(host) {
        return Err(Answer::plain(421, "only this machine is served: ask for 127.0.0.1"));
    }
    if !target.starts_with('/') {
        return Err(bad());
    }
    let target = target.split('#').next().unwrap_or_default();
    let request = RequestParts::new(method, target).with_host(host).with_https(false);
    Ok(fields.iter().fold(request, |request, (name, value)| {
        request.with(name, value.trim_matches([' ', '\t']))
    }))
}

fn send(mut stream: &TcpStream, answer: &Answer, is_head: bool) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if !answer.headers.iter().any(|(name, _)| *name == "content-length") {
        let _ = write!(head, "content-length: {}\r\n", answer.body.len());
    }
    let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    let _ = write!(head, "date: {date}\r\nconnection: close\r\n\r\n");
    let mut bytes = head.into_bytes();
    if !is_head {
        bytes.extend_from_slice(&answer.body);
    }
    stream.write_all(&bytes)
}

/// For people who look at the answer with curl(1); programs read the number.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        413 => "Content Too Large",
        405 => "Method Not Allowed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}
