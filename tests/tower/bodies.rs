//! Probe.
use crate::env::*;
use axum::Router;
use axum::routing::any;

#[test]
fn probe() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let server = Server::start(Router::new().route("/", any(async || "app")).layer(site.layer()));
    for round in 0..5 {
        for size in [10usize, 100_000, 1 << 20, 10 << 20, 100 << 20] {
            for chunked in [false, true] {
                let mut client = server.client();
                let length = size.to_string();
                let field = if chunked {
                    ("Transfer-Encoding", "chunked")
                } else {
                    ("Content-Length", length.as_str())
                };
                client.head("POST", "/", &[field]).unwrap();
                let piece = vec![b'x'; 65536.min(size)];
                let mut left = size;
                let mut sent = Ok(());
                while left > 0 && sent.is_ok() {
                    let n = piece.len().min(left);
                    if chunked {
                        sent = client
                            .write(format!("{n:x}\r\n").as_bytes())
                            .and(client.write(&piece[..n]))
                            .and(client.write(b"\r\n"));
                    } else {
                        sent = client.write(&piece[..n]);
                    }
                    left -= n;
                }
                if chunked && sent.is_ok() {
                    sent = client.write(b"0\r\n\r\n");
                }
                let got = client.receive("POST").map(|r| (r.status, r.body.len()));
                let again = client
                    .head("GET", "/", &[])
                    .and_then(|()| client.receive("GET"))
                    .map(|r| r.status);
                figure(&format!(
                    "{round} {size} chunked={chunked} sent={sent:?} left={left} got={got:?} again={again:?}"
                ));
            }
        }
    }
}
