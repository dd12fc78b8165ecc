//! What the gate promises to those who ask it about requests: it sees every change,
//! changes nothing, and answers whatever happens to the files.
//!
//! Tests that need root, strace(1), cc(1) or a mount namespace print a `SKIPPED` line
//! when they cannot run. None of them depends on how long things take.
#![cfg(target_os = "linux")]

mod bypass;
#[path = "../../common/can.rs"]
mod can;
mod changes;
mod clock;
mod edits;
mod env;
mod failures;
mod fork;
mod golden;
mod links;
mod payloads;
mod places;
mod quiet;
mod released;
mod roles;
#[path = "../../common/say.rs"]
mod say;
mod stress;
mod templates;
mod terminal;
