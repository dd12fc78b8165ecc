//! Apache, from Debian's `apache2`.

use std::path::Path;
use std::time::Duration;

use crate::app::answers_at;
use crate::obeys::Case;
use crate::server::{Server, installed, ordinary, put};

/// Where Debian puts the modules.
const MODULES: &str = "/usr/lib/apache2/modules";

fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        let modules = ["mpm_event", "authz_core", "headers", "mime", "proxy", "proxy_http"];
        let modules = modules.into_iter().chain(["rewrite"]);
        let modules = modules
            .map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"))
            .collect::<String>();
        let text = format!(
            "{modules}
            ServerName localhost
            DefaultRuntimeDir .
            PidFile apache.pid
            ErrorLog stderr
            TypesConfig /dev/null
            Listen 127.0.0.1:{port}
            <Directory />
                Require all denied
            </Directory>
            <VirtualHost *:{port}>
                {snippet}
                <Location />
                    Require all granted
                </Location>
                ProxyPass / http://127.0.0.1:{app}/
            </VirtualHost>"
        );
        put(&dir.join("apache.conf"), &text);
        let mut command = ordinary(program);
        command.arg("-DFOREGROUND").arg("-d").arg(dir).args(["-E", "stderr"]);
        command.arg("-f").arg(dir.join("apache.conf"));
        command
    };
    Server::start(command, |port| answers_at(port, app))
}

#[test]
fn requirement_83_apache_obeys() {
    let Some(program) = installed("apache2") else { return };
    let case = Case {
        software: "apache",
        shows_pages: true,
        reads_retry_after: true,
        grace: Duration::ZERO,
    };
    case.is_obeyed(&|snippet, app| before(&program, snippet, app));
}
