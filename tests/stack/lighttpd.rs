//! lighttpd, from Debian's `lighttpd` and `lighttpd-modules-lua`.

use std::path::{Path, PathBuf};
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

/// The program, if its module for Lua is there as well.
fn with_lua() -> Option<PathBuf> {
    let program = installed("lighttpd")?;
    if !Path::new(MODULES).join("mod_magnet.so").exists() {
        skip("lighttpd has no mod_magnet; `make test-stack` installs it");
        return None;
    }
    Some(program)
}

const CASE: Case = Case {
    software: "lighttpd",
    shows_pages: true,
    reads_retry_after: true,
    grace: Duration::ZERO,
    log: Some("errors"),
};

#[test]
fn requirement_83_lighttpd_obeys() {
    let Some(program) = with_lua() else { return };
    CASE.is_obeyed(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_lighttpd_obeys_a_single_file() {
    let Some(program) = with_lua() else { return };
    CASE.obeys_single_files(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_lighttpd_obeys_wherever_the_flag_is() {
    let Some(program) = with_lua() else { return };
    let refused = CASE.bears_names(&|snippet, app| before(&program, snippet, app));
    assert_eq!(refused, ["a\nb"]);
}
