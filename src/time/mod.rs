//! Durations and times as people type them.

mod duration;
mod point;

use jiff::Timestamp;

pub use duration::parse_duration;
pub use point::{parse_time, parse_time_after};

/// Returns the time of the system clock in whole milliseconds, which spares files
/// and people nine digits.
#[must_use]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// Whether an end has come. Intervals are half-open: at the end itself it has. An
/// absent end never comes.
#[must_use]
pub fn has_come(end: Option<Timestamp>, now: Timestamp) -> bool {
    end.is_some_and(|end| end <= now)
}
