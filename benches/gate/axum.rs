//! What the layer adds to a request of an axum app, in processor time.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::routing::get;
use maint::Gate;
use maint::tower::MaintenanceLayer;
use tokio::runtime::{Builder, Runtime};
use tower::layer::layer_fn;
use tower_service::Service;

use crate::common::{Budget, Place, Result, Table, race_seconds};
use crate::sample::{BROWSER, Sample, rules, state, thread_clock};

/// Connections kept open, each with a request in flight.
const CONNECTIONS: usize = 16;

const PAGE: &str = "the shop\n";

pub(crate) fn axum(place: &Place, rounds: usize) -> Result<String> {
    let up = Sample::new(place, "axum up", &state(false, rules(10, 10)))?;
    let down = Sample::new(place, "axum down", &state(true, rules(10, 10)))?;
    let interval = Some(Duration::from_secs(1));
    let apps = [
        ("no layer", app(None)),
        ("a layer that does nothing", with_clock(routes().layer(layer_fn(Nothing)))),
        ("the layer, up", app(Some(up.gate(None)?))),
        ("the layer, up, recheck", app(Some(up.gate(interval)?))),
        ("the layer, down", app(Some(down.gate(None)?))),
        ("the layer, down, recheck", app(Some(down.gate(interval)?))),
    ];
    let budgets = [(2, Budget::Ratio(1.25)), (3, Budget::Ratio(1.03))];

    let runtime = Builder::new_current_thread().build()?;
    let mut calls: Vec<_> = Vec::new();
    let mut servers = Vec::new();
    for (name, app) in apps {
        servers.push((name.to_owned(), Server::start(app.clone())?));
        let runtime = &runtime;
        calls.push((name.to_owned(), move || call(runtime, &app)));
    }
    let title = "An axum request over a kept connection, processor time of the server";
    let mut servers: Vec<_> =
        servers.into_iter().map(|(name, mut server)| (name, move || server.serve())).collect();
    let times = race_seconds(rounds, 11, &mut servers)?;
    let by_socket = Table { title, baseline: 0, budgets: &budgets }.show(&times);
    let times = race_seconds(rounds, 11, &mut calls)?;
    let title = "The router called by itself: no socket, no HTTP";
    let by_call = Table { title, baseline: 0, budgets: &[] }.show(&times);
    Ok(format!("{by_socket}\n{by_call}"))
}

fn routes() -> Router {
    Router::new().route("/shop/{number}/item", get(async || PAGE))
}

fn with_clock(app: Router) -> Router {
    app.route("/clock", get(async || format!("{:.9}\n", thread_clock())))
}

fn app(gate: Option<Gate>) -> Router {
    let app = routes();
    with_clock(match gate {
        None => app,
        Some(gate) => app.layer(
            MaintenanceLayer::new(gate)
                .peer_from(|extensions| Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip())),
        ),
    })
}

/// What axum itself takes for any layer, even an empty one.
#[derive(Clone)]
struct Nothing<S>(S);

impl<S: Service<Request>> Service<Request> for Nothing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<std::result::Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request)
    }
}

/// Processor time of one request that is already made, in seconds.
fn call(runtime: &Runtime, app: &Router) -> Result<f64> {
    const CALLS: u32 = 1_000;
    let peer = ConnectInfo(SocketAddr::from(([203, 0, 113, 7], 443)));
    let mut requests = Vec::new();
    for number in 0..CALLS {
        let request = http::Request::get(format!("/shop/{number}/item"))
            .header("host", "shop.example.com")
            .header("accept", BROWSER)
            .extension(peer);
        requests.push(request.body(Body::empty())?);
    }
    let mut app = app.clone();
    runtime.block_on(async {
        let begun = thread_clock();
        for request in requests {
            black_box(app.call(request).await?);
        }
        Ok((thread_clock() - begun) / f64::from(CALLS))
    })
}

/// A server on its own thread, and connections to it.
struct Server {
    connections: Vec<TcpStream>,
}

impl Server {
    fn start(app: Router) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        // The thread ends with the program.
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let app = app.into_make_service_with_connect_info::<SocketAddr>();
                axum::serve(listener, app).await
            })
        });
        let connect = |_| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        Ok(Self { connections: (0..CONNECTIONS).map(connect).collect::<Result<_>>()? })
    }

    /// Processor time of one request, in seconds.
    fn serve(&mut self) -> Result<f64> {
        const CALLS: u32 = 100;
        let begun = self.clock()?;
        for number in 0..CALLS {
            for stream in &mut self.connections {
                ask(stream, &format!("/shop/{number}/item"))?;
            }
            for stream in &mut self.connections {
                let answer = answer(stream)?;
                assert!(answer.ends_with(PAGE) || answer.starts_with("HTTP/1.1 503"), "{answer}");
            }
        }
        let connections = u32::try_from(self.connections.len())?;
        let requests = f64::from(CALLS * connections);
        Ok((self.clock()? - begun) / requests)
    }

    /// Processor time that the server's thread has used, in seconds.
    fn clock(&mut self) -> Result<f64> {
        ask(&mut self.connections[0], "/clock")?;
        let answer = answer(&mut self.connections[0])?;
        Ok(answer.lines().last().unwrap_or_default().parse()?)
    }
}

fn ask(stream: &mut TcpStream, path: &str) -> Result<()> {
    let text = format!(
        "GET {path} HTTP/1.1\r\nhost: shop.example.com\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
         accept: {BROWSER}\r\naccept-language: en-GB,en;q=0.5\r\n\
         accept-encoding: gzip, deflate, br\r\n\r\n"
    );
    Ok(stream.write_all(text.as_bytes())?)
}

/// Reads a whole answer: its head, and the body of the length it announces.
fn answer(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 16 * 1024];
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Err("the server hung up".into());
        }
        bytes.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.ok_or("an answer without a length")?.parse::<usize>()? {
            return Ok(text.into_owned());
        }
    }
}
