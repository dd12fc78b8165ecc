//! The orders of layers that the guide advises: each compiles, and answers as it should.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use http_body_util::BodyExt as _;
use hyper_util::service::TowerToHyperService;
use maint::tower::MaintenanceLayer;
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};
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
