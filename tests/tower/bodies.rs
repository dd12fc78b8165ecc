//! A client that is still sending when the answer comes can read it.

use std::io;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::any;

use crate::client::{Client, Response};
use crate::env::{Server, TestSite};
use crate::say::figure;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How a client announces the length of its body.
#[derive(Clone, Copy, Debug)]
enum Length {
    Known,
    Chunked,
}

fn down() -> (TestSite, Server) {
    let site = TestSite::new();
    site.ok(&["on"]);
    let server = Server::start(Router::new().fallback(any(async || "app")).layer(site.layer()));
    (site, server)
}

fn head(client: &mut Client, size: usize, length: Length, others: &[(&str, &str)]) {
    let size = size.to_string();
    let field = match length {
        Length::Known => ("Content-Length", size.as_str()),
        Length::Chunked => ("Transfer-Encoding", "chunked"),
    };
    let mut headers = vec![field];
    headers.extend(others);
    client.head("POST", "/upload", &headers).unwrap();
}

/// Sends a whole body, whatever comes back meanwhile.
fn send(client: &mut Client, size: usize, length: Length) -> io::Result<()> {
    let piece = vec![b'x'; size.min(64 * KIB)];
    for from in (0..size).step_by(64 * KIB) {
        let piece = &piece[..piece.len().min(size - from)];
        match length {
            Length::Known => client.write(piece)?,
            Length::Chunked => {
                client.write(format!("{:x}\r\n", piece.len()).as_bytes())?;
                client.write(piece)?;
                client.write(b"\r\n")?;
            }
        }
    }
    match length {
        Length::Known => Ok(()),
        Length::Chunked => client.write(b"0\r\n\r\n"),
    }
}

#[track_caller]
fn check(response: &Response, says_close: bool) {
    assert_eq!(response.status, 503, "{response:?}");
    assert!(response.is_from_the_gate(), "{response:?}");
    assert!(response.interim.is_empty(), "no `100 Continue` is sent: {response:?}");
    assert_eq!(response.header("connection"), says_close.then_some("close"), "{response:?}");
}

#[test]
fn requirement_49_a_client_that_sends_all_before_it_reads_gets_the_page_and_goes_on() {
    let (_site, server) = down();
    let mut bytes = 0;
    let mut client = server.client();
    for _ in 0..10 {
        for size in [1, 100, 100 * KIB, MIB, 10 * MIB] {
            for length in [Length::Known, Length::Chunked] {
                head(&mut client, size, length, &[]);
                send(&mut client, size, length).unwrap_or_else(|cause| {
                    panic!("{size} {length:?}: the server hung up: {cause}");
                });
                check(&client.receive("POST").unwrap(), false);
                bytes += size;
            }
        }
    }
    figure(&format!("100 requests, {} MiB sent on one connection, 0 broken", bytes / MIB));
}

#[test]
fn a_request_without_a_body_and_an_empty_one_keep_the_connection() {
    let (_site, server) = down();
    let mut client = server.client();
    check(&client.ask("POST", "/", &[]), false);
    check(&client.ask("POST", "/", &[("Content-Length", "0")]), false);
    head(&mut client, 0, Length::Chunked, &[]);
    send(&mut client, 0, Length::Chunked).unwrap();
    check(&client.receive("POST").unwrap(), false);
    check(&client.get("/"), false);
}

#[test]
fn who_asks_before_sending_is_answered_at_once_and_sends_nothing() {
    let (_site, server) = down();
    for (size, length) in [(10, Length::Known), (10 * MIB, Length::Known), (0, Length::Chunked)] {
        let mut client = server.client();
        head(&mut client, size, length, &[("Expect", "100-continue")]);
        check(&client.receive("POST").unwrap(), true);
        assert!(client.is_closed().unwrap());
    }
}

#[test]
fn who_waits_for_the_answer_before_sending_more_gets_it() {
    let (_site, server) = down();
    for length in [Length::Known, Length::Chunked] {
        let mut client = server.client();
        head(&mut client, 100, length, &[]);
        client
            .write(if matches!(length, Length::Chunked) { b"5\r\nhello\r\n" } else { b"hello" })
            .unwrap();
        check(&client.receive("POST").unwrap(), true);
    }
}

#[test]
fn who_sends_slowly_is_waited_for() {
    let (_site, server) = down();
    let mut client = server.client();
    head(&mut client, 12, Length::Known, &[]);
    for _ in 0..12 {
        thread::sleep(Duration::from_millis(250));
        client.write(b"x").unwrap();
    }
    check(&client.receive("POST").unwrap(), false);
    check(&client.get("/"), false);
}

#[test]
fn what_is_too_large_is_answered_at_once_and_the_answer_says_that_the_connection_ends() {
    let (_site, server) = down();
    let mut client = server.client();
    head(&mut client, 100 * MIB, Length::Known, &[]);
    check(&client.receive("POST").unwrap(), true);
    // A body of unknown length is read no further than the others.
    let mut client = server.client();
    head(&mut client, 0, Length::Chunked, &[]);
    let sent = send(&mut client, 100 * MIB, Length::Chunked);
    assert!(sent.is_err(), "the whole body was read");
}

#[test]
fn a_client_that_gives_up_in_the_middle_troubles_nobody() {
    let (_site, server) = down();
    for length in [Length::Known, Length::Chunked] {
        let mut client = server.client();
        head(&mut client, MIB, length, &[]);
        client.write(b"5\r\nhel").unwrap();
    }
    check(&server.client().get("/"), false);
}
