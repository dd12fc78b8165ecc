//! A verb that serves pages, asked over TCP as a browser asks.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A running server, which ends with the test.
pub(crate) struct Server {
    pub(crate) child: Option<Child>,
    pub(crate) stdout: BufReader<ChildStdout>,
    pub(crate) url: String,
}

pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

impl Server {
    /// Starts a command, and reads as far as the line with the address.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let at = line.find("http://127.0.0.1:").unwrap_or_else(|| panic!("no address: {line}"));
        let url = line[at..].split(['"', '\n']).next().unwrap().to_owned();
        Self { child: Some(child), stdout, url }
    }

    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }

    /// Sends these bytes and nothing more.
    pub(crate) fn send(&self, bytes: &[u8]) -> Option<Got> {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        // The server may have closed after the part it needed.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let split = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        Some(Got { status, headers: lines.map(split).collect(), body: body.to_owned() })
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str) -> Got {
        let host = self.address();
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Got {
        self.ask("GET", path)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
