//! django-maintenance-mode as `PyPI` has it, in a project of one file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rustix::process::geteuid;

use crate::app::OURS;
use crate::obeys::is_refused;
use crate::say::{figure, skip};
use crate::server::{Server, ordinary, put};
use crate::site::TestSite;
use crate::visitors::switched_among_them;
use crate::wire::{Answer, get, try_ask};

const PROJECT: &str = r#"import socketserver, sys
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

port, state = int(sys.argv[1]), sys.argv[2]
settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["maintenance_mode"],
    MIDDLEWARE=["maintenance_mode.middleware.MaintenanceModeMiddleware"],
    MAINTENANCE_MODE_STATE_FILE_PATH=state,
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"503.html": "Down"})]},
    }],
)
django.setup()
urlpatterns = [path("", lambda request: HttpResponse("Up", headers={"X-App": str(port)}))]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server("127.0.0.1", port, get_wsgi_application(), Server).serve_forever()
"#;

/// The Python of the package's tests, if it has what is tried here.
fn python() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/.venv/bin/python");
    let mut command = ordinary(&program);
    let has = command.args(["-c", "import maintenance_mode"]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(program);
    }
    skip("needs django-maintenance-mode, which `make python-tools` installs");
    None
}

/// The project, whose state file is at a path that its user may write to or not.
fn start(python: &Path, state: &Path) -> Server {
    let command = |dir: &Path, port: u16| {
        put(&dir.join("project.py"), PROJECT);
        let mut command: Command = ordinary(python);
        command.arg("project.py").arg(port.to_string()).arg(state);
        command
    };
    Server::start(command, |port| try_ask(port, "GET", "/", &[]).is_ok_and(|it| it.status < 600))
}

#[track_caller]
fn is_up(answer: &Answer) {
    assert_eq!((answer.status, answer.header(OURS).is_some()), (200, true), "{answer:?}");
}

#[test]
fn requirement_83_django_maintenance_mode_obeys() {
    let Some(python) = python() else { return };
    let site = TestSite::new();
    let state = site.project().join("state.txt");
    site.add("django-maintenance-mode", &state);
    let server = start(&python, &state);
    let port = server.port;
    is_up(&get(port, "/"));
    let said = switched_among_them(&site, port, "x", Duration::ZERO);
    figure(&format!("django-maintenance-mode: {said}"));

    // What a deploy script does, and why maint does not.
    if geteuid().is_root() {
        fs::remove_file(&state).unwrap();
        assert_eq!(get(port, "/").status, 500, "it makes the file, and may not");
        site.maint(&["flag", "sync"]);
        is_up(&get(port, "/"));
    }
    site.on("x");
    site.maint(&["flag", "remove", "django-maintenance-mode"]);
    assert_eq!(fs::read(&state).unwrap(), b"0");
    is_up(&get(port, "/"));
}

#[test]
fn requirement_83_django_maintenance_mode_starts_and_ends_by_its_own_clock() {
    let Some(python) = python() else { return };
    let site = TestSite::new();
    let state = site.project().join("state.txt");
    let path = state.to_str().unwrap();
    site.maint(&["flag", "add", "django-maintenance-mode", path, "--times"]);
    let server = start(&python, &state);
    let port = server.port;
    let status = |wanted: u16| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while get(port, "/").status != wanted {
            assert!(Instant::now() < deadline, "never {wanted}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    site.maint(&["on", "--for", "2s"]);
    is_refused(&get(port, "/"), "open");
    status(200);
    let list = site.maint(&["flag", "list", "--json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["flags"][0]["found"], "clear", "{list}");
    assert_eq!(list["flags"][0]["in_step"], true, "nobody had to do anything: {list}");

    let later = |seconds| (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string();
    site.maint(&["on", "--at", &later(2), "--until", &later(4)]);
    is_up(&get(port, "/"));
    status(503);
    status(200);
    assert_ne!(fs::read(&state).unwrap(), b"0", "what it says is over");
    site.maint(&["flag", "sync"]);
    assert_eq!(fs::read(&state).unwrap(), b"0", "whatever becomes of the clock");
    is_up(&get(port, "/"));
}

#[test]
fn requirement_77_django_maintenance_mode_reads_what_root_wrote_under_any_umask() {
    let Some(python) = python() else { return };
    let site = TestSite::new();
    let state = site.project().join("state.txt");
    site.add("django-maintenance-mode", &state);
    let server = start(&python, &state);
    for umask in ["000", "022", "027", "077"] {
        for (word, status) in [("on", 503), ("off", 200)] {
            let script = format!("umask {umask}; exec \"$@\"");
            let output = Command::new("sh")
                .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_maint"), word])
                .env_clear()
                .env("HOME", site.project())
                .current_dir(site.project())
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            let mode = fs::metadata(&state).unwrap().permissions().mode() & 0o7777;
            assert_eq!((mode, get(server.port, "/").status), (0o644, status), "{umask} {word}");
        }
    }
    // A closed folder: nobody can read it, and all get an error.
    if geteuid().is_root() {
        fs::set_permissions(&state, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(get(server.port, "/").status, 500);
        site.maint(&["flag", "sync"]);
        is_up(&get(server.port, "/"));
    }
}
