//! Durations as people type them.

use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::error::{Error, Result};

/// The longest duration accepted, so that adding it to any time stays in range.
const MAX_DURATION: SignedDuration = SignedDuration::from_hours(24 * 366 * 10);

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
    // jiff reads `12:00:00` as twelve hours.
    if text.contains(':') {
        return Err(bad("it could be a time of day"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_duration_is_ten_years() {
        let longest = MAX_DURATION.as_secs();
        assert_eq!(parse_duration(&format!("{longest}s")).unwrap(), MAX_DURATION);
        let error = parse_duration(&format!("{}s", longest + 1)).unwrap_err();
        assert!(error.to_string().contains("ten years"), "{error}");
    }

    #[test]
    fn an_empty_duration_lacks_more_than_its_unit() {
        let error = parse_duration("").unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
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
        for text in [
            "",
            "30",
            "0s",
            "-5m",
            "1mo",
            "1y",
            "soon",
            "30x",
            "9999999d",
            "1e9h",
            "3:00",
            "12:00:00",
            "1d, 12:00:00",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn requirement_27_what_a_duration_prints_reads_back(seconds in 1i64..300_000_000) {
            let duration = SignedDuration::from_secs(seconds);
            proptest::prop_assert_eq!(parse_duration(&format!("{duration:#}")).unwrap(), duration);
        }
    }
}
