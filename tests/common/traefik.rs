//! A Traefik of a test.
#![allow(dead_code, reason = "shared by several test targets, and no one of them needs all")]

use std::path::Path;
use std::process::Command;

use crate::server::{Server, free_port, put};
use crate::wire::try_ask;

/// One that hands everything to the app, with the static configuration that the head of the
/// snippet shows for the other form.
pub(crate) fn before(program: &Path, snippet: &str, app: u16) -> Server {
    with(program, snippet, "", app)
}

/// The same, with more for the entry point of visitors.
pub(crate) fn with(program: &Path, snippet: &str, entry_point: &str, app: u16) -> Server {
    let command = |dir: &Path, port: u16| {
        // A port that is free here.
        let free = free_port();
        let snippet = snippet.replace("127.0.0.1:8599", &format!("127.0.0.1:{free}"));
        let is_open = snippet.contains("\n    maint-open:");
        let shown = snippet.lines().filter_map(|line| line.strip_prefix("#     "));
        let shown: Vec<_> = shown.filter(|_| is_open).collect();
        let shown = shown.join("\n") + "\n";
        let text = format!(
            "entryPoints:
  web:
    address: 127.0.0.1:{port}
    http: {{ middlewares: [maint@file] }}
{entry_point}{}
providers: {{ file: {{ directory: dynamic, watch: false }} }}
global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
",
            shown.strip_prefix("entryPoints:\n").unwrap_or_default()
        );
        put(&dir.join("traefik.yml"), &text);
        std::fs::create_dir(dir.join("dynamic")).unwrap();
        put(&dir.join("dynamic/maint.yml"), &snippet);
        let site = format!(
            "http:
  routers:
    app: {{ rule: PathPrefix(`/`), entryPoints: [web], service: app }}
  services:
    app: {{ loadBalancer: {{ servers: [{{ url: \"http://127.0.0.1:{app}\" }}] }} }}
"
        );
        put(&dir.join("dynamic/app.yml"), &site);
        let mut command = Command::new(program);
        command.arg("--configFile=traefik.yml").env("HOME", dir);
        command
    };
    // It says 404 until it has read all.
    Server::start(command, |port| try_ask(port, "GET", "/", &[]).is_ok_and(|it| it.status != 404))
}
