//! The endpoint: the gate behind HTTP, for proxies that ask about each request.
//!
//! `docs/endpoint.md` has the contract. An [`Endpoint`] answers questions; a [`Server`] brings
//! them there, within bounds.

mod endpoint;
mod listen;
mod question;
mod server;
mod told;
mod users;

pub use endpoint::Endpoint;
pub use listen::{Address, Listener};
pub use server::{Limits, Server};
pub use users::Users;
