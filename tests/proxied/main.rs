//! The gate among real servers: caches in front of it, and routers that report what
//! they really served.

#![cfg(unix)]

#[path = "../common/actix.rs"]
mod actix;
mod app;
mod caches;
mod disguises;
mod fronts;
mod judges;
mod leaks;
mod links;
#[path = "../common/nginx.rs"]
mod nginx;
mod process;
#[path = "../common/say.rs"]
mod say;
mod site;
mod wire;
