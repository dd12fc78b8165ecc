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
#[path = "../common/can.rs"]
mod can;
mod django;
#[path = "../common/fetched.rs"]
mod fetched;
mod guides;
mod haproxy;
mod laravel;
mod lighttpd;
mod machine;
mod mariadb;
mod mediawiki;
mod nginx;
mod obeys;
mod one_switch;
mod php;
#[path = "../proxied/process.rs"]
mod process;
mod runtime;
#[path = "../common/say.rs"]
mod say;
mod server;
#[path = "../common/session.rs"]
mod session;
mod site;
mod systemd;
#[path = "../common/traefik.rs"]
mod traefik;
mod turnout;
mod varnish;
mod visitors;
mod wire;
mod wordpress;
