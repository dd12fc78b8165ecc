//! HTTP/2, where a stream ends and the connection goes on.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode, Version};
use axum::routing::any;
use futures_util::stream;
use http_body_util::BodyExt as _;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::env::{HANG, Server, TestSite};

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(
    sender: &mut SendRequest<Body>,
    method: &str,
    url: &str,
    body: Body,
) -> Response<Bytes> {
    let request = Request::builder().method(method).uri(url).version(Version::HTTP_2);
    let request = request.header("accept", "text/plain").body(body).unwrap();
    let answer = async {
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    };
    tokio::time::timeout(HANG, answer).await.expect("it hangs")
}

#[test]
fn http_2_gets_the_same_page_and_says_nothing_of_the_connection() {
    let site = TestSite::new();
    let server = Server::start(Router::new().fallback(any(async || "app")).layer(site.layer()));
    server.block_on(async {
        let mut sender = connect(server.address).await;
        for _ in 0..5 {
            let up = ask(&mut sender, "GET", "http://shop.example/", Body::empty()).await;
            assert_eq!((up.status(), &up.body()[..]), (StatusCode::OK, &b"app"[..]));
            site.ok(&["on"]);
            for (method, size) in [("GET", 0), ("POST", 10), ("POST", 10 << 20), ("HEAD", 0)] {
                let body = Body::from(vec![b'x'; size]);
                let down = ask(&mut sender, method, "http://shop.example/", body).await;
                assert_eq!(down.status(), StatusCode::SERVICE_UNAVAILABLE, "{method} {size}");
                assert_eq!(down.headers()["maint-decision"], "block");
                assert_eq!(down.headers().get("connection"), None);
                let length = down.headers()["content-length"].to_str().unwrap();
                let is_whole = length.parse::<usize>().unwrap() == down.body().len();
                assert!(if method == "HEAD" { down.body().is_empty() } else { is_whole });
            }
            site.ok(&["off"]);
        }
    });
}

#[test]
fn a_stream_that_never_ends_is_answered_at_once() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let server = Server::start(Router::new().fallback(any(async || "app")).layer(site.layer()));
    server.block_on(async {
        let mut sender = connect(server.address).await;
        let endless = stream::pending::<Result<Bytes, std::io::Error>>();
        let body = Body::from_stream(endless);
        let answer = ask(&mut sender, "POST", "http://shop.example/", body).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    });
}

#[test]
fn the_authority_is_the_host() {
    let site = TestSite::new();
    site.ok(&["on", "--host", "shop.example"]);
    let server = Server::start(Router::new().fallback(any(async || "app")).layer(site.layer()));
    server.block_on(async {
        let mut sender = connect(server.address).await;
        for (url, status) in [
            ("http://shop.example/", 503),
            ("http://SHOP.example:8080/", 503),
            ("http://blog.example/", 200),
        ] {
            let answer = ask(&mut sender, "GET", url, Body::empty()).await;
            assert_eq!(answer.status(), status, "{url}");
        }
    });
}
