//! The endpoint: the gate behind HTTP, for proxies that ask about each request.
//!
//! `docs/endpoint.md` has the contract. An [`Endpoint`] answers questions; a [`Server`] brings
//! them there, within bounds.

mod address;
mod bounds;
mod endpoint;
mod listen;
mod question;
mod server;
#[cfg(unix)]
mod socket;
mod told;
mod users;

pub use address::{Access, Address};
pub use bounds::Limits;
pub use endpoint::Endpoint;
pub use listen::Listener;
pub use server::Server;
pub use users::Users;
