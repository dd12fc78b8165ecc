//! nginx, from Debian's `nginx-light`.

use std::process::Command;
use std::time::Duration;

use crate::app::OURS;
use crate::obeys::Case;
use crate::server::{Server, installed, ordinary, put};
use crate::wire::try_ask;

/// An nginx with this in its only `server` block, whose `location /` asks the app. The app is
/// asked for `/up` until it answers.
pub(crate) fn start(program: &std::path::Path, snippet: &str, app: u16) -> Server {
    let command = |dir: &std::path::Path, port: u16| {
        let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .concat();
        let text = format!(
            "daemon off; pid nginx.pid; error_log stderr;
            worker_processes 2;
            events {{ }}
            http {{
                access_log off;
                {temps}
                server {{
                    listen 127.0.0.1:{port};
                    {snippet}
                    location / {{ proxy_pass http://127.0.0.1:{app}; }}
                }}
            }}"
        );
        put(&dir.join("nginx.conf"), &text);
        let mut command: Command = ordinary(program);
        command.arg("-p").arg(dir).args(["-e", "stderr", "-c", "nginx.conf"]);
        command
    };
    Server::start(command, |port| {
        let answer = try_ask(port, "GET", "/up", &[]);
        answer.is_ok_and(|it| it.header(OURS) == Some(&app.to_string()))
    })
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
    case.is_obeyed(&|snippet, app| start(&program, snippet, app));
}
