//! The endpoint as proxies meet it: the real command, asked over its sockets.

#![cfg(unix)]

#[allow(dead_code, reason = "shared with the target `stack`")]
#[path = "../stack/app.rs"]
mod app;
mod asks;
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
#[allow(dead_code, reason = "shared with the target `stack`")]
#[path = "../stack/server.rs"]
mod server;
mod snippets;
#[path = "../stack/wire.rs"]
mod wire;
