//! `maint demo`: what a first visitor sees, types and is left with.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::env::{Ran, TestEnv, eventually, finish};
use crate::served::Server;

/// A place for the demo with a temporary directory of its own.
fn place() -> TestEnv {
    let env = TestEnv::ticking_bare();
    fs::create_dir(env.dir().join("tmp dir")).unwrap();
    env
}

fn command(env: &TestEnv, args: &[&str]) -> Command {
    let mut command = env.command(args);
    command.env("TMPDIR", env.dir().join("tmp dir"));
    command
}

fn demo(env: &TestEnv) -> (Server, Vec<String>) {
    let mut demo = Server::start(command(env, &["demo", "--port", "0"]));
    let mut commands = Vec::new();
    while commands.len() < 3 {
        let mut line = String::new();
        assert_ne!(demo.stdout.read_line(&mut line).unwrap(), 0, "it ended: {commands:?}");
        if let Some(typed) = line.strip_prefix("    ") {
            commands.push(typed.trim_end().to_owned());
        }
    }
    (demo, commands)
}

/// What is in the temporary directory.
fn left(env: &TestEnv) -> Vec<PathBuf> {
    fs::read_dir(env.dir().join("tmp dir")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Types a line into another terminal.
fn typed(env: &TestEnv, line: &str) -> Ran {
    let mut shell = Command::new("sh");
    env.seal(shell.args(["-c", line]));
    // Somewhere else altogether.
    Ran::from(shell.current_dir("/").output().unwrap())
}

fn ask(demo: &Server, method: &str, accept: &str) -> crate::served::Got {
    let host = demo.address();
    let head = format!("{method} / HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n");
    demo.send(head.as_bytes()).unwrap()
}

#[cfg(unix)]
fn end(mut demo: Server, signal: rustix::process::Signal) -> Ran {
    let child = demo.child.take().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
    finish(child)
}

#[test]
fn the_commands_that_it_prints_take_its_page_down_and_bring_it_back() {
    let env = place();
    let (demo, commands) = demo(&env);
    let up = demo.get("/");
    assert_eq!(up.status, 200);
    assert!(up.body.contains("This is your app"), "{}", up.body);
    assert!(up.body.contains("tmp dir"), "the commands stand on the page, too: {}", up.body);
    assert_eq!(demo.get("/any/other?page").body, up.body);

    let on = typed(&env, &commands[0]);
    assert_eq!(on.code, 0, "{on:?}");
    let down = ask(&demo, "GET", "text/html");
    assert_eq!((down.status, down.header("retry-after")), (503, Some("120")));
    assert!(down.body.contains("Back at noon") && down.body.contains("Your app"), "{}", down.body);
    let json = ask(&demo, "GET", "application/json");
    assert_eq!((json.status, json.header("content-type")), (503, Some("application/problem+json")));
    assert!(json.body.contains("\"detail\": \"Back at noon\""), "{}", json.body);
    assert_eq!(ask(&demo, "POST", "text/html").status, 503, "whatever the method");
    let head = ask(&demo, "HEAD", "text/html");
    assert_eq!((head.status, head.body.as_str()), (503, ""));
    assert!(typed(&env, &commands[1]).stdout.contains("● down"));

    assert_eq!(typed(&env, &commands[2]).code, 0);
    assert_eq!(demo.get("/").body, up.body);
    assert_eq!(ask(&demo, "POST", "text/html").status, 405, "now the app answers");
    assert!(!env.site().exists() && !env.dir().join("home/.local").exists(), "no other site");
}

#[test]
fn rules_scopes_and_tokens_work_as_with_a_real_app() {
    let env = place();
    let (demo, commands) = demo(&env);
    let maint = commands[1].strip_suffix(" status").unwrap();
    let ok = |rest: &str| {
        let ran = typed(&env, &format!("{maint} {rest}"));
        assert_eq!(ran.code, 0, "{rest}: {ran:?}");
        ran.stdout
    };
    ok("on --path '/shop/**'");
    assert_eq!((demo.get("/").status, demo.get("/shop/1").status), (200, 503));
    ok("on --yes --read-only");
    assert_eq!(demo.get("/").header("maint-decision"), Some("read-only"));
    ok("on --yes");
    ok("ignore add path /health");
    assert_eq!((demo.get("/").status, demo.get("/health").body.as_str()), (503, "ok\n"));
    let token = ok("bypass new --quiet");
    let link = demo.get(&format!("/?maint_bypass={}", token.trim()));
    assert_eq!((link.status, link.header("location")), (303, Some("/")), "{token}");
    let cookie = link.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
    let let_in = demo.send(head.as_bytes()).unwrap();
    assert_eq!((let_in.status, let_in.header("cache-control")), (200, Some("private, no-store")));
}

#[cfg(unix)]
#[test]
fn it_ends_with_success_and_leaves_nothing() {
    use crate::run::ignored_signals;
    use crate::say::skip;
    use rustix::process::Signal;
    use std::os::unix::fs::PermissionsExt as _;
    let env = place();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        if ignored_signals() & (1 << (signal.as_raw() - 1)) != 0 {
            skip(&format!("{signal:?} is ignored where this test runs"));
            continue;
        }
        let (mut demo, commands) = demo(&env);
        let [dir] = left(&env).try_into().unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(typed(&env, &commands[0]).code, 0);
        let stderr = demo.child.as_mut().unwrap().stderr.take().unwrap();
        let mut lines = BufReader::new(stderr).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.ends_with("GET / 503  ● down")), "it shows each change");
        assert_eq!(typed(&env, &commands[2]).code, 0);
        assert!(lines.any(|line| line.ends_with("GET / 200  ● up")), "it shows each change");
        let ran = end(demo, signal);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(left(&env), [] as [PathBuf; 0], "{signal:?}");
    }
}

#[cfg(unix)]
#[test]
fn the_next_demo_cleans_up_behind_one_that_was_killed_and_nobody_else() {
    use rustix::process::Signal;
    let env = place();
    let (killed, _) = demo(&env);
    let dead = left(&env);
    end(killed, Signal::KILL);
    assert_eq!(left(&env), dead, "it could not clean up itself");
    env.write("tmp dir/maint-demo-0000000f/keep", "not ours: it has no claim");
    env.write("tmp dir/maint-demo-of-mine/run.0", "not ours");
    let (first, _) = demo(&env);
    let (second, _) = demo(&env);
    let names = left(&env);
    assert_eq!(names.len(), 4, "two that go, two of others: {names:?}");
    assert!(!names.contains(&dead[0]));
    assert_eq!((first.get("/").status, second.get("/").status), (200, 200));
    end(first, Signal::TERM);
    end(second, Signal::TERM);
    assert_eq!(left(&env).len(), 2);
}

#[test]
fn what_fails_leaves_nothing_either() {
    let env = place();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = |command: &mut Command| Ran::from(command.output().unwrap());
    let ran = run(&mut command(&env, &["demo", "--port", &port]));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains(&format!("could not listen on 127.0.0.1:{port}: ")), "{ran:?}");
    let ran = run(&mut command(&env, &["--site", "x", "demo"]));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("makes a site of its own"), "{ran:?}");
    let ran = run(command(&env, &["demo"]).env("TMPDIR", env.dir().join("missing")));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("could not make `"), "{ran:?}");
    if Path::new("/dev/full").exists() {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut demo = command(&env, &["demo", "--port", "0"]);
        let ran = finish(demo.stdout(full).stderr(Stdio::piped()).spawn().unwrap());
        assert_eq!(ran.code, 9, "{ran:?}");
    }
    assert_eq!(left(&env), [] as [PathBuf; 0]);
}

#[test]
fn a_site_in_the_environment_is_left_alone() {
    let env = place();
    env.ok(&["init"]);
    let before = env.files();
    let mut command = command(&env, &["demo", "--port", "0"]);
    command.env("MAINT_SITE", env.site());
    let mut demo = Server::start(command);
    let mut line = String::new();
    while !line.contains(" on ") {
        line.clear();
        demo.stdout.read_line(&mut line).unwrap();
    }
    assert_eq!(typed(&env, line.trim()).code, 0);
    assert_eq!(demo.get("/").status, 503);
    assert_eq!(before, env.files());
}

#[test]
fn the_address_and_the_commands_are_json_where_json_was_asked_for() {
    let env = place();
    let mut command = command(&env, &["--json", "demo", "--port", "0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    assert!(object["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{line}");
    let site = object["site"].as_str().unwrap();
    let on = format!("maint --site '{site}' on -m \"Back at noon\"");
    assert_eq!(object["commands"][0], on);
}

#[test]
fn the_browser_is_opened_where_there_is_one_and_does_no_harm_where_not() {
    let env = place();
    env.write("browser", "#!/bin/sh\nprintf '%s' \"$2\" > \"$1\"\n");
    let browser = env.dir().join("browser");
    let opened = env.dir().join("opened");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let named = format!("no-such-browser:{} {}", browser.display(), opened.display());
    let with = |args: &[&str]| {
        let args: Vec<&str> = ["demo", "--port", "0"].iter().chain(args).copied().collect();
        let mut command = command(&env, &args);
        command.env("BROWSER", &named);
        Server::start(command)
    };
    let shut = with(&["--no-browser"]);
    assert_eq!(shut.get("/").status, 200);
    assert!(!opened.exists());
    let demo = with(&[]);
    eventually("it is opened", || fs::read_to_string(&opened).is_ok_and(|url| url == demo.url));
    let mut command = command(&env, &["demo", "--port", "0"]);
    command.env("BROWSER", "no-such-browser").env("DISPLAY", ":99");
    assert_eq!(Server::start(command).get("/").status, 200);
}

#[test]
fn nobody_keeps_others_waiting_and_only_this_machine_may_ask() {
    let env = place();
    let (demo, _) = demo(&env);
    let silent: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(demo.address()).unwrap()).collect();
    assert_eq!(demo.get("/").status, 200);
    let evil = demo.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").unwrap();
    assert_eq!(evil.status, 421, "a name that was made to lead here");
    let mut slow = TcpStream::connect(demo.address()).unwrap();
    slow.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "the body is not waited for: {answer}");
    drop(silent);
}
