//! The endpoint: the gate behind HTTP, for proxies that ask about each request.
//!
//! `docs/endpoint.md` has the contract. An [`Endpoint`] answers questions; a [`Server`] brings
//! them there, within bounds.

mod address;
mod agent_check;
mod bounds;
mod endpoint;
mod listen;
mod metrics;
mod question;
mod ready;
mod seen;
mod server;
mod sites;
#[cfg(unix)]
mod socket;
mod status;
mod told;
mod users;

pub use address::{Access, Address};
pub use agent_check::AgentCheck;
pub use bounds::Limits;
pub use endpoint::Endpoint;
pub use listen::Listener;
pub use server::Server;
pub use users::Users;
