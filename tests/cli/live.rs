//! `maint check --live`: real servers on loopback, asked by the real command.

#![cfg(feature = "fleet")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use maint::gate::Answer;
use maint::request::RequestParts;
use maint::{Gate, Site};
use serde_json::{Value, json};

use crate::env::{Ran, TestEnv};
use crate::nginx::Nginx;
use crate::say::skip;

/// What has not come after this long never will.
const HANG: Duration = Duration::from_secs(120);

/// A server for one test, a thread for each connection. It keeps what it was asked.
struct Server {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Server {
    /// Answers each request, given by its head, as `answer` does.
    fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heads, is_over) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (seen, over, answer) = (heads.clone(), is_over.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (seen, answer) = (seen.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { port, heads, is_over }
    }

    /// Answers everything with these bytes.
    fn fixed(bytes: &'static str) -> Self {
        Self::start(move |_, stream| {
            let _ = stream.write_all(bytes.as_bytes());
        })
    }

    /// An app behind the real gate of a site.
    fn gated(site: &Path) -> Self {
        let gate = Gate::open(&Site::at(site)).unwrap();
        Self::start(move |head, stream| {
            let _ = stream.write_all(&through(&gate, head));
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn heads(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &dyn Fn(&str, &mut TcpStream)) {
    let _ = stream.set_read_timeout(Some(HANG));
    let Some(head) = head_of(&mut stream) else { return };
    seen.lock().unwrap().push(head.clone());
    // A proxy is asked for the way to a host first; here that is this server itself.
    if head.starts_with("CONNECT ") {
        let _ = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
        return serve(stream, seen, answer);
    }
    answer(&head, &mut stream);
}

fn head_of(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    String::from_utf8(head).ok()
}

const APP: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 8\r\n\r\nthe shop";

fn through(gate: &Gate, head: &str) -> Vec<u8> {
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ');
    let mut request = RequestParts::new(words.next().unwrap(), words.next().unwrap());
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("host") {
            request = request.with_host(value);
        }
        request = request.with(name, value);
    }
    let Answer::Reply(reply) = gate.answer(&request) else { return APP.into() };
    let mut bytes = format!("HTTP/1.1 {} -\r\n", reply.status());
    for (name, value) in reply.headers() {
        bytes += &format!("{name}: {value}\r\n");
    }
    let mut bytes = (bytes + "\r\n").into_bytes();
    bytes.extend(reply.body());
    bytes
}

/// Asks, and returns the object of `--json` with the exit code.
#[track_caller]
fn live(env: &TestEnv, args: &[&str]) -> (Value, i32) {
    let ran = env.run(&[&["check", "--json", "--live"], args].concat());
    let object = serde_json::from_str(&ran.stdout);
    (object.unwrap_or_else(|_| panic!("{args:?}: {ran:?}")), ran.code)
}

/// The parts of each answer that say what it is.
#[track_caller]
fn told(env: &TestEnv, args: &[&str], code: i32) -> Vec<Value> {
    let (object, found) = live(env, args);
    assert_eq!(found, code, "{args:?}: {object}");
    let rows = object["live"].as_array().unwrap().iter();
    rows.map(|row| json!([row["answer"], row["status"], row["revision"], row["met"]])).collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_app_and_the_page_are_told_apart_and_measured_by_the_state() {
    let env = TestEnv::ticking();
    let server = Server::gated(&env.site());
    let (shop, about) = (server.url("/shop/1"), server.url("/about"));
    let both = [shop.as_str(), &about];
    let app = json!(["app", 200, null, true]);
    assert_eq!(told(&env, &both, 0), [app.clone(), app.clone()]);
    env.ok(&["on", "--path", "/shop/**"]);
    assert_eq!(told(&env, &both, 0), [json!(["page", 503, 2, true]), app.clone()]);
    assert_eq!(
        told(&env, &[&shop, &about, "--expect", "on"], 1),
        [json!(["page", 503, 2, true]), json!(["app", 200, null, false])]
    );
    assert_eq!(told(&env, &[&shop, "--expect", "off"], 1), [json!(["page", 503, 2, false])]);
    env.ok(&["off"]);
    assert_eq!(told(&env, &both, 0), [app.clone(), app]);
}

#[test]
fn a_table_has_a_line_for_each_and_says_what_is_odd() {
    let env = TestEnv::ticking();
    let server = Server::gated(&env.site());
    env.ok(&["on"]);
    let via = format!("127.0.0.1:{}", server.port);
    let gone = format!("127.0.0.1:{}", free_port());
    let ran = env.run(&["check", "--live", "http://shop.example/", "--via", &via, "--via", &gone]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let [head, page, none, why] = lines[..] else { panic!("{ran:?}") };
    assert_eq!(head, "  answer       status  revision  expected  time      url");
    assert!(page.starts_with("● page         503     2         page      "), "{page}");
    assert!(page.contains(" ms ") && page.ends_with(&format!("  http://shop.example/ via {via}")));
    assert!(none.starts_with("● unreachable  –       –         page      –  "), "{none}");
    assert_eq!(why, "   connection refused: nothing listens there");
    let alone = env.run(&["check", "--live", "http://shop.example/", "--via", &gone]);
    assert_eq!((alone.code, alone.stderr.as_str()), (1, "maint: nothing could be reached\n"));
    let quiet = env.run(&["check", "-q", "--live", "http://shop.example/", "--via", &via]);
    assert_eq!((quiet.code, quiet.stdout.as_str()), (0, ""), "{quiet:?}");
}

#[test]
fn it_asks_as_a_visitor_does() {
    let env = TestEnv::bare();
    let server = Server::fixed(APP);
    let via = format!("127.0.0.1:{}", server.port);
    assert_eq!(
        told(&env, &["http://shop.example:8080/a?b#c", "--via", &via], 0),
        [json!(["app", 200, null, true])]
    );
    let [head] = &server.heads()[..] else { panic!("one request") };
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("\r\nhost: shop.example:8080\r\n"), "{head}");
    assert!(head.contains("\r\naccept: text/html,"), "{head}");
    for name in ["cookie", "cache-control", "pragma", "authorization", "x-forwarded-for"] {
        assert!(!head.contains(&format!("\r\n{name}:")), "{name}: {head}");
    }
}

#[test]
fn a_host_whose_state_is_older_is_behind_and_not_a_cache() {
    let env = TestEnv::ticking();
    let other = TestEnv::ticking();
    let server = Server::gated(&other.site());
    other.ok(&["on"]);
    env.ok(&["on"]);
    let url = server.url("/");
    assert_eq!(told(&env, &[&url], 0), [json!(["page", 503, 2, true])]);
    env.ok(&["on", "-m", "Back at noon"]);
    let (object, code) = live(&env, &[&url]);
    assert_eq!((code, &object["live"][0]["answer"]), (1, &json!("behind")), "{object}");
    let note = "the host itself answers with revision 2, and the state here has 3";
    assert_eq!(object["live"][0]["notes"], json!([note]));
    assert_eq!(object["revision"], 3);
}

#[test]
fn an_error_without_our_mark_is_somebody_elses() {
    let env = TestEnv::ticking();
    env.ok(&["on"]);
    let server = Server::fixed("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    let ran = env.run(&["check", "--live", &server.url("/")]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("● other 503    503     –         page "), "{ran:?}");
    let broken = Server::fixed("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(told(&env, &[&broken.url("/")], 1), [json!(["other", 502, null, false])]);
    // Nobody wants that, whatever the state.
    let nobody = TestEnv::bare();
    assert_eq!(told(&nobody, &[&broken.url("/")], 1), [json!(["other", 502, null, false])]);
}

#[test]
fn a_status_that_was_rewritten_on_the_way_is_found() {
    let env = TestEnv::ticking();
    let gate = Gate::open(&Site::at(env.site())).unwrap();
    let server = Server::start(move |head, stream| {
        let answer = String::from_utf8(through(&gate, head)).unwrap();
        let _ = stream.write_all(answer.replacen("1.1 503", "1.1 200", 1).as_bytes());
    });
    env.ok(&["on"]);
    let (object, code) = live(&env, &[&server.url("/")]);
    assert_eq!((code, &object["live"][0]["answer"]), (1, &json!("page")), "{object}");
    let note = "the state asks for 503; something on the way made it 200";
    assert_eq!(object["live"][0]["notes"], json!([note]));
    // The same status is right where the state asks for it.
    env.ok(&["on", "--status", "200"]);
    assert_eq!(told(&env, &[&server.url("/")], 0), [json!(["page", 200, 3, true])]);
}

#[test]
fn redirects_are_followed_on_the_host_alone_and_those_of_a_window_are_not() {
    let env = TestEnv::ticking();
    let elsewhere = Server::fixed(APP);
    let away = elsewhere.url("/").replace("127.0.0.1", "localhost");
    let gate = Gate::open(&Site::at(env.site())).unwrap();
    let server = Server::start(move |head, stream| {
        let to = match head.split(' ').nth(1) {
            Some("/old") => Some("/new"),
            Some("/away") => Some(&*away),
            Some("/basket") => Some("/shop"),
            Some("/loop") => Some("/loop?again"),
            Some("/loop?again") => Some("/loop"),
            _ => None,
        };
        let moved = |to| format!("HTTP/1.1 302 -\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let bytes = to.map_or_else(|| through(&gate, head), |to| moved(to).into_bytes());
        let _ = stream.write_all(&bytes);
    });
    let (object, code) = live(&env, &[&server.url("/old")]);
    assert_eq!((code, &object["live"][0]["reached"]), (0, &json!(server.url("/new"))), "{object}");
    let (object, code) = live(&env, &[&server.url("/away")]);
    assert_eq!((code, &object["live"][0]["status"]), (0, &json!(302)), "{object}");
    assert!(elsewhere.heads().is_empty(), "nobody asked the other host");
    let (object, code) = live(&env, &[&server.url("/loop")]);
    assert_eq!((code, &object["live"][0]["problem"]), (1, &json!("protocol")), "{object}");
    // What is expected is what belongs to the address that answers in the end.
    env.ok(&["on", "shop", "--path", "/shop"]);
    assert_eq!(told(&env, &[&server.url("/basket")], 0), [json!(["page", 503, 2, true])]);
    env.ok(&["off", "shop"]);
    env.ok(&["on", "--redirect", &elsewhere.url("/")]);
    let (object, code) = live(&env, &[&server.url("/")]);
    assert_eq!((code, &object["live"][0]["answer"]), (0, &json!("page")), "{object}");
    assert_eq!(object["live"][0]["notes"], json!([format!("it leads to {}", elsewhere.url("/"))]));
    assert!(elsewhere.heads().is_empty(), "nobody asked the other host");
}

#[test]
fn what_gives_no_answer_says_why() {
    let env = TestEnv::bare();
    let silent = Server::start(|_, stream| {
        let _ = stream.read(&mut [0]);
    });
    let closing = Server::start(|_, _| {});
    let garbage = Server::fixed("SSH-2.0-OpenSSH_9.2p1\r\n\r\n");
    let plain = silent.url("/").replace("http:", "https:");
    let closed = format!("http://127.0.0.1:{}/", free_port());
    let begun = Instant::now();
    for (url, problem, words) in [
        (closed.as_str(), "refused", "connection refused"),
        (&silent.url("/"), "timeout", "no answer within 0.5 s"),
        (&closing.url("/"), "closed", "closed without an answer"),
        (&garbage.url("/"), "protocol", "what answers is not HTTP"),
        ("http://no-such-host.invalid/", "name", "the host is not found"),
        (&plain, "timeout", "no answer within 0.5 s"),
    ] {
        // Where there are no certificates, none are needed to see this.
        let (object, code) = live(&env, &[url, "--timeout", "500ms", "--insecure"]);
        let row = &object["live"][0];
        let is_slow_name = problem == "name" && row["problem"] == "timeout";
        assert!(row["problem"] == problem || is_slow_name, "{url}: {object}");
        let note = row["notes"][0].as_str().unwrap();
        assert!(note.contains(words) || is_slow_name, "{url}: {object}");
        assert_eq!((code, &row["answer"]), (1, &json!("unreachable")), "{url}");
    }
    assert!(begun.elapsed() < HANG, "each had half a second");
}

#[test]
fn an_endless_body_is_not_read_to_its_end() {
    let env = TestEnv::bare();
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let begun = Instant::now();
    let told = told(&env, &[&server.url("/"), "--timeout", "10m"], 0);
    assert_eq!(told, [json!(["app", 200, null, true])]);
    assert!(begun.elapsed() < HANG);
}

#[test]
fn many_are_asked_at_the_same_time() {
    let env = TestEnv::bare();
    // Nobody is answered before all have asked.
    let waiting = Arc::new(Mutex::new(0));
    let server = Server::start(move |_, stream| {
        *waiting.lock().unwrap() += 1;
        let begun = Instant::now();
        while *waiting.lock().unwrap() < 12 && begun.elapsed() < HANG {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = stream.write_all(APP.as_bytes());
    });
    let urls: Vec<String> = (0..12).map(|number| server.url(&format!("/{number}"))).collect();
    let mut args: Vec<&str> = urls.iter().map(String::as_str).collect();
    args.extend(["--timeout", "1m"]);
    let (object, code) = live(&env, &args);
    assert_eq!(code, 0, "{object}");
    let rows = object["live"].as_array().unwrap();
    let asked: Vec<&str> = rows.iter().map(|row| row["url"].as_str().unwrap()).collect();
    assert_eq!(asked, urls, "in the order in which they were named");
}

#[test]
fn the_proxy_of_the_environment_is_asked_and_not_where_it_is_excepted() {
    let env = TestEnv::bare();
    let proxy = Server::fixed(APP);
    let ask = |variables: &[(&str, &str)], url: &str| {
        let mut command = env.command(&["check", "--live", url, "--timeout", "30s"]);
        Ran::from(command.envs(variables.iter().copied()).output().unwrap())
    };
    let at = format!("http://user:secret@127.0.0.1:{}", proxy.port);
    let ran = ask(&[("http_proxy", &at)], "http://shop.example/");
    assert_eq!(ran.code, 0, "{ran:?}");
    let heads = proxy.heads();
    assert!(heads[0].starts_with("CONNECT shop.example:80 "), "{heads:?}");
    assert!(heads[1].starts_with("GET / "), "{heads:?}");
    let direct = Server::fixed(APP);
    let ran = ask(&[("http_proxy", &at), ("NO_PROXY", "127.0.0.0/8")], &direct.url("/"));
    assert_eq!((ran.code, proxy.heads().len(), direct.heads().len()), (0, 0, 1), "{ran:?}");
    let ran = ask(&[("HTTP_PROXY", &at)], &direct.url("/"));
    assert_eq!((ran.code, proxy.heads().len(), direct.heads().len()), (0, 0, 1), "{ran:?}");
    for bad in ["socks5://user:secret@127.0.0.1:1", "ftp://user:secret@127.0.0.1:1"] {
        let ran = ask(&[("http_proxy", bad)], "http://shop.example/");
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(!format!("{ran:?}").contains("secret"), "{ran:?}");
    }
}

#[test]
fn wrong_usage_asks_nobody() {
    let env = TestEnv::bare();
    let server = Server::fixed(APP);
    let url = server.url("/");
    for (args, words) in [
        (["--live"].as_slice(), "no URL to ask"),
        (&["--live", "shop.example"], "is not a URL of a site"),
        (&["--live", "http://user:secret@127.0.0.1/"], "with a user name"),
        (&["--live", &url, "--via", "a b"], "no address to connect to"),
        (&["--live", &url, "--timeout", "soon"], "soon"),
        (&["--live", &url, "--timeout", "0s"], "longer than zero"),
        (&["--live", &url, "--ip", "10.0.0.1"], "cannot be used with"),
        (&["--live", &url, "--expect", "maybe"], "maybe"),
        (&["--live", &url, "--ca", "/nowhere.pem"], "/nowhere.pem"),
        (&[&url, "--expect", "on"], "--live"),
        (&[&url, &url], "one path at a time"),
    ] {
        let ran = env.run(&[&["check"], args].concat());
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(words), "{args:?}: {ran:?}");
    }
    assert!(server.heads().is_empty());
}

#[test]
fn a_cache_that_keeps_what_it_must_not_is_told_from_the_host_behind_it() {
    let env = TestEnv::ticking();
    let server = Server::gated(&env.site());
    let http = "proxy_cache_path cache keys_zone=all:1m;";
    let rules = format!(
        "location / {{
            proxy_pass http://127.0.0.1:{};
            proxy_cache all; proxy_cache_valid any 10m;
            proxy_ignore_headers Cache-Control Expires Vary Set-Cookie;
            add_header X-Cache-Status $upstream_cache_status always;
        }}",
        server.port
    );
    let Some(nginx) = Nginx::start(&[], http, &rules) else { return };
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", nginx.port);
    let app = at("/app");
    assert_eq!(told(&env, &[&app], 0), [json!(["app", 200, null, true])]);
    env.ok(&["on"]);
    let (object, code) = live(&env, &[&app]);
    let row = &object["live"][0];
    assert_eq!((code, &row["answer"], &row["status"]), (1, &json!("stale"), &json!(200)), "{row}");
    assert_eq!(row["cached"], "x-cache-status: HIT");
    assert_eq!(row["notes"], json!(["a cache keeps it: past caches comes the page of revision 2"]));
    // The page, which a cache kept although it says `no-store`.
    let page = at("/page");
    assert_eq!(told(&env, &[&page], 0), [json!(["page", 503, 2, true])]);
    env.ok(&["on", "-m", "Back at noon"]);
    assert_eq!(told(&env, &[&page], 1), [json!(["stale", 503, 2, false])]);
    env.ok(&["off"]);
    assert_eq!(told(&env, &[&page], 1), [json!(["stale", 503, 2, false])]);
    // Without a site, too: what comes past caches is another answer.
    let nobody = TestEnv::bare();
    assert_eq!(told(&nobody, &[&page], 1), [json!(["stale", 503, 2, false])]);
    let ran = env.run(&["check", "--live", &page]);
    assert!(ran.stdout.contains("● stale copy   503     2         app "), "{ran:?}");
    assert!(ran.stdout.contains("   a cache answers: x-cache-status: HIT\n"), "{ran:?}");
    // What nobody had asked for is as it should be.
    assert_eq!(told(&env, &[&at("/new")], 0), [json!(["app", 200, null, true])]);
}

#[test]
fn the_page_of_a_flag_is_known_with_its_header_fields_and_without() {
    let env = TestEnv::ticking();
    let flags = env.dir().join("flags");
    let flag = flags.to_str().unwrap();
    env.ok(&["flag", "add", "web", flag]);
    let snippet = env.ok(&["snippet", "nginx"]);
    let rules = format!("{snippet}\nlocation / {{ return 200 \"the shop\"; }}");
    let Some(nginx) = Nginx::start(&[], "", &rules) else { return };
    let url = format!("http://127.0.0.1:{}/", nginx.port);
    assert_eq!(told(&env, &[&url], 0), [json!(["app", 200, null, true])]);
    env.ok(&["on"]);
    assert_eq!(told(&env, &[&url], 0), [json!(["page", 503, null, true])]);
    // A server that knows the file alone.
    let page = std::fs::read_to_string(flags.join("page.html")).unwrap();
    let bare = Server::start(move |_, stream| {
        let length = page.len();
        let head = "HTTP/1.1 503 -\r\nContent-Type: text/html; charset=utf-8\r\n";
        let _ = write!(stream, "{head}Content-Length: {length}\r\n\r\n{page}");
    });
    assert_eq!(told(&env, &[&bare.url("/")], 0), [json!(["page", 503, null, true])]);
    env.ok(&["off"]);
    assert_eq!(told(&env, &[&url], 0), [json!(["app", 200, null, true])]);
    let (object, code) = live(&env, &[&bare.url("/")]);
    assert_eq!((code, &object["live"][0]["answer"]), (1, &json!("page")), "{object}");
    let note = "it tells no revision, as the page of a flag: a flag may not follow";
    assert_eq!(object["live"][0]["notes"], json!([note]));
}

/// An authority and the certificates that it signed, made by openssl(1).
struct Authority(PathBuf);

impl Authority {
    fn make(directory: &Path) -> Option<Self> {
        let authority = Self(directory.to_owned());
        let made = authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -subj /CN=ours -keyout ca.key -out ca.pem",
        );
        if !made {
            skip("openssl is not installed, or makes no authority");
            return None;
        }
        Some(authority)
    }

    fn openssl(&self, arguments: &str) -> bool {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(&self.0);
        command.output().is_ok_and(|output| output.status.success())
    }

    /// Signs a certificate for a host, good for so many days from now.
    fn sign(&self, host: &str, days: i32) -> (PathBuf, PathBuf) {
        let made = self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={host} \
             -addext subjectAltName=DNS:{host} -addext extendedKeyUsage=serverAuth \
             -keyout {host}.key -out {host}.csr"
        )) && self.openssl(&format!(
            "x509 -req -in {host}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} \
             -copy_extensions copy -out {host}.pem"
        ));
        assert!(made, "openssl signs a certificate for {host}");
        (self.0.join(format!("{host}.pem")), self.0.join(format!("{host}.key")))
    }
}

#[test]
fn a_host_is_asked_by_its_own_name_with_its_certificate_checked() {
    let env = TestEnv::bare();
    let Some(authority) = Authority::make(env.dir()) else { return };
    let (port, late) = (free_port(), free_port());
    let (certificate, key) = authority.sign("shop.example", 2);
    let (old, old_key) = authority.sign("late.example", -1);
    let rules = format!(
        "listen 127.0.0.1:{port} ssl;
         ssl_certificate {}; ssl_certificate_key {};
         location / {{ return 200 \"$ssl_server_name $http_host\"; }}
         }} server {{
         listen 127.0.0.1:{late} ssl;
         ssl_certificate {}; ssl_certificate_key {};
         location / {{ return 200 late; }}",
        certificate.display(),
        key.display(),
        old.display(),
        old_key.display()
    );
    let Some(nginx) = Nginx::start(&["http_ssl_module"], "", &rules) else { return };
    let ca = env.dir().join("ca.pem");
    let ca = ca.to_str().unwrap();
    let via = format!("127.0.0.1:{port}");
    let app = [json!(["app", 200, null, true])];
    let shop = "https://shop.example/";
    assert_eq!(told(&env, &[shop, "--via", &via, "--ca", ca], 0), app);
    let bundle = Ran::from(
        env.command(&["check", "--live", shop, "--via", &via])
            .env("SSL_CERT_FILE", ca)
            .output()
            .unwrap(),
    );
    assert_eq!(bundle.code, 0, "{bundle:?}");
    assert_eq!(told(&env, &["https://other.example/", "--via", &via, "--insecure"], 0), app);
    let other = authority.0.join("other");
    std::fs::create_dir(&other).unwrap();
    let stranger = Authority::make(&other).unwrap().0.join("ca.pem");
    let expired = format!("127.0.0.1:{late}");
    let plain = format!("127.0.0.1:{}", nginx.port);
    for (url, via, ca, words) in [
        (shop, &via, stranger.to_str().unwrap(), "signed by no authority that is trusted here"),
        ("https://other.example/", &via, ca, "is for `shop.example`, and not for `other.example`"),
        ("https://late.example/", &expired, ca, "its certificate expired"),
        (shop, &plain, ca, "does not speak TLS"),
    ] {
        let (object, code) = live(&env, &[url, "--via", via, "--ca", ca]);
        let row = &object["live"][0];
        assert_eq!((code, &row["problem"]), (1, &json!("tls")), "{url}: {object}");
        assert!(row["notes"][0].as_str().unwrap().contains(words), "{url}: {object}");
    }
}
