//! What every server has to show in front of an app, with the configuration that
//! `maint snippet` prints.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::app::{App, OURS};
use crate::say::{amount, figure};
use crate::server::{Server, put};
use crate::site::TestSite;
use crate::visitors::switched_among_them;
use crate::wire::{Answer, ask, get};

/// A server that obeys a flag.
pub(crate) struct Case {
    /// As `maint snippet` calls it.
    pub(crate) software: &'static str,
    /// Whether it shows the pages that `maint` wrote; otherwise a text of its own.
    pub(crate) shows_pages: bool,
    /// Where the seconds of `Retry-After` come from.
    pub(crate) reads_retry_after: bool,
    /// How long a change may take.
    pub(crate) grace: Duration,
    /// Where it says that it may not enter the folder, below its directory.
    pub(crate) log: Option<&'static str>,
}

/// The message of the window.
pub(crate) const MESSAGE: &str = "The cellar is being swept";
const CHALLENGE: &str = "/.well-known/acme-challenge/a-Token_1";
pub(crate) const HTML: [(&str, &str); 1] = [("Accept", "text/html,*/*;q=0.8")];

/// A server with this snippet in front of the app of this port.
pub(crate) type Start<'a> = &'a dyn Fn(&str, u16) -> Server;

impl Case {
    /// Tries all of it on a flag of the kind `web`.
    pub(crate) fn is_obeyed(&self, start: Start<'_>) {
        let (site, app) = (TestSite::new(), App::start());
        site.add_flag();
        let text = site.maint(&["snippet", self.software]);
        let server = start(&text, app.port);
        let port = server.port;
        Self::is_open(&app, port);

        site.on(MESSAGE);
        self.wait();
        self.is_closed(port);
        self.lets_through(&site, &app, port);
        self.bears_a_closed_folder(&site, &app, &server);
        Self::bears_a_missing_page(&site, port);
        self.shows_a_large_page(&site, port);

        site.off();
        self.wait();
        Self::is_open(&app, port);
        self.is_switched_among_visitors(&site, port);
        Self::is_open(&app, port);
    }

    /// Tries flags that are one file, of the kinds `file` and `page`.
    pub(crate) fn obeys_single_files(&self, start: Start<'_>) {
        let app = App::start();
        for kind in ["file", "page"] {
            let site = TestSite::new();
            let path = site.project().join("closed.html");
            site.add(kind, &path);
            let server = start(&site.maint(&["snippet", self.software]), app.port);
            let port = server.port;
            for _ in 0..2 {
                Self::is_open(&app, port);
                site.on(MESSAGE);
                self.wait();
                for method in ["GET", "HEAD", "POST", "PUT"] {
                    let answer = ask(port, method, "/shop", &HTML);
                    is_refused(&answer, &format!("{kind}: {method}"));
                    assert_eq!(answer.header("retry-after"), Some("120"), "{kind}: {answer:?}");
                    assert_eq!(answer.header("maint-decision"), Some("block"), "{answer:?}");
                    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
                    let shows = kind == "page" && self.shows_pages && method != "HEAD";
                    assert_eq!(answer.body.contains(MESSAGE), shows, "{kind}: {answer:?}");
                    let has_text = method == "HEAD" || !answer.body.is_empty();
                    assert!(has_text, "{kind}: {method}: {answer:?}");
                }
                is_of(&app, &get(port, CHALLENGE));
                site.off();
                self.wait();
            }
            Self::is_open(&app, port);
        }
    }

    /// Tries folders whose names mean something to some configuration: each is obeyed, or the
    /// command refuses to print a snippet for it. Returns the names that it refused.
    pub(crate) fn bears_names(&self, start: Start<'_>) -> Vec<&'static str> {
        const NAMES: [&str; 14] = [
            "a b",
            "ünï",
            "it's",
            "q\"q",
            "$host",
            "{x}",
            "back\\slash",
            "100%d",
            "[ab]*?",
            "a;b",
            "#a",
            "`id`",
            "end\\",
            "a\nb",
        ];
        let app = App::start();
        let is_refused_name = |name: &&str| {
            let site = TestSite::named(name);
            site.add_flag();
            let output = site.output(&["snippet", self.software]);
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{name}: {said}");
                assert!(said.contains("cannot express") && output.stdout.is_empty(), "{said}");
                return true;
            }
            let text = String::from_utf8(output.stdout).unwrap();
            let server = start(&text, app.port);
            site.on(MESSAGE);
            let answer = ask(server.port, "GET", "/", &HTML);
            is_refused(&answer, name);
            self.has_the_page(name, &answer);
            site.allow("127.0.0.1");
            is_of(&app, &get(server.port, "/"));
            site.off();
            false
        };
        NAMES.into_iter().filter(is_refused_name).collect()
    }

    fn wait(&self) {
        std::thread::sleep(self.grace);
    }

    /// Each request meets the app, and the app's own 503 is its own.
    fn is_open(app: &App, port: u16) {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            let answer = ask(port, method, "/shop", &HTML);
            assert_eq!(answer.status, 200, "{method}: {answer:?}");
            is_of(app, &answer);
        }
        let busy = get(port, "/own-503");
        assert_eq!((busy.status, busy.body.as_str()), (503, "the app is busy\n"), "{busy:?}");
        is_of(app, &busy);
        for field in ["maint-decision", "retry-after", "cache-control"] {
            assert_eq!(busy.header(field), None, "{busy:?}");
        }
    }

    /// Each request is refused by the server.
    fn is_closed(&self, port: u16) {
        for method in ["GET", "POST", "PUT", "DELETE", "HEAD"] {
            for path in ["/", "/shop?q=1", "/own-503", "/a/../%2e/b"] {
                let answer = ask(port, method, path, &HTML);
                is_refused(&answer, &format!("{method} {path}"));
                self.has_the_page(method, &answer);
            }
        }
        // Neither the app nor the page as if it were one; some servers refuse such paths anyway.
        let challenge = |name| format!("/.well-known/acme-challenge/{name}");
        let outside = ["x/y", "../../shop", "..%2f..%2fshop", "%2e%2e/shop", "a%20b", ""];
        let own = ["/__maint/html", "/__maint/page", "/__maint/", "/__maint/down"];
        for path in outside.map(challenge).iter().map(String::as_str).chain(own) {
            let answer = get(port, path);
            assert!([400, 404, 503].contains(&answer.status), "{path}: {answer:?}");
            assert_eq!(answer.header(OURS), None, "{path}: {answer:?}");
        }
        if self.shows_pages {
            let json = ask(port, "GET", "/", &[("Accept", "application/json, text/plain, */*")]);
            is_refused(&json, "JSON");
            assert_eq!(json.header("content-type"), Some("application/problem+json"), "{json:?}");
            let problem: serde_json::Value = serde_json::from_str(&json.body).unwrap();
            assert_eq!(problem["detail"], MESSAGE);
            let text = ask(port, "GET", "/", &[("Accept", "text/plain")]);
            assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"), "{text:?}");
            assert!(text.body.contains(MESSAGE) && !text.body.contains('<'), "{text:?}");
        }
    }

    fn has_the_page(&self, what: &str, answer: &Answer) {
        let seconds = if self.reads_retry_after { "900" } else { "120" };
        assert_eq!(answer.header("retry-after"), Some(seconds), "{what}: {answer:?}");
        assert_eq!(answer.header("maint-decision"), Some("block"), "{what}: {answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}: {answer:?}");
        // A policy of the site would keep the page from its own styles and script.
        assert_eq!(answer.header("content-security-policy"), None, "{what}: {answer:?}");
        let varies = answer.header("vary").unwrap_or_default();
        assert!(varies.contains("Accept"), "{what}: {answer:?}");
        if what == "HEAD" {
            assert_eq!(answer.body, "", "{answer:?}");
        } else if self.shows_pages {
            assert!(answer.body.contains(MESSAGE), "{what}: {answer:?}");
            let kind = answer.header("content-type").unwrap_or_default();
            assert_eq!(kind.to_lowercase(), "text/html; charset=utf-8", "{what}");
        } else {
            assert!(answer.body.contains("maintenance"), "{what}: {answer:?}");
        }
    }

    /// Addresses of ignore rules, and certificates.
    fn lets_through(&self, site: &TestSite, app: &App, port: u16) {
        is_of(app, &get(port, CHALLENGE));
        site.allow("127.0.0.1");
        self.wait();
        Self::is_open(app, port);
        site.forbid();
        self.wait();
        is_refused(&get(port, "/"), "no longer let through");
    }

    /// The snippet says that the site is open then, and that is so.
    fn bears_a_closed_folder(&self, site: &TestSite, app: &App, server: &Server) {
        let port = server.port;
        let folder = site.flag().display().to_string();
        let log = || self.log.map(|name| fs::read_to_string(server.dir.path().join(name)).unwrap());
        assert!(!log().is_some_and(|text| text.contains(&folder)), "{:?}", log());
        fs::set_permissions(site.flag(), Permissions::from_mode(0o000)).unwrap();
        self.wait();
        is_of(app, &get(port, "/"));
        assert!(log().is_none_or(|text| text.contains(&folder)), "{:?}", log());
        fs::set_permissions(site.flag(), Permissions::from_mode(0o755)).unwrap();
        self.wait();
        is_refused(&get(port, "/"), "the folder can be entered again");
    }

    /// Without the page it is still a 503.
    fn bears_a_missing_page(site: &TestSite, port: u16) {
        for name in ["page.html", "page.json", "page.txt"] {
            fs::remove_file(site.flag().join(name)).unwrap();
        }
        for method in ["GET", "HEAD", "POST", "PUT"] {
            let answer = ask(port, method, "/", &HTML);
            is_refused(&answer, &format!("{method} without a page"));
            assert_eq!(answer.header("maint-decision"), Some("block"), "{answer:?}");
            assert!(!answer.body.contains(MESSAGE), "{answer:?}");
        }
    }

    /// Larger than the buffers of a server.
    fn shows_a_large_page(&self, site: &TestSite, port: u16) {
        if !self.shows_pages {
            return;
        }
        let body = "All is well. ".repeat(15_000);
        let page = format!(
            "<!doctype html>\n<title>Large</title>\n{{{{ reason }}}}\n<p>{body}</p>\n<!-- end -->\n"
        );
        put(&site.project().join("large.html"), &page);
        site.maint(&["template", "add", "large", "large.html"]);
        site.maint(&["on", "-m", MESSAGE, "--retry-after", "15m", "--template", "large"]);
        self.wait();
        for method in ["GET", "POST"] {
            let answer = ask(port, method, "/", &HTML);
            is_refused(&answer, method);
            let is_whole =
                answer.body.contains(MESSAGE) && answer.body.trim_end().ends_with("<!-- end -->");
            assert!(is_whole, "{method}: {} bytes", answer.body.len());
        }
    }

    /// Several times on and off, with visitors coming.
    fn is_switched_among_visitors(&self, site: &TestSite, port: u16) {
        for _ in 0..amount(1, 5) {
            let said = switched_among_them(site, port, MESSAGE, self.grace);
            figure(&format!("{}: {said}", self.software));
        }
    }
}

#[track_caller]
pub(crate) fn is_of(app: &App, answer: &Answer) {
    let port = app.port.to_string();
    assert_eq!(answer.header(OURS), Some(port.as_str()), "{answer:?}");
}

#[track_caller]
pub(crate) fn is_refused(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.header(OURS)), (503, None), "{what}: {answer:?}");
}
