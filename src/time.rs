//! Durations and times as people type them.

use jiff::civil;
use jiff::tz::{Disambiguation, TimeZone};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, ZonedDateTime};

use crate::error::{Error, Result};
use crate::zone::Zone;

/// The longest duration accepted, so that adding it to any time stays in range.
const MAX_DURATION: SignedDuration = SignedDuration::from_hours(24 * 366 * 10);

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

/// Reads a duration such as `90s`, `30m`, `1h30m`, `2d` or `PT30M`.
///
/// A day is 24 hours. Months and years are refused, since their length depends
/// on a date.
///
/// # Errors
///
/// [`Error::Invalid`] for anything else, for zero or less, and for more than ten years.
pub fn parse_duration(text: &str) -> Result<SignedDuration> {
    let bad = |why: &str| {
        Error::invalid_with(
            format!("`{text}` is not a duration: {why}"),
            "write it like `90s`, `30m`, `1h30m` or `2d`",
        )
    };
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()) {
        return Err(bad("the unit is missing"));
    }
    let span: Span = text.trim().parse().map_err(|_| bad("it cannot be read"))?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| bad("months and years differ in length"))?;
    if !duration.is_positive() {
        return Err(bad("it must be longer than zero"));
    }
    if duration > MAX_DURATION {
        return Err(bad("it is longer than ten years"));
    }
    Ok(duration)
}

/// Reads a point in time: RFC 3339 (`2026-11-22T03:00:00Z`), RFC 9557
/// (`2026-11-22T03:00[Europe/Paris]`), a local `2026-11-22 03:00`, or a local
/// `03:00`, which is the next one after `now`.
///
/// # Errors
///
/// [`Error::Invalid`] if it cannot be read; and for a local time, if `zone` is unknown,
/// or skips or repeats it (daylight saving): guessing would be off by hours.
pub fn parse_time(text: &str, now: Timestamp, zone: &Zone) -> Result<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if text.contains('[') {
        return text.parse::<ZonedDateTime>().map(|zoned| zoned.timestamp()).map_err(|cause| {
            Error::invalid_with(
                format!("`{text}` is not a time: {cause}"),
                "write it with an offset, like `2026-11-22T03:00:00+01:00`",
            )
        });
    }
    // jiff ignores an offset without a date, and would return another moment than
    // the one that was meant.
    let clock = text.rsplit([' ', 'T', 't']).next().unwrap_or_default();
    if clock.contains(':') && clock.contains(['+', '-']) {
        return Err(Error::invalid_with(
            format!("`{text}` is not a time: an offset needs a date"),
            "write it like `2026-11-22T03:00:00+01:00`",
        ));
    }
    if let Ok(local) = text.parse::<civil::DateTime>() {
        // A bare date parses as midnight, which people would have to guess.
        if text.contains(':') {
            return resolve(text, local, zone.of_local(text)?);
        }
    } else if let Ok(time) = text.parse::<civil::Time>()
        && text.contains(':')
    {
        let zone = zone.of_local(text)?;
        let today = now.to_zoned_datetime(zone.clone()).date();
        let next = resolve(text, today.to_datetime(time), zone);
        return match next {
            Ok(next) if next <= now => {
                let tomorrow =
                    today.tomorrow().map_err(|_| Error::invalid("the calendar ends here"))?;
                resolve(text, tomorrow.to_datetime(time), zone)
            }
            other => other,
        };
    }
    Err(Error::invalid_with(
        format!("`{text}` is not a time"),
        "write it like `03:00`, `2026-11-22 03:00` or `2026-11-22T03:00:00Z`",
    ))
}

fn resolve(text: &str, local: civil::DateTime, zone: &TimeZone) -> Result<Timestamp> {
    let ambiguous = zone.to_ambiguous_zoned_datetime(local);
    let is_ambiguous = ambiguous.is_ambiguous();
    ambiguous.disambiguate(Disambiguation::Reject).map(|zoned| zoned.timestamp()).map_err(|_| {
        if is_ambiguous {
            Error::invalid_with(
                format!("`{text}` ({local}) is skipped or repeated when the clocks change"),
                "add the offset, like `2026-10-25T02:30+01:00`",
            )
        } else {
            Error::invalid(format!("`{text}` is out of range"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn paris() -> Zone {
        // POSIX rules, so that the test needs no time zone database.
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap().into()
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1800),
            ("1h30m", 5400),
            ("1h 30m", 5400),
            ("2d", 172_800),
            ("1w", 604_800),
            ("PT30M", 1800),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn durations_that_could_be_misread_are_refused() {
        for text in ["", "30", "0s", "-5m", "1mo", "1y", "soon", "30x", "9999999d", "1e9h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn requirement_27_no_text_makes_the_readers_panic(text in "\\PC*|[-0-9dhmsPT:+Z. ]{0,40}") {
            let _ = parse_duration(&text);
            let _ = parse_time(&text, at("2026-11-22T09:00:00Z"), &paris());
            let _ = parse_time(&text, Timestamp::MAX, &paris());
            let _ = parse_time(&text, Timestamp::MIN, &paris());
        }

        #[test]
        fn requirement_27_what_a_duration_prints_reads_back(seconds in 1i64..300_000_000) {
            let duration = SignedDuration::from_secs(seconds);
            proptest::prop_assert_eq!(parse_duration(&format!("{duration:#}")).unwrap(), duration);
        }
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let now = at("2026-11-22T09:00:00Z"); // 10:00 in Paris
        let time = |text| parse_time(text, now, &paris()).unwrap();
        assert_eq!(time("11:00"), at("2026-11-22T10:00:00Z"));
        assert_eq!(time("03:00"), at("2026-11-23T02:00:00Z"));
        assert_eq!(time("10:00"), at("2026-11-23T09:00:00Z"), "now itself is not next");
    }

    #[test]
    fn every_documented_form_is_read() {
        let now = at("2026-11-22T09:00:00Z");
        for text in [
            "2026-12-01T03:00:00Z",
            "2026-12-01T04:00:00+01:00",
            "2026-12-01 04:00",
            "2026-12-01T04:00",
        ] {
            assert_eq!(
                parse_time(text, now, &paris()).unwrap(),
                at("2026-12-01T03:00:00Z"),
                "{text}"
            );
        }
        for text in ["", "noon", "2026-12-01", "25:00", "2026-13-01 03:00", "2026-02-30 03:00"] {
            assert!(parse_time(text, now, &paris()).is_err(), "{text}");
        }
    }

    #[test]
    fn requirement_37_an_offset_is_obeyed_or_refused() {
        let now = at("2026-11-22T09:00:00Z");
        for text in ["03:00+02:00", "03:00-05:00", "T03:00+02", "0300-05:00", "03-05:00"] {
            let error = parse_time(text, now, &paris()).unwrap_err();
            assert!(error.to_string().contains("an offset needs a date"), "{error}");
        }
        // Too late to be a moment, and so not a local time either.
        assert!(parse_time("9999-12-30T21:59-02:00", now, &TimeZone::UTC.into()).is_err());
    }

    #[test]
    fn requirement_37_local_times_that_the_clock_change_skips_or_repeats_are_refused() {
        let now = at("2026-01-01T00:00:00Z");
        for text in ["2026-03-29 02:30", "2026-10-25 02:30"] {
            let error = parse_time(text, now, &paris()).unwrap_err();
            assert!(error.to_string().contains("clocks change"), "{error}");
        }
        let with_offset = parse_time("2026-10-25T02:30+01:00", now, &paris()).unwrap();
        assert_eq!(with_offset, at("2026-10-25T01:30:00Z"));
    }
}
