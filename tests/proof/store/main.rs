//! What the store promises when things go wrong: kills, full disks, broken
//! system calls, many writers, strange files and foreign users.
//!
//! Tests that need root, strace(1) or a mount namespace say so on standard error
//! when they cannot run. None of them decides anything by how long things take.
#![cfg(target_os = "linux")]

#[path = "../../common/can.rs"]
mod can;
mod crash;
mod deleted;
mod env;
mod faults;
mod full;
mod interrupted;
mod linear;
mod lock;
mod mounts;
mod ownership;
mod power;
#[path = "../../common/say.rs"]
mod say;
mod sequence;
mod storm;
mod targets;
mod trace;
mod unchanged;
mod writers;
