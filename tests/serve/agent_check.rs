//! The word for `HAProxy`, and what `HAProxy` makes of it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::metrics::installed;
use crate::process::Process;
use crate::rig::{Serving, command};
use crate::server::free_port;

/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An endpoint that answers agent-checks at a port.
fn serving(more: &[&str]) -> (Serving, u16) {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut arguments = vec!["--agent-check", &address];
    arguments.extend(more);
    (Serving::start(&arguments), port)
}

/// Connects, sends something as `agent-send` does, and reads all there is.
fn word(port: u16, sent: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    // It is listening a moment after the other sockets.
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn clients_that_stay_keep_the_word_from_nobody() {
    let (serving, port) = serving(&[]);
    assert_eq!(word(port, ""), "ready up\n");
    let staying: Vec<_> = (0..1_000).map(|_| TcpStream::connect(("127.0.0.1", port))).collect();
    serving.maint(&["on"]);
    assert_eq!(word(port, ""), "maint\n");
    assert!(staying.iter().all(Result::is_ok));
}

#[test]
fn the_word_is_maint_while_the_whole_site_is_down_and_for_no_part_of_it() {
    let (serving, port) = serving(&[]);
    assert_eq!(word(port, ""), "ready up\n");
    assert_eq!(word(port, "shop\n"), "ready up\n");
    for part in [
        &["--path", "/shop/**"][..],
        &["--read-only"],
        &["--host", "a.test"],
        &["--method", "POST"],
    ] {
        serving.maint(&[&["on"], part].concat());
        assert_eq!(word(port, ""), "ready up\n", "{part:?}");
        serving.maint(&["off"]);
    }
    serving.maint(&["on", "--at", "+2h"]);
    assert_eq!(word(port, ""), "ready up\n");
    serving.maint(&["on", "now"]);
    assert_eq!(word(port, ""), "maint\n");
    serving.maint(&["off", "now"]);
    assert_eq!(word(port, ""), "ready up\n");
}

#[test]
fn the_word_is_drain_where_connections_may_go_on() {
    let (serving, port) = serving(&["--drain"]);
    assert_eq!(word(port, ""), "ready up\n");
    serving.maint(&["on"]);
    assert_eq!(word(port, ""), "drain\n");
}

#[test]
fn no_word_says_ready_because_a_state_cannot_be_read() {
    let (serving, port) = serving(&[]);
    serving.maint(&["on"]);
    assert_eq!(word(port, ""), "maint\n");
    let broken = |dir: &Path| {
        let state = dir.join(".maint/state.json");
        fs::remove_file(&state).unwrap();
        File::create_new(&state).unwrap().write_all(b"{").unwrap();
    };
    broken(serving.dir.path());
    assert_eq!(word(port, ""), "maint\n");
    // One that never could be read keeps the endpoint from starting.
    let port = free_port();
    let mut process = command(&serving.dir);
    let at = format!("127.0.0.1:{port}");
    process.args(["serve", "--listen", "127.0.0.1:0", "--agent-check", &at]);
    let output = process.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn requirement_86_an_agent_check_at_a_public_address_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    crate::rig::maint(&dir, &["init", "."]);
    for at in ["0.0.0.0:0", "[::]:0", "shop=127.0.0.1:0"] {
        let mut process = command(&dir);
        process.args(["serve", "--listen", "127.0.0.1:0", "--agent-check", at]);
        let output = process.output().unwrap();
        assert!(!output.status.success(), "{at}: {output:?}");
    }
}

/// What `HAProxy` says of its server: UP, MAINT or DRAIN.
fn standing(socket: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(b"show stat\n").ok()?;
    let mut table = String::new();
    stream.read_to_string(&mut table).ok()?;
    let line = table.lines().find(|line| line.starts_with("app,one,"))?;
    line.split(',').nth(17).map(str::to_owned)
}

#[test]
fn haproxy_takes_its_server_out_and_back() {
    let Some(program) = installed("haproxy") else { return };
    for (more, down) in [(&[][..], "MAINT"), (&["--drain"], "DRAIN")] {
        let (serving, port) = serving(more);
        let app = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = app.local_addr().unwrap();
        let socket = serving.dir.path().join("haproxy.sock");
        let text = format!(
            "global\n    stats socket {socket} mode 600 level admin
defaults\n    mode http\n    timeout client 60s\n    timeout connect 60s\n    timeout server 60s
frontend site\n    bind 127.0.0.1:{front}\n    default_backend app
backend app\n    server one {to} check inter 100ms agent-check agent-addr 127.0.0.1 agent-port {port} agent-inter 100ms\n",
            socket = socket.display(),
            front = free_port(),
        );
        let path = serving.dir.path().join("haproxy.cfg");
        File::create_new(&path).unwrap().write_all(text.as_bytes()).unwrap();
        let mut command = Command::new(&program);
        command.arg("-db").arg("-f").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let mut haproxy = Process::start(&mut command);
        let mut comes = |wanted: &str| {
            let is = || standing(&socket).is_some_and(|it| it.starts_with(wanted));
            assert!(haproxy.is_up(is), "{wanted} does not come: {:?}", standing(&socket));
        };
        for _ in 0..2 {
            comes("UP");
            serving.maint(&["on"]);
            comes(down);
            serving.maint(&["off"]);
        }
        comes("UP");
    }
}
