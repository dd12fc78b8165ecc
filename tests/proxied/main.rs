//! The gate among real servers: caches in front of it, and routers whose word
//! counts on what was really served.

#![cfg(unix)]

/// Prints past the capture of the harness, which hides what a passing test prints.
macro_rules! aloud {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

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
mod site;
mod wire;
