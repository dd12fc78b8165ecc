//! `tests/proof/fuzzed/time.rs` states what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| maint::fuzzed::time::check(data));
