//! One switch that takes a web app into maintenance and brings it back.
//!
//! ```text
//! write   maint on … → store::update → state file
//! read    state file → snapshot → gate → page → tower, Python, your server
//! ```
//!
//! The writing side is the [site] directory, its [state], and the [store], which
//! is the only writer. The reading side is the [gate], which answers a request
//! with a pass or with a finished [page]; with the feature `tower` there is a
//! layer around it. `docs/library.md` shows both in a server. The `maint`
//! command is the binary of this package.
//!
//! ```
//! use maint::{Site, State, store};
//! use maint::state::WindowSettings;
//!
//! # let temp = tempfile::tempdir()?;
//! # let path = temp.path();
//! let site = Site::at(path);
//! let options = store::Options::new("deploy");
//! let settings = WindowSettings { reason: Some("Back at noon".into()), ..Default::default() };
//! store::update(&site, &options, |state, now| {
//!     state.open_window("deploy-42", &settings, now, &options.actor)
//! })?;
//! let state: State = maint::load::read(&site.state_file())?;
//! assert!(state.is_down(jiff::Timestamp::now()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod actor;
mod digest;
mod doctor;
mod error;
#[cfg(any(test, fuzzing))]
#[path = "../tests/proof/fuzzed/mod.rs"]
pub mod fuzzed;
pub mod gate;
#[doc(hidden)]
pub mod internal;
mod load;
pub mod page;
pub mod request;
pub mod rules;
#[cfg(test)]
#[path = "../tests/common/say.rs"]
mod say;
mod shell;
pub mod site;
pub mod state;
pub mod store;
mod sys;
mod time;
#[cfg(feature = "tower")]
pub mod tower;
mod watch;

pub use actor::{Actor, Holder};
pub use error::{Error, ErrorKind, Result, SiteProblem};
pub use gate::Gate;
pub use site::Site;
pub use state::{State, Window};

/// The examples of the guide are compiled, and those that can, run.
#[cfg(all(doctest, feature = "tower"))]
#[doc = include_str!("../docs/library.md")]
struct LibraryGuide;
