//! Requests that are unusual, and pass like others while the site is up.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::app::OURS;
use crate::front::{CADDY, ENVOY, NGINX, Proxy, TRAEFIK};
use crate::rig::{Answered, Serving};
use crate::watched::PATIENCE;

/// The head of an answer to a request, as it goes over the wire.
fn head(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    answer.split("\r\n\r\n").next().unwrap().to_owned()
}

fn passes_all(proxy: Proxy) {
    let Some(front) = proxy.in_front(&[]) else { return };
    let software = proxy.name;
    let fields = (0..300).map(|number| format!("X-{number}: a\r\n"));
    let fields = fields.collect::<Vec<_>>().concat();
    for (target, fields) in [
        (&b"/?q=\"a\""[..], ""),
        (b"/?q=<a>", ""),
        (b"/?q=\xfc", ""),
        (b"/?q=\xc3\xbc", ""),
        (b"/?q={a}|^`\\", ""),
        (b"/?q=%zz#a", ""),
        (b"/\xc3\xbc", ""),
        (b"/", "X-Name: \u{fc}\r\n"),
        (b"/", &fields),
    ] {
        let fields = format!(" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n");
        let request = [b"GET ", target, fields.as_bytes()].concat();
        let head = head(front.port, &request);
        let asked = String::from_utf8_lossy(&request);
        // Envoy itself refuses these, unless it is told otherwise, before it asks.
        let own = match target {
            _ if fields.len() > 1000 => Some("http/1.1 431"),
            _ if target.contains(&b'#') || !target.is_ascii() => Some("http/1.1 400"),
            _ => None,
        };
        if let Some(own) = own.filter(|_| software == "envoy") {
            assert!(head.starts_with(own) && !head.contains("maint"), "{asked}: {head}");
            continue;
        }
        assert!(head.starts_with("http/1.1 200") && head.contains(OURS), "{asked}: {head}");
    }
}

#[test]
fn what_is_unusual_passes_nginx_while_the_site_is_up() {
    passes_all(NGINX);
}

#[test]
fn what_is_unusual_passes_caddy_while_the_site_is_up() {
    passes_all(CADDY);
}

#[test]
fn what_is_unusual_passes_traefik_while_the_site_is_up() {
    passes_all(TRAEFIK);
}

#[test]
fn what_is_unusual_passes_envoy_while_the_site_is_up() {
    passes_all(ENVOY);
}

/// A WebSocket that the app has taken, or the status of the refusal.
fn socket(port: u16) -> Result<TcpStream, u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    write!(stream, "GET /socket HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    match Answered::read(&head).status {
        101 => Ok(stream),
        other => Err(other),
    }
}

/// Whether what is sent comes back.
fn is_alive(stream: &mut TcpStream) -> bool {
    let mut back = [0; 5];
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut back).is_ok() && &back == b"hello"
}

fn keeps_websockets(proxy: Proxy) {
    let Some(front) = proxy.in_front(&[]) else { return };
    let serving = &front.serving;
    let mut open = socket(front.port).expect("one is taken while the site is up");
    assert!(is_alive(&mut open));
    serving.maint(&["on"]);
    assert_eq!(socket(front.port).err(), Some(503));
    assert!(is_alive(&mut open), "what is open goes on");
    serving.maint(&["off"]);
    serving.maint(&["on", "--read-only"]);
    // The handshake is a GET.
    assert!(is_alive(&mut socket(front.port).expect("a read-only window lets it pass")));
    serving.maint(&["on", "sockets", "--path", "/socket"]);
    assert_eq!(socket(front.port).err(), Some(503));
    assert!(is_alive(&mut open));
}

#[test]
fn a_websocket_is_refused_behind_nginx_and_an_open_one_goes_on() {
    keeps_websockets(NGINX);
}

#[test]
fn a_websocket_is_refused_behind_caddy_and_an_open_one_goes_on() {
    keeps_websockets(CADDY);
}

#[test]
fn a_websocket_is_refused_behind_traefik_and_an_open_one_goes_on() {
    keeps_websockets(TRAEFIK);
}

#[test]
fn a_websocket_is_refused_behind_envoy_and_an_open_one_goes_on() {
    keeps_websockets(ENVOY);
}

/// Large bodies pass while the site is up; while it is down, nobody waits for them.
fn asks_before_the_body(proxy: Proxy) {
    let Some(front) = proxy.in_front(&[]) else { return };
    let serving = &front.serving;
    let fields = "Host: a\r\nConnection: close\r\nContent-Length: 5000000";
    let mut request = format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n").into_bytes();
    let begun = request.clone();
    request.resize(request.len() + 5_000_000, b'x');
    assert!(head(front.port, &request).contains(OURS));
    serving.maint(&["on"]);
    let head = head(front.port, &begun);
    assert!(head.starts_with("http/1.1 503") && head.contains("maint-decision: block"), "{head}");
}

#[test]
fn caddy_refuses_before_it_has_the_body() {
    asks_before_the_body(CADDY);
}

#[test]
fn traefik_refuses_before_it_has_the_body() {
    asks_before_the_body(TRAEFIK);
}

#[test]
fn envoy_refuses_before_it_has_the_body() {
    asks_before_the_body(ENVOY);
}

#[test]
fn requirement_86_a_host_that_the_request_line_contradicts_is_not_believed() {
    let serving = Serving::start(&[]);
    serving.maint(&["ignore", "add", "host", "trusted.example.com"]);
    serving.maint(&["on"]);
    let of = |told: &str, sent: &[&str]| {
        let mut fields =
            vec![("X-Original-Method", "GET"), ("X-Original-URI", "/"), ("Host", told)];
        fields.extend(sent.iter().map(|sent| ("X-Original-Host", *sent)));
        let answer: Answered = serving.ask("GET", "/auth", &fields);
        answer.status
    };
    let trusted = "trusted.example.com";
    assert_eq!(of(trusted, &[]), 204);
    assert_eq!(of(trusted, &["Trusted.example.COM.:8080"]), 204);
    for sent in [
        &["shop.example.com"][..],
        &["trusted.example.com.evil"],
        &["trusted.example.com:x"],
        &[trusted, trusted],
        &["\u{fc}"],
    ] {
        assert_eq!(of(trusted, sent), 403, "{sent:?}");
    }
    assert_eq!(of("shop.example.com", &[trusted]), 403);
}

#[test]
fn requirement_86_a_url_in_the_request_line_passes_no_window_of_the_host_behind_nginx() {
    let Some(front) = NGINX.in_front(&[]) else { return };
    let serving = &front.serving;
    serving.maint(&["on", "--host", "shop.example.com"]);
    let met = |target: &str, host: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        head(front.port, request.as_bytes()).contains(OURS)
    };
    assert!(met("/", "blog.example.com"));
    assert!(met("http://blog.example.com/", "BLOG.example.com:80"));
    assert!(!met("/", "shop.example.com"));
    // An app that is told `$http_host` would answer as the shop.
    assert!(!met("http://blog.example.com/", "shop.example.com"));
    assert!(!met("http://shop.example.com/", "blog.example.com"));
}
