//! Requests over the wire.
#![allow(dead_code, reason = "shared by several test targets, and no one of them needs all")]

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// With the beginning of the body.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins: String = self.body.chars().take(200).collect();
        write!(f, "{} {:?} {begins:?}", self.status, self.headers)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The cookies that it sets, as a browser sends them back.
    pub(crate) fn cookies(&self) -> String {
        let set = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        let set: Vec<_> = set.filter_map(|(_, value)| value.split(';').next()).collect();
        set.join("; ")
    }
}

#[track_caller]
pub(crate) fn get(port: u16, path: &str) -> Answer {
    ask(port, "GET", path, &[])
}

/// A request that must be answered. All but GET and HEAD carry a body.
#[track_caller]
pub(crate) fn ask(port: u16, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    try_ask(port, method, path, fields).unwrap_or_else(|cause| panic!("{method} {path}: {cause}"))
}

pub(crate) fn try_ask(
    port: u16,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> io::Result<Answer> {
    let fields = [&[("Connection", "close")], fields].concat();
    let body = if matches!(method, "GET" | "HEAD") { "" } else { "a=b" };
    exchange(&mut connect(port)?, method, path, &fields, (FORM, body))
}

/// The type of what a form in a page sends.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// A POST of something of a type, which must be answered.
#[track_caller]
pub(crate) fn post(
    port: u16,
    path: &str,
    fields: &[(&str, &str)],
    (kind, body): (&str, &str),
) -> Answer {
    let fields = [&[("Connection", "close")], fields].concat();
    let answer = connect(port)
        .and_then(|mut connection| exchange(&mut connection, "POST", path, &fields, (kind, body)));
    answer.unwrap_or_else(|cause| panic!("POST {path}: {cause}"))
}

/// A visitor whose connection is kept where the server keeps it.
#[derive(Default)]
pub(crate) struct Kept(Option<BufReader<TcpStream>>);

impl Kept {
    pub(crate) fn get(&mut self, port: u16, path: &str) -> io::Result<Answer> {
        let is_old = self.0.is_some();
        let mut connection = match self.0.take() {
            Some(connection) => connection,
            None => connect(port)?,
        };
        let answer = match exchange(&mut connection, "GET", path, &[], (FORM, "")) {
            // The server closed it between two requests, as it may.
            Err(_) if is_old => return self.get(port, path),
            answer => answer?,
        };
        let ends = answer.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        let has_length = ["content-length", "transfer-encoding"].map(|it| answer.header(it));
        if !ends && has_length.iter().any(Option::is_some) {
            self.0 = Some(connection);
        }
        Ok(answer)
    }
}

fn connect(port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(BufReader::new(stream))
}

fn exchange(
    connection: &mut BufReader<TcpStream>,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    (kind, body): (&str, &str),
) -> io::Result<Answer> {
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        let port = connection.get_ref().peer_addr()?.port();
        request += &format!("Host: 127.0.0.1:{port}\r\n");
    }
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
    }
    connection.get_mut().write_all(format!("{request}\r\n{body}").as_bytes())?;
    read(connection, method == "HEAD")
}

fn line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = Vec::new();
    connection.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn read(connection: &mut BufReader<TcpStream>, is_head: bool) -> io::Result<Answer> {
    let first = line(connection)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not a status: {first}")))?;
    let mut answer = Answer { status, ..Answer::default() };
    while let Some((name, value)) = line(connection)?.split_once(':') {
        answer.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if status == 100 {
        return read(connection, is_head);
    }
    let mut body = Vec::new();
    if is_head {
    } else if answer.header("transfer-encoding").is_some_and(|it| it.contains("chunked")) {
        loop {
            let length = line(connection)?;
            let length = usize::from_str_radix(length.split(';').next().unwrap_or(""), 16);
            let length = length.map_err(io::Error::other)?;
            if length == 0 {
                break;
            }
            let start = body.len();
            body.resize(start + length, 0);
            connection.read_exact(&mut body[start..])?;
            line(connection)?;
        }
    } else if let Some(length) = answer.header("content-length") {
        body.resize(length.parse().map_err(io::Error::other)?, 0);
        connection.read_exact(&mut body)?;
    } else {
        connection.read_to_end(&mut body)?;
    }
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}
