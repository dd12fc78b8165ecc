//! What a proxy has to show in front of an app, with the configuration that
//! `maint snippet --endpoint` prints.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::app::{App, DECISION, FOR, OURS};
use crate::rig::Serving;
use crate::say::{amount, figure};
use crate::server::{Server, installed};
use crate::wire::{Answer, Kept, ask, get, try_ask};
use crate::{caddy, envoy, fetched, nginx, traefik};

/// A proxy in front of an app: how it is started, and what it cannot do.
#[derive(Clone, Copy)]
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    /// The program; prints why the test is skipped if it is not there.
    pub(crate) find: fn() -> Option<PathBuf>,
    /// Starts the program with a snippet in front of an app.
    pub(crate) before: fn(&Path, &str, u16) -> Server,
    /// What a reader of the snippet makes of it: the other form, where it is `opened`.
    pub(crate) form: fn(&str) -> String,
    /// Whether it tells the app what was decided.
    pub(crate) tells_app: bool,
    /// Whether it adds fields to the answers of the app.
    pub(crate) adds_fields: bool,
    /// Whether it knows the usual methods alone, and refuses others by itself.
    pub(crate) is_strict: bool,
}

pub(crate) const NGINX: Proxy = Proxy {
    name: "nginx",
    find: || installed("nginx"),
    before: nginx::before,
    form: str::to_owned,
    tells_app: false,
    adds_fields: true,
    is_strict: false,
};
pub(crate) const CADDY: Proxy = Proxy {
    name: "caddy",
    find: || installed("caddy"),
    before: caddy::before,
    tells_app: true,
    ..NGINX
};
pub(crate) const TRAEFIK: Proxy = Proxy {
    name: "traefik",
    find: fetched::traefik,
    before: traefik::before,
    adds_fields: false,
    ..CADDY
};
pub(crate) const ENVOY: Proxy =
    Proxy { name: "envoy", find: fetched::envoy, before: envoy::before, is_strict: true, ..CADDY };

/// An app behind a proxy that asks an endpoint.
pub(crate) struct Behind {
    pub(crate) serving: Serving,
    /// Where the proxy answers.
    pub(crate) port: u16,
    _proxy: Server,
    _app: App,
}

impl Proxy {
    /// The same in its open form.
    pub(crate) fn open(self) -> Self {
        Self { form: opened, ..self }
    }

    /// It in front of an app, with arguments for the endpoint and for the snippet alike; `None` if
    /// the program is not there.
    pub(crate) fn in_front(self, arguments: &[&str]) -> Option<Behind> {
        let program = (self.find)()?;
        let (serving, app) = (Serving::start(arguments), App::start());
        let text = (self.form)(&snippet(&serving, self.name, arguments));
        let proxy = (self.before)(&program, &text, app.port);
        Some(Behind { serving, port: proxy.port, _proxy: proxy, _app: app })
    }
}

const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "MADEUP"];

/// The snippet for an endpoint.
pub(crate) fn snippet(serving: &Serving, software: &str, more: &[&str]) -> String {
    let address = format!("127.0.0.1:{}", serving.port);
    serving.maint(&[&["snippet", software, "--endpoint", &address], more].concat())
}

pub(crate) fn is_of_the_app(answer: &Answer) -> bool {
    answer.status == 200 && answer.header(OURS).is_some()
}

pub(crate) fn is_refused(answer: &Answer) -> bool {
    answer.status == 503
        && answer.header(OURS).is_none()
        && answer.header("maint-decision") == Some("block")
        && answer.header("retry-after").is_some()
}

/// The form that stays open: the lines of it in place, without those that they replace.
pub(crate) fn opened(snippet: &str) -> String {
    let lines = snippet.lines().filter(|line| {
        let is_replaced = |word| {
            snippet.contains(&format!("#open {word}")) && line.trim_start().starts_with(word)
        };
        !is_replaced("reverse_proxy") && !is_replaced("address:")
    });
    let lines = lines.map(|line| line.replace("#open ", "") + "\n").collect::<String>();
    lines.replace("failure_mode_allow: false", "failure_mode_allow: true")
}

/// A site that is up, down, down in part, and read-only, as visitors meet it.
pub(crate) fn is_obeyed(proxy: Proxy) {
    let Some(behind) = proxy.in_front(&["--user-field", "X-Who"]) else { return };
    let (serving, port) = (&behind.serving, behind.port);
    let methods = METHODS.iter().filter(|method| !(proxy.is_strict && **method == "MADEUP"));
    let methods: Vec<&str> = methods.copied().collect();
    for &method in &methods {
        let answer = ask(port, method, "/shop?id=7", &[]);
        assert!(is_of_the_app(&answer), "up: {method}: {answer:?}");
        assert_eq!(answer.header("cache-control"), None, "{answer:?}");
    }
    // In place of a loopback address, Envoy tells one of its machine.
    let own = get(port, "/").header(FOR).filter(|it| !it.is_empty()).map(str::to_owned);
    let own = own.unwrap_or_else(|| "127.0.0.1".to_owned());
    serving.maint(&["on", "-m", "The cellar is being swept"]);
    for &method in &methods {
        let answer = ask(port, method, "/shop?id=7", &[("Accept", "text/html")]);
        assert!(is_refused(&answer), "down: {method}: {answer:?}");
        assert_eq!(answer.body.contains("The cellar"), method != "HEAD", "{method}: {answer:?}");
    }
    let upgrade =
        [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
    assert!(is_refused(&ask(port, "GET", "/socket", &upgrade)));

    let link = serving.maint(&["bypass", "new", "--url", "http://shop.example.com/cart?a=b"]);
    let link = link.lines().find_map(|line| line.trim().strip_prefix("http://shop.example.com"));
    let answer = get(port, link.expect("a link"));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/cart?a=b")), "{answer:?}");
    let cookies = answer.cookies();
    let passed = ask(port, "POST", "/cart", &[("Cookie", &cookies)]);
    assert!(is_of_the_app(&passed), "{passed:?}");
    let private = proxy.adds_fields.then_some("private, no-store");
    assert_eq!(passed.header("cache-control"), private, "{passed:?}");
    assert!(is_refused(&get(port, "/cart")));

    serving.maint(&["ignore", "add", "ip", &own]);
    assert!(is_of_the_app(&get(port, "/")));
    serving.maint(&["ignore", "clear"]);
    serving.maint(&["off"]);

    serving.maint(&["on", "--path", "/shop/**"]);
    for (path, is_down) in [("/shop/1", true), ("/blog", false)] {
        let answer = get(port, path);
        assert_eq!(
            (is_refused(&answer), is_of_the_app(&answer)),
            (is_down, !is_down),
            "{answer:?}"
        );
    }
    serving.maint(&["off"]);
    serving.maint(&["on", "--read-only"]);
    for &method in &methods {
        let answer = ask(port, method, "/", &[]);
        let reads = matches!(method, "GET" | "HEAD" | "OPTIONS" | "PROPFIND");
        let is_meant = if reads { is_of_the_app(&answer) } else { is_refused(&answer) };
        assert!(is_meant || method == "PROPFIND", "read-only: {method}: {answer:?}");
        if proxy.adds_fields && is_of_the_app(&answer) {
            assert_eq!(answer.header("maint-decision"), Some("read-only"), "{method}: {answer:?}");
        }
    }
    let told = |meant: &str| {
        let answer = ask(port, "GET", "/", &[("Maint-Decision", "block")]);
        assert_eq!(answer.header(DECISION), Some(meant), "{answer:?}");
    };
    if proxy.tells_app {
        told("read-only");
    }
    serving.maint(&["off"]);
    if proxy.tells_app {
        told("pass");
    }
    let answer = get(port, "/");
    assert!(is_of_the_app(&answer), "{answer:?}");
    assert_ne!(answer.header("maint-decision"), Some("read-only"), "{answer:?}");
}

/// An endpoint that is not there, in both forms.
pub(crate) fn fails_as_its_form_says(proxy: Proxy, closed: u16) {
    for (proxy, is_open) in [(proxy, false), (proxy.open(), true)] {
        let Some(behind) = proxy.in_front(&[]) else { return };
        let Behind { serving, port, _proxy, _app } = behind;
        serving.maint(&["on"]);
        assert!(is_refused(&get(port, "/")), "open: {is_open}");
        drop(serving);
        for method in ["GET", "POST", "HEAD"] {
            let answer = ask(port, method, "/", &[]);
            if is_open {
                assert!(is_of_the_app(&answer), "{method}: {answer:?}");
            } else {
                assert_eq!((answer.status, answer.header(OURS)), (closed, None), "{answer:?}");
            }
        }
    }
}

/// A visit that began after a change had returned sees it, and none is lost.
pub(crate) fn is_switched_among_visitors(proxy: Proxy) {
    let toggles = amount(40, 220);
    let Some(behind) = proxy.in_front(&[]) else { return };
    let (serving, port) = (&behind.serving, behind.port);
    // When it began, when it ended, and whether it met the app.
    let seen = Mutex::new(Vec::new());
    let goes_on = AtomicBool::new(true);
    let mut spans = Vec::new();
    std::thread::scope(|scope| {
        for number in 0..2 {
            let (seen, goes_on) = (&seen, &goes_on);
            scope.spawn(move || {
                let mut kept = Kept::default();
                while goes_on.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let answer = match number {
                        0 => try_ask(port, "GET", "/", &[]),
                        _ => kept.get(port, "/"),
                    };
                    let met = match answer {
                        Ok(answer) if is_of_the_app(&answer) => Ok(true),
                        Ok(answer) if is_refused(&answer) => Ok(false),
                        other => Err(format!("{other:?}")),
                    };
                    seen.lock().unwrap().push((begun, Instant::now(), met));
                }
            });
        }
        let visits = || seen.lock().unwrap().len();
        for toggle in 0..toggles {
            let is_up = toggle % 2 == 1;
            serving.maint(&[if is_up { "off" } else { "on" }]);
            let from = Instant::now();
            let enough = visits() + 6;
            while visits() < enough && from.elapsed().as_secs() < 60 {
                std::thread::yield_now();
            }
            spans.push((from, Instant::now(), is_up));
        }
        goes_on.store(false, Ordering::Relaxed);
    });
    let seen = seen.into_inner().unwrap();
    let lost: Vec<_> = seen.iter().filter_map(|(.., met)| met.as_ref().err()).collect();
    assert!(lost.is_empty(), "{} lost, such as {:?}", lost.len(), lost.first());
    let (mut fresh, mut stale) = (0, 0);
    for (from, to, is_up) in spans {
        for (.., met) in seen.iter().filter(|(begun, ended, _)| *begun > from && *ended < to) {
            if met == &Ok(is_up) { fresh += 1 } else { stale += 1 }
        }
    }
    figure(&format!(
        "{}: {toggles} toggles, {} visits, {fresh} begun after a change and answered \
         before the next, {stale} stale, 0 lost",
        proxy.name,
        seen.len()
    ));
    assert_eq!(stale, 0);
    assert!(fresh > toggles, "{fresh}");
}
