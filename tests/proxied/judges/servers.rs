//! Servers that report what they serve for a target: the route, then the path.

use actix_web::HttpRequest;
use actix_web::web::{self, ServiceConfig};
use axum::Router;
use axum::http::Uri;
use axum::routing::any;
use maint::Gate;
use maint::actix::Maintenance;

use super::python;
use crate::nginx::Nginx;
use crate::process::Process;
use crate::site::TestSite;
use crate::wire::ask_raw;
use crate::{actix, app};

/// A server whose report counts.
pub(crate) struct Judge {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// The layer is inside; without it the test asks the library about the target.
    pub(crate) has_gate: bool,
    pub(crate) _keeper: Keeper,
}

pub(crate) enum Keeper {
    Actix { _server: actix::Server },
    Axum { _server: app::Server },
    Nginx { _process: Nginx },
    Process { _process: Process },
}

/// What a server made of a target.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) route: String,
    /// Decoded as far as the server decodes.
    pub(crate) path: String,
}

/// What is served for a target; `None` if it is refused, or maint answers.
pub(crate) fn served(port: u16, target: &[u8]) -> Option<Served> {
    let answer = ask_raw(port, target)?;
    if answer.status != 200 || answer.is_of_maint() {
        return None;
    }
    assert_eq!(answer.header("transfer-encoding"), None, "{answer:?}");
    let body = String::from_utf8_lossy(&answer.body);
    let (route, path) = body.split_once('\n').unwrap_or_else(|| panic!("{answer:?}"));
    Some(Served { route: route.to_owned(), path: path.to_owned() })
}

/// All servers: those with the gate, and those that only report what they serve.
pub(crate) fn start(site: &TestSite) -> Vec<Judge> {
    let mut judges = gated(site);
    judges.push(of_axum("axum, asked beforehand", router(), false));
    judges.extend(of_nginx("nginx, asked beforehand", LOCATIONS, false));
    judges.extend(python::start());
    judges
}

/// An app with the gate, and servers in front of it.
pub(crate) fn gated(site: &TestSite) -> Vec<Judge> {
    let axum = of_axum("axum", router().layer(site.layer()), true);
    let app = axum.port;
    let to = |place: &str| {
        format!("proxy_pass http://127.0.0.1:{app}{place}; proxy_set_header Host $http_host;")
    };
    let as_sent = format!("location / {{ {} }}", to(""));
    let normalised = format!("location / {{ {} }}", to("/"));
    // The usual mistake, which lets `/static../admin` out of `/static`.
    let short = format!("{as_sent} location /static {{ {} }}", to("/static/"));
    let nginxes = [
        ("nginx that sends on what it gets", &as_sent),
        ("nginx that normalises", &normalised),
        ("nginx with a slash missing", &short),
    ];
    let nginxes = nginxes.into_iter().filter_map(|(name, server)| of_nginx(name, server, true));
    [axum, of_actix(site)].into_iter().chain(nginxes).collect()
}

fn of_axum(name: &'static str, app: Router, has_gate: bool) -> Judge {
    let server = app::Server::new(app);
    Judge { name, port: server.port, has_gate, _keeper: Keeper::Axum { _server: server } }
}

fn of_actix(site: &TestSite) -> Judge {
    let maintenance = Maintenance::new(Gate::open(&site.site()).unwrap());
    let server = actix::Server::start(maintenance, routes);
    let port = server.address.port();
    Judge { name: "actix-web", port, has_gate: true, _keeper: Keeper::Actix { _server: server } }
}

fn of_nginx(name: &'static str, server: &str, has_gate: bool) -> Option<Judge> {
    let nginx = Nginx::start(&[], "", server)?;
    Some(Judge { name, port: nginx.port, has_gate, _keeper: Keeper::Nginx { _process: nginx } })
}

/// nginx as the router.
const LOCATIONS: &str = r#"
    default_type text/plain;
    location / { return 200 "other\n$uri"; }
    location = /health { return 200 "health\n$uri"; }
    location = /static { return 200 "static\n$uri"; }
    location /static/ { return 200 "static\n$uri"; }
    location ~ ^/api/[^/]+/status$ { return 200 "status\n$uri"; }
    location ~ ^/v[12]/. { return 200 "version\n$uri"; }
    location = /admin { return 200 "admin\n$uri"; }
    location /admin/ { return 200 "admin\n$uri"; }
"#;

/// axum as the router.
fn router() -> Router {
    let route = |name: &'static str| {
        any(move |uri: Uri| async move { format!("{name}\n{}", decode(uri.path())) })
    };
    Router::new()
        .route("/health", route("health"))
        .route("/static", route("static"))
        .route("/static/", route("static"))
        .route("/static/{*rest}", route("static"))
        .route("/api/{name}/status", route("status"))
        .route("/v1/{*rest}", route("version"))
        .route("/v2/{*rest}", route("version"))
        .route("/admin", route("admin"))
        .route("/admin/", route("admin"))
        .route("/admin/{*rest}", route("admin"))
        .fallback(route("other"))
}

/// actix-web as the router.
fn routes(app: &mut ServiceConfig) {
    let route = |name: &'static str| {
        web::to(move |request: HttpRequest| async move {
            format!("{name}\n{}", decode(request.uri().path()))
        })
    };
    for (pattern, name) in [
        ("/health", "health"),
        ("/static", "static"),
        ("/static/{rest:.*}", "static"),
        ("/api/{name}/status", "status"),
        ("/v{number:[12]}/{rest:.+}", "version"),
        ("/admin", "admin"),
        ("/admin/{rest:.*}", "admin"),
    ] {
        app.route(pattern, route(name));
    }
    app.default_service(route("other"));
}

/// Decodes percent escapes once.
fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits =
            tail.get(..2).filter(|_| byte == b'%').and_then(|two| str::from_utf8(two).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
