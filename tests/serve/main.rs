//! The endpoint as proxies meet it: the real command, asked over its sockets.

#![cfg(unix)]

#[allow(dead_code, reason = "shared with the target `stack`")]
#[path = "../stack/app.rs"]
mod app;
mod asks;
mod bounds;
#[path = "../common/can.rs"]
mod can;
mod drain;
mod flat;
#[path = "../common/meanwhile.rs"]
mod meanwhile;
#[path = "../common/nginx.rs"]
mod nginx;
mod caddy;
mod forged;
mod front;
mod haproxy;
mod nginx;
#[path = "../proxied/process.rs"]
mod process;
mod rig;
#[path = "../common/say.rs"]
mod say;
mod sockets;
mod units;

/// Makes a file.
fn put(path: &std::path::Path, text: &str) {
    use std::io::Write as _;
    std::fs::File::create_new(path).unwrap().write_all(text.as_bytes()).unwrap();
}
#[allow(dead_code, reason = "shared with the target `stack`")]
#[path = "../stack/server.rs"]
mod server;
mod snippets;
#[path = "../stack/wire.rs"]
mod wire;
