//! `maint template preview`, asked over TCP as a browser asks.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use maint::Site;
use maint::gate::{Answer, Gate};
use maint::request::RequestParts;

use crate::env::{NOW, TestEnv, finish};
use crate::say::skip;
use crate::served::Server;

/// The links of the index.
fn links(preview: &Server) -> Vec<String> {
    let index = preview.get("/").body;
    let links = index.split("<a href=\"").skip(1);
    links.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn preview(env: &TestEnv, args: &[&str]) -> Server {
    let args = ["template", "preview", "--port", "0"].iter().chain(args).copied();
    Server::start(env.command(&args.collect::<Vec<_>>()))
}

fn with_page() -> TestEnv {
    let env = TestEnv::new();
    env.write("page.html", "<h1>{{ title }}</h1><script>let x = 1</script>{{ reason }}\n");
    env.ok(&["template", "add", "sorry", "page.html"]);
    env
}

#[test]
fn requirement_49_every_format_and_state_has_the_very_header_fields_that_visitors_get() {
    for template in [["use", "sorry"], ["use", "--builtin"]] {
        let env = with_page();
        env.ok(&["template", template[0], template[1]]);
        let preview = preview(&env, &[]);
        let links = links(&preview);
        let (frames, links): (Vec<_>, Vec<_>) =
            links.into_iter().partition(|link| link.starts_with("/frame/"));
        assert_eq!((links.len(), frames.len()), (9 * 3, 9), "{links:?}");
        // The same as the gate of this site sends in such a window.
        env.ok(&["on", "--for", "30m"]);
        let gate = Gate::open(&Site::at(env.site())).unwrap();
        for link in links {
            let (scene, format) = link.trim_start_matches('/').split_once('.').unwrap();
            let accept = ["text/html", "application/json", "text/plain"]
                [["html", "json", "txt"].iter().position(|known| *known == format).unwrap()];
            let request = RequestParts::new("GET", "/").with("accept", accept);
            let Answer::Reply(reply) = gate.current().at(NOW.parse().unwrap()).answer(&request)
            else {
                panic!("it passes")
            };
            let got = preview.get(&link);
            assert_eq!(got.status, 503, "{link}");
            for (name, value) in reply.headers() {
                match name {
                    "content-length" => {
                        assert_eq!(got.header(name), Some(got.body.len().to_string().as_str()));
                    }
                    // What is shown is an invented window, of no state.
                    "maint-revision" => assert_eq!(got.header(name), None, "{link}"),
                    "retry-after" => {
                        let seconds: u32 = got.header(name).unwrap().parse().unwrap();
                        let known = match scene {
                            "ending-soon" => 10,
                            "no-end" | "bare" | "late" => 120,
                            "estimate" => 1200,
                            _ => 1800,
                        };
                        assert_eq!(seconds, known, "{link}");
                    }
                    _ => assert_eq!(got.header(name), Some(&*value), "{link}"),
                }
            }
            let own = ["date", "connection"];
            let more: Vec<_> =
                got.headers.iter().filter(|(name, _)| reply.header(name).is_none()).collect();
            assert!(more.iter().all(|(name, _)| own.contains(&name.as_str())), "{more:?}");
        }
    }
}

#[test]
fn the_states_are_what_they_say() {
    let env = with_page();
    let preview = preview(&env, &["--builtin"]);
    assert!(preview.get("/open.html").body.contains("data-comes-back"));
    assert!(preview.get("/post.html").body.contains("What you sent has not been processed"));
    assert!(preview.get("/read-only.html").body.contains("Read-only for now"));
    assert!(!preview.get("/no-end.html").body.contains("id=\"end\""));
    assert!(preview.get("/ending-soon.json").body.contains("\"end\": \"2026-11-22T03:00:10Z\""));
    let long = preview.get("/long-reason.html").body;
    assert!(long.contains("very-long-") && long.contains("&lt;b&gt;"), "it is text: {long}");
    assert!(!preview.get("/bare.json").body.contains("detail"));
    // The page asks its own address whether the site is back; in a preview it never is.
    let head = preview.ask("HEAD", "/open.html?now");
    assert_eq!((head.status, head.header("maint-decision")), (503, Some("block")));
    let whole = preview.get("/open.html").body.len().to_string();
    assert_eq!((head.body.as_str(), head.header("content-length")), ("", Some(whole.as_str())));
}

#[test]
fn an_author_edits_reloads_and_meets_mistakes_in_the_browser() {
    let env = with_page();
    let preview = preview(&env, &["sorry"]);
    let before = env.files();
    assert!(preview.get("/open.html").body.contains("<h1>Down for maintenance</h1>"));
    env.write(".maint/templates/sorry.html", "<h2>{{ title }}</h2>");
    assert!(preview.get("/open.html").body.contains("<h2>Down for maintenance</h2>"));
    for (text, told) in [
        ("a\nb\n{% if <x> %}", "`sorry.html` has a mistake on line 3"),
        ("a\n{{ resaon }}", "`sorry.html` asks for `resaon` on line 2"),
    ] {
        env.write(".maint/templates/sorry.html", text);
        for path in ["/", "/open.html"] {
            let got = preview.get(path);
            assert!(got.body.contains(told), "{path}: {}", got.body);
            assert!(!got.body.contains("<x>"), "{path}: {}", got.body);
        }
        let head = preview.ask("HEAD", "/open.html");
        assert_eq!(head.status, 500, "below 500 the page would believe that the site is back");
        assert_eq!(preview.get("/open.json").status, 503, "the other templates still work");
    }
    std::fs::remove_file(env.site().join("templates/sorry.html")).unwrap();
    assert!(preview.get("/").body.contains("no template named `sorry`"));
    env.write(
        ".maint/templates/sorry.html",
        "<h1>{{ title }}</h1><script>let x = 1</script>{{ reason }}\n",
    );
    assert_eq!(preview.get("/open.html").status, 503);
    assert_eq!(before, env.files(), "a preview changes no file");
    assert!(preview.get("/").body.contains("json</a> (built-in)"));
}

#[test]
fn only_this_machine_and_its_own_pages_may_ask() {
    let env = with_page();
    let preview = preview(&env, &[]);
    let port = preview.address().rsplit(':').next().unwrap().to_owned();
    let ask = |head: &str| preview.send(format!("{head}\r\n\r\n").as_bytes()).map(|got| got.status);
    for host in ["localhost", "LOCALHOST:9000", "127.0.0.1", "[::1]:8503", "127.9.9.9"] {
        assert_eq!(ask(&format!("GET / HTTP/1.1\r\nHost: {host}")), Some(200), "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.1",
        "",
        "evil.example:80",
    ] {
        assert_eq!(ask(&format!("GET / HTTP/1.1\r\nHost: {host}")), Some(421), "{host}");
    }
    for (head, status) in [
        ("GET / HTTP/1.1", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nhost: evil.example", 400),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost", 400),
        ("GET / HTTP/2\r\nHost: localhost", 400),
        ("GET /", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nnonsense", 400),
        ("\u{fffd}", 400),
        ("POST / HTTP/1.1\r\nHost: localhost", 405),
        ("DELETE /open.html HTTP/1.1\r\nHost: localhost", 405),
        ("GET /open.xml HTTP/1.1\r\nHost: localhost", 404),
        ("GET /../../etc/passwd HTTP/1.1\r\nHost: localhost", 404),
        ("GET /favicon.ico HTTP/1.1\r\nHost: localhost", 404),
    ] {
        assert_eq!(ask(head), Some(status), "{head}");
    }
    if cfg!(target_os = "linux") {
        // All of 127.0.0.0/8 is this machine, and only one address listens.
        assert!(TcpStream::connect(format!("127.0.0.2:{port}")).is_err());
    }
}

#[test]
fn a_client_that_says_too_much_or_nothing_keeps_nobody_waiting() {
    let env = with_page();
    let preview = preview(&env, &[]);
    let silent: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(preview.address()).unwrap()).collect();
    let long = |length: usize| {
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(length))
    };
    assert_eq!(preview.send(long(15 * 1024).as_bytes()).unwrap().status, 200);
    assert_eq!(preview.send(long(17 * 1024).as_bytes()).unwrap().status, 431);
    // A request without an end gets an answer, and is not read for ever.
    let mut endless = TcpStream::connect(preview.address()).unwrap();
    endless.write_all("x".repeat(17 * 1024).as_bytes()).unwrap();
    let mut answer = String::new();
    endless.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(preview.send(b"GET / HTTP/1.1\r\n").is_none(), "half a request has no answer");
    assert_eq!(preview.get("/").status, 200);
    // More than are served at once: the oldest make room, and nobody waits for them. Each of them
    // has ten seconds, which a busy machine may need for an answer now and then, but not always.
    let is_quick = || {
        let many: Vec<TcpStream> =
            (0..150).map(|_| TcpStream::connect(preview.address()).unwrap()).collect();
        let begun = Instant::now();
        assert_eq!(preview.get("/").status, 200);
        drop(many);
        begun.elapsed() < Duration::from_secs(8)
    };
    assert!((0..5).any(|_| is_quick()), "it waits for those that are silent");
    drop(silent);
}

#[cfg(unix)]
#[test]
fn control_c_ends_it_with_success() {
    use crate::run::ignored_signals;
    use rustix::process::{Pid, Signal, kill_process};
    let env = with_page();
    for signal in [Signal::INT, Signal::TERM] {
        if ignored_signals() & (1 << (signal.as_raw() - 1)) != 0 {
            skip("SIGINT is ignored where this test runs");
            continue;
        }
        let mut preview = preview(&env, &["sorry"]);
        assert_eq!(preview.get("/").status, 200);
        let child = preview.child.take().unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ran = finish(child);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stderr.contains("shows the template `sorry` to this machine alone"), "{ran:?}");
    }
}

#[test]
fn the_url_is_json_where_json_was_asked_for() {
    let env = with_page();
    let mut child = env
        .command(&["--json", "template", "preview", "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(object["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");
}

#[test]
fn what_cannot_be_shown_fails_at_once() {
    let env = with_page();
    env.fails(2, &["template", "preview", "gone"]);
    env.fails(2, &["template", "preview", "--port", "70000"]);
    let preview = preview(&env, &[]);
    let port = preview.address().rsplit(':').next().unwrap();
    let error = env.fails(3, &["template", "preview", "--port", port]);
    assert!(error.contains(&format!("could not listen on 127.0.0.1:{port}: ")), "{error}");
    env.write(".maint/state.json", "{");
    env.fails(8, &["template", "preview"]);
    assert!(preview.get("/").body.contains("state.json"), "a running one shows it in the browser");
}

#[test]
fn the_files_of_the_site_are_served_beside_the_page_and_no_others() {
    let env = with_page();
    env.write("site/public/logo.svg", "<svg/>");
    env.write("site/public/css/a b.css", "a {}");
    env.write("site/public/.env", "SECRET");
    env.write("site/secret.txt", "SECRET");
    std::os::unix::fs::symlink("../secret.txt", env.dir().join("site/public/link.txt")).unwrap();
    let preview = preview(&env, &["--static", "site/public"]);
    for (path, kind, body) in [
        ("/logo.svg", "image/svg+xml", "<svg/>"),
        ("/logo.svg?v=2", "image/svg+xml", "<svg/>"),
        ("/public/logo.svg", "image/svg+xml", "<svg/>"),
        ("/css/a%20b.css", "text/css; charset=utf-8", "a {}"),
    ] {
        let got = preview.get(path);
        assert_eq!(
            (got.status, got.header("content-type"), &*got.body),
            (200, Some(kind), body),
            "{path}"
        );
    }
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/css/..%2f..%2fsecret.txt",
        "/link.txt",
        "/.env",
        "/public/../../secret.txt",
        "/css",
        "/",
        "/none",
        "/%",
        "/%zz",
        "/a%00b",
        "/..\\secret.txt",
    ] {
        let got = preview.get(path);
        assert!(!got.body.contains("SECRET"), "{path}: {}", got.body);
        assert!(path == "/" || got.status == 404, "{path}: {}", got.status);
    }
    // The pages go before files of the same name.
    assert_eq!(preview.get("/open.html").status, 503);
    assert!(
        env.fails(2, &["template", "preview", "--static", "nowhere"])
            .contains("`nowhere` is no directory")
    );
}

#[test]
fn the_frame_has_switches_and_the_page_in_it_keeps_its_policy() {
    let env = with_page();
    let preview = preview(&env, &[]);
    let frame = preview.get("/frame/no-end");
    assert_eq!(frame.status, 200);
    assert!(frame.header("content-security-policy").unwrap().contains("frame-src 'self'; "));
    let head: Vec<&str> =
        frame.body.lines().skip_while(|line| *line != "</style>").take(5).collect();
    for switch in ["320", "768", "dark"] {
        assert!(
            head.iter().any(|line| line.contains(&format!(">{switch}</label>"))),
            "{switch}: {head:?}"
        );
    }
    assert!(frame.body.contains("<iframe src=\"/no-end.html?framed\""), "{}", frame.body);
    let (alone, framed) = (preview.get("/no-end.html"), preview.get("/no-end.html?framed"));
    assert_eq!(alone.body, framed.body);
    let policy = alone.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"));
    let own = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'");
    assert_eq!(framed.header("content-security-policy"), Some(&*own));
    assert_eq!(preview.get("/frame/none").status, 404);
}
