//! What the gate promises to whoever asks it about requests: that it sees every
//! change, changes nothing, and answers whatever becomes of the files.
//!
//! Tests that need root, strace(1), cc(1) or a mount namespace say so on standard
//! error when they cannot run. None of them decides anything by how long things take.
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
mod roles;
#[path = "../../common/say.rs"]
mod say;
mod stress;
mod templates;
mod terminal;
