//! Clients that are many, slow or broken: they end, and others are served meanwhile.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::Serving;
use crate::say::figure;
use crate::watched::{PATIENCE, descriptors, memory, until};

const FIELDS: &str = "Host: a\r\nX-Original-Method: GET\r\nX-Original-URI: /\r\n";

fn connect(serving: &Serving) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", serving.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until the server closes, by whatever means, and returns what it said.
fn closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(cause) if cause.kind() == ErrorKind::WouldBlock => panic!("it stays open"),
        _ => said,
    }
}

fn is_served(serving: &Serving) {
    let fields = [("X-Original-Method", "GET"), ("X-Original-URI", "/")];
    assert_eq!(serving.ask("GET", "/auth", &fields).status, 204);
}

fn statuses(said: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(said);
    let heads = text.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    heads.map(|rest| rest[..3].parse().unwrap()).collect()
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}

#[test]
fn requirement_85_a_thousand_idle_connections_end_and_others_are_served_meanwhile() {
    let serving = Serving::start(&[]);
    is_served(&serving);
    let (before, _) = memory(&serving.process);
    let handles = descriptors(&serving.process);
    let begun = Instant::now();
    let mut idle: Vec<_> = (0..1_000).map(|_| connect(&serving)).collect();
    // Half of them have asked before.
    for stream in idle.iter_mut().step_by(2) {
        write!(stream, "GET /auth HTTP/1.1\r\n{FIELDS}\r\n").unwrap();
    }
    // The one before may have been there for a moment more.
    until("all are accepted", || descriptors(&serving.process) >= handles + 999);
    let (during, _) = memory(&serving.process);
    is_served(&serving);
    for (number, stream) in idle.iter_mut().enumerate() {
        let expected: &[u16] = if number % 2 == 0 { &[204] } else { &[] };
        assert_eq!(statuses(&closed(stream)), expected);
    }
    figure(&format!(
        "1 000 idle connections: closed after {}, {} KiB each",
        seconds(begun),
        during.saturating_sub(before) / 1_000
    ));
    is_served(&serving);
    until("their descriptors are free", || descriptors(&serving.process) <= handles);
}

#[test]
fn requirement_85_heads_that_come_a_byte_a_second_end() {
    let serving = Serving::start(&[]);
    let begun = Instant::now();
    let mut slow: Vec<_> = (0..100).map(|_| connect(&serving)).collect();
    let head = format!("GET /auth HTTP/1.1\r\n{FIELDS}\r\n");
    let mut open = slow.len();
    for byte in head.bytes() {
        let written = slow.iter_mut().filter_map(|stream| stream.write_all(&[byte]).ok());
        open = written.count();
        if open == 0 {
            break;
        }
        is_served(&serving);
        // So slow is the client; nothing is waited for.
        thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(open, 0, "no head was taken that came so slowly");
    figure(&format!("100 slow heads: all closed after {}", seconds(begun)));
    assert!(slow.iter_mut().all(|stream| closed(stream).is_empty()));
}

#[test]
fn requirement_85_a_head_of_64_kib_is_refused_and_memory_is_bounded() {
    let serving = Serving::start(&[]);
    is_served(&serving);
    let large = format!("GET /auth HTTP/1.1\r\n{FIELDS}X-Large: {}", "x".repeat(64 * 1024));
    let mut stream = connect(&serving);
    let _ = stream.write_all(large.as_bytes());
    assert_eq!(statuses(&closed(&mut stream)), [431]);
    // As much as nginx lets a client send passes.
    let allowed = format!("GET /auth HTTP/1.1\r\n{FIELDS}X: {}\r\n\r\n", "x".repeat(33 * 1024));
    let mut stream = connect(&serving);
    stream.write_all(allowed.as_bytes()).unwrap();
    assert_eq!(statuses(&closed(&mut stream)), [204]);
    let many = format!("GET /auth HTTP/1.1\r\n{}", "X: y\r\n".repeat(2_000));
    let mut stream = connect(&serving);
    let _ = stream.write_all(many.as_bytes());
    let _ = stream.write_all(b"\r\n");
    assert_eq!(statuses(&closed(&mut stream)), [431]);
    // Many that stop short of the end.
    let (before, _) = memory(&serving.process);
    let part = &large.as_bytes()[..60 * 1024];
    let mut begun: Vec<_> = (0..300).map(|_| connect(&serving)).collect();
    for stream in &mut begun {
        stream.write_all(part).unwrap();
    }
    is_served(&serving);
    assert!(begun.iter_mut().all(|stream| closed(stream).is_empty()));
    let (_, most) = memory(&serving.process);
    let each = most.saturating_sub(before) / 300;
    figure(&format!("300 heads of 60 KiB that do not end: {each} KiB each, {most} KiB in all"));
    assert!(each < 256, "{each} KiB each");
}

#[test]
fn requirement_85_pipelined_questions_are_answered_in_turn() {
    let serving = Serving::start(&[]);
    let mut stream = connect(&serving);
    let question = |target| format!("GET {target} HTTP/1.1\r\n{FIELDS}\r\n");
    let mut all: String = (0..1_000)
        .map(|number| question(if number % 3 == 0 { "/nothing" } else { "/auth" }))
        .collect();
    all += &format!("GET /auth HTTP/1.1\r\n{FIELDS}Connection: close\r\n\r\n");
    let mut writing = stream.try_clone().unwrap();
    let writer = thread::spawn(move || writing.write_all(all.as_bytes()).unwrap());
    let statuses = statuses(&closed(&mut stream));
    writer.join().unwrap();
    assert_eq!(statuses.len(), 1_001);
    for (number, status) in statuses.into_iter().enumerate() {
        assert_eq!(status, if number % 3 == 0 && number < 1_000 { 404 } else { 204 });
    }
}

#[test]
fn requirement_85_a_client_that_has_ended_its_half_gets_its_answer() {
    let serving = Serving::start(&[]);
    let mut stream = connect(&serving);
    write!(stream, "GET /auth HTTP/1.1\r\n{FIELDS}\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(statuses(&closed(&mut stream)), [204]);
    // One that ends within a question asks nothing.
    let mut stream = connect(&serving);
    write!(stream, "GET /auth HTTP/1.1\r\n{FIELDS}").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(statuses(&closed(&mut stream)).iter().all(|status| *status == 400));
}

#[test]
fn requirement_85_garbage_passes_nobody() {
    let serving = Serving::start(&[]);
    let mut noise = vec![0; 8 * 1024];
    getrandom::fill(&mut noise).unwrap();
    noise.push(b'\n');
    let conflicting = format!(
        "POST /auth HTTP/1.1\r\n{FIELDS}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let lengths = format!("POST /auth HTTP/1.1\r\n{FIELDS}Content-Length: 3, 4\r\n\r\nabc");
    let folded = format!("GET /auth HTTP/1.1\r\n{FIELDS} folded\r\nA : b\r\n\r\n");
    let zero = format!("GET /auth HTTP/1.1\r\n{FIELDS}A: \0\r\n\r\n");
    let old = "GET /auth\r\n\r\n".to_owned();
    let garbage: [&[u8]; 9] = [
        &noise,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"GET /auth HTTP/3.7\r\n\r\n",
        lengths.as_bytes(),
        folded.as_bytes(),
        zero.as_bytes(),
        old.as_bytes(),
    ];
    for bytes in garbage {
        let mut stream = connect(&serving);
        let _ = stream.write_all(bytes);
        let said = closed(&mut stream);
        let shown = String::from_utf8_lossy(bytes).chars().take(60).collect::<String>();
        assert!(statuses(&said).iter().all(|status| *status >= 400), "{shown:?}");
    }
    // Whoever smuggles gets one answer at most, and never one to what they hid in a body.
    let mut stream = connect(&serving);
    let _ = write!(stream, "{conflicting}0\r\n\r\nGET /auth HTTP/1.1\r\n{FIELDS}\r\n");
    assert!(statuses(&closed(&mut stream)).len() <= 1);
    is_served(&serving);
}

#[test]
fn requirement_85_no_body_is_read() {
    let serving = Serving::start(&[]);
    for body in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut stream = connect(&serving);
            write!(stream, "POST /auth HTTP/1.1\r\n{FIELDS}{expect}{body}\r\n\r\n").unwrap();
            // It is answered before any of the body is there, and is told to send none.
            assert_eq!(statuses(&closed(&mut stream)), [204], "{body} {expect}");
        }
    }
    let mut stream = connect(&serving);
    write!(stream, "POST /auth HTTP/1.1\r\n{FIELDS}Content-Length: 1000000000\r\n\r\n").unwrap();
    let chunk = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < 1_000_000_000 && stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 1_000_000_000, "it takes a body");
    figure(&format!("a body of 1 GB: closed after {} KiB were sent", sent / 1024));
}

#[test]
fn requirement_85_a_client_that_takes_no_answer_ends() {
    let serving = Serving::start(&[]);
    serving.maint(&["on", "-m", "Bigger disks"]);
    let begun = Instant::now();
    let clients: Vec<_> = (0..20).map(|_| connect(&serving)).collect();
    let question = format!("GET /page HTTP/1.1\r\n{FIELDS}Accept: text/html\r\n\r\n").repeat(100);
    thread::scope(|scope| {
        for mut client in clients {
            let question = question.as_bytes();
            // The buffers of the system fill up, and then it cannot write any more.
            scope.spawn(move || {
                let cause = loop {
                    if let Err(cause) = client.write_all(question) {
                        break cause;
                    }
                };
                assert!(is_gone(&cause), "it stays open: {cause}");
            });
        }
        let fields = [("X-Original-Method", "GET"), ("X-Original-URI", "/")];
        assert_eq!(serving.ask("GET", "/auth", &fields).status, 403);
    });
    let (_, most) = memory(&serving.process);
    figure(&format!(
        "20 clients that take no answer: closed after {}, {most} KiB at most",
        seconds(begun)
    ));
}

fn is_gone(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

#[test]
fn connections_leave_the_descriptors_that_a_change_is_read_by() {
    const WORKERS: usize = 20;
    let serving = Serving::with_descriptors(256, &["--workers", &WORKERS.to_string()]);
    is_served(&serving);
    let before = descriptors(&serving.process);
    let mut all: Vec<_> = (0..300).map(|_| connect(&serving)).collect();
    let share = 4 * WORKERS - 1;
    until("each worker has its share", || descriptors(&serving.process) >= before + share);
    serving.maint(&["on"]);
    let first = &mut all[0];
    write!(first, "GET /auth HTTP/1.1\r\n{FIELDS}Connection: close\r\n\r\n").unwrap();
    assert_eq!(statuses(&closed(first)), [403]);
}
