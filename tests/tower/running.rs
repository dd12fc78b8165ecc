//! Requests that have begun go on, whatever the switch does meanwhile.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{any, get, post};
use futures_util::{SinkExt as _, StreamExt as _, future, stream};
use maint::Gate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::env::{HANG, Server, TestSite, eventually};
use crate::say::figure;

const TOGGLES: usize = 20;

/// What the handlers share: how often the switch was thrown, and how many of
/// them have begun.
#[derive(Clone)]
struct Shared {
    toggles: watch::Receiver<usize>,
    begun: Arc<AtomicUsize>,
}

/// Waits until the switch has been thrown n times.
async fn toggled(toggles: &mut watch::Receiver<usize>, n: usize) {
    toggles.wait_for(|toggles| *toggles >= n).await.unwrap();
}

fn line(n: usize) -> String {
    format!("piece {n}\n")
}

fn lines() -> String {
    (1..=TOGGLES).map(line).collect()
}

/// Sends one piece after each toggle.
async fn download(State(shared): State<Shared>) -> Body {
    shared.begun.fetch_add(1, Ordering::SeqCst);
    Body::from_stream(stream::unfold((shared.toggles, 1), |(mut toggles, n)| async move {
        if n > TOGGLES {
            return None;
        }
        toggled(&mut toggles, n).await;
        Some((Ok::<_, Infallible>(Bytes::from(line(n))), (toggles, n + 1)))
    }))
}

/// Sends back what was sent.
async fn upload(State(shared): State<Shared>, body: Body) -> Bytes {
    shared.begun.fetch_add(1, Ordering::SeqCst);
    axum::body::to_bytes(body, usize::MAX).await.unwrap()
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

/// Sends a request whose body, if any, comes piece by piece, and reads until the
/// server closes the connection.
async fn slowly(address: SocketAddr, method: &str, mut toggles: watch::Receiver<usize>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let chunked = if method == "POST" { "Transfer-Encoding: chunked\r\n" } else { "" };
    let head = format!("{method} /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{chunked}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    if method == "POST" {
        for n in 1..=TOGGLES {
            toggled(&mut toggles, n).await;
            let piece = line(n);
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            stream.write_all(chunk.as_bytes()).await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Whether an answer is the whole answer of the app.
fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let whole = if head.contains("transfer-encoding: chunked") {
        let chunk = |n| format!("{:x}\r\n{}\r\n", line(n).len(), line(n));
        (1..=TOGGLES).map(chunk).collect::<String>() + "0\r\n\r\n"
    } else {
        lines()
    };
    head.starts_with("HTTP/1.1 200 ") && body == whole
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Whether a socket still echoes a message.
async fn is_alive(socket: &mut Socket, message: &str) -> bool {
    let message = Message::text(message);
    socket.send(message.clone()).await.is_ok()
        && socket.next().await.is_some_and(|echo| echo.is_ok_and(|echo| echo == message))
}

/// What runs while the switch is thrown.
#[derive(Clone, Copy)]
struct Load {
    downloads: usize,
    uploads: usize,
    sockets: usize,
}

/// The outcome of the load.
struct Outcome {
    /// Incomplete answers of the app.
    broken: usize,
    /// New sockets that got the page.
    refused: usize,
}

/// Throws the switch again and again while all of it runs, in an app that `wrap`
/// puts behind the gate.
fn across_toggles(site: &TestSite, load: Load, wrap: impl FnOnce(Router) -> Router) -> Outcome {
    let Load { downloads, uploads, sockets } = load;
    let (throw, toggles) = watch::channel(0);
    let shared = Shared { toggles: toggles.clone(), begun: Arc::default() };
    let begun = shared.begun.clone();
    let app = Router::new()
        .route("/slow", get(download).merge(post(upload)))
        .route("/socket", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)))
        .with_state(shared);
    let server = Server::start(wrap(app));
    let address = server.address;
    let socket = format!("ws://{address}/socket");

    let test = async {
        let mut running = JoinSet::new();
        for number in 0..downloads + uploads {
            let method = if number < downloads { "GET" } else { "POST" };
            let toggles = toggles.clone();
            running.spawn(async move { slowly(address, method, toggles).await });
        }
        let mut open = Vec::new();
        for _ in 0..sockets {
            open.push(connect_async(&socket).await.unwrap().0);
        }
        eventually("every request has begun", || {
            begun.load(Ordering::SeqCst) == downloads + uploads
        });
        let mut refused = 0;
        for n in 1..=TOGGLES {
            let goes_down = n % 2 == 1;
            site.ok(&[if goes_down { "on" } else { "off" }]);
            throw.send(n).unwrap();
            for socket in &mut open {
                assert!(is_alive(socket, &format!("toggle {n}")).await, "after {n} toggles");
            }
            match connect_async(&socket).await {
                Ok((mut socket, _)) => {
                    assert!(!goes_down && is_alive(&mut socket, "new").await, "toggle {n}");
                }
                Err(Error::Http(response)) => {
                    assert!(goes_down && response.status() == 503, "toggle {n}: {response:?}");
                    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
                    refused += 1;
                }
                Err(error) => panic!("toggle {n}: {error}"),
            }
        }
        for mut socket in open {
            socket.close(None).await.unwrap();
        }
        let answers = running.join_all().await;
        assert_eq!(answers.len(), downloads + uploads);
        let broken = answers.iter().filter(|answer| !is_whole(answer)).count();
        Outcome { broken, refused }
    };
    server.block_on(async { tokio::time::timeout(2 * HANG, test).await }).expect("it hangs")
}

#[test]
fn requirement_55_no_toggle_breaks_what_has_begun() {
    let site = TestSite::new();
    let load = Load { downloads: 150, uploads: 50, sockets: 50 };
    let Outcome { broken, refused } = across_toggles(&site, load, |app| app.layer(site.layer()));
    figure(&format!(
        "{} downloads, {} uploads and {} websockets across {TOGGLES} toggles: {broken} broken; \
         {refused} new upgrades refused",
        load.downloads, load.uploads, load.sockets
    ));
    assert_eq!((broken, refused), (0, TOGGLES / 2));
}

/// The bug that the test above must catch: what runs ends when the site goes down.
async fn cut(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response.status() != 200 {
        return response;
    }
    let (head, body) = response.into_parts();
    let goes_on = move |_: &_| future::ready(!gate.is_down());
    let pieces = body.into_data_stream().take_while(goes_on);
    Response::from_parts(head, Body::from_stream(pieces))
}

#[test]
fn requirement_57_a_layer_that_cuts_off_what_has_begun_is_found() {
    let site = TestSite::new();
    let load = Load { downloads: 20, uploads: 0, sockets: 0 };
    let gate = site.layer().gate().clone();
    let cutting = |app: Router| app.layer(site.layer()).layer(from_fn_with_state(gate, cut));
    let Outcome { broken, .. } = across_toggles(&site, load, cutting);
    figure(&format!("{broken} of {} downloads broken by a layer that cuts", load.downloads));
    assert_eq!(broken, load.downloads);
}
