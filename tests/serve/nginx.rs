//! nginx, from Debian's `nginx-light`.

use std::path::Path;

use crate::front::{self, is_of_the_app};
use crate::server::{Server, ordinary, put};
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
    front::is_obeyed(front::NGINX);
}

#[test]
fn nginx_obeys_the_endpoint_in_its_open_form() {
    front::is_obeyed(front::NGINX.open());
}

#[test]
fn nginx_without_the_endpoint_is_closed_or_open_as_its_form_says() {
    front::fails_as_its_form_says(front::NGINX, 500);
}

#[test]
fn nginx_follows_each_toggle_among_visitors() {
    front::is_switched_among_visitors(front::NGINX);
}

#[test]
fn nginx_keeps_a_403_of_its_own() {
    let Some(front) = front::NGINX.in_front(&[]) else { return };
    assert!(is_of_the_app(&get(front.port, "/")));
    let answer = get(front.port, "/own-403");
    assert_eq!((answer.status, answer.header("maint-decision")), (403, None), "{answer:?}");
    // Only nginx itself asks.
    assert_eq!(get(front.port, "/__maint/ask").status, 404);
}
