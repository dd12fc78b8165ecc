//! A Redis for one test.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use maint::fleet::{self, Address, Cas, Engine, Failure, Revision, Secret, Snapshot, Write};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::say::skip;

/// Long enough for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// For how long, in milliseconds, a server is silent before Sentinel takes another for the primary.
/// On a busy machine a healthy one is silent for a second now and then.
const DOWN_AFTER: u32 = 3_000;

/// How Debian configures a server.
const DEBIAN: &str = "/etc/redis/redis.conf";

/// A server in a directory of its own, which dies when this is dropped.
pub(crate) struct Server {
    process: Child,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    temp: TempDir,
    arguments: Vec<String>,
    admin: Vec<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// Starts one with these lines of a configuration, each split at its spaces, after `PORT` was
    /// replaced by its port.
    ///
    /// `None`, and a line past the harness's capture, if Redis is not installed.
    pub(crate) fn start(lines: &[&str]) -> Option<Self> {
        Self::launch(&[], lines)
    }

    /// One that keeps what it acknowledges, also over a power cut.
    pub(crate) fn with_aof() -> Option<Self> {
        Self::start(&["appendonly yes", "appendfsync always"])
    }

    /// One as Debian installs it.
    pub(crate) fn as_debian_has_it() -> Option<Self> {
        if let Err(cause) = fs::read(DEBIAN) {
            skip(&format!("{DEBIAN}: {cause}"));
            return None;
        }
        let lines = ["daemonize no", "supervised no", "logfile \"\"", "pidfile \"\""];
        Self::launch(&[DEBIAN], &lines)
    }

    fn launch(before: &[&str], lines: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            skip("redis-server is not installed");
            return None;
        }
        // Another process may take the free port before Redis does.
        for _ in 0..5 {
            let temp = tempfile::tempdir().unwrap();
            let port = free_port();
            let directory = temp.path().display();
            let port_line = format!("port {port}");
            let directory_line = format!("dir {directory}");
            let socket_line = format!("unixsocket {directory}/socket");
            let mut arguments: Vec<String> = before.iter().map(|text| (*text).to_owned()).collect();
            let own = [&port_line, &directory_line, &socket_line, "bind 127.0.0.1"];
            for line in own.iter().chain(lines) {
                let mut words = line.split(' ');
                arguments.push(format!("--{}", words.next().unwrap()));
                arguments.extend(words.map(|word| {
                    let word = if word == "\"\"" { "" } else { word };
                    word.replace("PORT", &port.to_string())
                }));
            }
            let process = run(temp.path(), &arguments);
            let mut server = Self { process, port, temp, arguments, admin: admin(lines) };
            if server.is_up() {
                return Some(server);
            }
        }
        panic!("redis-server does not start");
    }

    /// Waits until it answers; whether it does.
    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + SOON;
        while self.process.try_wait().unwrap().is_none() {
            let answer = self.cli(&["ping"]);
            if answer == "PONG" {
                return true;
            }
            assert!(Instant::now() < deadline, "redis-server does not answer: {answer}");
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// What `redis-cli` prints for a command, over the server's own socket.
    pub(crate) fn cli(&self, command: &[&str]) -> String {
        ask(self.temp.path(), &self.admin, command)
    }

    /// The same for a command that must succeed with `OK`.
    pub(crate) fn must(&self, command: &[&str]) {
        assert_eq!(self.cli(command), "OK", "{command:?}");
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again, on the same port and with what it kept.
    pub(crate) fn restart(&mut self) {
        self.process = run(self.temp.path(), &self.arguments);
        assert!(self.is_up(), "redis-server does not start again");
    }

    /// Starts it again after all that it kept is gone.
    pub(crate) fn restart_empty(&mut self) {
        for entry in fs::read_dir(self.temp.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else if path.extension().is_some_and(|extension| extension == "rdb") {
                fs::remove_file(path).unwrap();
            }
        }
        self.restart();
    }

    /// SIGSTOP: it keeps its connections and says nothing.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Its address for the site `shop`, with what follows it.
    pub(crate) fn address(&self, query: &str) -> String {
        format!("redis://127.0.0.1:{}/shop{query}", self.port)
    }

    /// An engine on it.
    pub(crate) fn engine(&self) -> Box<dyn Engine> {
        engine(&self.address(""))
    }
}

/// Three sentinels, a primary and two replicas.
pub(crate) struct Watched {
    /// The primary is the first.
    pub(crate) servers: Vec<Server>,
    pub(crate) sentinels: Vec<Sentinel>,
}

/// A sentinel, which dies when this is dropped.
pub(crate) struct Sentinel {
    process: Child,
    pub(crate) port: u16,
    temp: TempDir,
    admin: Vec<String>,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Watched {
    /// Starts them; `lines` are for the servers, `sentinel` for the sentinels.
    pub(crate) fn start(lines: &[&str], sentinel: &[&str]) -> Option<Self> {
        let primary = Server::start(lines)?;
        let follow = format!("replicaof 127.0.0.1 {}", primary.port);
        let mut lines = lines.to_vec();
        lines.push(&follow);
        let servers = vec![primary, Server::start(&lines)?, Server::start(&lines)?];
        let sentinels = (0..3).map(|_| Sentinel::start(servers[0].port, sentinel)).collect();
        let watched = Self { servers, sentinels };
        // Sentinel can only promote replicas that it knows, with the votes of others that it knows.
        until("the sentinels know all", || {
            watched.sentinels.iter().all(|sentinel| {
                let facts = sentinel.cli(&["sentinel", "master", "mymaster"]);
                let fact = |name: &str| {
                    let mut lines = facts.lines().skip_while(|line| *line != name);
                    lines.nth(1).map(str::to_owned)
                };
                fact("num-slaves").as_deref() == Some("2")
                    && fact("num-other-sentinels").as_deref() == Some("2")
            })
        });
        until("the replicas follow", || {
            watched.servers[0].cli(&["info", "replication"]).matches("state=online").count() == 2
        });
        Some(watched)
    }

    /// The address of the site `shop`.
    pub(crate) fn address(&self, scheme: &str, query: &str) -> String {
        let hosts: Vec<String> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("{scheme}://{}/shop?master=mymaster{query}", hosts.join(","))
    }
}

impl Sentinel {
    fn start(primary: u16, lines: &[&str]) -> Self {
        for _ in 0..5 {
            let temp = tempfile::tempdir().unwrap();
            let port = free_port();
            let directory = temp.path().display();
            let mut text = format!("port {port}\nbind 127.0.0.1\ndir {directory}\n");
            text += &format!(
                "sentinel monitor mymaster 127.0.0.1 {primary} 2\n\
                 sentinel down-after-milliseconds mymaster {DOWN_AFTER}\n\
                 sentinel failover-timeout mymaster 10000\n\
                 unixsocket {directory}/socket\n"
            );
            for line in lines {
                text += &line.replace("PORT", &port.to_string());
                text.push('\n');
            }
            let file = temp.path().join("sentinel.conf");
            File::create_new(&file).unwrap().write_all(text.as_bytes()).unwrap();
            let file = file.display().to_string();
            let process = run(temp.path(), &[file, "--sentinel".to_owned()]);
            let mut sentinel = Self { process, port, temp, admin: admin(lines) };
            let deadline = Instant::now() + SOON;
            while sentinel.process.try_wait().unwrap().is_none() {
                if sentinel.cli(&["ping"]) == "PONG" {
                    return sentinel;
                }
                assert!(Instant::now() < deadline, "the sentinel does not answer");
                thread::sleep(Duration::from_millis(5));
            }
        }
        panic!("the sentinel does not start");
    }

    /// What `redis-cli` prints for a command.
    pub(crate) fn cli(&self, command: &[&str]) -> String {
        ask(self.temp.path(), &self.admin, command)
    }
}

/// What `redis-cli` is called with, so that it may do all.
fn admin(lines: &[&str]) -> Vec<String> {
    let password = lines.iter().find_map(|line| line.strip_prefix("requirepass "));
    password.map_or_else(Vec::new, |password| vec!["-a".to_owned(), password.to_owned()])
}

fn ask(directory: &Path, admin: &[String], command: &[&str]) -> String {
    let mut client = Command::new("redis-cli");
    client.arg("-s").arg(directory.join("socket")).arg("--no-auth-warning");
    let output = client.args(admin).args(command).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn run(directory: &Path, arguments: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(directory.join("log")).unwrap();
    Command::new("redis-server")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A port on which nobody listens. No other test gets it, also while its server is dead, and the
/// system gives it to no client: it is below those that Linux takes for them.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let nth = GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + std::process::id().wrapping_mul(97).wrapping_add(nth) % COUNT;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits for a fact.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so in time: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// An engine for an address, without a password.
pub(crate) fn engine(address: &str) -> Box<dyn Engine> {
    engine_as(address, None).unwrap()
}

/// An engine for an address, with a password.
pub(crate) fn engine_as(address: &str, password: Option<&str>) -> Result<Box<dyn Engine>, Failure> {
    fleet::open(&Address::parse(address).unwrap(), password.map(Secret::new))
}

/// Replaces the document, with nothing beside it.
pub(crate) fn put(
    engine: &mut dyn Engine,
    expected: Option<&Revision>,
    document: &str,
) -> Result<Cas, Failure> {
    let write = Write { document: document.as_bytes(), put: &[], remove: &[] };
    engine.cas(expected, &write, SOON)
}

/// The same, where it must succeed.
pub(crate) fn committed(
    engine: &mut dyn Engine,
    expected: Option<&Revision>,
    document: &str,
) -> Revision {
    match put(engine, expected, document).unwrap() {
        Cas::Committed(revision) => revision,
        Cas::Conflict => panic!("a conflict with {expected:?}"),
    }
}

/// The text of the document.
pub(crate) fn text(snapshot: &Snapshot) -> &str {
    std::str::from_utf8(&snapshot.document).unwrap()
}

/// A failure is one line, names where, and says no secret.
pub(crate) fn assert_clear(failure: &Failure, secret: &str) {
    let all = format!("{failure} {failure:?}");
    assert!(!failure.reason.contains('\n') && failure.reason.len() < 200, "{failure:?}");
    assert!(!all.contains(secret), "a secret: {all}");
}
