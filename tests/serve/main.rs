//! The endpoint as proxies meet it: the real command, asked over its sockets.

#![cfg(unix)]

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
