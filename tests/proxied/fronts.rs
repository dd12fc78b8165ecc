//! Caches in front of an app, configured to keep whatever they may.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::nginx::Nginx;
use crate::process::Process;
use crate::say::skip;
use crate::wire::ask_raw;

/// A cache in front of an app.
pub(crate) struct Front {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    _server: Server,
    /// The directory of nginx's files; empty with Varnish.
    pub(crate) dir: TempDir,
}

enum Server {
    Nginx { _process: Nginx },
    Varnish { _process: Process },
}

/// Every installed cache, new and empty, in front of one app.
pub(crate) fn all(app: u16) -> Vec<Front> {
    [nginx(app), varnish(app)].into_iter().flatten().collect()
}

/// An nginx that keeps every status for a minute unless told otherwise, under the
/// path alone. It writes two access logs: the usual one, and one without the query.
pub(crate) fn nginx(app: u16) -> Option<Front> {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let http = format!(
        "proxy_cache_path {at}/cache levels=1 keys_zone=site:8m inactive=1h;
        log_format paths '$request_method $uri $status';
        upstream app {{ server 127.0.0.1:{app}; keepalive 8; }}"
    );
    let server = format!(
        "access_log {at}/usual.log combined;
        access_log {at}/paths.log paths;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_cache site;
            proxy_cache_key $uri;
            proxy_cache_valid 200 60s;
            proxy_cache_valid any 60s;
            proxy_cache_use_stale off;
            add_header X-Cache-Status $upstream_cache_status always;
        }}"
    );
    let process = Nginx::start(&[], &http, &server)?;
    let port = process.port;
    Some(Front { name: "nginx", port, _server: Server::Nginx { _process: process }, dir })
}

/// A Varnish that keeps what it may, under the path and the query, with or without cookies.
fn varnish(app: u16) -> Option<Front> {
    let program = ["varnishd", "/usr/sbin/varnishd"]
        .into_iter()
        .find(|program| Command::new(program).arg("-V").output().is_ok());
    let Some(program) = program else {
        skip("varnishd is not installed; it is shown with nginx alone");
        return None;
    };
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = start_varnish(program, dir.path(), port, app);
        let answers = || ask_raw(port, b"/").is_some_and(|it| it.header("x-varnish").is_some());
        if process.is_up(answers) {
            let server = Server::Varnish { _process: process };
            return Some(Front { name: "varnish", port, _server: server, dir });
        }
    }
    skip("varnishd does not start here; it is shown with nginx alone");
    None
}

#[expect(clippy::disallowed_methods, reason = "the configuration of another program")]
fn start_varnish(program: &str, dir: &Path, port: u16, app: u16) -> Process {
    let text = format!(
        "vcl 4.1;
        backend app {{ .host = \"127.0.0.1\"; .port = \"{app}\"; }}
        sub vcl_recv {{ if (req.method == \"GET\" || req.method == \"HEAD\") {{ return (hash); }} }}
        sub vcl_hash {{ hash_data(req.url); return (lookup); }}
        sub vcl_deliver {{
            if (obj.hits > 0) {{ set resp.http.X-Cache-Status = \"HIT\"; }}
            else {{ set resp.http.X-Cache-Status = \"MISS\"; }}
        }}"
    );
    std::fs::write(dir.join("site.vcl"), text).unwrap();
    let log = || File::options().create(true).append(true).open(dir.join("stderr")).unwrap();
    let mut command = Command::new(program);
    command
        .args(["-F", "-j", "none", "-s", "malloc,64m", "-a"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("-n")
        .arg(dir.join("work"))
        .arg("-f")
        .arg(dir.join("site.vcl"))
        .stdin(Stdio::null())
        .stdout(log())
        .stderr(log());
    Process::start(&mut command)
}
