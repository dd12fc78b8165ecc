//! Visitors who speak HTTP/2 to the proxy.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::handshake;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::app::{HOST, OURS};
use crate::front::{ENVOY, Proxy, TRAEFIK};
use crate::watched::PATIENCE;

/// Asks in a connection of its own.
fn ask(port: u16, request: Request<Full<Bytes>>) -> Response<Bytes> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let handshake = handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await.expect("it hangs") })
}

fn speaks_http_2(proxy: Proxy) {
    let Some(front) = proxy.in_front(&[]) else { return };
    let serving = &front.serving;
    let of = |method: &str, authority: &str, host: Option<&str>| {
        let url = format!("http://{authority}/shop/1?q=a");
        let request = Request::builder().method(method).uri(url);
        let request = host.into_iter().fold(request, |it, host| it.header("host", host));
        let body = if method == "POST" { Bytes::from_static(b"a=b") } else { Bytes::new() };
        ask(front.port, request.body(Full::new(body)).unwrap())
    };
    for method in ["GET", "POST", "DELETE"] {
        let answer = of(method, "shop.example.com", None);
        assert!(answer.headers().contains_key(OURS), "{method}: {answer:?}");
        assert_eq!(answer.headers()[HOST], "shop.example.com");
    }
    serving.maint(&["on", "--host", "shop.example.com", "-m", "The cellar is being swept"]);
    for method in ["GET", "POST", "DELETE"] {
        let answer = of(method, "shop.example.com", None);
        assert_eq!((answer.status().as_u16(), answer.headers().get(OURS)), (503, None));
        assert!(String::from_utf8_lossy(answer.body()).contains("The cellar"), "{answer:?}");
        assert!(of(method, "blog.example.com", None).headers().contains_key(OURS));
    }
    // Whichever of the two the app is told.
    for (authority, host) in
        [("blog.example.com", "shop.example.com"), ("shop.example.com", "blog.example.com")]
    {
        let answer = of("GET", authority, Some(host));
        let told = answer.headers().get(HOST).map(|it| it.to_str().unwrap().to_owned());
        assert_ne!(told.as_deref(), Some("shop.example.com"), "{authority} {host}: {answer:?}");
    }
}

#[test]
fn requirement_86_a_visitor_with_http_2_is_blocked_behind_traefik() {
    speaks_http_2(TRAEFIK);
}

#[test]
fn requirement_86_a_visitor_with_http_2_is_blocked_behind_envoy() {
    speaks_http_2(ENVOY);
}
