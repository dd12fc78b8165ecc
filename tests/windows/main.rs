//! The command as it runs on Windows: `maint.exe` under Wine.
//!
//! `make windows` builds it and calls these tests, which run on Linux. Without the command in
//! `MAINT_WINDOWS_COMMAND`, or without Wine, each prints `SKIPPED`. Wine keeps to the rules of
//! Windows for names, locks and open files, and leaves the disk to Linux: what a power cut or
//! NTFS does, nobody sees here.

#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "tests write files as others do")]

mod holders;
mod kills;
#[path = "../common/meanwhile.rs"]
mod meanwhile;
#[path = "../common/numbers.rs"]
mod numbers;
#[path = "../common/say.rs"]
mod say;
mod site;
mod verbs;
mod wine;
mod writers;
