//! Requests as bytes, and the answers to them.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use maint::internal::page::MARK;

/// An answer as it came over the wire.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether maint answered, not the app.
    pub(crate) fn is_of_maint(&self) -> bool {
        self.header(MARK).is_some()
    }

    /// Whether the cache in front answered from what it had kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.header("x-cache-status") == Some("HIT")
    }
}

/// A client whose connection is kept where the server keeps it.
pub(crate) struct Client {
    port: u16,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        Self { port, connection: None }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask("GET", target, fields)
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {target} HTTP/1.1\r\n");
        if !fields.iter().any(|(name, _)| *name == "Host") {
            request += "Host: shop.example\r\n";
        }
        for (name, value) in fields {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        let answer = self.exchange(request.as_bytes(), method == "HEAD");
        answer.unwrap_or_else(|cause| panic!("{method} {target}: {cause}"))
    }

    fn exchange(&mut self, request: &[u8], is_head: bool) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(self.port)?),
        };
        connection.get_mut().write_all(request)?;
        let mut answer = head(&mut connection)?;
        let length = answer.header("content-length").map(|text| text.parse().unwrap());
        let mut body = vec![0; if is_head { 0 } else { length.unwrap_or(0) }];
        connection.read_exact(&mut body)?;
        answer.body = body;
        assert_eq!(answer.header("transfer-encoding"), None, "{answer:?}");
        let is_closed =
            answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.connection = Some(connection).filter(|_| !is_closed);
        Ok(answer)
    }
}

/// Requests a target made of any bytes; `None` if there is no answer.
pub(crate) fn ask_raw(port: u16, target: &[u8]) -> Option<Answer> {
    let mut stream = connect(port).ok()?;
    let host = format!(" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    // The server may have answered and closed before reading everything.
    let _ = stream.write_all(&[b"GET ", target, host.as_bytes()].concat());
    let mut connection = BufReader::new(stream);
    let mut answer = head(&mut connection).ok()?;
    let _ = connection.read_to_end(&mut answer.body);
    Some(answer)
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// Reads an answer up to its body.
fn head(connection: &mut BufReader<TcpStream>) -> io::Result<Answer> {
    let mut line = || -> io::Result<String> {
        let mut line = Vec::new();
        connection.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(text) }
    };
    let first = line()?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not a status: {first}")))?;
    let mut answer = Answer { status, ..Answer::default() };
    loop {
        let field = line()?;
        let Some((name, value)) = field.split_once(':') else { return Ok(answer) };
        answer.headers.push((name.to_owned(), value.trim().to_owned()));
    }
}
