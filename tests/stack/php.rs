//! PHP-FPM behind nginx, as Debian's `php-fpm` and `nginx-light` have them.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::geteuid;

use crate::say::skip;
use crate::server::{NOBODY, Server, installed, ordinary, put};
use crate::wire::try_ask;

/// How PHP's opcache looks at files: every two seconds, as it does unless told otherwise, or
/// never again, as many set it for speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcache {
    Usual,
    Frozen,
}

/// A PHP-FPM and the nginx before it.
pub(crate) struct Php {
    /// The port of nginx on 127.0.0.1.
    pub(crate) port: u16,
    _nginx: Server,
    _fpm: Server,
}

/// The programs, if all are there.
pub(crate) struct Programs {
    fpm: PathBuf,
    nginx: PathBuf,
    cli: PathBuf,
}

/// Finds PHP and nginx; prints why the test is skipped if one is missing.
pub(crate) fn programs() -> Option<Programs> {
    let (nginx, cli) = (installed("nginx")?, installed("php")?);
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/sbin")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name.starts_with("php-fpm")
        })
        .collect();
    found.sort();
    let Some(fpm) = found.pop() else {
        skip("php-fpm is not installed; `make test-stack` installs it");
        return None;
    };
    Some(Programs { fpm, nginx, cli })
}

impl Programs {
    /// Serves the folder `root`, whose `index.php` gets every path that is no file.
    pub(crate) fn serve(&self, root: &Path, opcache: Opcache) -> Php {
        let server = format!(
            "server {{
                listen 80;
                root {};
                index index.php;
                location / {{ try_files $uri $uri/ /index.php?$args; }}
                location ~ \\.php$ {{
                    include fastcgi_params;
                    fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
                    fastcgi_pass unix:/run/php/php8.2-fpm.sock;
                }}
            }}",
            root.display()
        );
        self.serve_as(&server, opcache)
    }

    /// The same with a `server` block for port 80 and PHP-FPM's usual socket.
    pub(crate) fn serve_as(&self, server: &str, opcache: Opcache) -> Php {
        // A port could be taken by another server before FPM has it.
        let socket = RefCell::new(PathBuf::new());
        let fpm_command = |dir: &Path, _: u16| {
            *socket.borrow_mut() = dir.join("fpm.sock");
            let text = format!(
                "[global]\nerror_log = {0}/fpm.log\ndaemonize = no\n\
                 [www]\nlisten = {0}/fpm.sock\nlisten.mode = 0666\npm = static\npm.max_children = 3\n\
                 php_admin_value[error_log] = {0}/php.log\n",
                dir.display()
            );
            put(&dir.join("fpm.conf"), &text);
            let mut command = ordinary(&self.fpm);
            command.arg("-y").arg(dir.join("fpm.conf"));
            let validates = u8::from(opcache == Opcache::Usual);
            command.arg("-d").arg("opcache.enable=1");
            command.arg("-d").arg(format!("opcache.validate_timestamps={validates}"));
            command
        };
        let fpm = Server::start(fpm_command, |_| UnixStream::connect(&*socket.borrow()).is_ok());
        let asked = fpm.port;
        let nginx_command = |dir: &Path, port: u16| {
            let listen =
                format!("listen 127.0.0.1:{port}; location = /whose {{ return 200 {asked}; }}");
            let server = server
                .replace("listen 80;", &listen)
                .replace("include fastcgi_params;", "include /etc/nginx/fastcgi_params;")
                .replace(
                    "unix:/run/php/php8.2-fpm.sock",
                    &format!("unix:{}", socket.borrow().display()),
                );
            let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path {kind};\n"))
                .concat();
            let text = format!(
                "daemon off; pid nginx.pid; error_log stderr;
                events {{ }}
                http {{
                    access_log off;
                    {temps}
                    {server}
                }}"
            );
            put(&dir.join("nginx.conf"), &text);
            let mut command = ordinary(&self.nginx);
            command.arg("-p").arg(dir).args(["-e", "stderr", "-c", "nginx.conf"]);
            command
        };
        let nginx = Server::start(nginx_command, |port| {
            let answer = try_ask(port, "GET", "/whose", &[]);
            answer.is_ok_and(|it| it.body == asked.to_string())
        });
        Php { port: nginx.port, _nginx: nginx, _fpm: fpm }
    }

    /// Runs a program of PHP as the user of the web server, and returns what it printed.
    #[track_caller]
    pub(crate) fn run(&self, program: &str) -> String {
        let output = self.try_run(program);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, however it ends.
    pub(crate) fn try_run(&self, program: &str) -> Output {
        let mut command: Command = ordinary(&self.cli);
        command.args(["-d", "display_errors=stderr", "-r", program]);
        command.current_dir("/").stdin(Stdio::null()).output().unwrap()
    }
}

/// Copies a folder, and gives it to the user of the web server.
#[track_caller]
pub(crate) fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success(), "{} to {}", from.display(), to.display());
    hand_over(to);
}

/// Gives a folder and all that is in it to the user of the web server.
#[track_caller]
pub(crate) fn hand_over(folder: &Path) {
    if !geteuid().is_root() {
        return;
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                chown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
    }
}

/// Moves a file or folder of an app.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "an app's files, and none of a site")]
pub(crate) fn rename(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}
