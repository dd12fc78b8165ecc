//! The whole stack obeys one command: unmodified servers and apps, switched by the real
//! `maint`, with visitors coming all the while.
//!
//! `make test-stack` installs what is missing. A test whose software is not there prints
//! `SKIPPED`.

#![cfg(unix)]

mod apache;
mod app;
mod behind;
mod caddy;
mod guides;
mod haproxy;
mod laravel;
mod lighttpd;
mod mariadb;
mod nginx;
mod obeys;
mod php;
#[path = "../proxied/process.rs"]
mod process;
#[path = "../common/say.rs"]
mod say;
mod server;
#[path = "../common/session.rs"]
mod session;
mod site;
mod systemd;
mod varnish;
mod visitors;
mod wire;
mod wordpress;
