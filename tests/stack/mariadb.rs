//! A database for one test, from Debian's `mariadb-server`.

use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::server::{Server, installed, ordinary};

/// Starts an empty one whose user `root` has no password; prints why the test is skipped if
/// it is not installed.
pub(crate) fn start() -> Option<Server> {
    let (program, install) = (installed("mariadbd")?, installed("mariadb-install-db")?);
    let command = |dir: &Path, port: u16| {
        let data = format!("--datadir={}/data", dir.display());
        // One that starts removes the temporary tables of others in `/tmp`.
        let temp = format!("--tmpdir={}", dir.display());
        let made = ordinary(&install)
            .args(["--no-defaults", &data, "--auth-root-authentication-method=normal"])
            .args([&temp, "--skip-test-db"])
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let mut command = ordinary(&program);
        command.args(["--no-defaults", &data, &temp, "--bind-address=127.0.0.1"]);
        command.arg(format!("--port={port}"));
        command.arg(format!("--socket={}/socket", dir.display()));
        command.arg(format!("--pid-file={}/pid", dir.display()));
        // Nothing that it holds outlives the test.
        command.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"]);
        command
    };
    Some(Server::start(command, |port| {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let mut greeting = [0; 64];
        stream
            .read(&mut greeting)
            .is_ok_and(|read| String::from_utf8_lossy(&greeting[..read]).contains("MariaDB"))
    }))
}
