//! Proxies that Debian does not have: `make proxies` fetches those of `proxies.txt` in here.

#![allow(dead_code, reason = "shared by several test targets, and no one of them needs all")]

use std::path::{Path, PathBuf};

use crate::say::skip;

/// The program, by its path where the proxies are; prints why the test is skipped if it is not.
fn fetched(path: &str) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("tools/proxies").join(path);
    if program.is_file() {
        return Some(program);
    }
    skip(&format!("{path} is not there; `make proxies` fetches it"));
    None
}

pub(crate) fn traefik() -> Option<PathBuf> {
    fetched("bin/traefik")
}

pub(crate) fn envoy() -> Option<PathBuf> {
    fetched("envoy/_bin/envoy")
}
