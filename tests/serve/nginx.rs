//! nginx, from Debian's `nginx-light`.

use std::path::Path;

use crate::app::App;
use crate::front::{self, is_of_the_app, snippet};
use crate::rig::Serving;
use crate::server::{Server, installed, ordinary, put};
use crate::wire::{get, try_ask};

/// One whose `server` begins with the second part of the snippet.
pub(crate) fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let (http, server) = snippet.split_once("# --- server\n").expect("two parts");
    let command = |dir: &Path, port: u16| {
        let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .concat();
        let text = format!(
            "daemon off; pid nginx.pid; error_log stderr; worker_processes 2;
            events {{ }}
            http {{ access_log off; {temps} {http}
            server {{
                listen 127.0.0.1:{port};
                {server}
                location / {{ proxy_pass http://127.0.0.1:{app}; }}
                location /socket {{
                    proxy_pass http://127.0.0.1:{app};
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection upgrade;
                }}
                location /own-403 {{ deny all; }}
            }} }}"
        );
        put(&dir.join("nginx.conf"), &text);
        let mut command = ordinary(program);
        command.arg("-p").arg(dir).args(["-e", "stderr", "-c", "nginx.conf"]);
        command
    };
    Server::start(command, |port| try_ask(port, "GET", "/", &[]).is_ok())
}

#[test]
fn nginx_obeys_the_endpoint() {
    let Some(program) = installed("nginx") else { return };
    front::is_obeyed(&front::NGINX, &|text, app| before(&program, text, app));
}

#[test]
fn nginx_obeys_the_endpoint_in_its_open_form() {
    let Some(program) = installed("nginx") else { return };
    let start = |text: &str, app: u16| before(&program, &front::opened(text), app);
    front::is_obeyed(&front::NGINX, &start);
}

#[test]
fn nginx_without_the_endpoint_is_closed_or_open_as_its_form_says() {
    let Some(program) = installed("nginx") else { return };
    front::fails_as_its_form_says("nginx", 500, &|text, app| before(&program, text, app));
}

#[test]
fn nginx_follows_each_toggle_among_visitors() {
    let Some(program) = installed("nginx") else { return };
    front::is_switched_among_visitors("nginx", &|text, app| before(&program, text, app));
}

#[test]
fn nginx_keeps_a_403_of_its_own() {
    let Some(program) = installed("nginx") else { return };
    let (serving, app) = (Serving::start(&[]), App::start());
    let front = before(&program, &snippet(&serving, "nginx", &[]), app.port);
    assert!(is_of_the_app(&get(front.port, "/")));
    let answer = get(front.port, "/own-403");
    assert_eq!((answer.status, answer.header("maint-decision")), (403, None), "{answer:?}");
    // Only nginx itself asks.
    assert_eq!(get(front.port, "/__maint/ask").status, 404);
}
