//! lighttpd, from Debian's `lighttpd` and `lighttpd-modules-lua`.

use std::path::Path;
use std::time::Duration;

use crate::app::answers_at;
use crate::obeys::Case;
use crate::say::skip;
use crate::server::{Server, installed, ordinary, put, shown};

/// Where Debian puts the modules.
const MODULES: &str = "/usr/lib/lighttpd";

fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        let file = dir.join("maint.lua");
        put(&file, snippet);
        let lines = shown(snippet).join("\n");
        let lines = lines.replace("/etc/lighttpd/maint.lua", file.to_str().unwrap());
        let at = dir.display();
        let text = format!(
            "server.document-root = \"{at}\"
server.bind = \"127.0.0.1\"
server.port = {port}
server.errorlog = \"{at}/errors\"
server.modules = ( )
{lines}
server.modules += ( \"mod_proxy\" )
proxy.server = ( \"\" => (( \"host\" => \"127.0.0.1\", \"port\" => {app} )) )\n"
        );
        put(&dir.join("lighttpd.conf"), &text);
        let mut command = ordinary(program);
        command.args(["-D", "-m", MODULES, "-f"]).arg(dir.join("lighttpd.conf"));
        command
    };
    Server::start(command, |port| answers_at(port, app))
}

#[test]
fn requirement_83_lighttpd_obeys() {
    let Some(program) = installed("lighttpd") else { return };
    if !Path::new(MODULES).join("mod_magnet.so").exists() {
        return skip("lighttpd has no mod_magnet; `make test-stack` installs it");
    }
    let case = Case {
        software: "lighttpd",
        shows_pages: true,
        reads_retry_after: true,
        grace: Duration::ZERO,
    };
    case.is_obeyed(&|snippet, app| before(&program, snippet, app));
}
