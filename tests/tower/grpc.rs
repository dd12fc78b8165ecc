//! gRPC: a real server and a real client, and gRPC-Web as a web page sends it.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::any;
use tonic::transport::server::{Server as Tonic, TcpIncoming};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::env::{HANG, Server, TestSite};
use crate::golden::{expected, fields};

/// A reason that needs escaping in a header field, its percent sign too.
const REASON: &str = "Back at 100 % – später\n\"soon\"";

async fn connect(address: SocketAddr) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    HealthClient::new(endpoint.timeout(HANG).connect().await.unwrap())
}

async fn check(client: &mut HealthClient<Channel>) -> Result<ServingStatus, Status> {
    let answer = client.check(HealthCheckRequest::default()).await?;
    Ok(answer.into_inner().status())
}

/// The switch, as a client sees it.
async fn toggle(site: &TestSite, address: SocketAddr) {
    let mut client = connect(address).await;
    for _ in 0..5 {
        assert_eq!(check(&mut client).await.unwrap(), ServingStatus::Serving);
        let watched = client.watch(HealthCheckRequest::default()).await.unwrap();
        let mut watched = watched.into_inner();
        assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

        site.ok(&["on", "-m", REASON]);
        let status = check(&mut client).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unavailable, REASON));
        assert_eq!(status.metadata().get("retry-after").unwrap(), "120");
        let status = client.watch(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        // A stream opened before goes on.
        let next = tokio::time::timeout(std::time::Duration::from_millis(20), watched.message());
        assert!(next.await.is_err(), "the stream has ended");

        site.ok(&["off"]);
    }
    assert_eq!(check(&mut client).await.unwrap(), ServingStatus::Serving);
}

#[test]
fn a_client_of_grpc_is_told_unavailable_and_why_and_served_again_after_off() {
    let site = TestSite::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = incoming.local_addr().unwrap();
        let (_reporter, health) = tonic_health::server::health_reporter();
        let server = Tonic::builder().layer(site.layer()).add_service(health);
        tokio::spawn(server.serve_with_incoming(incoming));
        toggle(&site, address).await;
    });
    runtime.shutdown_background();
}

#[test]
fn services_of_tonic_within_an_axum_app_are_behind_the_same_layer() {
    let site = TestSite::new();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let routes = tonic::service::Routes::new(health).into_axum_router();
    let app = routes.merge(Router::new().route("/", any(async || "app"))).layer(site.layer());
    let server = Server::start(app);
    server.block_on(toggle(&site, server.address));
}

#[test]
fn a_rule_for_a_path_lets_a_service_of_grpc_through() {
    let site = TestSite::new();
    site.ok(&["ignore", "add", "path", "/grpc.health.v1.Health/Check"]);
    site.ok(&["on"]);
    let (_reporter, health) = tonic_health::server::health_reporter();
    let routes = tonic::service::Routes::new(health).into_axum_router();
    let server = Server::start(routes.layer(site.layer()));
    server.block_on(async {
        let mut client = connect(server.address).await;
        assert_eq!(check(&mut client).await.unwrap(), ServingStatus::Serving);
        let status = client.watch(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    });
}

#[test]
fn a_client_of_grpc_web_gets_its_own_content_type_back() {
    let site = TestSite::new();
    site.ok(&["on", "-m", REASON]);
    let server = Server::start(Router::new().fallback(any(async || "app")).layer(site.layer()));
    let mut client = server.client();
    let message = "Back at 100 %25 %E2%80%93 sp%C3%A4ter%0A\"soon\"";
    let others = [("grpc-message", message), ("grpc-status", "14"), ("retry-after", "120")];
    for (sent, mirrored) in [
        ("application/grpc-web", "application/grpc-web"),
        ("application/grpc-web+proto", "application/grpc-web"),
        ("application/grpc-web-text", "application/grpc-web-text"),
        ("application/grpc-web-text+proto", "application/grpc-web-text"),
        ("application/grpc", "application/grpc"),
        ("application/grpc;x=y", "application/grpc"),
    ] {
        let headers =
            [("Content-Type", sent), ("Accept", "application/json"), ("Content-Length", "5")];
        client.head("POST", "/shop.Shop/Buy", &headers).unwrap();
        client.write(&[0; 5]).unwrap();
        let response = client.receive("POST").unwrap();
        assert_eq!(response.status, 200, "{sent}");
        assert_eq!(fields(&response), expected(Some(mirrored), "0", &others), "{sent}");
    }
    for other in ["application/grpcx", "application/json", "text/plain"] {
        let response = client.ask("POST", "/", &[("Content-Type", other)]);
        assert_eq!(response.status, 503, "{other}");
        assert_eq!(response.header("grpc-status"), None, "{other}");
    }
}
