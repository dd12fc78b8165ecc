//! Durations and times as people type them: first the text, then the current time.

use std::sync::LazyLock;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::first_line;
use crate::time::{parse_duration, parse_time};
use crate::zone::Zone;

/// POSIX rules, so that the test needs no time zone database.
static ZONES: LazyLock<[Zone; 3]> = LazyLock::new(|| {
    let zone = |rules| TimeZone::posix(rules).unwrap();
    [TimeZone::UTC, zone("CET-1CEST,M3.5.0,M10.5.0/3"), zone("LHST-10:30LHDT-11,M10.1.0,M4.1.0")]
        .map(Zone::from)
});

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The furthest that two of these zones are apart.
const APART: SignedDuration = SignedDuration::from_hours(11);

/// A duration is positive, bounded, and reads back as it prints; a time of day is
/// the next one; and a text means one moment, give or take the time zone.
///
/// # Panics
///
/// If that does not hold.
pub fn check(data: &[u8]) {
    let (text, now) = first_line(data);
    let (Ok(text), Ok(now)) = (str::from_utf8(text), str::from_utf8(now)) else { return };
    if let Ok(duration) = parse_duration(text) {
        assert!(duration.is_positive() && duration <= DAY * 3660, "{duration}");
        assert_eq!(parse_duration(&format!("{duration:#}")).ok(), Some(duration));
    }
    let now = now.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let times = ZONES.each_ref().map(|zone| parse_time(text, now, zone).ok());
    for time in times.into_iter().flatten() {
        assert_eq!(parse_time(&time.to_string(), now, &ZONES[1]).ok(), Some(time));
        // A date has its first colon later, however it is written.
        let is_time_of_day = text.trim().find(':').is_some_and(|place| place < 4);
        if is_time_of_day {
            let ahead = time.duration_since(now);
            assert!(ahead.is_positive() && ahead <= DAY + SignedDuration::from_hours(1), "{ahead}");
        }
        let apart = times.iter().flatten().map(|other| time.duration_since(*other).abs());
        // A word counts from today, which is another day elsewhere.
        let has_word = text.contains(|c: char| c.is_ascii_alphabetic());
        let most = if is_time_of_day || has_word { APART + DAY } else { APART };
        assert!(apart.max().is_none_or(|apart| apart <= most), "{times:?}");
    }
    if text.trim().parse::<Timestamp>().is_ok() {
        assert!(times.iter().all(|time| time.is_some() && *time == times[0]), "{times:?}");
    }
}
