//! The layer fits any `tower::Service` of HTTP: this compiles, and runs.

use std::cell::Cell;
use std::convert::Infallible;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Bytes;
use axum::http::{Request, Response};
use axum::routing::get;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::service::TowerToHyperService;
use maint::tower::{Maintenance, MaintenanceLayer, ResponseBody, ResponseFuture};
use pin_project_lite::pin_project;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};

use crate::env::TestSite;

pin_project! {
    /// A body of the test's own, neither `Unpin` nor `Sync`.
    struct Own {
        words: Vec<&'static str>,
        #[pin]
        pinned: PhantomPinned,
        not_sync: Cell<u8>,
    }
}

impl Own {
    fn new(words: &[&'static str]) -> Self {
        let words = words.iter().rev().copied().collect();
        Self { words, pinned: PhantomPinned, not_sync: Cell::new(0) }
    }
}

/// An error that is not a `std::error::Error`.
#[derive(Debug)]
struct OwnError;

impl Body for Own {
    type Data = Bytes;
    type Error = OwnError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OwnError>>> {
        let word = self.project().words.pop();
        Poll::Ready(word.map(|word| Ok(Frame::data(word.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.words.is_empty()
    }
}

fn is_service<S, B, C>(service: S) -> S
where
    S: Service<Request<B>, Response = Response<ResponseBody<C>>> + Clone + Send + 'static,
    S::Future: Send,
    C: Body<Data = Bytes>,
{
    service
}

/// The bounds that tonic puts on a layer of its server.
fn fits_tonic<L, B>(_: L)
where
    L: tower::Layer<tonic::service::Routes>,
    L::Service: Service<Request<tonic::body::Body>, Response = Response<B>> + Clone + Send,
    <L::Service as Service<Request<tonic::body::Body>>>::Error:
        Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
{
}

/// The bounds that hyper puts on a service of its server.
fn fits_hyper<S, B>(_: S)
where
    S: hyper::service::Service<Request<Incoming>, Response = Response<B>>,
    B: Body + 'static,
{
}

#[test]
fn the_layer_fits_axum_tonic_hyper_and_bodies_of_ones_own() {
    let site = TestSite::new();
    let layer = site.layer();

    let axum: Router = Router::new().route("/", get(async || "x").layer(layer.clone()));
    let _: Router = axum.route_layer(layer.clone()).layer(layer.clone());
    let _: Router = Router::new().fallback_service(layer.clone().layer(service_fn(
        async |_: Request<axum::body::Body>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("x")))
        },
    )));
    fits_tonic(layer.clone());

    let hyper = service_fn(async |_: Request<Incoming>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    fits_hyper(TowerToHyperService::new(layer.layer(hyper)));

    let own = service_fn(async |_: Request<Own>| Ok::<_, OwnError>(Response::new(Own::new(&[]))));
    let _: Maintenance<_> = is_service::<_, Own, Own>(layer.layer(own));
    let stacked = ServiceBuilder::new().layer(layer.clone()).layer(layer);
    let _ = is_service::<_, Own, _>(stacked.service(own));
}

#[test]
fn what_the_layer_gives_can_be_sent_to_other_threads_as_far_as_the_app_can() {
    fn is_send<T: Send>() {}
    fn is_send_and_sync<T: Send + Sync + Clone + 'static>() {}
    is_send_and_sync::<MaintenanceLayer>();
    is_send_and_sync::<Maintenance<Router>>();
    is_send::<ResponseBody<Own>>();
    is_send::<ResponseFuture<std::future::Ready<Result<Response<Own>, OwnError>>, Own>>();
}

#[tokio::test]
async fn a_body_of_ones_own_passes_unchanged_and_is_replaced_by_the_page() {
    let site = TestSite::new();
    let own = service_fn(async |request: Request<Own>| {
        Ok::<_, OwnError>(Response::new(request.into_body()))
    });
    let service = site.layer().layer(own);
    let ask = || {
        let request = Request::builder().uri("/").header("accept", "text/plain");
        service.clone().oneshot(request.body(Own::new(&["a", "b"])).unwrap())
    };
    let up = ask().await.unwrap();
    assert_eq!((up.status().as_u16(), up.body().is_end_stream()), (200, false));
    assert_eq!(up.body().size_hint().exact(), None, "the body is the app's own");
    let echo = up.into_body().collect().await.map_err(|OwnError| "failed").unwrap().to_bytes();
    assert_eq!(echo, "ab");
    site.ok(&["on"]);
    let down = ask().await.unwrap();
    assert_eq!(down.status(), 503);
    let length = down.headers()["content-length"].to_str().unwrap().parse().ok();
    assert_eq!(down.body().size_hint().exact(), length);
    let page = down.into_body().collect().await.map_err(|OwnError| "failed").unwrap().to_bytes();
    assert!(page.starts_with(b"Down for maintenance\n"));
    assert_eq!(Some(page.len() as u64), length);
}
