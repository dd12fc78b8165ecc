//! nginx, from Debian's `nginx-light`.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::app::{App, answers_at};
use crate::obeys::{Case, MESSAGE, is_refused};
use crate::server::{Server, installed, ordinary, put};
use crate::site::TestSite;
use crate::wire::get;

/// An nginx with these in its section `http`, until `is_up` says of its port that it answers.
pub(crate) fn start(
    program: &Path,
    servers: &dyn Fn(u16) -> String,
    is_up: &dyn Fn(u16) -> bool,
) -> Server {
    let command = |dir: &Path, port: u16| {
        let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .concat();
        let text = format!(
            "daemon off; pid nginx.pid; error_log stderr; worker_processes 2;
            events {{ }}
            http {{ access_log off; {temps} {} }}",
            servers(port)
        );
        put(&dir.join("nginx.conf"), &text);
        let mut command = ordinary(program);
        command.arg("-p").arg(dir).args(["-e", "stderr", "-c", "nginx.conf"]);
        command
    };
    Server::start(command, is_up)
}

/// One whose only `server` begins with the snippet, and has the app behind it.
pub(crate) fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let servers = |port: u16| {
        format!(
            "server {{
                listen 127.0.0.1:{port};
                {snippet}
                add_header Content-Security-Policy \"default-src 'self'\" always;
                location / {{ proxy_pass http://127.0.0.1:{app}; }}
            }}"
        )
    };
    start(program, &servers, &|port| answers_at(port, app))
}

const CASE: Case = Case {
    software: "nginx",
    shows_pages: true,
    reads_retry_after: false,
    grace: Duration::ZERO,
    log: Some("log"),
};

#[test]
fn requirement_83_nginx_obeys() {
    let Some(program) = installed("nginx") else { return };
    CASE.is_obeyed(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_nginx_obeys_a_single_file() {
    let Some(program) = installed("nginx") else { return };
    CASE.obeys_single_files(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_nginx_obeys_wherever_the_flag_is() {
    let Some(program) = installed("nginx") else { return };
    let refused = CASE.bears_names(&|snippet, app| before(&program, snippet, app));
    assert_eq!(refused, ["$host", "a\nb"]);
}

/// A site that shows a page of its own for what is busy, and says so of the app as well.
#[test]
fn requirement_83_nginx_keeps_the_error_page_of_the_site() {
    let Some(program) = installed("nginx") else { return };
    let (site, app) = (TestSite::new(), App::start());
    site.add_flag();
    let snippet = format!(
        "{}
        error_page 503 /busy;
        proxy_intercept_errors on;
        location = /busy {{ internal; return 503 \"the site is busy\"; }}",
        site.maint(&["snippet", "nginx"])
    );
    let server = before(&program, &snippet, app.port);
    let is_busy = || {
        let answer = get(server.port, "/own-503");
        assert_eq!((answer.status, answer.body.as_str()), (503, "the site is busy"));
        assert_eq!(answer.header("maint-decision"), None, "{answer:?}");
    };
    is_busy();
    site.on(MESSAGE);
    let answer = get(server.port, "/own-503");
    is_refused(&answer, "the page of maint goes first");
    assert!(answer.body.contains(MESSAGE), "{answer:?}");
    site.off();
    is_busy();
}

/// As the snippet says.
#[test]
fn requirement_83_nginx_with_a_cache_of_files_follows_late() {
    let Some(program) = installed("nginx") else { return };
    let (site, app) = (TestSite::new(), App::start());
    site.add_flag();
    let text = site.maint(&["snippet", "nginx"]);
    let cached = |valid| format!("open_file_cache max=100; open_file_cache_valid {valid};\n{text}");
    let (late, soon) = (cached("600s"), cached("1s"));
    let (late, soon) = (before(&program, &late, app.port), before(&program, &soon, app.port));
    site.on(MESSAGE);
    is_refused(&get(late.port, "/"), "a new flag is seen at once");
    is_refused(&get(soon.port, "/"), "a new flag is seen at once");
    site.off();
    // A worker keeps what it saw, and there are two.
    let deadline = Instant::now() + Duration::from_secs(60);
    while get(late.port, "/").status != 503 {
        assert!(Instant::now() < deadline, "the cache of files hides nothing");
    }
    while get(soon.port, "/").status == 503 {
        assert!(Instant::now() < deadline, "never seen");
        std::thread::sleep(Duration::from_millis(50));
    }
}
