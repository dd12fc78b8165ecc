//! An nginx for one test.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::say::skip;

/// An nginx in a directory of its own, which stops when this is dropped.
pub(crate) struct Nginx {
    process: Child,
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
    temp: TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nginx {
    /// Starts one with these directives of `http` and of its only `server`.
    ///
    /// `None`, and a line on standard error past the harness's capture, if nginx is
    /// not installed or lacks one of the `modules`, named as in `nginx -V`.
    pub(crate) fn start(modules: &[&str], http: &str, server: &str) -> Option<Self> {
        let program = program(modules).map_err(|why| skip(&why)).ok()?;
        let mut complaints = String::new();
        // Another process may take the free port before nginx does.
        for _ in 0..5 {
            let mut nginx = launch(program, http, server);
            let deadline = Instant::now() + Duration::from_secs(30);
            while nginx.process.try_wait().unwrap().is_none() && Instant::now() < deadline {
                if nginx.is_ready() {
                    return Some(nginx);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            complaints = fs::read_to_string(nginx.temp.path().join("stderr")).unwrap();
        }
        panic!("nginx does not start: {complaints}");
    }

    /// Its only process.
    #[allow(dead_code, reason = "only the bench counts its time")]
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether this nginx answers, and not another server on that port.
    fn is_ready(&self) -> bool {
        let path = own_path(self.temp.path());
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let mut answer = String::new();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.ends_with("this one")
    }
}

/// The program, if it is installed with these modules; otherwise why not.
fn program(modules: &[&str]) -> Result<&'static str, String> {
    let found = ["nginx", "/usr/sbin/nginx"].into_iter().find_map(|program| {
        Command::new(program).arg("-V").output().ok().map(|output| (program, output.stderr))
    });
    let (program, version) = found.ok_or("nginx is not installed")?;
    let version = String::from_utf8_lossy(&version);
    match modules.iter().find(|module| !version.contains(**module)) {
        Some(module) => Err(format!("this nginx has no {module}")),
        None => Ok(program),
    }
}

/// A path that no other server would know.
fn own_path(directory: &Path) -> String {
    format!("/{}", directory.file_name().unwrap().display())
}

fn launch(program: &str, http: &str, server: &str) -> Nginx {
    let temp = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    configure(temp.path(), port, http, server);
    let log = File::options().create_new(true).append(true).open(temp.path().join("stderr"));
    let process = Command::new(program)
        .arg("-p")
        .arg(temp.path())
        .args(["-c", "nginx.conf"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.unwrap())
        .spawn()
        .unwrap();
    Nginx { process, port, temp }
}

#[expect(clippy::disallowed_methods, reason = "the configuration of another program")]
fn configure(directory: &Path, port: u16, http: &str, server: &str) {
    let own_path = own_path(directory);
    let temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .concat();
    let text = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;
        events {{ }}
        http {{
            access_log off;
            {temps}
            keepalive_requests 1000000;
            {http}
            server {{
                listen 127.0.0.1:{port};
                location = {own_path} {{ return 200 \"this one\"; }}
                {server}
            }}
        }}"
    );
    fs::write(directory.join("nginx.conf"), text).unwrap();
}
