//! Read-only windows, as the layer obeys them: what passes, and how the app's answers say so.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{any, post};
use maint::tower::MaintenanceLayer;

use crate::env::{Server, TestSite};

/// What an outer layer found in the body: whether it is a query.
#[derive(Clone, Copy)]
struct IsQuery(bool);

async fn look(mut request: Request, next: Next) -> Response {
    let is_query = request.headers().get("x-test-document").is_some_and(|text| text == "query");
    request.extensions_mut().insert(IsQuery(is_query));
    next.run(request).await
}

fn app(layer: MaintenanceLayer) -> Router {
    let cached = async || ([("cache-control", "public, max-age=60")], "the shop");
    Router::new()
        .route("/always", any(cached).layer(layer.clone().force_on()))
        .route("/graphql", post(cached))
        .fallback(any(cached))
        .layer(layer)
        .layer(from_fn(look))
}

#[test]
fn an_answer_under_a_read_only_window_says_so_and_stays_as_public_as_it_was() {
    let site = TestSite::new();
    let server = Server::start(app(site.layer()));
    let mut client = server.client();
    assert_eq!(client.get("/").header("maint-decision"), None);
    site.ok(&["on", "--read-only", "--path", "/shop/**", "--path", "/always"]);
    let response = client.get("/shop/1");
    assert_eq!((response.status, response.header("maint-decision")), (200, Some("read-only")));
    assert_eq!(response.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(client.get("/").header("maint-decision"), None, "all may write there");
    for method in ["PROPFIND", "REPORT", "SEARCH", "QUERY", "OPTIONS", "HEAD"] {
        let response = client.ask(method, "/shop/1", &[]);
        let mark = response.header("maint-decision");
        assert_eq!((response.status, mark), (200, Some("read-only")), "{method}");
    }
    let response = client.ask("POST", "/shop/1", &[]);
    assert_eq!((response.status, response.header("maint-decision")), (503, Some("block")));
    // The page of a gate further in, which the script of that page must not take for the app.
    let response = client.get("/always");
    assert_eq!((response.status, response.header("maint-decision")), (503, Some("block")));
    site.ok(&["ignore", "add", "path", "/shop/1"]);
    let response = client.ask("POST", "/shop/1", &[]);
    assert_eq!((response.status, response.header("maint-decision")), (200, None));
    assert_eq!(client.get("/shop/1").header("maint-decision"), None, "all may write there");
}

#[test]
fn what_the_app_calls_a_read_passes() {
    let site = TestSite::new();
    let layer = site.layer().read_if(|head| match head.uri.path() {
        "/login" => true,
        "/graphql" => head.extensions.get::<IsQuery>().is_some_and(|found| found.0),
        _ => head.method == "MERGE" && head.headers.contains_key("x-dry"),
    });
    let server = Server::start(app(layer));
    let mut client = server.client();
    site.ok(&["on", "--read-only"]);
    let mut ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let response = client.ask(method, path, headers);
        (response.status, response.header("maint-decision").map(str::to_owned))
    };
    let (passes, blocked) = ((200, Some("read-only".to_owned())), (503, Some("block".to_owned())));
    let document = |kind| [("X-Test-Document", kind)];
    assert_eq!(ask("POST", "/login", &[]), passes);
    assert_eq!(ask("POST", "/graphql", &document("query")), passes);
    assert_eq!(ask("POST", "/graphql", &document("mutation")), blocked);
    assert_eq!(ask("MERGE", "/", &[("X-Dry", "1")]), passes);
    assert_eq!(ask("MERGE", "/", &[]), blocked);
    site.ok(&["on", "all"]);
    assert_eq!(ask("POST", "/login", &[]), blocked, "reads are blocked as well");
}
