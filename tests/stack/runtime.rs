//! `HAProxy` by its runtime API, from Debian's `haproxy`: a map, and servers.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::geteuid;

use crate::app::{App, OURS, answers_at};
use crate::obeys::{is_of, is_refused};
use crate::say::figure;
use crate::server::{Server, installed, ordinary, put};
use crate::site::TestSite;
use crate::visitors::switched_among_them;
use crate::wire::get;

/// `HAProxy` in front of an app, with a master that can be told to reload.
struct Haproxy {
    server: Server,
    socket: PathBuf,
    map: PathBuf,
}

impl Haproxy {
    fn start(program: &Path, app: u16, level: &str) -> Self {
        let server = Server::start(
            |dir, port| {
                put(&dir.join("down.map"), "# host or app, and when to come again\n");
                put(&dir.join("haproxy.cfg"), &configuration(dir, port, app, level));
                let mut command = ordinary(program);
                command.args(["-W", "-db", "-p", "pid", "-f", "haproxy.cfg"]);
                command
            },
            |port| answers_at(port, app),
        );
        let dir = server.dir.path().to_owned();
        Self { server, socket: dir.join("admin.sock"), map: dir.join("down.map") }
    }

    /// Reloads it, and waits until the new process has the socket.
    fn reload(&self) {
        let id = || String::from_utf8(self.told("show info").stdout).unwrap();
        let pid = |info: &str| {
            info.lines().find_map(|line| line.strip_prefix("Pid: ").map(str::to_owned))
        };
        let before = pid(&id()).unwrap();
        let master = fs::read_to_string(self.server.dir.path().join("pid")).unwrap();
        let signal = Command::new("kill").args(["-USR2", master.trim()]).status().unwrap();
        assert!(signal.success());
        let deadline = Instant::now() + Duration::from_secs(30);
        while pid(&id()).is_none_or(|pid| pid == before) {
            assert!(Instant::now() < deadline, "it does not reload");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Says something to it by another hand than that of maint.
    fn told(&self, command: &str) -> std::process::Output {
        const ASK: &str = "import socket, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
except OSError:
    sys.exit()
s.sendall(sys.argv[2].encode() + b'\\n')
while part := s.recv(65536):
    sys.stdout.buffer.write(part)";
        Command::new("python3")
            .args(["-c", ASK, self.socket.to_str().unwrap(), command])
            .output()
            .unwrap()
    }
}

fn configuration(dir: &Path, port: u16, app: u16, level: &str) -> String {
    let dir = dir.display();
    let value = format!("str(shop),map({dir}/down.map)");
    format!(
        "global\n    stats socket {dir}/admin.sock mode 666 level {level}
defaults\n    mode http\n    timeout client 60s\n    timeout connect 60s\n    timeout server 60s
frontend site\n    bind 127.0.0.1:{port}
    http-request return status 503 content-type text/plain string Down hdr Retry-After \
         \"%[{value}]\" if {{ {value} -m found }}
    default_backend app
backend app\n    server s1 127.0.0.1:{app}\n    server s2 127.0.0.1:{app}\n"
    )
}

fn add_map(site: &TestSite, haproxy: &Haproxy) {
    let (socket, map) = (haproxy.socket.to_str().unwrap(), haproxy.map.to_str().unwrap());
    site.maint(&["flag", "add", "haproxy", socket, "--map", map, "--key", "shop"]);
}

#[test]
fn requirement_83_haproxy_obeys_an_entry_in_a_map() {
    for program in ["haproxy", "python3"] {
        if installed(program).is_none() {
            return;
        }
    }
    let program = installed("haproxy").unwrap();
    let (site, app) = (TestSite::new(), App::start());
    let haproxy = Haproxy::start(&program, app.port, "admin");
    let port = haproxy.server.port;
    add_map(&site, &haproxy);
    is_of(&app, &get(port, "/"));

    let said = switched_among_them(&site, port, "x", Duration::ZERO);
    figure(&format!("haproxy, a map: {said}"));

    site.on("x");
    let refused = get(port, "/");
    is_refused(&refused, "a map");
    assert_eq!(refused.header("retry-after"), Some("900"), "{refused:?}");
    haproxy.reload();
    is_refused(&get(port, "/"), "the file of the map is read at a reload");
    site.maint(&["set", "--for", "1h"]);
    let date = get(port, "/").header("retry-after").unwrap_or_default().to_owned();
    assert!(date.ends_with(" GMT"), "{date}");

    haproxy.told(&format!("del map {} shop", haproxy.map.display()));
    is_of(&app, &get(port, "/"));
    let status = site.maint(&["status"]);
    assert!(status.contains("haproxy"), "{status}");
    site.maint(&["flag", "sync"]);
    is_refused(&get(port, "/"), "what somebody else removed");
    site.off();
    is_of(&app, &get(port, "/"));
    haproxy.reload();
    is_of(&app, &get(port, "/"));
    let map = fs::read_to_string(&haproxy.map).unwrap();
    assert_eq!(map, "# host or app, and when to come again\n");
    if geteuid().is_root() {
        // The map is in a folder of nobody, who reads it.
        assert_eq!(fs::metadata(&haproxy.map).unwrap().permissions().mode() & 0o777, 0o644);
    }
}

#[test]
fn requirement_83_haproxy_obeys_servers_in_maintenance_which_a_reload_forgets() {
    for program in ["haproxy", "python3"] {
        if installed(program).is_none() {
            return;
        }
    }
    let program = installed("haproxy").unwrap();
    let (site, app) = (TestSite::new(), App::start());
    let haproxy = Haproxy::start(&program, app.port, "admin");
    let port = haproxy.server.port;
    let socket = haproxy.socket.to_str().unwrap();
    site.maint(&["flag", "add", "haproxy", socket, "--server", "app/s1", "--server", "app/s2"]);
    is_of(&app, &get(port, "/"));
    let said = switched_among_them(&site, port, "x", Duration::ZERO);
    figure(&format!("haproxy, servers: {said}"));

    site.on("x");
    is_refused(&get(port, "/"), "no server is left");
    haproxy.reload();
    is_of(&app, &get(port, "/"));
    assert_eq!(in_step(&site), "false", "a reload forgets the state of servers");
    site.maint(&["flag", "sync"]);
    is_refused(&get(port, "/"), "mended");
    site.off();
    is_of(&app, &get(port, "/"));

    // One is out for repair.
    haproxy.told("set server app/s2 state maint");
    site.on("x");
    is_refused(&get(port, "/"), "no server is left");
    site.off();
    is_of(&app, &get(port, "/"));
    let states = String::from_utf8(haproxy.told("show servers state app").stdout).unwrap();
    assert!(states.lines().any(|line| line.contains(" s2 127.0.0.1 0 1 ")), "{states}");
    haproxy.told("set server app/s1 state maint");
    let sync = site.output(&["flag", "sync"]);
    assert_eq!(sync.status.code(), Some(10), "by somebody else: {sync:?}");
    is_refused(&get(port, "/"), "by somebody else");
    site.maint(&["flag", "sync", "--take-over"]);
    is_of(&app, &get(port, "/"));
    let gone = site.output(&["flag", "add", "haproxy", socket, "--server", "app/s9", "--id", "b"]);
    assert_eq!(gone.status.code(), Some(10), "{gone:?}");
    let said = String::from_utf8_lossy(&gone.stderr) + String::from_utf8_lossy(&gone.stdout);
    assert!(said.contains("No such server"), "{said}");
}

fn in_step(site: &TestSite) -> String {
    let list: serde_json::Value =
        serde_json::from_str(&site.maint(&["flag", "list", "--json"])).unwrap();
    list["flags"][0]["in_step"].to_string()
}

#[test]
fn requirement_83_what_haproxy_refuses_is_said_and_its_next_start_obeys() {
    let Some(program) = installed("haproxy") else { return };
    let (site, app) = (TestSite::new(), App::start());
    let haproxy = Haproxy::start(&program, app.port, "user");
    let socket = haproxy.socket.to_str().unwrap();
    let added = site.output(&["flag", "add", "haproxy", socket, "--server", "app/s1"]);
    assert!(added.status.success(), "everyone may look: {added:?}");
    let on = site.output(&["on"]);
    assert_eq!(on.status.code(), Some(10), "{on:?}");
    let said = String::from_utf8_lossy(&on.stderr) + String::from_utf8_lossy(&on.stdout);
    assert!(said.contains("Permission denied") && said.contains("level admin"), "{said}");
    is_of(&app, &get(haproxy.server.port, "/"));
    site.off();

    let site = TestSite::new();
    add_map(&site, &haproxy);
    let dir = haproxy.server.dir.path().to_owned();
    let (socket, map) = (haproxy.socket.clone(), haproxy.map.clone());
    fs::remove_file(&socket).unwrap();
    let on = site.output(&["on"]);
    assert_eq!(on.status.code(), Some(10), "{on:?}");
    let text = fs::read_to_string(&map).unwrap();
    assert!(text.ends_with("\nshop 120\n"), "{text}");
    let port = crate::server::free_port();
    fs::remove_file(dir.join("haproxy.cfg")).unwrap();
    put(&dir.join("haproxy.cfg"), &configuration(&dir, port, app.port, "admin"));
    if geteuid().is_root() {
        chown(dir.join("haproxy.cfg"), Some(65534), Some(65534)).unwrap();
    }
    let mut command = ordinary(&program);
    command.args(["-W", "-db", "-f", "haproxy.cfg"]).current_dir(&dir);
    let mut process = crate::process::Process::start(&mut command);
    let answer = || crate::wire::try_ask(port, "GET", "/", &[]);
    assert!(process.is_up(|| answer().is_ok()));
    let refused = answer().unwrap();
    assert_eq!((refused.status, refused.header(OURS)), (503, None), "{refused:?}");
    site.maint(&["off"]);
    is_of(&app, &answer().unwrap());
}
