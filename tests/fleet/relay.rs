//! A relay: a real nginx that serves what a host mirrored.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use maint::fleet::{Document, Engine, FailureKind, Seen};
use maint::internal::template::digest;
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::etcd::{engine, engine_with};
use crate::nginx::Nginx;
use crate::pace::{WITHIN, next, put, text};
use crate::say::figure;

const PAGE: &str = "<title>Back soon</title>";

/// A site directory that follows an engine, as far as a web server sees it.
struct Host {
    directory: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(host.directory.path().join("templates")).unwrap();
        host.write("templates/503.html", PAGE);
        host.mirror(1_001, "first");
        host
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces a file as `maint` does.
    #[expect(clippy::disallowed_methods, reason = "what the agent of another host does")]
    fn write(&self, name: &str, text: &str) {
        let new = self.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, self.path().join(name)).unwrap();
    }

    /// Mirrors a document with this number.
    fn mirror(&self, sequence: u64, reason: &str) {
        let digest = digest(PAGE);
        self.write(
            "state.json",
            &format!(
                r#"{{"version":1,"revision":{sequence},
                "mirror":{{"lineage":"a-lineage","seq":{sequence}}},
                "windows":{{
                    "deploy":{{"opened_at":"2026-11-22T03:00:00Z","reason":"{reason}"}},
                    "here":{{"opened_at":"2026-11-22T03:00:00Z","local":true}}
                }},
                "templates":{{"503.html":"{digest}"}}}}"#
            ),
        );
    }

    /// What nginx makes its tag of, besides the length.
    fn set_modified(&self, at: SystemTime) {
        File::open(self.path().join("state.json")).unwrap().set_modified(at).unwrap();
    }

    /// The directives of an nginx that serves it as `/maint/shop.json`.
    fn locations(&self) -> String {
        format!(
            "location = /maint/shop.json {{ alias {0}/state.json; }}
            location /maint/templates/ {{ alias {0}/templates/; }}",
            self.path().display()
        )
    }
}

fn relay(nginx: &Nginx, rest: &str) -> Box<dyn Engine> {
    engine(&format!("http://127.0.0.1:{}/maint/{rest}", nginx.port))
}

fn document(bytes: &[u8]) -> Document {
    Document::from_json(bytes).unwrap()
}

#[test]
fn a_relay_serves_the_document_and_its_templates() {
    let host = Host::new();
    let Some(nginx) = Nginx::start(&[], "", &host.locations()) else { return };
    let mut relay = relay(&nginx, "shop.json?poll=50ms");
    let loaded = relay.load(WITHIN).unwrap().unwrap();
    let first = document(&loaded.document);
    assert_eq!((first.site.as_str(), first.lineage.as_str()), ("shop", "a-lineage"));
    assert_eq!((first.sequence, first.state.revision), (1_001, 1_001));
    let windows: Vec<&String> = first.state.windows.keys().collect();
    assert_eq!(windows, ["deploy"], "what is local is local");
    assert!(first.state.mirror.is_none());
    let name = format!("templates/{}", first.state.templates["503.html"]);
    assert_eq!(text(&relay.beside(&name, WITHIN).unwrap().unwrap()), PAGE);
    let none = format!("templates/{}", digest("another"));
    assert_eq!(relay.beside(&none, WITHIN).unwrap(), None);

    host.mirror(1_002, "second and longer");
    let began = Instant::now();
    let seen = next(&mut *relay, Some(&loaded.revision));
    let second = document(&seen.document);
    assert_eq!(second.state.windows["deploy"].reason.as_deref(), Some("second and longer"));
    figure(&format!(
        "seen {:.0} ms after it, at a poll of 50 ms",
        began.elapsed().as_secs_f64() * 1e3
    ));
    assert_eq!(
        relay.wait(Some(&seen.revision), Duration::from_millis(200)).unwrap(),
        Seen::Nothing
    );

    host.write("templates/503.html", "something else");
    let failure = relay.beside(&name, WITHIN).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    assert!(failure.reason.contains("another `503.html`"), "{failure:?}");
    assert_eq!(relay.examine(WITHIN).unwrap(), []);
}

#[test]
fn a_relay_is_read_only() {
    let host = Host::new();
    let Some(nginx) = Nginx::start(&[], "", &host.locations()) else { return };
    let mut relay = relay(&nginx, "shop.json");
    let there = relay.load(WITHIN).unwrap().unwrap();
    for failure in [
        put(&mut *relay, Some(&there.revision), b"two").unwrap_err(),
        relay.report("web1", b"", WITHIN, WITHIN).unwrap_err(),
        relay.withdraw("web1", WITHIN).unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::Denied);
        assert_eq!(failure.reason, "a relay is read only");
        assert_eq!(failure.hint.as_deref(), Some("change the site where the engine is"));
    }
    assert!(relay.hosts(WITHIN).unwrap().is_empty());
}

#[test]
fn two_changes_in_one_second_with_one_length_are_both_seen() {
    let host = Host::new();
    let Some(nginx) = Nginx::start(&[], "", &host.locations()) else { return };
    let mut relay = relay(&nginx, "shop.json?poll=50ms");
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    host.mirror(1_001, "on ");
    host.set_modified(second);
    let first = next(&mut *relay, None);
    let tag = |tag: &str| {
        let request = format!("GET /maint/shop.json HTTP/1.0\r\n{tag}\r\n");
        let mut stream = TcpStream::connect(("127.0.0.1", nginx.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = tag("");
    let etag = answer.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    host.mirror(1_002, "off");
    host.set_modified(second + Duration::from_millis(500));
    let again = tag(&format!("If-None-Match: {etag}\r\n"));
    assert!(again.contains("304 Not Modified"), "nginx sees no change: {again}");
    let began = Instant::now();
    let seen = next(&mut *relay, Some(&first.revision));
    assert_eq!(document(&seen.document).sequence, 1_002);
    figure(&format!(
        "nginx answers 304 with the old tag; seen {:.0} ms after it, at a poll of 50 ms",
        began.elapsed().as_secs_f64() * 1e3
    ));
}

#[test]
fn requirement_90_what_a_relay_serves_instead_of_a_document_is_called_by_its_name() {
    let host = Host::new();
    let more = "
        location = /maint/secret.json { return 403; }
        location = /maint/moved.json { return 301 /maint/shop.json; }
        location = /maint/broken.json { return 502; }
        location = /maint/page.json { return 200 \"<h1>Welcome</h1>\"; }
        location = /maint/newer.json { return 200 '{\"version\":9,\"revision\":1}'; }
        location = /maint/alone.json { return 200 '{\"version\":1,\"revision\":1}'; }";
    let locations = host.locations() + more;
    let Some(nginx) = Nginx::start(&[], "", &locations) else { return };
    assert_eq!(relay(&nginx, "gone.json").load(WITHIN).unwrap(), None);
    let short = Duration::from_millis(1);
    assert_eq!(relay(&nginx, "gone.json").wait(None, short).unwrap(), Seen::Missing);
    for (name, kind, reason) in [
        ("secret", FailureKind::Denied, "does not let us in"),
        ("moved", FailureKind::Protocol, "sends us elsewhere"),
        ("broken", FailureKind::Unavailable, "answers 502"),
        ("page", FailureKind::Protocol, "serves no state"),
        ("newer", FailureKind::Protocol, "needs version 9"),
        ("alone", FailureKind::Protocol, "follows no engine"),
    ] {
        let mut relay = relay(&nginx, &format!("{name}.json"));
        for failure in [relay.load(WITHIN).unwrap_err(), relay.wait(None, WITHIN).unwrap_err()] {
            assert_eq!(failure.kind, kind, "{name}: {failure:?}");
            assert!(failure.reason.contains(reason), "{name}: {failure:?}");
        }
    }
    let concerns = relay(&nginx, "gone.json").examine(WITHIN).unwrap();
    assert_eq!(concerns[0].code, "relay-missing");
}

#[test]
fn a_relay_may_want_a_password() {
    let host = Host::new();
    host.write("users", "ann:{PLAIN}tulip\n");
    let locations = format!(
        "auth_basic maint; auth_basic_user_file {}/users; {}",
        host.path().display(),
        host.locations()
    );
    // The server's own path is let through, by which it is known to be ready.
    let Some(nginx) = Nginx::start(&[], "", &locations) else { return };
    let address = |user: &str| format!("http://{user}127.0.0.1:{}/maint/shop.json", nginx.port);
    let loaded = engine_with(&address("ann@"), "tulip").load(WITHIN).unwrap().unwrap();
    assert_eq!(document(&loaded.document).sequence, 1_001);
    for mut relay in [engine(&address("")), engine_with(&address("ann@"), "wrong-tulip")] {
        let failure = relay.load(WITHIN).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
        assert!(!format!("{failure:?}").contains("tulip"), "requirement 95: {failure:?}");
    }
}

#[test]
fn a_relay_that_is_away_is_found_and_comes_back() {
    let host = Host::new();
    let Some(nginx) = Nginx::start(&[], "", &host.locations()) else { return };
    let cutter = crate::cutting::Cutter::start(nginx.port);
    let mut relay = engine(&format!("http://127.0.0.1:{}/maint/shop.json?poll=20ms", cutter.port));
    let known = next(&mut *relay, None).revision;
    cutter.cut_answer(0);
    cutter.drop_connections();
    let failure = loop {
        match relay.wait(Some(&known), Duration::from_secs(5)) {
            Ok(seen) => assert_eq!(seen, Seen::Nothing),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    host.mirror(1_002, "while it was away");
    cutter.let_pass();
    assert_eq!(document(&next(&mut *relay, Some(&known)).document).sequence, 1_002);
}

#[test]
fn requirement_96_a_relay_speaks_tls() {
    let host = Host::new();
    let Some(certificates) = Certificates::make() else { return };
    certificates.sign("server", "/O=maint", "DNS:localhost,IP:127.0.0.1", 30);
    let path = |name: &str| certificates.path(name).display().to_string();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let tls = format!(
        "listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {};",
        path("server.pem"),
        path("server.key")
    );
    let locations = tls + &host.locations();
    let Some(_nginx) = Nginx::start(&["http_ssl_module"], "", &locations) else { return };
    let address = |ca: &str| format!("https://127.0.0.1:{port}/maint/shop.json?ca={}", path(ca));
    let loaded = engine(&address("ca.pem")).load(WITHIN).unwrap().unwrap();
    assert_eq!(document(&loaded.document).sequence, 1_001);
    let failure = engine(&address("other.pem")).load(WITHIN).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure:?}");
    let plain = format!("http://127.0.0.1:{port}/maint/shop.json");
    let failure = engine(&plain).load(WITHIN).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Protocol, "{failure:?}");
    assert!(failure.reason.contains("it speaks TLS on this port"), "{failure:?}");
}
