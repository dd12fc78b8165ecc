//! A designer, who makes the page and never wants to see it by accident.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use maint::Site;
use maint::gate::{Answer, Gate};
use maint::request::RequestParts;

use crate::env::{Ran, TestEnv, finish};
use crate::say::{figure, skip};
use crate::served::Server;
use crate::wire::ask;

const PAGE: &str = r#"<!doctype html>
<html lang="{{ language }}" dir="{{ dir }}">
<meta charset="utf-8">
<title>{{ title }}</title>
<link rel="stylesheet" href="/static/sorry.css">
<img src="/static/logo.svg" alt="The shop">
<h1>{{ title }}</h1>
<p id="reason">{{ reason|urlize if reason else texts.working }}</p>
{% if is_late %}<p id="late">{{ texts.late }}</p>
{% elif estimate %}<p id="expected">{{ texts.expected }} {{ estimate }}</p>{% endif %}
{% if contact_url %}<a id="contact" href="{{ contact_url }}">{{ contact }}</a>{% endif %}
{% if status_url %}<a id="status" href="{{ status_url }}">{{ texts.status }}</a>{% endif %}
<script>
  addEventListener("load", () => {
    const { color, direction } = getComputedStyle(document.querySelector("h1"));
    const logo = document.querySelector("img").naturalWidth;
    document.querySelector("h1").dataset.seen = `${color}, ${direction}, logo ${logo}`;
  });
</script>
"#;

const ARABIC: &str = "نعود ظهرًا";

/// The project with the page and what it loads.
fn project(env: TestEnv) -> TestEnv {
    env.write("sorry.html", PAGE);
    env.write("static/sorry.css", "h1 { color: rgb(1, 2, 3) }");
    env.write(
        "static/logo.svg",
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="31" height="31"/>"#,
    );
    env.ok(&["template", "add", "sorry", "sorry.html"]);
    env
}

/// Before: the preview showed the page without its styles and pictures, since nobody served them, and neither
/// an estimate nor another language. What it looked like was seen with the first real maintenance.
#[test]
fn the_page_is_seen_whole_before_it_is_in_force() {
    let env = project(TestEnv::new());
    let preview = |language: &str| {
        let args = ["template", "preview", "sorry", "--port", "0", "--static", "static"];
        Server::start(env.command(&[&args[..], &["--language", language]].concat()))
    };
    let german = preview("de");
    let css = german.get("/static/sorry.css");
    assert_eq!((css.status, &*css.body), (200, "h1 { color: rgb(1, 2, 3) }"));
    assert_eq!(german.get("/static/logo.svg").header("content-type"), Some("image/svg+xml"));
    let page = german.get("/estimate.html").body;
    assert!(page.contains("Voraussichtlich bis 2026-11-22T03:20:00Z"), "{page}");
    let page = german.get("/late.html").body;
    assert!(page.contains("Es dauert länger als gedacht"), "{page}");
    let page = preview("ar").get("/open.html").body;
    assert!(page.contains(r#"<html lang="ar" dir="rtl">"#), "{page}");
    // Nobody else has seen anything yet.
    assert!(env.state().pointer("/page/template").is_none(), "{}", env.state());
    assert!(!env.ok(&["template", "render"]).contains("sorry.css"));
}

/// Before: a mistake showed as the built-in page in the next maintenance, and its line in the log of
/// the server.
#[test]
fn a_broken_page_is_told_with_its_place_and_visitors_keep_the_good_one() {
    let env = project(TestEnv::new());
    env.ok(&["template", "use", "sorry"]);
    env.ok(&["on", "-m", "Back at noon"]);
    let page = env.ok(&["template", "render"]);
    let mut told = 0;
    for (mistake, place, why) in [
        ("<h1>{{ title }}</h1>\n<p>{{ raeson }}</p>\n", "on line 2", "asks for `raeson`"),
        ("<h1>{{ title }}</h1>\n\n<p>{{ reason|shout }}</p>\n", "line 3", "no filter `shout`"),
        ("<h1>{{ title }}</h1>\n<p>{% if reason %}</p>\n", "on line 2", "end of block"),
        ("<h1>\n{{ title }</h1>\n", "on line 2", "unexpected"),
        ("{% include \"footer.html\" %}\n", "on line 1", "footer.html"),
    ] {
        env.write("broken.html", mistake);
        let error = env.fails(2, &["template", "add", "sorry", "broken.html", "--replace"]);
        assert!(error.contains(place) && error.contains(why), "{mistake}: {error}");
        // The same in an editor, whose work is not lost without a word.
        let mut command = env.command(&["template", "edit", "sorry"]);
        command.env("EDITOR", format!("cp {}", env.dir().join("broken.html").display()));
        let before = env.files();
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(why) && before == env.files(), "{ran:?}");
        assert_eq!(env.ok(&["template", "render"]), page, "visitors see what they saw");
        told += 1;
    }
    figure(&format!(
        "{told} of {told} broken templates refused with their line, and the page stays"
    ));
}

/// Before: there was one message for everybody and the page was in English. A contact, a status page or a title of
/// one's own meant a copy of the built-in page.
#[test]
fn each_visitor_has_the_message_in_their_language_and_knows_whom_to_ask() {
    let mut env = project(TestEnv::new());
    let set = [
        "page",
        "set",
        "--title",
        "The shop is moving",
        "--contact",
        "help@example.com",
        "--status-url",
        "https://status.example.com/",
    ];
    env.ok(&set);
    for (option, nonsense) in [("--contact", "call us"), ("--status-url", "javascript:alert(1)")] {
        env.fails(2, &["page", "set", option, nonsense]);
    }
    let arabic = format!("ar={ARABIC}");
    env.ok(&[
        "on",
        "-m",
        "Back at noon",
        "-m",
        "de=Mittags wieder da",
        "-m",
        &arabic,
        "--estimate",
        "20m",
    ]);
    let render = |env: &TestEnv, language: &str| {
        let own = ["template", "render", "sorry", "--language", language];
        let built_in = ["template", "render", "--builtin", "--language", language];
        [own, built_in].map(|args| env.ok(&args).replace("&#x2f;", "/"))
    };
    for (language, parts) in [
        ("ar", ["lang=\"ar\" dir=\"rtl\"", ARABIC]),
        ("de-AT", ["lang=\"de\"", "Mittags wieder da"]),
        ("fr", ["lang=\"fr\"", "Back at noon"]),
        ("eo", ["lang=\"en\"", "Back at noon"]),
    ] {
        for page in render(&env, language) {
            for part in parts {
                assert!(page.contains(part), "{language}: {part}: {page}");
            }
            for part in
                ["The shop is moving", "mailto:help@example.com", "https://status.example.com/"]
            {
                assert!(page.contains(part), "{language}: {part}: {page}");
            }
        }
    }
    env.set_now("2026-11-22T03:20:01Z");
    for (language, late) in [("de", "Es dauert länger als gedacht"), ("en", "longer than")] {
        for page in render(&env, language) {
            assert!(page.contains(late), "{language}: {page}");
        }
    }
    figure(
        "4 languages in a template of one's own and in the built-in page, with title, contact and status page",
    );
}

/// Before: what visitors got was known when visitors got it.
#[test]
fn visitors_get_the_page_with_its_styles_and_in_their_language() {
    let env = project(TestEnv::ticking());
    env.ok(&["ignore", "add", "path", "/static/**", "--note", "what the page loads"]);
    env.ok(&["template", "use", "sorry"]);
    let shop = Shop::open(&env);
    assert!(ask(shop.port, "GET", "/", &[]).body.contains("The shop is open"));
    let arabic = format!("ar={ARABIC}");
    env.ok(&["on", "-m", "Back at noon", "-m", &arabic, "--estimate", "20m"]);
    let got = ask(shop.port, "GET", "/", &[("Accept-Language", "ar")]);
    assert_eq!((got.status, got.header("content-language")), (503, Some("ar")), "{got:?}");
    assert!(got.body.contains(ARABIC), "{}", got.body);
    assert_eq!(ask(shop.port, "GET", "/static/sorry.css", &[]).status, 200);

    let Some(chromium) =
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|it| on_path(it))
    else {
        return skip("there is no chromium");
    };
    let seen = |language: &str| {
        let mut command = Command::new(chromium);
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(format!("--user-data-dir={}", env.dir().join(language).display()))
            .args([format!("--lang={language}"), format!("--accept-lang={language}")])
            .arg(format!("http://127.0.0.1:{}/", shop.port))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        finish(command.spawn().unwrap()).stdout
    };
    for (language, parts) in [
        ("ar", ["data-seen=\"rgb(1, 2, 3), rtl, logo 31\"", ARABIC]),
        ("en", ["data-seen=\"rgb(1, 2, 3), ltr, logo 31\"", "Back at noon"]),
    ] {
        let page = seen(language);
        for part in parts {
            assert!(page.contains(part), "{language}: {part}: {page}");
        }
    }
    env.ok(&["off"]);
    assert!(seen("en").contains("The shop is open"));
    figure(
        "a real browser shows a template with its styles, its script and its picture, in Arabic and in English",
    );
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// An app with the gate in front of it, which serves the static files of a project.
struct Shop {
    port: u16,
    is_over: Arc<AtomicBool>,
    listens: Option<JoinHandle<()>>,
}

impl Shop {
    fn open(env: &TestEnv) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let gate = Arc::new(Gate::open(&Site::at(env.site())).unwrap());
        let project: PathBuf = env.dir().to_owned();
        let listens = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (gate, project) = (gate.clone(), project.clone());
                std::thread::spawn(move || answer(stream, &gate, &project));
            }
        });
        Self { port, is_over, listens: Some(listens) }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.listens.take().map(JoinHandle::join);
    }
}

/// Answers one request.
fn answer(stream: TcpStream, gate: &Gate, project: &Path) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let mut request = RequestParts::new(method, target);
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        request = request.with(name, value);
    }
    let (status, headers, body) = match gate.answer(&request) {
        Answer::Reply(reply) => {
            let headers = reply.headers().map(|(name, value)| format!("{name}: {value}\r\n"));
            (reply.status(), headers.collect::<String>(), reply.body().to_vec())
        }
        Answer::Pass(_) => {
            let kind = match target.rsplit_once('.') {
                Some((_, "css")) => "text/css",
                Some((_, "svg")) => "image/svg+xml",
                _ => "text/html",
            };
            let file = target.starts_with("/static/").then(|| project.join(&target[1..]));
            let body = file.and_then(|file| std::fs::read(file).ok());
            let body = body.unwrap_or_else(|| b"<h1>The shop is open</h1>".to_vec());
            let headers = format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len());
            (200, headers, body)
        }
    };
    let mut stream = stream;
    let head = format!("HTTP/1.1 {status} It\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}
