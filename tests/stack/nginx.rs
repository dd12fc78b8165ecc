//! nginx, from Debian's `nginx-light`.

use std::path::Path;
use std::time::Duration;

use crate::app::answers_at;
use crate::obeys::Case;
use crate::server::{Server, installed, ordinary, put};

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
                location / {{ proxy_pass http://127.0.0.1:{app}; }}
            }}"
        )
    };
    start(program, &servers, &|port| answers_at(port, app))
}

#[test]
fn requirement_83_nginx_obeys() {
    let Some(program) = installed("nginx") else { return };
    let case = Case {
        software: "nginx",
        shows_pages: true,
        reads_retry_after: false,
        grace: Duration::ZERO,
    };
    case.is_obeyed(&|snippet, app| before(&program, snippet, app));
}
