//! A Poem app behind the gate.
//!
//! ```sh
//! maint --site /tmp/example/.maint init /tmp/example
//! cargo run --example poem --no-default-features --features http -- /tmp/example/.maint
//! curl -i http://127.0.0.1:3000/
//! maint --site /tmp/example/.maint on -m "Back at noon"
//! ```

use std::path::PathBuf;

use maint::gate::{Answer, Gate};
use maint::{HttpRequest, Site};
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use poem::{
    Endpoint, EndpointExt as _, Request, Response, Result, Route, Server, get, handler, http,
};

/// The app's answer, or the page in its place.
async fn maintenance(next: impl Endpoint, gate: Gate, mut request: Request) -> Result<Response> {
    let peer = request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip);
    let asked = HttpRequest::new(request.method(), request.original_uri(), request.headers());
    match gate.answer(&asked.peer(peer)) {
        Answer::Pass(pass) => {
            request.extensions_mut().insert(pass.clone());
            let mut response = next.get_response(request).await;
            pass.keep_private(response.headers_mut());
            Ok(response)
        }
        Answer::Reply(reply) => {
            let (parts, body) = http::Response::from(reply).into_parts();
            let mut response = Response::builder().status(parts.status).body(body);
            *response.headers_mut() = parts.headers;
            Ok(response)
        }
    }
}

#[handler]
fn home() -> &'static str {
    "the shop\n"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let site = std::env::args_os().nth(1).map(PathBuf::from);
    let gate = Gate::open(&Site::discover(site.as_deref())?)?;
    let app = Route::new().at("/", get(home));
    let app = app.around(move |next, request| maintenance(next, gate.clone(), request));
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let acceptor = TcpListener::bind(address).into_acceptor().await?;
    if let Some(address) = acceptor.local_addr().first().and_then(|at| at.as_socket_addr()) {
        println!("http://{address}/");
    }
    Server::new_with_acceptor(acceptor).run(app).await?;
    Ok(())
}
