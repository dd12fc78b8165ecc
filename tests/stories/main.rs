//! Every day: what four people type, told as tests, each step with what they met before.

#![cfg(unix)]

#[path = "../stack/app.rs"]
#[allow(dead_code, reason = "the tests of the stack need more of it")]
mod app;
mod deploy;
mod designer;
mod django;
#[path = "../cli/env.rs"]
#[allow(dead_code, reason = "the tests of the command need more of it")]
mod env;
mod night;
#[path = "../proxied/process.rs"]
mod process;
#[path = "../common/say.rs"]
mod say;
#[path = "../cli/served.rs"]
#[allow(dead_code, reason = "the tests of the command need more of it")]
mod served;
#[path = "../stack/server.rs"]
#[allow(dead_code, reason = "the tests of the stack need more of it")]
mod server;
#[path = "../stack/site.rs"]
#[allow(dead_code, reason = "the tests of the stack need more of it")]
mod site;
#[path = "../stack/visitors.rs"]
#[allow(dead_code, reason = "the tests of the stack need more of it")]
mod visitors;
#[path = "../stack/wire.rs"]
mod wire;
