//! An axum app on a real socket.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::middleware::{from_fn, map_response};
use axum::response::{AppendHeaders, Response};
use axum::routing::any;
use maint::request::User;
use maint::tower::MaintenanceLayer;
use tokio::runtime::Runtime;

/// Fields by which an app lets any cache keep its pages.
pub(crate) type Fields = &'static [(&'static str, &'static str)];

/// What apps commonly send with a page.
pub(crate) const PUBLIC: Fields = &[("cache-control", "public, max-age=60")];

/// A server that stops when this is dropped.
pub(crate) struct Server {
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
    _runtime: Runtime,
}

impl Server {
    pub(crate) fn new(app: Router) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { port, _runtime: runtime }
    }
}

/// An app behind the gate whose pages any cache may keep, as `fields` say. It takes
/// `X-Session: staff` for a session.
pub(crate) fn shop(layer: MaintenanceLayer, fields: Fields) -> Router {
    let layer = layer
        .peer_from(|extensions| Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip()))
        .user_from(|extensions| extensions.get::<User>().copied());
    let page = move |uri: Uri| async move {
        (AppendHeaders(fields.iter().copied()), format!("the app at {}", uri.path()))
    };
    Router::new().fallback(any(page)).layer(layer).layer(from_fn(
        async |mut request: Request, next: axum::middleware::Next| {
            if request.headers().get("x-session").is_some_and(|value| value == "staff") {
                let user = User::authenticated().staff(true);
                request.extensions_mut().insert(user);
            }
            next.run(request).await
        },
    ))
}

/// The bug that the tests of caches must catch: what passes the gate carries
/// `fields`, and none of maint's own caching fields.
pub(crate) fn without_our_headers(app: Router, fields: Fields) -> Router {
    app.layer(map_response(move |mut response: Response| async move {
        let headers = response.headers_mut();
        for name in ["cache-control", "surrogate-control", "cdn-cache-control", "vary"] {
            headers.remove(name);
        }
        for (name, value) in fields {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }))
}
