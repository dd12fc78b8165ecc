//! How the endpoint ends: nobody who has asked goes without an answer.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::meanwhile::Meanwhile;
use crate::nginx_server::Nginx;
use crate::rig::{Answered, Serving, command, maint, program};
use crate::say::{amount, figure};
use crate::watched::{PATIENCE, ended, signal, until};

const QUESTION: &[u8] =
    b"GET /auth HTTP/1.1\r\nHost: a\r\nX-Original-Method: GET\r\nX-Original-URI: /\r\n\r\n";

/// A connection of either kind.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

fn tcp(serving: &Serving) -> Box<dyn Stream> {
    let stream = TcpStream::connect(("127.0.0.1", serving.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Box::new(stream)
}

fn unix(serving: &Serving) -> Box<dyn Stream> {
    let stream = UnixStream::connect(serving.dir.path().join("s.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Box::new(stream)
}

type Connect = fn(&Serving) -> Box<dyn Stream>;

const BOTH: [Connect; 2] = [tcp, unix];

/// Reads the head of an answer that has no body.
fn head(stream: &mut dyn Stream) -> Answered {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    Answered::read(&answer)
}

fn rest(stream: &mut dyn Stream) -> io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map(|_| rest)
}

#[test]
fn requirement_87_who_waits_to_be_accepted_is_answered() {
    for workers in ["1", "3"] {
        let mut serving = Serving::start(&["--listen", "unix:s.sock", "--workers", workers]);
        // It cannot accept anybody before it has met its end.
        signal(&serving.process, "STOP");
        let mut waiting: Vec<_> = BOTH
            .iter()
            .flat_map(|connect| (0..50).map(|_| connect(&serving)).collect::<Vec<_>>())
            .collect();
        for stream in &mut waiting {
            stream.write_all(QUESTION).unwrap();
        }
        signal(&serving.process, "TERM");
        signal(&serving.process, "CONT");
        for stream in &mut waiting {
            let answer = head(stream);
            assert_eq!(answer.status, 204);
            assert_eq!(rest(stream).unwrap(), b"", "and nothing is reset");
        }
        assert_eq!(ended(&mut serving.process), Some(0));
    }
}

#[test]
fn requirement_87_kept_connections_end_after_an_answer_or_in_silence() {
    let mut serving = Serving::start(&["--listen", "unix:s.sock"]);
    let mut quiet = BOTH.map(|connect| connect(&serving));
    let mut half = BOTH.map(|connect| connect(&serving));
    for stream in quiet.iter_mut().chain(&mut half) {
        stream.write_all(QUESTION).unwrap();
        let answer = head(stream);
        assert_eq!((answer.status, answer.field("connection")), (204, None));
    }
    let (begun, left) = QUESTION.split_at(30);
    for stream in &mut half {
        stream.write_all(begun).unwrap();
    }
    signal(&serving.process, "TERM");
    // It is past its last answer to anybody new.
    until("the socket is gone", || !serving.dir.path().join("s.sock").exists());
    for stream in &mut quiet {
        assert_eq!(rest(stream).unwrap(), b"");
    }
    for stream in &mut half {
        stream.write_all(left).unwrap();
        let answer = head(stream);
        assert_eq!((answer.status, answer.field("connection")), (204, Some("close")));
        assert_eq!(rest(stream).unwrap(), b"");
    }
    assert_eq!(ended(&mut serving.process), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut serving = Serving::start(&["--listen", "unix:s.sock"]);
    let mut half = unix(&serving);
    half.write_all(&QUESTION[..30]).unwrap();
    signal(&serving.process, "TERM");
    until("the socket is gone", || !serving.dir.path().join("s.sock").exists());
    let begun = Instant::now();
    signal(&serving.process, "INT");
    assert_eq!(ended(&mut serving.process), Some(0));
    figure(&format!("it ended {} ms after the second signal", begun.elapsed().as_millis()));
}

#[test]
fn without_a_terminal_sighup_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    maint(&dir, &["init", "."]);
    let mut command = Command::new("setsid");
    command.current_dir(dir.path()).arg(program()).args(["serve", "--listen", "unix:s.sock"]);
    let mut process = command.stderr(Stdio::null()).spawn().unwrap();
    let path = dir.path().join("s.sock");
    let connect = || UnixStream::connect(&path);
    until("it listens", || connect().is_ok());
    signal(&process, "HUP");
    for _ in 0..2 {
        let mut stream = connect().unwrap();
        stream.write_all(QUESTION).unwrap();
        assert_eq!(head(&mut stream).status, 204);
    }
    signal(&process, "TERM");
    assert_eq!(ended(&mut process), Some(0));
}

/// An endpoint at one place, again and again.
struct Restarted<'a> {
    dir: &'a TempDir,
    address: String,
    process: Child,
}

impl Drop for Restarted<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl<'a> Restarted<'a> {
    fn new(dir: &'a TempDir, address: String) -> Self {
        let process = Self::begin(dir, &address);
        Self { dir, address, process }
    }

    fn begin(dir: &TempDir, address: &str) -> Child {
        let mut process = command(dir)
            .args(["serve", "--listen", address])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stderr.take().unwrap());
        assert!(said.lines().any(|line| line.unwrap().starts_with("answers at ")));
        process
    }

    fn restart(&mut self) {
        signal(&self.process, "TERM");
        assert_eq!(ended(&mut self.process), Some(0));
        self.process = Self::begin(self.dir, &self.address);
    }
}

/// Asks nginx over one connection, and again where that is closed; returns the status.
struct Visitor {
    port: u16,
    kept: Option<BufReader<TcpStream>>,
}

impl Visitor {
    fn visit(&mut self) -> io::Result<u16> {
        let mut stream = match self.kept.take() {
            Some(kept) => kept,
            None => BufReader::new(TcpStream::connect(("127.0.0.1", self.port))?),
        };
        stream.get_ref().set_read_timeout(Some(PATIENCE))?;
        stream.get_mut().write_all(b"GET /page.txt HTTP/1.1\r\nHost: a\r\n\r\n")?;
        let (mut status, mut length, mut is_kept) = (0, 0, true);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if line == "connection: close" {
                is_kept = false;
            } else if line.is_empty() {
                break;
            }
        }
        io::copy(&mut stream.by_ref().take(length), &mut io::sink())?;
        self.kept = is_kept.then_some(stream);
        Ok(status)
    }
}

#[test]
fn requirement_87_no_request_fails_over_restarts_behind_nginx() {
    let (wanted, restarts) = (amount(1_500, 10_000), amount(4, 20));
    let dir = tempfile::tempdir().unwrap();
    maint(&dir, &["init", "."]);
    crate::put(&dir.path().join("page.txt"), "the app\n");
    let port = crate::server::free_port();
    let mut endpoints = [
        Restarted::new(&dir, format!("unix:{}", dir.path().join("s.sock").display())),
        Restarted::new(&dir, format!("127.0.0.1:{port}")),
    ];
    let log = dir.path().join("nginx.log");
    let http = format!(
        "error_log {} error;
        upstream maint {{
            server unix:{}/s.sock max_fails=0;
            server 127.0.0.1:{port} max_fails=0;
            keepalive 8;
        }}",
        log.display(),
        dir.path().display()
    );
    let server = format!(
        "location = /maint-auth {{
            internal;
            proxy_pass http://maint/auth;
            proxy_http_version 1.1;
            proxy_pass_request_body off;
            proxy_set_header Content-Length \"\";
            proxy_set_header Connection \"\";
            proxy_set_header Host $host;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URI $request_uri;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
        location / {{ auth_request /maint-auth; root {}; }}",
        dir.path().display()
    );
    let Some(nginx) = Nginx::start(&["http_auth_request_module"], &http, &server) else { return };
    let (asked, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let load = Meanwhile::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut visitor = Visitor { port: nginx.port, kept: None };
                while load.goes_on() {
                    if !visitor.visit().is_ok_and(|status| status == 200) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        load.of(|| {
            for number in 0..restarts {
                let due = wanted * (number + 1) / (restarts + 1);
                until("the load goes on", || asked.load(Ordering::Relaxed) >= due);
                endpoints[number % 2].restart();
            }
            until("all have asked", || asked.load(Ordering::Relaxed) >= wanted);
        });
    });
    let (asked, failed) = (asked.into_inner(), failed.into_inner());
    let log = complaints(&log);
    let resets = log.lines().filter(|line| line.contains("reset by peer")).count();
    let refused = log.lines().filter(|line| line.contains("connect() ")).count();
    figure(&format!(
        "{failed} of {asked} requests failed over {restarts} restarts; nginx met {resets} resets, \
         and went to the other endpoint {refused} times"
    ));
    assert_eq!(failed, 0, "{log}");
}

fn complaints(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
