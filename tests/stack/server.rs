//! A server with its files in a directory of its own, as an ordinary user.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::process::Process;
use crate::say::skip;

/// `nobody`, who has this number everywhere.
pub(crate) const NOBODY: u32 = 65534;

/// A server that stops when this is dropped.
pub(crate) struct Server {
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
    _process: Process,
    /// Where its files are.
    pub(crate) dir: TempDir,
}

impl Server {
    /// Starts what `command` makes for a new directory and a free port, until `is_up` says of
    /// the port that it is this server that answers. What the server prints goes to `log` in
    /// its directory.
    pub(crate) fn start(
        command: impl Fn(&Path, u16) -> Command,
        is_up: impl Fn(u16) -> bool,
    ) -> Self {
        let mut said = String::new();
        // Another process may take the free port first.
        for _ in 0..5 {
            let dir = directory();
            if geteuid().is_root() {
                chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
            let port = free_port();
            let mut command = command(dir.path(), port);
            let path = dir.path().join("log");
            let log = File::options().create_new(true).append(true).open(&path).unwrap();
            command.current_dir(dir.path()).stdin(Stdio::null());
            command.stdout(log.try_clone().unwrap()).stderr(log);
            let mut process = Process::start(&mut command);
            if process.is_up(|| is_up(port)) {
                return Self { port, _process: process, dir };
            }
            drop(process);
            said = fs::read_to_string(path).unwrap();
        }
        panic!("the server does not start: {said}");
    }
}

/// A port of 127.0.0.1 that nobody has, for now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The program, in the usual places; prints why the test is skipped if there is none.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = places.map(|place| place.join(name)).find(|program| program.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed; `make test-stack` installs it"));
    }
    found
}

/// A program as an ordinary user, who has to be let into folders.
pub(crate) fn ordinary(program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let nobody = NOBODY.to_string();
    command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]).arg(program);
    command
}

/// A directory that others may look into.
pub(crate) fn directory() -> TempDir {
    let dir = tempfile::Builder::new().prefix("maint-stack-").tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

/// A new file that everybody may read.
pub(crate) fn put(path: &Path, text: &str) {
    File::create_new(path).unwrap().write_all(text.as_bytes()).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

/// The lines that the head of a snippet shows to be added elsewhere.
pub(crate) fn shown(snippet: &str) -> Vec<String> {
    let head = snippet.lines().take_while(|line| line.starts_with("--"));
    head.filter_map(|line| line.strip_prefix("--     ").map(str::to_owned)).collect()
}
