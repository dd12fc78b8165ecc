//! The only writer: lock → read → change → replace → history.
//!
//! A change is a function from state to state. It runs under the lock and may run
//! again on a newer state, so it does nothing but change the state it is given.

pub(crate) mod agent;
mod asking;
mod beside;
pub(crate) mod claim;
mod create;
mod current;
mod custody;
mod flags;
mod guard;
pub(crate) mod history;
mod join;
mod local;
mod lock;
mod mirror;
mod options;
mod peek;
mod rebuild;
mod remote;
mod restore;
mod route;
mod templates;
mod transaction;
mod trial;
mod update;
mod visit;

pub use create::create;
pub(crate) use flags::mend_flags;
pub use flags::{add_flag, remove_flag, sync_flags};
pub use join::{Joined, Origin, Winner, import, join, leave, texts};
pub use local::local_name;
pub use lock::{OnWait, PATIENCE};
pub use mirror::{Mirrored, mirror};
pub use options::{Applied, OnRetry, Options, Purpose};

pub use crate::actor::Stamp;
pub use peek::{Hosts, Peek, hosts, peek, refresh};
pub use restore::{Restored, preview_restore, restore};
pub use templates::{add_template, put_template, remove_template};
pub(crate) use transaction::leftovers;
pub use update::{preview, update};
pub use visit::Visit;
