//! A user whom the proxy itself has verified, as the snippets say that it is done.

use std::process::Command;

use crate::app::App;
use crate::front::{CADDY, ENVOY, NGINX, Proxy, TRAEFIK, is_of_the_app, is_refused, snippet};
use crate::rig::Serving;
use crate::server::{Server, directory, installed, put};
use crate::wire::{ask, get};
use crate::{caddy, envoy, fetched, nginx, traefik};

/// Ann, whose password is `ann`.
const ANN: &str = "ann:{SHA}dEy5qfs9VYN0TqPs6bTYGdkL3uI=";

fn with_user(software: &str, serving: &Serving) -> String {
    snippet(serving, software, &["--user-field", "X-Who"])
}

/// The text with one part in place of another, which is in it.
#[track_caller]
fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{text}");
    text.replace(old, new)
}

fn passes_who_is_verified(serving: &Serving, text: &str, start: &dyn Fn(&str, u16) -> Server) {
    let app = App::start();
    let front = start(text, app.port);
    let right = ("Authorization", "Basic YW5uOmFubg==");
    let wrong = ("Authorization", "Basic YW5uOmJhZA==");
    serving.maint(&["on"]);
    assert!(is_refused(&ask(front.port, "GET", "/", &[right])));
    serving.maint(&["ignore", "add", "user", "authenticated"]);
    for fields in [&[right][..], &[right, ("X-Who", "")], &[right, ("X-Who", "bob")]] {
        let answer = ask(front.port, "POST", "/", fields);
        assert!(is_of_the_app(&answer), "{fields:?}: {answer:?}");
    }
    for fields in [&[wrong][..], &[wrong, ("X-Who", "ann")], &[("X-Who", "ann")], &[]] {
        let answer = ask(front.port, "POST", "/", fields);
        assert_eq!((answer.status, is_of_the_app(&answer)), (401, false), "{fields:?}: {answer:?}");
    }
    serving.maint(&["off"]);
    assert!(!is_of_the_app(&get(front.port, "/")), "the proxy's own refusal stays");
}

/// An endpoint that reads a field, and a proxy that was not told so.
fn believes_nobody(proxy: Proxy) {
    let Some(program) = (proxy.find)() else { return };
    let (serving, app) = (Serving::start(&["--user-field", "Remote-User"]), App::start());
    let front = (proxy.before)(&program, &snippet(&serving, proxy.name, &[]), app.port);
    serving.maint(&["ignore", "add", "user", "authenticated"]);
    serving.maint(&["on"]);
    for name in ["Remote-User", "remote-user"] {
        let answer = ask(front.port, "GET", "/", &[(name, "ann")]);
        assert!(is_refused(&answer), "{}: {answer:?}", proxy.name);
    }
}

#[test]
fn requirement_86_a_proxy_that_knows_of_no_user_passes_on_none() {
    [NGINX, CADDY, TRAEFIK, ENVOY].into_iter().for_each(believes_nobody);
}

#[test]
fn a_user_whom_nginx_verifies_passes_by_a_rule_and_one_who_says_so_does_not() {
    let Some(program) = installed("nginx") else { return };
    let serving = Serving::start(&["--user-field", "X-Who"]);
    let dir = directory();
    let users = dir.path().join("users");
    put(&users, ANN);
    let text = replaced(
        &with_user("nginx", &serving),
        "set $maint_user \"\";",
        &format!(
            "set $maint_user $remote_user; auth_basic shop; auth_basic_user_file {};",
            users.display()
        ),
    );
    passes_who_is_verified(&serving, &text, &|text, app| nginx::before(&program, text, app));
}

#[test]
fn a_user_whom_caddy_verifies_passes_by_a_rule_and_one_who_says_so_does_not() {
    let Some(program) = installed("caddy") else { return };
    let serving = Serving::start(&["--user-field", "X-Who"]);
    let hashed = Command::new(&program).args(["hash-password", "--plaintext", "ann"]).output();
    let hashed = String::from_utf8(hashed.unwrap().stdout).unwrap();
    let text = replaced(
        &with_user("caddy", &serving),
        "header_up X-Who \"\"",
        "header_up X-Who {http.auth.user.id}",
    );
    let users = format!("route {{\n\tbasicauth {{\n\t\tann {}\n\t}}\n", hashed.trim());
    let text = replaced(&text, "route {\n", &users);
    passes_who_is_verified(&serving, &text, &|text, app| caddy::before(&program, text, app));
}

#[test]
fn a_user_whom_traefik_verifies_passes_by_a_rule_and_one_who_says_so_does_not() {
    let Some(program) = fetched::traefik() else { return };
    let serving = Serving::start(&["--user-field", "X-Who"]);
    let text = replaced(&with_user("traefik", &serving), "          X-Who: \"\"\n", "");
    let text = replaced(&text, "- maint-ask", "- users\n          - maint-ask");
    let users = format!(
        "    users:\n      basicAuth: {{ users: [\"{ANN}\"], headerField: X-Who }}\n    maint-ask:\n"
    );
    let text = replaced(&text, "    maint-ask:\n", &users);
    passes_who_is_verified(&serving, &text, &|text, app| traefik::before(&program, text, app));
}

#[test]
fn a_user_whom_envoy_verifies_passes_by_a_rule_and_one_who_says_so_does_not() {
    let Some(program) = fetched::envoy() else { return };
    let serving = Serving::start(&["--user-field", "X-Who"]);
    let text = replaced(&with_user("envoy", &serving), "          - exact: \"x-who\"\n", "");
    let users = format!(
        "                  - name: envoy.filters.http.basic_auth
                    typed_config:
                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.basic_auth.v3.BasicAuth
                      forward_username_header: x-who
                      users: {{ inline_string: \"{ANN}\" }}
"
    );
    let start = |text: &str, app: u16| envoy::with(&program, text, &users, app);
    passes_who_is_verified(&serving, &text, &start);
}
