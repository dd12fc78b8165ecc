//! The endpoint as proxies meet it: the real command, asked over its sockets.

#![cfg(unix)]

mod agent_check;
mod asks;
mod metrics;
#[path = "../proxied/process.rs"]
mod process;
mod rig;
#[path = "../common/say.rs"]
mod say;
mod status;
