//! The fleet: one truth for many hosts, in an engine with compare-and-set.
//!
//! The engine holds the document of a site. Whoever changes the site replaces the document, and
//! the agent of each host mirrors it into the site directory, so readers stay as they are. This
//! part knows engines and documents; `store` writes through it, and `agent` mirrors.

mod address;
mod choose;
mod document;
mod engine;
#[cfg(feature = "fleet")]
mod etcd;
mod file;
mod following;
mod host;
#[cfg(feature = "fleet")]
mod http;
#[cfg(feature = "fleet")]
mod redis;
#[cfg(feature = "fleet")]
mod relay;
mod secret;
#[cfg(feature = "fleet")]
pub(crate) mod tls;
#[cfg(feature = "fleet")]
mod wire;

pub use address::{Address, Scheme};
pub use choose::open;
pub use document::{Document, Fate, MAX_OPERATIONS, Odd, Operation, random};
pub use engine::{
    Cas, Concern, Engine, Failure, FailureKind, Outcome, Revision, Seen, Snapshot, Write,
};
#[cfg(test)]
pub(crate) use file::silence;
pub use following::{Following, following, is_following, noted};
pub use host::{HostReport, HostStanding, INTERVAL, KEEP, SILENT_AFTER};
pub use secret::Secret;
