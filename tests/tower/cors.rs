//! CORS belongs to the app: its layer goes outside the gate.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::routing::get;
use tower_http::cors::CorsLayer;

use crate::client::{Client, Response};
use crate::env::{Server, TestSite};

const ORIGIN: (&str, &str) = ("Origin", "https://app.example");

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static(ORIGIN.1))
        .allow_methods([Method::GET, Method::PUT])
        .expose_headers([HeaderName::from_static("retry-after")])
}

fn api() -> Router {
    Router::new().route("/api", get(async || "{}").put(async || "{}"))
}

fn preflight(client: &mut Client) -> Response {
    client.ask("OPTIONS", "/api", &[ORIGIN, ("Access-Control-Request-Method", "PUT")])
}

fn fetch(client: &mut Client) -> Response {
    let headers = [ORIGIN, ("Accept", "application/json"), ("Sec-Fetch-Mode", "cors")];
    client.ask("GET", "/api", &headers)
}

#[test]
fn with_cors_outside_a_script_of_another_origin_can_read_the_503() {
    let site = TestSite::new();
    let server = Server::start(api().layer(site.layer()).layer(cors()));
    let mut client = server.client();
    for is_down in [false, true] {
        if is_down {
            site.ok(&["on"]);
        }
        let response = preflight(&mut client);
        assert_eq!(response.status, 200, "down: {is_down}");
        assert_eq!(response.header("access-control-allow-origin"), Some(ORIGIN.1));
        assert_eq!(response.header("access-control-allow-methods"), Some("GET,PUT"));
        let response = fetch(&mut client);
        assert_eq!(response.status, if is_down { 503 } else { 200 });
        assert_eq!(response.header("access-control-allow-origin"), Some(ORIGIN.1));
        assert_eq!(response.header("access-control-expose-headers"), Some("retry-after"));
        assert_eq!(response.header("retry-after"), is_down.then_some("120"));
        let vary: Vec<&str> = response
            .headers
            .iter()
            .filter(|(name, _)| name == "vary")
            .flat_map(|(_, value)| value.split(", "))
            .collect();
        for name in ["Accept", "Accept-Language", "Cookie"] {
            assert_eq!(vary.contains(&name), is_down, "the gate's own are kept: {vary:?}");
        }
    }
}

#[test]
fn with_cors_inside_the_gate_answers_for_no_policy_that_it_does_not_know() {
    let site = TestSite::new();
    site.ok(&["on"]);
    let server = Server::start(api().layer(cors()).layer(site.layer()));
    let mut client = server.client();
    for response in [preflight(&mut client), fetch(&mut client)] {
        assert_eq!(response.status, 503);
        let is_of_cors = |(name, _): &(String, String)| name.starts_with("access-control-");
        assert!(!response.headers.iter().any(is_of_cors), "{response:?}");
    }
}
