//! The middleware for actix-web as it is used: real servers and real connections.

#[expect(dead_code, reason = "the tests of the layer use all of it")]
#[path = "../tower/client.rs"]
mod client;
#[path = "../common/actix.rs"]
mod server;

/// What the client needs of each test.
mod env {
    /// What has not come after this long never will.
    pub(crate) const HANG: std::time::Duration = std::time::Duration::from_secs(300);
}

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, dev, error, middleware};
use maint::actix::Maintenance;
use maint::gate::Pass;
use maint::page::Format;
use maint::request::User;
use maint::rules::Kind;
use maint::state::{PageSettings, Scope, WindowSettings};
use maint::store;
use maint::testing::TemporarySite;

use client::{Client, Response};
use server::Server;

const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn now() -> WindowSettings {
    WindowSettings::new().reason("Back at noon")
}

fn shop(routes: &mut ServiceConfig) {
    let page = async |pass: Pass| {
        let text = format!("the shop {:?}", pass.by);
        HttpResponse::Ok()
            .insert_header(("Cache-Control", "public, max-age=3600"))
            .insert_header(("Surrogate-Control", "max-age=3600"))
            .body(text)
    };
    routes.default_service(web::to(page));
}

fn connect(server: &Server) -> Client {
    Client::connect(server.address).unwrap()
}

fn maintenance(site: &TemporarySite) -> Maintenance {
    Maintenance::new(site.gate())
}

#[test]
fn a_blocked_request_gets_the_page_and_the_app_comes_back() {
    let site = TemporarySite::new();
    let server = Server::start(maintenance(&site), shop);
    let mut client = connect(&server);
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "the shop None");
        site.on(&now());
        let response = client.ask("GET", "/", &[("Accept", BROWSER)]);
        assert_eq!(response.status, 503);
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert!(response.text().contains("Back at noon"), "{}", response.text());
        site.off();
    }
}

/// The fields that the gate sends, without those that a server adds by itself.
fn fields(response: &Response) -> BTreeMap<&str, &str> {
    let own = ["date", "connection"];
    let fields = response.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    fields.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn every_method_and_format_gets_the_fields_and_the_body_of_the_reply() {
    use maint::gate::Answer;
    use maint::request::RequestParts;

    let site = TemporarySite::new();
    site.on(&now().page(PageSettings::new().retry_after(77)));
    let gate = site.gate();
    let server = Server::start(maintenance(&site), shop);
    let mut client = connect(&server);
    for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
        for accept in [BROWSER, "*/*", "application/json", "text/plain"] {
            let asked = RequestParts::new(method, "/").with("Accept", accept);
            let Answer::Reply(reply) = gate.answer(&asked) else { panic!("it is down") };
            let response = client.ask(method, "/", &[("Accept", accept)]);
            assert_eq!(response.status, reply.status(), "{method} {accept}");
            let expected: Vec<_> = reply.headers().collect();
            let expected: BTreeMap<_, _> =
                expected.iter().map(|(name, value)| (*name, &**value)).collect();
            assert_eq!(fields(&response), expected, "{method} {accept}");
            assert_eq!(response.body, reply.body(), "{method} {accept}");
        }
    }
}

#[test]
fn rules_look_at_the_path_the_host_the_peer_and_the_fields_as_they_were_sent() {
    let site = TemporarySite::new();
    site.on(&now());
    let server = Server::start(maintenance(&site), shop);
    let mut client = connect(&server);
    let own = server.address.to_string();
    for (kind, value, path, header) in [
        (Kind::Path, "/health", "/health", None),
        (Kind::Host, "shop.example", "/", Some(("Host", "SHOP.example:8080"))),
        (Kind::Header, "X-Probe: blue", "/", Some(("x-probe", "blue"))),
        (Kind::Method, "DELETE", "/", None),
        (Kind::Ip, "127.0.0.0/8", "/", None),
    ] {
        let method = if kind == Kind::Method { "DELETE" } else { "GET" };
        let fields: Vec<_> = header.into_iter().collect();
        assert_eq!(client.ask(method, path, &fields).status, 503, "{kind}");
        let id = site.ignore(&kind, value);
        let response = client.ask(method, path, &fields);
        assert_eq!(response.text(), format!("the shop Some({id:?})"), "{kind}");
        if kind == Kind::Path {
            for forged in
                ["/health/", "/%68ealth%2f..", "//health", "/health;x", "/other/../health"]
            {
                assert_eq!(client.get(forged).status, 503, "{forged}");
            }
        }
        if kind == Kind::Host {
            for hosts in [&["shop.example", &*own][..], &["shop.example@evil.example"]] {
                let fields: Vec<_> = hosts.iter().map(|host| ("Host", *host)).collect();
                let mut client = connect(&server);
                let status = client.ask("GET", "/", &fields).status;
                assert!(matches!(status, 503 | 400), "{hosts:?}: {status}");
            }
        }
        site.change(|state, _| state.remove_rule(&id));
    }
}

#[test]
fn a_token_lets_its_bearer_through_and_the_answer_is_private() {
    let site = TemporarySite::new();
    site.on(&now());
    let secret = site.bypass();
    let server = Server::start(maintenance(&site).plain_http(), shop);
    let mut client = connect(&server);
    let link = client.get(&format!("/cart?maint_bypass={secret}&id=7"));
    assert_eq!((link.status, link.header("location")), (303, Some("/cart?id=7")));
    let cookie = link.header("set-cookie").unwrap();
    assert!(!cookie.contains("Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap().to_owned();
    let response = client.ask("GET", "/cart?id=7", &[("Cookie", &pair)]);
    assert_eq!(response.status, 200);
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
    assert_eq!(response.header("surrogate-control"), None);
    assert_eq!(client.get("/").status, 503);
}

#[test]
fn an_error_of_the_app_is_private_as_well() {
    let site = TemporarySite::new();
    site.on(&now());
    site.ignore(&Kind::Ip, "127.0.0.0/8");
    let routes = |routes: &mut ServiceConfig| {
        // An inner middleware that fails leaves the response to a layer further out.
        let fails = middleware::from_fn(
            async |_: dev::ServiceRequest, _: middleware::Next<actix_web::body::BoxBody>| {
                let gone = HttpResponse::Gone().insert_header(("Cache-Control", "public")).finish();
                let error = error::InternalError::from_response("gone", gone);
                Err::<dev::ServiceResponse, _>(error.into())
            },
        );
        routes.service(web::scope("/mw").wrap(fails).default_service(web::to(async || "")));
        routes.default_service(web::to(async || {
            let gone = HttpResponse::Gone().insert_header(("Cache-Control", "public")).finish();
            Err::<HttpResponse, _>(error::InternalError::from_response("gone", gone))
        }));
    };
    let server = Server::start(maintenance(&site), routes);
    for path in ["/", "/mw/a"] {
        let response = connect(&server).get(path);
        assert_eq!(response.status, 410, "{path}");
        assert_eq!(response.header("cache-control"), Some("private, no-store"), "{path}");
    }
}

#[test]
fn staff_found_by_an_outer_middleware_pass() {
    let site = TemporarySite::new();
    site.on(&now());
    site.ignore(&Kind::User, "staff");
    let by_header = maintenance(&site).user_from(|request| {
        let is_staff = request.headers().get("x-login").is_some_and(|name| name == "staff");
        Some(if is_staff { User::authenticated().staff(true) } else { User::anonymous() })
    });
    let server = Server::start(by_header, shop);
    let mut client = connect(&server);
    assert_eq!(client.get("/").status, 503);
    assert_eq!(client.ask("GET", "/", &[("X-Login", "staff")]).status, 200);
}

#[test]
fn code_says_what_is_never_down_what_always_is_and_which_format_it_sends() {
    let site = TemporarySite::new();
    let open = maintenance(&site)
        .ignore("/health")
        .unwrap()
        .format_from(|request| request.path().starts_with("/api/").then_some(Format::Json));
    let unready = maintenance(&site).force_on();
    let routes = move |routes: &mut ServiceConfig| {
        routes.service(web::resource("/new").wrap(unready.clone()).to(async || "not ready"));
        shop(routes);
    };
    let server = Server::start(open, routes);
    let mut client = connect(&server);
    assert_eq!((client.get("/").status, client.get("/new").status), (200, 503));
    site.on(&now());
    assert_eq!((client.get("/health").status, client.get("/health/x").status), (200, 503));
    let kind =
        |client: &mut Client, path| client.get(path).header("content-type").unwrap().to_owned();
    assert_eq!(kind(&mut client, "/api/carts"), "application/problem+json");
    assert_eq!(kind(&mut client, "/"), "text/html; charset=utf-8");
    assert!(maintenance(&site).ignore("/**").is_err());
}

#[test]
fn a_client_that_sends_all_before_it_reads_gets_the_page_and_goes_on() {
    let site = TemporarySite::new();
    site.on(&now());
    let server = Server::start(maintenance(&site), shop);
    let mut client = connect(&server);
    for size in [0, 1, 100 * 1024, 10 * 1024 * 1024] {
        client.head("POST", "/upload", &[("Content-Length", &size.to_string())]).unwrap();
        client.write(&vec![b'x'; size]).unwrap();
        let response = client.receive("POST").unwrap();
        assert_eq!((response.status, response.header("connection")), (503, None), "{size}");
    }
}

#[test]
fn who_pauses_or_announces_too_much_is_answered_and_hung_up_on() {
    let site = TemporarySite::new();
    site.on(&now());
    let server = Server::start(maintenance(&site), shop);
    let too_much = (64 * 1024 * 1024).to_string();
    for (fields, sent) in [
        (&[("Content-Length", "100")][..], &b"hello"[..]),
        (&[("Content-Length", "100"), ("Expect", "100-continue")], b""),
        (&[("Content-Length", &*too_much)], b"hello"),
        (&[("Content-Length", &*too_much), ("Expect", "100-continue")], b""),
    ] {
        let mut client = connect(&server);
        client.head("POST", "/upload", fields).unwrap();
        client.write(sent).unwrap();
        let response = client.receive("POST").unwrap();
        assert_eq!(response.status, 503, "{fields:?}");
        assert_eq!(response.header("connection"), Some("close"), "{fields:?}");
    }
}

#[test]
fn a_websocket_is_refused_with_plain_text() {
    let site = TemporarySite::new();
    site.on(&now());
    let server = Server::start(maintenance(&site), shop);
    let fields = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let response = connect(&server).ask("GET", "/live", &fields);
    assert_eq!(response.status, 503);
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[test]
fn windows_of_a_part_block_that_part() {
    let site = TemporarySite::new();
    let scope = Scope::new().paths(["/shop/**"]).unwrap().read_only(true);
    site.on(&now().scope(scope));
    let server = Server::start(maintenance(&site), shop);
    let mut client = connect(&server);
    for (method, path, status) in
        [("GET", "/shop/1", 200), ("POST", "/shop/1", 503), ("POST", "/", 200)]
    {
        assert_eq!(client.ask(method, path, &[]).status, status, "{method} {path}");
    }
}

#[test]
fn under_a_read_only_window_what_the_app_calls_a_read_passes_and_answers_say_so() {
    let site = TemporarySite::new();
    let writes = || now().scope(Scope::new().read_only(true));
    let reading = maintenance(&site)
        .read_if(|request| request.path() == "/login" || request.headers().contains_key("x-query"));
    let server = Server::start(reading, |routes: &mut ServiceConfig| {
        routes.route("/broken", web::to(async || Err::<String, _>(error::ErrorNotFound("no"))));
        shop(routes);
    });
    let mut client = connect(&server);
    let mut ask = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let response = client.ask(method, path, headers);
        (response.status, response.header("maint-decision").map(str::to_owned))
    };
    assert_eq!(ask("GET", "/", &[]), (200, None));
    site.on(&writes());
    let (passes, blocked) = ((200, Some("read-only".to_owned())), (503, Some("block".to_owned())));
    assert_eq!(ask("GET", "/", &[]), passes);
    assert_eq!(ask("PROPFIND", "/", &[]), passes);
    assert_eq!(ask("GET", "/broken", &[]), (404, Some("read-only".to_owned())));
    assert_eq!(ask("POST", "/", &[]), blocked);
    assert_eq!(ask("POST", "/login", &[]), passes);
    assert_eq!(ask("POST", "/", &[("X-Query", "1")]), passes);
    site.on(&now());
    assert_eq!(ask("POST", "/login", &[]), blocked, "everything is down");
}

#[test]
fn the_mark_tells_the_page_from_a_failure_of_the_app() {
    use maint::gate::Intercepted;

    let site = TemporarySite::new();
    let gate = maintenance(&site);
    let app = || {
        let gate = gate.clone();
        async move {
            let marks = middleware::from_fn(
                async |request: dev::ServiceRequest, next: middleware::Next<_>| {
                    let response = next.call(request).await?;
                    let mark = response.response().extensions().get::<Intercepted>().cloned();
                    let text = mark.map_or("app".to_owned(), |mark| format!("{:?}", mark.window));
                    Ok::<_, actix_web::Error>(response.into_response(HttpResponse::Ok().body(text)))
                },
            );
            let failing = web::to(async || HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE));
            let app = actix_web::App::new().wrap(gate).wrap(marks).default_service(failing);
            let app = actix_web::test::init_service(app).await;
            let request = actix_web::test::TestRequest::get().to_request();
            actix_web::test::call_and_read_body(&app, request).await
        }
    };
    let ask = || actix_web::rt::System::new().block_on(app());
    assert_eq!(ask(), "app");
    site.on(&now());
    assert_eq!(ask(), r#"Some("default")"#);
    store::update(site.site(), &store::Options::new("test"), |state, stamp| {
        state.close_window("default", stamp.now)
    })
    .unwrap();
    assert_eq!(ask(), "app");
}
