//! A `maint serve` for one test, and a client that asks it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An endpoint of a new site, which ends when this is dropped.
pub(crate) struct Serving {
    pub(crate) process: Child,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    /// The project; its site is `.maint` within.
    pub(crate) dir: TempDir,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Serving {
    /// Serves a new site at a free port, with further arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        maint(&dir, &["init", "."]);
        Self::of(dir, arguments)
    }

    /// Serves the site of a project.
    pub(crate) fn of(dir: TempDir, arguments: &[&str]) -> Self {
        let command = command(&dir);
        Self::by(command, dir, arguments)
    }

    /// Serves a new site, with so many descriptors at most.
    pub(crate) fn with_descriptors(most: usize, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        maint(&dir, &["init", "."]);
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -n $0; exec \"$@\"", &most.to_string()]).arg(program());
        Self::by(here(limited, &dir), dir, arguments)
    }

    fn by(mut command: Command, dir: TempDir, arguments: &[&str]) -> Self {
        let mut process = command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
        let port = said
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("answers at 127.0.0.1:")?.parse().ok())
            .expect("it says where it answers");
        // Nobody reads the rest, and a full pipe would stop it.
        std::thread::spawn(move || said.for_each(drop));
        Self { process, port, dir }
    }

    /// Runs the command on its site.
    pub(crate) fn maint(&self, arguments: &[&str]) -> String {
        maint(&self.dir, arguments)
    }

    /// Asks in a connection of its own: the method and the target of the question, and header
    /// fields.
    pub(crate) fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answered {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let fields = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let fields = fields.collect::<Vec<_>>().concat();
        write!(stream, "{method} {target} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Answered::read(&answer)
    }
}

/// An answer of the endpoint.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// The status line and the header fields, names in lower case as they are sent.
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    pub(crate) fn read(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: answer[end + 4..].to_vec() }
    }

    /// The only value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        let mut found = self.head.lines().filter_map(|line| line.strip_prefix(&start));
        let value = found.next();
        assert!(found.next().is_none(), "{name} occurs twice: {}", self.head);
        value
    }
}

/// The command in a project, with nothing of this environment that could change it.
pub(crate) fn command(dir: &TempDir) -> Command {
    here(Command::new(program()), dir)
}

fn here(mut command: Command, dir: &TempDir) -> Command {
    command.current_dir(dir.path()).env_remove("MAINT_SITE").env_remove("MAINT_STORE");
    command.stdin(Stdio::null());
    command
}

/// Runs the command in a project; it has to succeed.
pub(crate) fn maint(dir: &TempDir, arguments: &[&str]) -> String {
    let output = command(dir).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "maint {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The command itself.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_maint").into()
}
