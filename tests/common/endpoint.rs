//! The vectors through the endpoint: the same request, as a proxy tells of it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;

use maint::Site;
use maint::gate::{Answer, Gate, Options};
use maint::internal::serve::{Address, Endpoint, Listener, Server, Users};
use maint::request::{RequestParts, User};

/// How a proxy tells of a request: the question, and the fields for method, target and host.
const MANNERS: [(&str, [&str; 3]); 3] = [
    ("/auth", ["X-Original-Method", "X-Original-URI", "Host"]),
    ("/forward-auth", ["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"]),
    ("/ext-authz", ["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"]),
];

/// Fields that a proxy sets in place of the client's own.
const REPLACED: [&str; 12] = [
    "x-original-method",
    "x-original-uri",
    "host",
    "x-forwarded-method",
    "x-forwarded-uri",
    "x-forwarded-host",
    "x-forwarded-proto",
    "remote-user",
    "remote-groups",
    "content-length",
    "transfer-encoding",
    "connection",
];

/// What the endpoint is asked about one request, and what the gate says of it.
pub(crate) struct Case<'c> {
    pub(crate) facts: &'c RequestParts,
    pub(crate) now: jiff::Timestamp,
    /// The site whose state is that of the vector.
    pub(crate) site: &'c Site,
}

impl Case<'_> {
    /// Whether HTTP can carry it: a proxy refuses what it cannot.
    pub(crate) fn can_be_told(&self) -> bool {
        let is_value = |value: &[u8]| {
            value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
                && value.trim_ascii() == value
        };
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let facts = self.facts;
        let headers = &facts.headers;
        !facts.path.is_empty()
            && !facts.path.contains(&b'?')
            && is_value(&self.target())
            && !facts.method.is_empty()
            && facts.method.bytes().all(|byte| byte.is_ascii_graphic())
            && facts.host.as_ref().is_none_or(|host| !host.is_empty() && is_value(host.as_bytes()))
            && headers.iter().all(|(name, value)| {
                let is_free = !REPLACED.contains(&&*name.to_ascii_lowercase());
                is_name(name) && is_value(value) && is_free
            })
            && headers.iter().map(|(_, value)| value.len()).sum::<usize>() + self.target().len()
                < 60_000
            && headers.len() < 90
    }

    fn target(&self) -> Vec<u8> {
        let mut target = self.facts.path.clone();
        if let Some(query) = &self.facts.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        target
    }

    /// What differs between the gate's answer and those of the endpoint.
    pub(crate) fn difference(&self, directory: &Path) -> Option<String> {
        let now = self.now;
        let gate = Gate::open_with(self.site, Options::new().clock(move || now)).unwrap();
        let expected = gate.answer(self.facts);
        let users = self.facts.user.map(|_| {
            let groups = |name: &str| vec![name.to_owned()];
            Users::by_field("Remote-User")
                .and_then(|users| users.groups("Remote-Groups", groups("staff"), groups("root")))
                .unwrap()
        });
        let socket = directory.join("socket");
        let _ = std::fs::remove_file(&socket);
        let listener = Listener::bind(&Address::Unix(socket.clone())).unwrap();
        let server = Server::new(Endpoint::by(self.site, gate, users), vec![listener]);
        let (end, ended) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| {
                server.run(move || {
                    let _ = ended.recv();
                })
            });
            let difference = MANNERS.iter().find_map(|(question, names)| {
                let answer = ask(&socket, &self.question(question, *names));
                differs(&expected, question, &answer).map(|why| format!("{question}: {why}"))
            });
            drop(end);
            serving.join().unwrap().unwrap();
            difference
        })
    }

    fn question(&self, question: &str, [method, uri, host]: [&str; 3]) -> Vec<u8> {
        let mut bytes = format!("GET {question} HTTP/1.1\r\nConnection: close\r\n").into_bytes();
        let mut field = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        for (name, value) in &self.facts.headers {
            field(name, value);
        }
        field(method, self.facts.method.as_bytes());
        field(uri, &self.target());
        if let Some(asked) = &self.facts.host {
            field(host, asked.as_bytes());
        }
        // At a socket of its own, nginx has no address to append.
        let peer = self.facts.peer.map_or_else(|| "unix:".to_owned(), |peer| peer.to_string());
        field("X-Forwarded-For", peer.as_bytes());
        if let Some(user) = self.facts.user.filter(|user| *user != User::anonymous()) {
            field("Remote-User", b"ann");
            let groups = [(user.is_staff, "staff"), (user.is_superuser, "root")];
            let groups: Vec<_> =
                groups.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
            field("Remote-Groups", groups.join(", ").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

fn ask(socket: &Path, question: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(question).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// What an answer should have and has not.
fn differs(expected: &Answer, question: &str, answer: &[u8]) -> Option<String> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap_or_default();
    let lacks = |name: &str, value: &str| {
        let line = format!("{name}: {value}");
        (!head.lines().any(|found| found == line)).then(|| format!("`{line}` expected in: {head}"))
    };
    let is_status = |wanted: u16| {
        (status != wanted.to_string()).then(|| format!("{wanted} expected, {status} found: {head}"))
    };
    let is_envoy = question == "/ext-authz";
    match expected {
        Answer::Pass(pass) => is_status(if is_envoy { 200 } else { 204 }).or_else(|| {
            let shared = !head.contains("cache-control");
            (shared == pass.is_private).then(|| format!("private: {} in {head}", pass.is_private))
        }),
        Answer::Reply(_) if question == "/auth" => {
            is_status(403).or_else(|| lacks("maint-decision", "block"))
        }
        Answer::Reply(reply) => is_status(match reply.status() {
            500.. if is_envoy => 429,
            status => status,
        })
        .or_else(|| reply.headers().find_map(|(name, value)| lacks(name, &value)))
        // A proxy that asks about HEAD by GET leaves out the body itself.
        .or_else(|| {
            let body = &answer[end + 4..];
            let is_whole = reply.header("content-length") == Some(body.len().to_string());
            let is_same = reply.body() == body || reply.body().is_empty() && is_whole;
            (!is_same).then(|| "another body".to_owned())
        }),
    }
}
