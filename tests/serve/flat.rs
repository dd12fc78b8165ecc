//! A long life: memory and descriptors stay as they are.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use crate::rig::Serving;
use crate::say::{amount, figure};
use crate::watched::{PATIENCE, descriptors, memory, until};

const QUESTION: &[u8] =
    b"GET /auth HTTP/1.1\r\nHost: a\r\nX-Original-Method: GET\r\nX-Original-URI: /\r\n\r\n";

/// Asks so often on one connection; the answers are 204 or 403.
fn ask(port: u16, times: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 4096];
    for _ in 0..times {
        stream.write_all(QUESTION).unwrap();
        let mut length = 0;
        while !answer[..length].ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut answer[length..]).unwrap();
            assert!(read > 0, "it closes a connection in use");
            length += read;
        }
        assert!(answer.starts_with(b"HTTP/1.1 204") || answer.starts_with(b"HTTP/1.1 403"));
    }
}

/// Requests on four kept connections, with changes meanwhile.
fn live(serving: &Serving, requests: usize, changes: usize) {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ask(serving.port, requests / 4));
        }
        for number in 0..changes {
            serving.maint(&[if number % 2 == 0 { "on" } else { "off" }]);
        }
    });
}

#[test]
fn memory_and_descriptors_are_flat_after_many_requests_and_changes() {
    let (requests, changes) = (amount(20_000, 1_000_000), amount(100, 10_000));
    let serving = Serving::start(&[]);
    live(&serving, requests / 10, changes / 10);
    let at_rest = descriptors(&serving.process);
    let (before, _) = memory(&serving.process);
    live(&serving, requests, changes);
    let (after, most) = memory(&serving.process);
    until("descriptors are flat", || descriptors(&serving.process) <= at_rest);
    figure(&format!(
        "{requests} requests and {changes} changes: {before} KiB before and {after} KiB after \
         ({most} KiB at most), {at_rest} descriptors"
    ));
    assert!(after < before + 1024, "{before} KiB, then {after} KiB");
}
