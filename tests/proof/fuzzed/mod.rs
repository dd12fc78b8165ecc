//! Fuzzing: what must hold for any bytes, a file for each target (requirement 27).
//!
//! `make fuzz` has `cargo fuzz` look for bytes that break it, in `fuzz/`; the tests in
//! `replay` try the kept ones again. Both build this into the library, since the two
//! readers of a state are private to it.

pub mod cookie;
pub mod forwarded;
pub mod path;
#[cfg(test)]
mod replay;
pub mod shapes;
pub mod state;
pub mod template;
pub mod time;

/// The first line, and everything after it: an input of several parts stays readable.
fn first_line(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|&byte| byte == b'\n');
    end.map_or((data, &[]), |end| (&data[..end], &data[end + 1..]))
}
