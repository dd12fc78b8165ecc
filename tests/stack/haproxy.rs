//! `HAProxy`, from Debian's `haproxy`.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::geteuid;

use crate::app::{App, answers_at};
use crate::obeys::{Case, MESSAGE, is_of, is_refused};
use crate::say::skip;
use crate::server::{Server, directory, installed, ordinary, put, shown};
use crate::site::TestSite;
use crate::wire::{ask, get};

/// The file of a configuration with the snippet, in front of an app, and `more` in `global`.
fn configured(dir: &Path, port: u16, snippet: &str, app: u16, more: &str) -> PathBuf {
    let file = dir.join("maint.lua");
    put(&file, snippet);
    let [load, using] = &shown(snippet)[..] else { panic!("{snippet}") };
    let load = load.replace("/etc/haproxy/maint.lua", file.to_str().unwrap());
    let text = format!(
        "global\n    {load}\n    log stderr local0 warning\n    {more}
defaults\n    timeout client 60s\n    timeout connect 60s\n    timeout server 60s
frontend site\n    bind 127.0.0.1:{port}\n    mode http\n    {using}\n    default_backend app
backend app\n    mode http\n    server app 127.0.0.1:{app}\n"
    );
    let path = dir.join("haproxy.cfg");
    put(&path, &text);
    path
}

fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        let mut command = ordinary(program);
        command.arg("-db").arg("-f").arg(configured(dir, port, snippet, app, ""));
        command
    };
    Server::start(command, |port| answers_at(port, app))
}

const CASE: Case = Case {
    software: "haproxy",
    shows_pages: true,
    reads_retry_after: true,
    grace: Duration::ZERO,
    log: Some("log"),
};

#[test]
fn requirement_83_haproxy_obeys() {
    let Some(program) = installed("haproxy") else { return };
    CASE.is_obeyed(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_haproxy_obeys_a_single_file() {
    let Some(program) = installed("haproxy") else { return };
    CASE.obeys_single_files(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_haproxy_obeys_wherever_the_flag_is() {
    let Some(program) = installed("haproxy") else { return };
    let refused = CASE.bears_names(&|snippet, app| before(&program, snippet, app));
    assert_eq!(refused, ["a\nb"]);
}

/// Debian's configuration has a `chroot`, which hides the folder.
#[test]
fn requirement_83_haproxy_in_a_chroot_says_that_it_cannot_see_the_flag() {
    let Some(program) = installed("haproxy") else { return };
    if !geteuid().is_root() {
        return skip("needs root, to change the root");
    }
    let (site, app) = (TestSite::new(), App::start());
    site.add_flag();
    let text = site.maint(&["snippet", "haproxy"]);
    let jail = directory();
    let more = format!("chroot {}\n    uid 65534\n    gid 65534", jail.path().display());
    let command = |dir: &Path, port: u16| {
        let mut command = Command::new(&program);
        command.arg("-db").arg("-f").arg(configured(dir, port, &text, app.port, &more));
        command
    };
    let server = Server::start(command, |port| answers_at(port, app.port));
    site.on(MESSAGE);
    is_of(&app, &get(server.port, "/"));
    let log = fs::read_to_string(server.dir.path().join("log")).unwrap();
    let flag = site.flag().join("down").display().to_string();
    assert!(log.contains(&format!("maint: {flag}: No such file or directory")), "{log}");
}

/// As the usual `bind :::80 v4v6` has it.
#[test]
fn requirement_83_haproxy_lets_ipv4_through_a_socket_for_both() {
    let Some(program) = installed("haproxy") else { return };
    if TcpListener::bind("[::]:0").is_err() {
        return skip("no IPv6 here");
    }
    let (site, app) = (TestSite::new(), App::start());
    site.add_flag();
    let text = site.maint(&["snippet", "haproxy"]);
    let command = |dir: &Path, port: u16| {
        let path = configured(dir, port, &text, app.port, "");
        let one = fs::read_to_string(&path).unwrap();
        let both = one.replace(&format!("bind 127.0.0.1:{port}"), &format!("bind :::{port} v4v6"));
        fs::remove_file(&path).unwrap();
        put(&path, &both);
        let mut command = ordinary(&program);
        command.arg("-db").arg("-f").arg(path);
        command
    };
    let server = Server::start(command, |port| answers_at(port, app.port));
    site.on(MESSAGE);
    is_refused(&get(server.port, "/"), "down");
    site.allow("127.0.0.1");
    is_of(&app, &get(server.port, "/"));
}

/// The other way, for a flag of the kind `haproxy`.
#[test]
fn requirement_83_haproxy_obeys_the_map_of_its_snippet() {
    let Some(program) = installed("haproxy") else { return };
    let (site, app, place) = (TestSite::new(), App::start(), directory());
    // HAProxy runs as somebody else, and makes its socket.
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
    let (socket, map) = (place.path().join("socket"), site.project().join("down.map"));
    let (socket, map) = (socket.to_str().unwrap(), map.to_str().unwrap());
    put(Path::new(map), "");
    let start = |snippet: &str| {
        let command = |dir: &Path, port: u16| {
            let page = dir.join("down.html");
            put(&page, "<h1>Down for maintenance</h1>");
            let snippet = snippet.replace("/etc/haproxy/down.html", page.to_str().unwrap());
            let text = format!(
                "global\n    stats socket {socket} mode 666 level admin
defaults\n    mode http\n    timeout client 60s\n    timeout connect 60s\n    timeout server 60s
frontend site\n    bind 127.0.0.1:{port}\n{snippet}\n    default_backend app
backend app\n    server app 127.0.0.1:{app}\n",
                app = app.port
            );
            put(&dir.join("haproxy.cfg"), &text);
            let mut command = ordinary(&program);
            command.args(["-db", "-f", "haproxy.cfg"]);
            command
        };
        Server::start(command, |port| answers_at(port, app.port))
    };
    // A flag is declared for what is there, and follows once HAProxy has read the snippet.
    let server = start("");
    let added = site.output(&["flag", "add", "haproxy", socket, "--map", map, "--key", "shop"]);
    assert_eq!(added.status.code(), Some(10), "{added:?}");
    drop(server);
    let server = start(&site.maint(&["snippet", "haproxy"]));
    for _ in 0..2 {
        is_of(&app, &get(server.port, "/"));
        site.on(MESSAGE);
        for method in ["GET", "POST", "HEAD", "PUT"] {
            let answer = ask(server.port, method, "/shop", &[]);
            is_refused(&answer, method);
            assert_eq!(answer.header("retry-after"), Some("900"), "{answer:?}");
            assert_eq!(answer.header("maint-decision"), Some("block"), "{answer:?}");
        }
        is_of(&app, &get(server.port, "/.well-known/acme-challenge/token"));
        is_refused(&get(server.port, "/.well-known/acme-challenge/../shop"), "not a challenge");
        site.off();
    }
    let busy = get(server.port, "/own-503");
    is_of(&app, &busy);
    assert_eq!(busy.header("retry-after"), None, "{busy:?}");
}
