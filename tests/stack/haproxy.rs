//! HAProxy, from Debian's `haproxy`.

use std::path::Path;
use std::time::Duration;

use crate::app::answers_at;
use crate::obeys::Case;
use crate::server::{Server, installed, ordinary, put, shown};

fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        let file = dir.join("maint.lua");
        put(&file, snippet);
        let [load, using] = &shown(snippet)[..] else { panic!("{snippet}") };
        let load = load.replace("/etc/haproxy/maint.lua", file.to_str().unwrap());
        let text = format!(
            "global\n    {load}\n    log stderr local0 warning
defaults\n    timeout client 60s\n    timeout connect 60s\n    timeout server 60s
frontend site\n    bind 127.0.0.1:{port}\n    mode http\n    {using}\n    default_backend app
backend app\n    mode http\n    server app 127.0.0.1:{app}\n"
        );
        put(&dir.join("haproxy.cfg"), &text);
        let mut command = ordinary(program);
        command.arg("-db").arg("-f").arg(dir.join("haproxy.cfg"));
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
fn requirement_83_haproxy_obeys_wherever_the_flag_is() {
    let Some(program) = installed("haproxy") else { return };
    let refused = CASE.bears_names(&|snippet, app| before(&program, snippet, app));
    assert_eq!(refused, ["a\nb"]);
}
