//! The endpoint as proxies meet it: the real command, asked over its sockets.

#![cfg(unix)]

mod asks;
mod rig;
#[path = "../common/say.rs"]
mod say;
