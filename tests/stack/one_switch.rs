//! nginx before an app, WordPress, and an app in Python that reads the state: one `maint on`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::app::{App, OURS};
use crate::php::Opcache;
use crate::say::{amount, figure, skip};
use crate::server::{Server, installed, ordinary, put};
use crate::site::TestSite;
use crate::visitors::{Coming, while_they_come};
use crate::wire::try_ask;
use crate::{nginx, wordpress};

const APP: &str = r#"import socketserver, sys
from wsgiref.simple_server import WSGIServer, make_server

from maint.wsgi import MaintenanceMiddleware

port, site = int(sys.argv[1]), sys.argv[2]


def app(environ, start_response):
    start_response("200 OK", [("X-App", str(port))])
    return [b"the app in Python"]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


app = MaintenanceMiddleware(app, site=site)
make_server("127.0.0.1", port, app, Server).serve_forever()
"#;

/// The Python of the package's tests, with the package.
fn python() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/.venv/bin/python");
    let has = ordinary(&program).args(["-c", "import maint.wsgi"]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(program);
    }
    skip("needs the Python package, which `make python` installs");
    None
}

#[test]
fn requirement_83_nginx_wordpress_and_an_app_in_python_obey_one_command() {
    let (Some(python), Some(program)) = (python(), installed("nginx")) else { return };
    let Some((programs, folder, _db)) = wordpress::installed_in_a_folder() else { return };
    let site = TestSite::new();
    site.add_flag();
    site.add("wordpress", folder.path());
    let snippet = site.maint(&["snippet", "nginx"]);
    let app = App::start();
    let before = nginx::before(&program, &snippet, app.port);
    let php = programs.serve(folder.path(), Opcache::Usual);
    let command = |dir: &Path, port: u16| {
        put(&dir.join("app.py"), APP);
        let mut command = ordinary(&python);
        command.arg("app.py").arg(port.to_string()).arg(site.dir());
        command
    };
    let is_up = |port: u16| {
        let answer = try_ask(port, "GET", "/", &[]);
        answer.is_ok_and(|it| it.header(OURS) == Some(&port.to_string()))
    };
    let in_python = Server::start(command, is_up);

    let turns = amount(1, 30);
    let mut seen_by = [String::new(), String::new(), String::new()];
    for _ in 0..turns {
        let flip = |coming: [&Coming<'_>; 3]| {
            let wait = || coming.iter().for_each(|coming| coming.wait());
            wait();
            site.on("Bigger shelves");
            let on = Instant::now();
            wait();
            let calling = Instant::now();
            site.off();
            let off = Instant::now();
            wait();
            (on, (calling, off))
        };
        let (((times, python), wordpress), nginx) = while_they_come(before.port, |one| {
            while_they_come(php.port, |two| {
                while_they_come(in_python.port, |three| flip([one, two, three]))
            })
        });
        let (on, off) = times;
        for (seen, said) in [nginx, wordpress, python].iter().zip(&mut seen_by) {
            *said = seen.obeyed(on, off, Duration::ZERO);
        }
    }
    let [nginx, wordpress, python] = seen_by;
    figure(&format!(
        "{turns} turns of all three; in the last: nginx {nginx}; WordPress {wordpress}; Python {python}"
    ));
}
