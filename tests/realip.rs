//! The client's address, as this library and nginx find it.
//!
//! Where nginx finds no client it answers with the last proxy, or the peer, and
//! this library with none. So the two are compared where nginx names a client.

#![cfg(unix)]

#[path = "common/nginx.rs"]
mod nginx;
#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/say.rs"]
mod say;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::time::Duration;

use maint::internal::request::address;
use maint::request::RequestParts;
use maint::request::{ProxyHeader, TrustedProxies};
use nginx::Nginx;
use numbers::Numbers;
use say::figure;

const NETWORKS: [&str; 3] = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];
const CHAINS: usize = 12_000;

/// An nginx that answers with the client; `None` without an nginx.
fn start() -> Option<Nginx> {
    let trust = NETWORKS.map(|network| format!("set_real_ip_from {network};\n")).concat();
    let http = format!(
        "large_client_header_buffers 4 32k;
        {trust}
        real_ip_header X-Forwarded-For;
        real_ip_recursive on;"
    );
    let server = "location = /client { return 200 \"$remote_addr\"; }";
    Nginx::start(&["http_realip_module"], &http, server)
}

/// What nginx takes for the client; `None` if it gives no whole answer.
fn ask(connection: &mut BufReader<TcpStream>, lines: &[String]) -> Option<String> {
    let mut fields = String::new();
    for line in lines {
        fields += &format!("X-Forwarded-For: {line}\r\n");
    }
    let request = format!("GET /client HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    connection.get_ref().set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    connection.get_mut().write_all(request.as_bytes()).ok()?;
    let mut length = 0;
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        connection.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

/// The same request for this library.
fn facts(lines: &[String]) -> RequestParts {
    let request = RequestParts::new("GET", "/").with_peer(IpAddr::from(Ipv4Addr::LOCALHOST));
    lines.iter().fold(request, |request, line| request.with("X-Forwarded-For", line))
}

/// The left-most address, which many take for the client and the client chooses.
fn leftmost(lines: &[String]) -> Option<IpAddr> {
    let first = lines.first()?.split(',').next()?.trim();
    Some(first.parse::<IpAddr>().ok()?.to_canonical())
}

/// Chains of proxies.
impl Numbers {
    fn address(&mut self, v4: &str, v6: &str) -> String {
        let (a, b) = (self.below(256), self.below(256));
        let port = self.below(65_535) + 1;
        match self.below(6) {
            0 => format!("{v4}.{a}.{b}:{port}"),
            1 => format!("{v6}:{a:x}::{b:x}"),
            2 => format!("[{v6}:{a:X}::{b:X}]:{port}"),
            3 => format!("::ffff:{v4}.{a}.{b}"),
            _ => format!("{v4}.{a}.{b}"),
        }
    }

    fn hop(&mut self) -> String {
        const NOISE: [&str; 16] = [
            "unknown",
            "_hidden",
            "",
            "fe80::1%eth0",
            "[fe80::1%1]:80",
            "\"203.0.113.7\"",
            "unix:",
            "203.0.113.7:",
            "203.0.113.7:65536",
            "203.0.113.256",
            "203.0.113",
            "[::1",
            "for=6.6.6.6",
            "\t203.0.113.7",
            "203.0.113.7.",
            "*",
        ];
        match self.below(10) {
            0 => self.one_of(&NOISE).to_owned(),
            1..=3 => self.address("203.0", "2001:db8"),
            _ => self.address("10.1", "fd00:1"),
        }
    }

    fn chain(&mut self) -> Vec<String> {
        (0..self.below(4))
            .map(|_| {
                let hops: Vec<String> = (0..=self.below(6)).map(|_| self.hop()).collect();
                hops.join(self.one_of(&[", ", ",", " , ", ",, "]))
            })
            .collect()
    }
}

#[test]
fn requirement_39_nginx_names_the_same_client() {
    let Some(nginx) = start() else {
        return;
    };
    let proxies = TrustedProxies::new(
        ProxyHeader::XForwardedFor,
        NETWORKS.map(|network| network.parse().unwrap()),
    );
    let mut connection = BufReader::new(TcpStream::connect(("127.0.0.1", nginx.port)).unwrap());
    connection.get_ref().set_nodelay(true).unwrap();
    let mut both = |lines: &[String]| {
        let theirs = ask(&mut connection, lines)
            .unwrap_or_else(|| panic!("nginx gives no answer to {lines:?}"));
        let theirs: IpAddr = theirs.parse().unwrap();
        (theirs.to_canonical(), address(&facts(lines), Some(&proxies)))
    };
    let trusted =
        |address: &IpAddr| proxies.networks.iter().any(|network| network.contains(address));

    let mut numbers = Numbers(39);
    let (mut compared, mut chosen) = (0, 0);
    for _ in 0..CHAINS {
        let lines = numbers.chain();
        let (theirs, ours) = both(&lines);
        if !trusted(&theirs) {
            assert_eq!(ours, Some(theirs), "{lines:?}");
            compared += 1;
            chosen += usize::from(leftmost(&lines) != ours);
        }
    }
    figure(&format!(
        "{CHAINS} chains, {compared} with a client for nginx: 0 differences; who believes the \
         left-most would differ in {chosen}"
    ));
    assert!(compared > CHAINS / 4, "only {compared} chains were compared");
    assert!(chosen > compared / 2, "these chains cannot show the fault");

    // Where nginx is laxer than the grammar, this library finds no client.
    for (line, theirs) in
        [("6.6.6.6 203.0.113.7", [203, 0, 113, 7]), ("203.0.113.07", [203, 0, 113, 7])]
    {
        assert_eq!(both(&[line.to_owned()]), (theirs.into(), None), "{line}");
    }
}
