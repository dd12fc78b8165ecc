//! The endpoint: the gate behind HTTP, for proxies that ask about each request.
//!
//! `docs/endpoint.md` has the contract. An [`Endpoint`] answers questions; a [`Server`] brings
//! them there, within bounds.

mod agent_check;
mod endpoint;
mod listen;
mod metrics;
mod question;
mod ready;
mod seen;
mod server;
mod sites;
mod status;
mod told;
mod users;

pub use agent_check::AgentCheck;
pub use endpoint::Endpoint;
pub use listen::{Address, Listener};
pub use server::{Limits, Server};
pub use users::Users;
