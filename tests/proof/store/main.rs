//! What the store promises when things go wrong: kills, full disks, broken
//! system calls, many writers, strange files and foreign users.
//!
//! Tests that need root, strace(1) or a mount namespace print a `SKIPPED` line when
//! they cannot run. None of them depends on how long things take.
#![cfg(target_os = "linux")]

mod attached;
#[path = "../../common/can.rs"]
mod can;
mod caps;
mod changes;
mod crash;
mod cuts;
mod deleted;
mod disk;
mod env;
mod faults;
mod flags;
mod full;
mod interrupted;
mod kinds;
mod linear;
mod lock;
mod lockers;
#[path = "../../common/meanwhile.rs"]
mod meanwhile;
mod mounts;
mod oracle;
mod order;
mod overtaken;
mod ownership;
mod planted;
mod power;
mod root;
mod rotation;
#[path = "../../common/say.rs"]
mod say;
mod sequence;
mod storm;
mod sweep;
mod targets;
mod trace;
mod unchanged;
mod verbs;
mod writers;
