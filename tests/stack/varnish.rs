//! Varnish, from Debian's `varnish`.

use std::path::Path;
use std::time::Duration;

use crate::app::answers_at;
use crate::obeys::Case;
use crate::server::{Server, installed, ordinary, put};

fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        put(&dir.join("maint.vcl"), snippet);
        // A site that keeps all that it may.
        let text = format!(
            "vcl 4.1;
            include \"{}/maint.vcl\";
            backend app {{ .host = \"127.0.0.1\"; .port = \"{app}\"; }}
            sub vcl_backend_response {{ set beresp.ttl = 60s; }}",
            dir.display()
        );
        put(&dir.join("site.vcl"), &text);
        let mut command = ordinary(program);
        command.args(["-F", "-j", "none", "-s", "malloc,64m", "-a"]);
        command.arg(format!("127.0.0.1:{port}")).arg("-n").arg(dir.join("work"));
        command.arg("-f").arg(dir.join("site.vcl"));
        command
    };
    Server::start(command, |port| answers_at(port, app))
}

const CASE: Case = Case {
    software: "varnish",
    shows_pages: false,
    reads_retry_after: false,
    grace: Duration::ZERO,
    log: None,
};

#[test]
fn requirement_83_varnish_obeys() {
    let Some(program) = installed("varnishd") else { return };
    CASE.is_obeyed(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_varnish_obeys_a_single_file() {
    let Some(program) = installed("varnishd") else { return };
    CASE.obeys_single_files(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_varnish_obeys_wherever_the_flag_is() {
    let Some(program) = installed("varnishd") else { return };
    let refused = CASE.bears_names(&|snippet, app| before(&program, snippet, app));
    assert_eq!(refused, ["q\"q", "a\nb"]);
}
