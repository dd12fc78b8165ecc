//! An HTTP/1.1 client that hides nothing: the bytes it sends are written here, and
//! an answer cut short is an error.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::env::HANG;

/// A connection, kept for as many requests as the server allows.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case, in the order they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The statuses of the interim answers, such as 100.
    pub(crate) interim: Vec<u16>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANG))?;
        stream.set_write_timeout(Some(HANG))?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_string() })
    }

    /// Sends these bytes unchanged.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends the head of a request, and adds `Host` if it is missing.
    pub(crate) fn head(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.write((head + "\r\n").as_bytes())
    }

    /// Sends a request without a body and reads the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
        self.head(method, target, headers).unwrap();
        self.receive(method).unwrap()
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.ask("GET", target, &[])
    }

    /// Reads one whole answer to a request of this method.
    pub(crate) fn receive(&mut self, method: &str) -> io::Result<Response> {
        let mut interim = Vec::new();
        let (status, headers) = loop {
            let (status, headers) = self.read_head()?;
            if status >= 200 || status == 101 {
                break (status, headers);
            }
            interim.push(status);
        };
        let mut response = Response { status, headers, body: Vec::new(), interim };
        if method != "HEAD" && !matches!(status, 101 | 204 | 304) {
            response.body = self.read_body(&response)?;
        }
        Ok(response)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(broken(&format!("a line that ends in the middle: {line:?}"))),
        }
    }

    fn read_head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| broken(&format!("no status: {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) =
                line.split_once(": ").ok_or_else(|| broken(&format!("no field: {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    fn read_body(&mut self, response: &Response) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.line()?;
                let size = usize::from_str_radix(&size, 16).map_err(|_| broken("no chunk size"))?;
                self.read_exactly(size, &mut body)?;
                if !self.line()?.is_empty() {
                    return Err(broken("a chunk that does not end"));
                }
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        let length = response.header("content-length").and_then(|length| length.parse().ok());
        self.read_exactly(length.ok_or_else(|| broken("a body without a length"))?, &mut body)?;
        Ok(body)
    }

    fn read_exactly(&mut self, size: usize, body: &mut Vec<u8>) -> io::Result<()> {
        let before = body.len();
        body.resize(before + size, 0);
        self.stream.read_exact(&mut body[before..])
    }

    /// Whether the server has closed the connection cleanly.
    pub(crate) fn is_closed(&mut self) -> io::Result<bool> {
        Ok(self.stream.fill_buf()?.is_empty())
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Response {
    /// The value of a header field that may be there once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(given, _)| given == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert_eq!(values.next(), None, "{name} is there twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// Whether the gate answered, not the app.
    pub(crate) fn is_from_the_gate(&self) -> bool {
        self.header("maint-decision") == Some("block")
    }
}
