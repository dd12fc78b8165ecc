//! Traefik and Kubernetes: each snippet is read by a parser of YAML, and the nginx in it is run;
//! Traefik as well, where `make proxies` could fetch it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::app::{App, answers_at};
use crate::fetched;
use crate::nginx::start;
use crate::obeys::{HTML, MESSAGE, is_of, is_refused};
use crate::say::skip;
use crate::server::installed;
use crate::site::TestSite;
use crate::traefik;
use crate::wire::{ask, get, try_ask};

/// The documents of a text in YAML, as Python reads them; `None`, and a line, without Python's
/// package for it.
fn documents(text: &str) -> Option<Vec<Value>> {
    const READ: &str =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let tried = Command::new(python).args(["-c", "import yaml"]).output();
        tried.is_ok_and(|output| output.status.success())
    });
    let Some(python) = python else {
        skip("python3 has no yaml; `make test-stack` installs it");
        return None;
    };
    let mut child = Command::new(python)
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "not YAML: {text}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn requirement_83_the_nginx_that_traefik_asks_obeys() {
    let Some(program) = installed("nginx") else { return };
    let site = TestSite::new();
    site.add_flag();
    let snippet = site.maint(&["snippet", "traefik"]);
    let Some(documents) = documents(&snippet) else { return };
    let asked = &documents[0]["http"]["middlewares"]["maint"]["forwardAuth"]["address"];
    assert_eq!(asked, "http://127.0.0.1:8504/");

    let head = snippet.lines().skip_while(|line| *line != "# server {");
    let head = head.map_while(|line| line.strip_prefix('#')).collect::<Vec<_>>().join("\n");
    let servers = |port: u16| head.replace("127.0.0.1:8504", &format!("127.0.0.1:{port}"));
    let is_up = |port| try_ask(port, "GET", "/", &[]).is_ok_and(|answer| answer.status == 204);
    let server = start(&program, &servers, &is_up);
    // As Traefik asks: always GET, about the request in header fields.
    let judged = |client: &str, path: &str| {
        let fields = [
            ("X-Forwarded-For", client),
            ("X-Forwarded-Uri", path),
            ("X-Forwarded-Method", "POST"),
            HTML[0],
        ];
        ask(server.port, "GET", "/", &fields)
    };
    let is_passed = |client: &str, path: &str| judged(client, path).status == 204;

    assert!(is_passed("203.0.113.7", "/shop"));
    site.on(MESSAGE);
    site.allow("203.0.113.9");
    site.allow("2001:db8::9");
    let answer = judged("203.0.113.7", "/shop");
    is_refused(&answer, "by way of Traefik");
    assert!(answer.body.contains(MESSAGE), "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("120"));
    assert!(is_passed("203.0.113.9", "/shop"));
    assert!(is_passed("2001:db8:0::9", "/shop"));
    assert!(is_passed("203.0.113.7", "/.well-known/acme-challenge/token"));
    assert!(!is_passed("203.0.113.7", "/.well-known/acme-challenge/../shop"));
    site.off();
    assert!(is_passed("203.0.113.7", "/shop"));
}

#[test]
fn requirement_83_traefik_obeys_by_way_of_nginx() {
    let (Some(nginx), Some(program)) = (installed("nginx"), fetched::traefik()) else { return };
    let (site, app) = (TestSite::new(), App::start());
    site.add_flag();
    let snippet = site.maint(&["snippet", "traefik"]);
    let head = snippet.lines().skip_while(|line| *line != "# server {");
    let head = head.map_while(|line| line.strip_prefix('#')).collect::<Vec<_>>().join("\n");
    let servers = |port: u16| head.replace("127.0.0.1:8504", &format!("127.0.0.1:{port}"));
    let is_up = |port| try_ask(port, "GET", "/", &[]).is_ok_and(|answer| answer.status == 204);
    let asked = start(&nginx, &servers, &is_up);
    let snippet = snippet.replace("127.0.0.1:8504", &format!("127.0.0.1:{}", asked.port));
    let front = traefik::before(&program, &snippet, app.port);
    site.on(MESSAGE);
    for method in ["GET", "POST", "DELETE"] {
        let answer = ask(front.port, method, "/shop", &HTML);
        is_refused(&answer, method);
        assert!(answer.body.contains(MESSAGE), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("120"), "{answer:?}");
    }
    // What a client says of itself is no address and no path.
    site.allow("203.0.113.9");
    for field in [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Real-Ip", "203.0.113.9"),
        ("X-Forwarded-Uri", "/.well-known/acme-challenge/token"),
    ] {
        is_refused(&ask(front.port, "GET", "/shop", &[HTML[0], field]), field.0);
    }
    is_of(&app, &get(front.port, "/.well-known/acme-challenge/token"));
    site.allow("127.0.0.1");
    is_of(&app, &get(front.port, "/shop"));
    site.off();
    is_of(&app, &get(front.port, "/shop"));
    drop(asked);
    assert_eq!(get(front.port, "/").status, 500);
}

#[test]
fn requirement_83_the_nginx_in_a_pod_obeys() {
    let Some(program) = installed("nginx") else { return };
    let (site, app) = (TestSite::new(), App::start());
    site.add_flag();
    let snippet = site.maint(&["snippet", "kubernetes"]);
    let Some(documents) = documents(&snippet) else { return };
    let [config, deployment] = &documents[..] else { panic!("{documents:?}") };
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][1]["hostPath"]["path"], site.flag().to_str().unwrap());
    assert_eq!(pod["volumes"][0]["configMap"]["name"], config["metadata"]["name"]);
    let nginx = &pod["containers"][0];
    let mounts = nginx["volumeMounts"].as_array().unwrap();
    let mounted = mounts.iter().find(|mount| mount["name"] == pod["volumes"][1]["name"]).unwrap();
    let mounted = mounted["mountPath"].as_str().unwrap();
    let text = config["data"]["default.conf"].as_str().unwrap();

    // What the container sees of the folder is in its own place here.
    let file = |path: &str| path.replace(mounted, site.flag().to_str().unwrap());
    let lines: Vec<String> = text
        .lines()
        .map(
            |line| {
                if line.contains(&format!("\"{mounted}")) { file(line) } else { line.to_owned() }
            },
        )
        .collect();
    let servers = |port: u16| {
        let text = lines.join("\n").replace("listen 8503", &format!("listen 127.0.0.1:{port}"));
        text.replace("127.0.0.1:3000", &format!("127.0.0.1:{}", app.port))
    };
    let server = start(&program, &servers, &|port| answers_at(port, app.port));
    assert_eq!(nginx["ports"][0]["containerPort"], 8503);
    site.on(MESSAGE);
    let answer = ask(server.port, "POST", "/shop", &HTML);
    is_refused(&answer, "in a pod");
    assert!(answer.body.contains(MESSAGE), "{answer:?}");
    site.off();
    is_of(&app, &get(server.port, "/shop"));
    assert!(Path::new(mounted).is_absolute());
}
