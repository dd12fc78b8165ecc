//! Caddy, from Debian's `caddy`.

use std::path::Path;
use std::time::Duration;

use crate::app::answers_at;
use crate::obeys::Case;
use crate::server::{Server, installed, ordinary, put};

fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        // A `handle` of the site with a longer path does not come first.
        let text = format!(
            "{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n{snippet}
            header Content-Security-Policy \"default-src 'self'\"
            handle /shop* {{\n reverse_proxy 127.0.0.1:{app}\n}}
            reverse_proxy 127.0.0.1:{app}\n}}\n"
        );
        put(&dir.join("Caddyfile"), &text);
        let mut command = ordinary(program);
        command.arg("run").arg("--config").arg(dir.join("Caddyfile"));
        command.env("HOME", dir).env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir);
        command
    };
    Server::start(command, |port| answers_at(port, app))
}

const CASE: Case = Case {
    software: "caddy",
    shows_pages: true,
    reads_retry_after: false,
    grace: Duration::ZERO,
    log: None,
};

#[test]
fn requirement_83_caddy_obeys() {
    let Some(program) = installed("caddy") else { return };
    CASE.is_obeyed(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_caddy_obeys_a_single_file() {
    let Some(program) = installed("caddy") else { return };
    CASE.obeys_single_files(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_caddy_obeys_wherever_the_flag_is() {
    let Some(program) = installed("caddy") else { return };
    let refused = CASE.bears_names(&|snippet, app| before(&program, snippet, app));
    assert_eq!(refused, ["q\"q", "{x}", "back\\slash", "[ab]*?", "`id`", "end\\", "a\nb"]);
}
