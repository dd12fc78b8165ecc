//! The endpoint as proxies meet it: the real command, asked over its sockets.

#![cfg(unix)]

mod agent_check;
#[allow(dead_code, reason = "shared with the target `stack`")]
#[path = "../stack/app.rs"]
mod app;
mod as_seen;
mod asks;
mod bounds;
mod caddy;
#[path = "../common/can.rs"]
mod can;
mod drain;
mod envoy;
mod examples;
#[path = "../common/fetched.rs"]
mod fetched;
mod flat;
mod forged;
mod front;
mod haproxy;
mod http2;
#[path = "../common/meanwhile.rs"]
mod meanwhile;
mod metrics;
mod nginx;
#[path = "../common/nginx.rs"]
mod nginx_server;
mod odd;
#[path = "../proxied/process.rs"]
mod process;
mod rig;
#[path = "../common/say.rs"]
mod say;
#[allow(dead_code, reason = "shared with the target `stack`")]
#[path = "../stack/server.rs"]
mod server;
mod snippets;
mod sockets;
mod status;
mod traefik;
#[path = "../common/traefik.rs"]
mod traefik_server;
mod units;
mod users;
mod watched;
#[path = "../stack/wire.rs"]
mod wire;

/// Makes a file.
fn put(path: &std::path::Path, text: &str) {
    use std::io::Write as _;
    std::fs::File::create_new(path).unwrap().write_all(text.as_bytes()).unwrap();
}
