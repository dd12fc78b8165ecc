//! As much of HTTP/1.1 (RFC 9112) as a browser on this machine needs.
//!
//! One request a connection, GET and HEAD alone, and everything is bounded:
//! the head, the time it may take, and how many are served at once.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use maint::internal::request::is_loopback;

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
    fn plain(status: u16, text: &str) -> Self {
        let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: format!("{text}\n").into_bytes() }
    }

    /// For a path that is not served.
    pub(crate) fn not_found() -> Self {
        Self::plain(404, "there is nothing here")
    }
}

/// Answers requests for as long as the process lives. `answer` is given the
/// path, without the query.
pub(crate) fn serve(
    listener: &TcpListener,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    let served = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of file descriptors, as a rule: it passes.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        if served.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            served.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (answer, of_thread) = (answer.clone(), served.clone());
        let thread = thread::Builder::new().spawn(move || {
            let guard = Served(of_thread);
            // A client that hangs up does not want the answer.
            let _ = converse(&stream, &*answer);
            drop(guard);
        });
        if thread.is_err() {
            served.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Counts a connection out, also where the answer panics.
struct Served(Arc<AtomicUsize>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn converse(stream: &TcpStream, answer: &impl Fn(&str) -> Answer) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let (answer, is_head) = match read_head(stream)? {
        Head::Whole(head) => match understand(&head) {
            Ok((path, is_head)) => (answer(&path), is_head),
            Err(refusal) => (refusal, false),
        },
        Head::TooLong => (Answer::plain(431, "the request is too long"), false),
        // A connection that was opened just in case.
        Head::None => return Ok(()),
    };
    send(stream, &answer, is_head)?;
    stream.shutdown(std::net::Shutdown::Write)?;
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

/// The path that is asked for, and whether without the body; or why it is refused.
fn understand(head: &[u8]) -> Result<(String, bool), Answer> {
    let bad = || Answer::plain(400, "this is no request of HTTP/1.1");
    let text = str::from_utf8(head).map_err(|_| bad())?;
    let mut lines = text.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words[..] else { return Err(bad()) };
    let fields: Option<Vec<_>> = lines.map(|line| line.split_once(':')).collect();
    let fields = fields.ok_or_else(bad)?;
    let mut hosts = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let (Some((_, host)), None) = (hosts.next(), hosts.next()) else { return Err(bad()) };
    // A page elsewhere whose name was made to lead here would send its own (DNS rebinding).
    if !is_loopback(host.trim_matches([' ', '\t'])) {
        return Err(Answer::plain(421, "only this machine is served: ask for 127.0.0.1"));
    }
    if !matches!(method, "GET" | "HEAD") {
        let mut answer = Answer::plain(405, "only GET and HEAD are answered here");
        answer.headers.push(("allow", "GET, HEAD".to_owned()));
        return Err(answer);
    }
    if !target.starts_with('/') {
        return Err(bad());
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    Ok((path.to_owned(), method == "HEAD"))
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
        405 => "Method Not Allowed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}
