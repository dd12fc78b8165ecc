//! `tests/proof/fuzzed/forwarded.rs` states what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| maint::fuzzed::forwarded::check(data));
