//! The orders of layers that the guide advises: each compiles, and answers as it should.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use http_body_util::BodyExt as _;
use hyper_util::service::TowerToHyperService;
use maint::gate::{Intercepted, Pass};
use maint::page::Format;
use maint::tower::MaintenanceLayer;
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::classify::{
    ClassifiedResponse, ClassifyResponse, NeverClassifyEos, ServerErrorsAsFailures,
    ServerErrorsFailureClass, SharedClassifier,
};
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::env::{Server, TestSite};

/// The order of `ServiceBuilder`: the first is outside.
macro_rules! outside_of {
    ($layer:expr) => {
        ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(CorsLayer::permissive())
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                Duration::from_secs(300),
            ))
            .layer($layer)
    };
}

#[test]
fn axum_takes_the_layer_below_those_that_answer_by_themselves() {
    let site = TestSite::new();
    let shop = || Router::new().route("/", get(async || "shop"));
    // The layer added last is outside, or the first of a `ServiceBuilder`.
    let one_by_one = shop()
        .layer(site.layer())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            Duration::from_secs(300),
        ))
        .layer(CorsLayer::permissive())
        .layer(TraceLayer::new_for_http());
    for app in [one_by_one, shop().layer(outside_of!(site.layer()))] {
        let server = Server::start(app);
        let mut client = server.client();
        for (verb, status) in [("on", 503), ("off", 200)] {
            site.ok(&[verb]);
            let response = client.ask("GET", "/", &[("Origin", "https://app.example")]);
            assert_eq!(response.status, status);
            assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        }
    }
}

async fn ask<S, B>(service: S) -> (u16, String)
where
    S: Service<Request<Body>, Response = axum::http::Response<B>>,
    S::Error: std::fmt::Debug,
    B: hyper::body::Body,
    B::Error: std::fmt::Debug,
{
    let response = service.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn plain_tower_and_hyper_take_it_in_the_same_order() {
    let site = TestSite::new();
    let stack = |layer: MaintenanceLayer| {
        outside_of!(layer).service(service_fn(async |_: Request<Body>| {
            Ok::<_, std::convert::Infallible>(axum::http::Response::new(Body::from("shop")))
        }))
    };
    assert_eq!(ask(stack(site.layer())).await, (200, "shop".to_owned()));
    site.ok(&["on", "-m", "Back at noon"]);
    let (status, page) = ask(stack(site.layer())).await;
    assert_eq!(status, 503);
    assert!(page.contains("Back at noon"), "{page}");
    // hyper takes a service of the same layers.
    let _ = TowerToHyperService::new(stack(site.layer()));
}

#[test]
fn the_app_knows_why_a_request_passes() {
    let site = TestSite::new();
    let why = async |Extension(pass): Extension<Pass>| {
        format!("{:?} {:?} {}", pass.by, pass.read_only, pass.next.is_some())
    };
    let app = Router::new().route("/", get(why)).layer(site.layer());
    let server = Server::start(app);
    let mut client = server.client();
    let mut body = |fields: &[(&str, &str)]| client.ask("GET", "/", fields).text().to_owned();
    assert_eq!(body(&[]), "None None false");
    site.ok(&["on", "--read-only"]);
    assert_eq!(body(&[]), r#"None Some("default") false"#);
    site.ok(&["off"]);
    site.ok(&["on", "--at", "2099-01-01T00:00:00Z"]);
    assert_eq!(body(&[]), "None None true");
    site.ok(&["on"]);
    site.ok(&["ignore", "add", "header", "X-Probe: blue"]);
    assert!(body(&[("X-Probe", "blue")]).starts_with("Some(\"r"));
}

/// What the guide advises: the page is no failure of the app.
#[derive(Clone)]
struct FailuresOfTheApp;

impl ClassifyResponse for FailuresOfTheApp {
    type FailureClass = ServerErrorsFailureClass;
    type ClassifyEos = NeverClassifyEos<ServerErrorsFailureClass>;

    fn classify_response<B>(
        self,
        response: &axum::http::Response<B>,
    ) -> ClassifiedResponse<Self::FailureClass, Self::ClassifyEos> {
        if response.extensions().get::<Intercepted>().is_some() {
            return ClassifiedResponse::Ready(Ok(()));
        }
        ServerErrorsAsFailures::new().classify_response(response)
    }

    fn classify_error<E: std::fmt::Display + 'static>(self, error: &E) -> Self::FailureClass {
        ServerErrorsFailureClass::Error(error.to_string())
    }
}

#[test]
fn a_trace_leaves_the_page_out_of_the_failures_of_the_app() {
    let site = TestSite::new();
    let failures = Arc::new(AtomicU32::new(0));
    let counted = failures.clone();
    let trace = TraceLayer::new(SharedClassifier::new(FailuresOfTheApp)).on_failure(
        move |_: ServerErrorsFailureClass, _: Duration, _: &tracing::Span| {
            counted.fetch_add(1, Ordering::SeqCst);
        },
    );
    let broken = get(async || StatusCode::SERVICE_UNAVAILABLE);
    let app = Router::new().route("/", broken).layer(site.layer()).layer(trace);
    let server = Server::start(app);
    let mut client = server.client();
    assert_eq!(client.ask("GET", "/", &[]).status, 503);
    assert_eq!(failures.load(Ordering::SeqCst), 1, "the app failed");
    site.ok(&["on"]);
    assert_eq!(client.ask("GET", "/", &[]).status, 503);
    assert_eq!(failures.load(Ordering::SeqCst), 1, "the page was sent");
}

#[test]
fn the_routes_of_an_api_answer_in_json_whatever_a_script_accepts() {
    let site = TestSite::new();
    let of_routes =
        site.layer().format_from(|uri, _| uri.path().starts_with("/api/").then_some(Format::Json));
    let app = Router::new().route("/", get(async || "shop")).layer(of_routes);
    let always = Router::new().layer(site.layer().format(Format::Json));
    let (server, api) = (Server::start(app), Server::start(always));
    site.ok(&["on"]);
    let kind = |server: &Server, path| {
        let response = server.client().ask("GET", path, &[("Accept", "*/*")]);
        response.header("content-type").unwrap().to_owned()
    };
    assert_eq!(kind(&server, "/api/carts"), "application/problem+json");
    assert_eq!(kind(&server, "/"), "text/html; charset=utf-8");
    assert_eq!(kind(&api, "/"), "application/problem+json");
}
