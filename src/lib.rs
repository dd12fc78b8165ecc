//! One switch that takes a web app into maintenance and brings it back.
//!
//! ```text
//! write   maint on … → store::update → state file
//! read    state file → snapshot → gate → page → tower, Python, your server
//! ```
//!
//! This version holds the writing side: the [site] directory, its
//! [state], and the [store], which is the only writer. Of the reading side it
//! holds the decision, [`gate::Plan`]; the page and the layers for servers are
//! still to come. The `maint` command is the binary of this package.
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
pub mod actor;
pub mod bypass;
mod custody;
mod digest;
pub mod doctor;
pub mod error;
pub mod gate;
pub mod history;
pub mod load;
pub mod lock;
pub mod page;
mod replace;
pub mod request;
pub mod rules;
pub mod shell;
pub mod site;
mod snapshot;
pub mod state;
pub mod store;
mod sys;
pub mod time;
#[cfg(feature = "tower")]
pub mod tower;
pub mod watch;
pub mod window;

pub use actor::Actor;
pub use error::{Error, Result};
pub use gate::Gate;
pub use site::Site;
pub use state::State;
pub use window::Window;
