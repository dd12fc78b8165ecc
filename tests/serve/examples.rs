//! The examples in `examples/`: apps in other languages behind nginx, which asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::front::snippet;
use crate::nginx::before;
use crate::process::Process;
use crate::put;
use crate::rig::Serving;
use crate::say::skip;
use crate::server::installed;
use crate::wire::{ask, try_ask};

/// A copy of an example, which may install and store beside itself.
fn copy(name: &str) -> TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_file() {
            put(&dir.path().join(path.file_name().unwrap()), &fs::read_to_string(&path).unwrap());
        }
    }
    dir
}

/// Starts an app that `command` makes for a port, until it answers.
fn start(command: impl Fn(u16) -> Command) -> (Process, u16) {
    // Another process may take the free port first.
    for _ in 0..5 {
        let port = crate::server::free_port();
        let mut command = command(port);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start(&mut command);
        if process.is_up(|| try_ask(port, "GET", "/", &[]).is_ok_and(|answer| answer.status == 200))
        {
            return (process, port);
        }
    }
    panic!("the app does not start");
}

/// An app behind nginx: up, down in part, read-only, down with somebody let through.
fn is_switched(app: u16) {
    let Some(nginx) = installed("nginx") else { return };
    let serving = Serving::start(&[]);
    let front = before(&nginx, &snippet(&serving, "nginx", &[]), app);
    let status = |method: &str, path: &str| ask(front.port, method, path, &[]).status;
    let all = || [status("GET", "/"), status("GET", "/orders"), status("POST", "/orders")];
    assert_eq!(all(), [200, 200, 201]);
    serving.maint(&["on", "--path", "/orders"]);
    assert_eq!(all(), [200, 503, 503]);
    serving.maint(&["off"]);
    serving.maint(&["on", "--read-only"]);
    assert_eq!(all(), [200, 200, 503]);
    serving.maint(&["off"]);
    serving.maint(&["on"]);
    assert_eq!(all(), [503, 503, 503]);
    serving.maint(&["ignore", "add", "ip", "127.0.0.1"]);
    assert_eq!(all(), [200, 200, 201]);
    serving.maint(&["ignore", "remove", "127.0.0.1"]);
    assert_eq!(all(), [503, 503, 503]);
    serving.maint(&["off"]);
    assert_eq!(all(), [200, 200, 201]);
}

#[test]
fn an_express_app_behind_nginx_is_switched() {
    let (Some(node), Some(npm)) = (installed("node"), installed("npm")) else { return };
    let dir = copy("express");
    let quiet = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    let done = Command::new(npm).args(quiet).current_dir(dir.path()).output().unwrap();
    if !done.status.success() {
        skip(&format!("npm ci: {}", String::from_utf8_lossy(&done.stderr)));
        return;
    }
    let (_app, port) = start(|port| {
        let mut command = Command::new(&node);
        command.arg("app.js").env("PORT", port.to_string()).current_dir(dir.path());
        command
    });
    is_switched(port);
}

#[test]
fn a_php_app_behind_nginx_is_switched() {
    let Some(php) = installed("php") else { return };
    let dir = copy("php");
    let (_app, port) = start(|port| {
        let mut command = Command::new(&php);
        command.args(["-S", &format!("127.0.0.1:{port}"), "index.php"]);
        command.current_dir(dir.path()).env("TMPDIR", dir.path());
        command
    });
    is_switched(port);
}
