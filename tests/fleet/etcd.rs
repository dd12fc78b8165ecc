//! A cluster of etcd for one test.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use maint::fleet::{Address, Engine, Secret, open};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::say::skip;

/// How long anything may take before a test gives up, and not before.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Some members on loopback, which end when this is dropped.
pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
    scheme: &'static str,
    // Dropped last: the members write into it.
    _temp: TempDir,
}

/// One member.
pub(crate) struct Member {
    process: Option<Child>,
    arguments: Vec<String>,
    log: PathBuf,
    /// Where clients connect.
    pub(crate) port: u16,
    /// Where a test configures it, always in plain text.
    plain: u16,
    /// Where it says how it is.
    health: u16,
}

/// What the members need to speak TLS with clients.
pub(crate) struct ServerTls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The authority of clients, if they have to have a certificate.
    pub(crate) clients: Option<PathBuf>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Cluster {
    /// Starts so many members; `None` and a word about it if etcd is not installed.
    pub(crate) fn start(count: usize) -> Option<Self> {
        Self::start_with(count, None)
    }

    pub(crate) fn start_with(count: usize, tls: Option<&ServerTls>) -> Option<Self> {
        if Command::new("etcd").arg("--version").output().is_err() {
            skip("etcd is not installed (Debian: etcd-server)");
            return None;
        }
        // Another process may take a free port before etcd does.
        for _ in 0..5 {
            let mut cluster = Self::launch(count, tls);
            if cluster.members.iter_mut().all(Member::becomes_ready) {
                return Some(cluster);
            }
        }
        panic!("etcd does not start");
    }

    fn launch(count: usize, tls: Option<&ServerTls>) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let ports: Vec<[u16; 4]> = (0..count).map(|_| free_ports()).collect();
        let peers: Vec<String> = (0..count)
            .map(|index| format!("m{index}=http://127.0.0.1:{}", ports[index][1]))
            .collect();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let members = ports.iter().enumerate().map(|(index, &[port, peer, health, plain])| {
            let directory = temp.path().join(format!("m{index}"));
            let mut arguments: Vec<String> = [
                ("name", format!("m{index}")),
                ("data-dir", directory.display().to_string()),
                (
                    "listen-client-urls",
                    format!("{scheme}://127.0.0.1:{port},http://127.0.0.1:{plain}"),
                ),
                ("advertise-client-urls", format!("{scheme}://127.0.0.1:{port}")),
                ("listen-peer-urls", format!("http://127.0.0.1:{peer}")),
                ("initial-advertise-peer-urls", format!("http://127.0.0.1:{peer}")),
                ("initial-cluster", peers.join(",")),
                ("listen-metrics-urls", format!("http://127.0.0.1:{health}")),
            ]
            .into_iter()
            .map(|(name, value)| format!("--{name}={value}"))
            .collect();
            if let Some(tls) = tls {
                arguments.push(format!("--cert-file={}", tls.certificate.display()));
                arguments.push(format!("--key-file={}", tls.key.display()));
                if let Some(clients) = &tls.clients {
                    arguments.push("--client-cert-auth".to_owned());
                    arguments.push(format!("--trusted-ca-file={}", clients.display()));
                }
            }
            let log = temp.path().join(format!("m{index}.log"));
            let mut member = Member { process: None, arguments, log, port, plain, health };
            member.launch();
            member
        });
        let members = members.collect();
        let scheme = if tls.is_some() { "etcds" } else { "etcd" };
        Self { members, scheme, _temp: temp }
    }

    /// The address of a site, with what comes after its name.
    pub(crate) fn address(&self, rest: &str) -> String {
        self.address_of("", rest)
    }

    /// The same for a user.
    pub(crate) fn address_of(&self, user: &str, rest: &str) -> String {
        let hosts: Vec<String> =
            self.members.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect();
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        format!("{}://{user}{}/{rest}", self.scheme, hosts.join(","))
    }

    /// An engine for a site.
    pub(crate) fn engine(&self, site: &str) -> Box<dyn Engine> {
        engine(&self.address(site))
    }

    /// Asks the first member by its JSON gateway, and expects it to do so.
    pub(crate) fn post(&self, path: &str, body: &str) -> String {
        let (status, answer) = self.members[0].post(path, body);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Lets nobody in but root and `ann`, with the password `tulip`, who has all rights on what
    /// begins with `/maint/`.
    pub(crate) fn enable_users(&self) {
        // In base64: `/maint/` and the key after all that begin with it.
        let permission =
            r#"{"permType":"READWRITE","key":"L21haW50Lw==","range_end":"L21haW50MA=="}"#;
        for (path, body) in [
            ("user/add", r#"{"name":"root","password":"secret"}"#.to_owned()),
            ("user/add", r#"{"name":"ann","password":"tulip"}"#.to_owned()),
            ("user/add", r#"{"name":"bob","password":"poppy"}"#.to_owned()),
            ("role/add", r#"{"name":"root"}"#.to_owned()),
            ("user/grant", r#"{"user":"root","role":"root"}"#.to_owned()),
            ("role/add", r#"{"name":"maint"}"#.to_owned()),
            ("role/grant", format!(r#"{{"name":"maint","perm":{permission}}}"#)),
            ("user/grant", r#"{"user":"ann","role":"maint"}"#.to_owned()),
            ("enable", "{}".to_owned()),
        ] {
            self.post(&format!("/v3/auth/{path}"), &body);
        }
    }
}

/// An engine at this address.
pub(crate) fn engine(address: &str) -> Box<dyn Engine> {
    open(&Address::parse(address).unwrap(), None).unwrap()
}

/// An engine at this address, with a password.
pub(crate) fn engine_with(address: &str, password: &str) -> Box<dyn Engine> {
    open(&Address::parse(address).unwrap(), Some(Secret::new(password))).unwrap()
}

impl Member {
    #[expect(clippy::disallowed_methods, reason = "the log of another program")]
    fn launch(&mut self) {
        let mut command = Command::new("etcd");
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"ETCD_") {
                command.env_remove(name);
            }
        }
        let log = File::create(&self.log).unwrap();
        let process = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// Waits until it has a leader; false if it ended before.
    fn becomes_ready(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.is_healthy() {
                return true;
            }
            let ended =
                self.process.as_mut().is_none_or(|process| process.try_wait().unwrap().is_some());
            if ended {
                return false;
            }
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            assert!(Instant::now() < deadline, "etcd does not become ready: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it has a leader that answers.
    pub(crate) fn is_healthy(&self) -> bool {
        get(self.health, "/health").is_some_and(|answer| answer.contains(r#""health":"true""#))
    }

    /// Whether it is the leader.
    pub(crate) fn is_leader(&self) -> bool {
        get(self.health, "/metrics")
            .is_some_and(|answer| answer.lines().any(|line| line == "etcd_server_is_leader 1"))
    }

    /// kill -9; nothing if it is dead already.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again, and waits until it is ready.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.launch();
        assert!(self.becomes_ready(), "{}", fs::read_to_string(&self.log).unwrap());
    }

    /// Stops it without a word to anybody.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Goes on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().unwrap();
        kill_process(Pid::from_child(process), signal).unwrap();
    }

    /// Asks it by its JSON gateway.
    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(self.plain, &request).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    exchange(port, &format!("GET {path} HTTP/1.0\r\n\r\n"))
}

fn exchange(port: u16, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
