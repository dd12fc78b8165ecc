//! One switch that takes a web app into maintenance and brings it back.
//!
//! `maint on` writes a state file, and every server that looks at it answers 503 from
//! the next request on. This crate is the part that looks, the part that writes, and,
//! with its default feature, the `maint` command.
//!
//! # In a server
//!
//! With the feature `tower`, `maint::tower::MaintenanceLayer` goes around an axum, tonic or
//! hyper app. It answers blocked requests with the finished page, and passes the others on.
//!
#![cfg_attr(feature = "tower", doc = "```no_run")]
#![cfg_attr(not(feature = "tower"), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use maint::tower::MaintenanceLayer;
//!
//! # fn main() -> maint::Result<()> {
//! let app = Router::new().route("/", get(async || "the shop"));
//! let app = app.layer(MaintenanceLayer::open(None)?);
//! # let _: Router = app;
//! # Ok(())
//! # }
//! ```
//!
//! Everything else asks a [`Gate`]. It looks at the state file before every answer, by
//! one stat(2), so a request that starts after `maint on` has returned is blocked. It
//! never writes or locks, and works in any number of threads and after fork(2).
//!
//! ```
//! use maint::gate::{Answer, Gate};
//! use maint::request::RequestParts;
//! use maint::Site;
//!
//! # let temp = tempfile::tempdir()?;
//! # let directory = temp.path();
//! let gate = Gate::open(&Site::at(directory))?;
//! match gate.answer(&RequestParts::new("GET", "/shop?id=7")) {
//!     Answer::Pass(_) => println!("ask the app"),
//!     Answer::Reply(reply) => println!("send {} instead", reply.status()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A request of your own server is any type that implements [`request::Request`].
//!
//! # Throwing the switch
//!
//! [`store::update`] is the only writer: it takes the lock, reads, changes, and replaces
//! the file whole. A change is a function from state to state, and learns who makes it
//! and when.
//!
//! ```
//! use maint::state::WindowSettings;
//! use maint::{Site, jiff, store};
//!
//! # let temp = tempfile::tempdir()?;
//! # let path = temp.path();
//! let site = Site::at(path);
//! let settings = WindowSettings::new().reason("Back at noon");
//! store::update(&site, &store::Options::new("deploy"), |state, stamp| {
//!     state.open_window("deploy-42", &settings, stamp)
//! })?;
//! assert!(site.state()?.is_down(jiff::Timestamp::now()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what |
//! | --- | --- | --- |
//! | `cli` | yes | the `maint` command; a server leaves it off |
//! | `tower` | no | `maint::tower`: a layer for axum, tonic, hyper and any other `tower::Service` |
//! | `actix` | no | `maint::actix`: a middleware for actix-web |
//! | `http` | no | for servers without either: `HttpRequest` and `http::request::Parts` are a [`request::Request`], an `http::Response` is made from a reply, and `Pass::keep_private` takes its fields |
//! | `serve` | no | the endpoint of the command, `maint serve`; a library has no use for it |
//! | `testing` | no | `maint::testing`: a temporary site and a clock to stop, for the tests of apps |
//!
//! ```toml
//! maint = { version = "0.1", default-features = false, features = ["tower"] }
//! ```
//!
//! # Other crates in this interface
//!
//! Times are [`jiff::Timestamp`], networks [`ipnet::IpNet`], and unknown fields of the
//! state [`serde_json::Value`]; with `http` and `tower`, requests and responses are those of `http`,
//! and bodies those of `bytes`. These crates are re-exported here. A new major version of one of
//! them is a new major version of this crate; so is one of actix-web with `actix`.
//!
//! # Further reading
//!
//! The repository has guides: `docs/library.md` for Rust servers, `docs/state-file.md`
//! for the file, `docs/rules.md` for who gets through, `docs/page.md` for what visitors
//! see, and `docs/reliability.md` for what is promised and how it was tested.
#![cfg_attr(docsrs, feature(doc_cfg))]
// An app's own streams are not ours; `sys::say` reports what nobody else is told.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro))]

mod access;
#[cfg(feature = "actix")]
pub mod actix;
mod actor;
mod agent;
mod digest;
mod doctor;
#[cfg(any(feature = "actix", feature = "tower"))]
mod drain;
mod error;
pub mod flags;
#[doc(hidden)]
pub mod fleet;
mod format;
#[cfg(any(test, fuzzing))]
#[path = "../tests/proof/fuzzed/mod.rs"]
pub mod fuzzed;
pub mod gate;
#[cfg(feature = "http")]
mod http_types;
#[cfg_attr(not(unix), path = "no_identity.rs")]
mod identity;
#[doc(hidden)]
pub mod internal;
#[cfg(feature = "fleet")]
mod live;
mod load;
pub mod page;
mod replace;
pub mod request;
pub mod rules;
#[cfg(test)]
#[path = "../tests/common/say.rs"]
mod say;
#[cfg(feature = "serve")]
mod serve;
mod shell;
pub mod site;
pub mod state;
pub mod store;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
#[cfg(feature = "tower")]
pub mod tower;
mod visible;
mod watch;
mod zone;

pub use actor::{Actor, Holder};
pub use error::{Error, ErrorKind, Result, SiteProblem};
pub use gate::Gate;
#[cfg(feature = "http")]
pub use http_types::HttpRequest;
pub use site::Site;
pub use state::{State, Window};
pub use watch::Watch;

// The crates whose types this interface shows, in the versions that it takes.
#[cfg(feature = "http")]
pub use ::{bytes, http};
pub use ::{ipnet, jiff, serde_json};

/// The examples of the guide are compiled, and those that can, run.
#[cfg(all(doctest, feature = "actix", feature = "testing", feature = "tower"))]
#[doc = include_str!("../docs/library.md")]
struct LibraryGuide;
