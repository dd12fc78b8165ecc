//! Apache, from Debian's `apache2`.

use std::path::Path;
use std::time::Duration;

use crate::app::{App, answers_at};
use crate::obeys::{Case, MESSAGE, is_refused};
use crate::server::{Server, installed, ordinary, put};
use crate::site::TestSite;
use crate::wire::get;

/// Where Debian puts the modules.
const MODULES: &str = "/usr/lib/apache2/modules";

fn before(program: &Path, snippet: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        let modules = ["mpm_event", "authz_core", "headers", "mime", "proxy", "proxy_http"];
        let modules = modules.into_iter().chain(["rewrite"]);
        let modules: Vec<String> = modules
            .map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so"))
            .collect();
        let modules = modules.join("\n");
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
                Header always set Content-Security-Policy \"default-src 'self'\"
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

const CASE: Case = Case {
    software: "apache",
    shows_pages: true,
    reads_retry_after: true,
    grace: Duration::ZERO,
    log: None,
};

#[test]
fn requirement_83_apache_obeys() {
    let Some(program) = installed("apache2") else { return };
    CASE.is_obeyed(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_apache_obeys_a_single_file() {
    let Some(program) = installed("apache2") else { return };
    CASE.obeys_single_files(&|snippet, app| before(&program, snippet, app));
}

#[test]
fn requirement_83_apache_obeys_wherever_the_flag_is() {
    let Some(program) = installed("apache2") else { return };
    let refused = CASE.bears_names(&|snippet, app| before(&program, snippet, app));
    // Only those of plain words, since each stands in an expression, a pattern and a result.
    assert_eq!(refused.len(), 12, "{refused:?}");
    assert!(!refused.contains(&"a b") && !refused.contains(&"ünï"), "{refused:?}");
}

/// Apache says 503 of an app that is not there, too, and then shows what the site says of it.
#[test]
fn requirement_83_apache_keeps_the_error_page_of_the_site() {
    let Some(program) = installed("apache2") else { return };
    let (site, app) = (TestSite::new(), App::start());
    site.add_flag();
    let text = site.maint(&["snippet", "apache"]);
    let own = "ErrorDocument 503 \"the site is busy\"\nProxyErrorOverride On\n";
    let server = before(&program, &format!("{own}{text}"), app.port);
    let is_busy = |path| {
        let answer = get(server.port, path);
        assert_eq!((answer.status, answer.body.as_str()), (503, "the site is busy"));
        for field in ["maint-decision", "retry-after"] {
            assert_eq!(answer.header(field), None, "{answer:?}");
        }
    };
    let is_down = || {
        site.on(MESSAGE);
        let answer = get(server.port, "/own-503");
        is_refused(&answer, "the page of maint goes first");
        assert!(answer.body.contains(MESSAGE), "{answer:?}");
        site.off();
    };
    is_busy("/own-503");
    is_down();
    is_busy("/own-503");
    drop(app);
    is_busy("/");
    is_down();
    is_busy("/");
}
