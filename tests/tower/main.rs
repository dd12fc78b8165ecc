//! The tower layer as the world meets it: real servers, real connections, and
//! the real command that throws the switch.

mod bodies;
mod client;
mod cors;
mod env;
mod golden;
mod probe;
mod retry;
mod running;
mod toggles;
