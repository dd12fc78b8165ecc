//! The engines of a fleet against the real ones, which a test starts on free ports of loopback, in
//! a directory of their own. A test whose software is not there prints `SKIPPED`.

#![cfg(unix)]

mod certificates;
mod cutting;
mod etcd;
mod etcd_engine;
mod etcd_login;
mod etcd_trouble;
#[path = "../common/nginx.rs"]
mod nginx;
mod pace;
mod redis_acl;
mod redis_doubt;
mod redis_engine;
mod redis_examine;
mod redis_sentinel;
mod redis_server;
mod redis_tls;
mod relay;
mod rest;
#[path = "../common/say.rs"]
mod say;
mod system;
mod tls;
