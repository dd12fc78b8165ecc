//! The whole, with real agents and the real command: hosts, each with a site directory and a
//! process `maint agent`, on an engine that is killed, frozen, cut off.

mod cuts;
mod faults;
mod flags;
mod hosts;
mod lost;
mod network;
mod secrets;
mod story;
