//! An axum app behind the gate.
//!
//! ```sh
//! maint --site /tmp/example/.maint init /tmp/example
//! cargo run --example axum --no-default-features --features tower -- /tmp/example/.maint
//! curl -i http://127.0.0.1:3000/
//! maint --site /tmp/example/.maint on -m "Back at noon"
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use maint::tower::MaintenanceLayer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let site = std::env::args_os().nth(1).map(PathBuf::from);
    let maintenance = MaintenanceLayer::open(site.as_deref())?
        .peer_from(|extensions| Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip()));
    let app = Router::new()
        .route("/", get(async || "the shop\n"))
        .route("/new", get(async || "not ready\n").layer(maintenance.clone().force_on()))
        .layer(maintenance)
        // Routes added after the layer are outside it: never down.
        .route("/health", get(async || "alive\n"));
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}/", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}
