//! The tower layer as the world meets it: real servers, real connections, and
//! the real command that throws the switch.

mod client;
mod env;
mod probe;
mod running;
mod toggles;
