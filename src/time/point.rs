//! Points in time as people type them.

use jiff::civil::{self, Date, Time, Weekday};
use jiff::tz::{Disambiguation, TimeZone};
use jiff::{Timestamp, ZonedDateTime};

use super::duration::parse_duration;
use crate::error::{Error, Result};
use crate::zone::Zone;

/// Reads a point in time, as [`parse_time_after`] does where what it follows is now.
///
/// # Errors
///
/// As [`parse_time_after`].
pub fn parse_time(text: &str, now: Timestamp, zone: &Zone) -> Result<Timestamp> {
    parse_time_after(text, now, now, zone)
}

/// Reads a point in time that follows another, `from`, such as the end of what starts then.
///
/// - RFC 3339, `2026-11-22T03:00:00Z`, or RFC 9557, `2026-11-22T03:00[Europe/Paris]`
/// - a date and a time of day, `2026-11-22 03:00`
/// - a time of day alone, the next one after `from`: `03:00`, `3:00`, `noon`, `midnight`
/// - a day and a time of day: `today 23:00`, `tomorrow 3:00`, `sunday noon`; a weekday is one
///   of the six days after today
/// - a duration from now: `+10m`
///
/// Days count from `now`, and are those of `zone`. Words may be in any case, and weekdays may
/// have three letters.
///
/// # Errors
///
/// [`Error::Invalid`] if it cannot be read, and where guessing would be off by hours or days:
/// if `zone` is unknown, or skips or repeats a local time (daylight saving); for the weekday
/// that is today, for the midnight of a day, which it may begin or end with, for a time of
/// today that has passed, and for a duration where `from` is not now.
pub fn parse_time_after(
    text: &str,
    now: Timestamp,
    from: Timestamp,
    zone: &Zone,
) -> Result<Timestamp> {
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
    if let Some(duration) = text.strip_prefix('+') {
        return after(text, duration, now, from);
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
    }
    let spoken = Spoken::read(text)?;
    let zone = zone.of_local(text)?;
    spoken.resolve(text, now, from, zone)
}

/// A time so long after now.
fn after(text: &str, duration: &str, now: Timestamp, from: Timestamp) -> Result<Timestamp> {
    // A duration may have a sign of its own.
    if duration.trim_start().starts_with(['+', '-']) {
        return Err(unreadable(text, text));
    }
    let duration = parse_duration(duration)?;
    if from != now {
        return Err(Error::invalid_with(
            format!("`{text}` could count from now or from the start"),
            "write the time itself, or how long it lasts",
        ));
    }
    now.checked_add(duration)
        .map_err(|_| Error::invalid(format!("`{text}` is after the year 9999")))
}

/// A local time in the words of people.
struct Spoken {
    day: Day,
    time: Time,
}

/// The day of a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Day {
    /// The first that fits.
    Next,
    Today,
    Tomorrow,
    Weekday(Weekday),
    Date(Date),
}

/// The time of day in words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    At(Time),
    Midnight,
}

impl Spoken {
    fn read(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        let words: Vec<&str> = lower.split_ascii_whitespace().collect();
        let (day, clock) = match words[..] {
            [word] => match (read_clock(word), read_day(word)) {
                (Some(clock), _) => (Day::Next, clock),
                (None, Some(_)) => return Err(no_clock(text, &lower)),
                (None, None) => return Err(unreadable(text, word)),
            },
            [day, clock] => match (read_day(day), read_clock(clock)) {
                (Some(day), Some(clock)) => (day, clock),
                (_, None) if read_day(day).is_some() => return Err(unreadable(text, clock)),
                _ => return Err(unreadable(text, text)),
            },
            _ => return Err(unreadable(text, text)),
        };
        match clock {
            Clock::At(time) => Ok(Self { day, time }),
            Clock::Midnight if day == Day::Next => Ok(Self { day, time: Time::midnight() }),
            // It is between two days.
            Clock::Midnight => Err(Error::invalid_with(
                format!("`{text}` could be the midnight that the day begins or ends with"),
                "write `00:00`, which a day begins with, and the day that is meant",
            )),
        }
    }

    /// The time of day as people write it.
    fn clock(&self) -> String {
        let text = self.time.to_string();
        text.strip_suffix(":00").filter(|short| short.len() == 5).unwrap_or(&text).to_owned()
    }

    fn resolve(
        &self,
        text: &str,
        now: Timestamp,
        from: Timestamp,
        zone: &TimeZone,
    ) -> Result<Timestamp> {
        let date_of = |time: Timestamp| time.to_zoned_datetime(zone.clone()).date();
        let on = |date: Date| resolve(text, date.to_datetime(self.time), zone);
        let today = date_of(now);
        match self.day {
            Day::Next => {
                let first = date_of(from);
                // A time that the clocks repeat has passed once the later one has.
                let last = zone.to_ambiguous_zoned_datetime(first.to_datetime(self.time)).later();
                match last {
                    Ok(last) if last.timestamp() <= from => on(tomorrow(first)?),
                    _ => on(first),
                }
            }
            Day::Today => {
                let time = on(today)?;
                if time <= now {
                    return Err(Error::invalid_with(
                        format!("`{text}` has passed"),
                        format!("write `tomorrow {}` if that is meant", self.clock()),
                    ));
                }
                Ok(time)
            }
            Day::Tomorrow => on(tomorrow(today)?),
            Day::Weekday(weekday) if weekday == today.weekday() => {
                let clock = self.clock();
                let next = today.checked_add(jiff::Span::new().weeks(1));
                let next = next.map_err(|_| calendar_ends())?;
                let has_passed = on(today).is_ok_and(|time| time <= now);
                let today = if has_passed { String::new() } else { format!("`today {clock}` or ") };
                Err(Error::invalid_with(
                    format!("`{text}` could be today or in a week"),
                    format!("write {today}`{next} {clock}`"),
                ))
            }
            Day::Weekday(weekday) => {
                let days = today.weekday().until(weekday);
                let date = today.checked_add(jiff::Span::new().days(days));
                on(date.map_err(|_| calendar_ends())?)
            }
            Day::Date(date) => on(date),
        }
    }
}

fn tomorrow(date: Date) -> Result<Date> {
    date.tomorrow().map_err(|_| calendar_ends())
}

fn calendar_ends() -> Error {
    Error::invalid("the calendar ends here")
}

/// Reads a time of day; the hour may have one digit.
fn read_clock(word: &str) -> Option<Clock> {
    match word {
        "noon" => return Some(Clock::At(civil::time(12, 0, 0, 0))),
        "midnight" => return Some(Clock::Midnight),
        _ => {}
    }
    let (hour, rest) = word.split_once(':')?;
    let is_hour = matches!(hour.len(), 1 | 2) && hour.bytes().all(|byte| byte.is_ascii_digit());
    let minutes = rest.split(':').next().unwrap_or_default();
    if !is_hour || minutes.len() != 2 {
        return None;
    }
    format!("{hour:0>2}:{rest}").parse().ok().map(Clock::At)
}

/// Reads a day: a word for one, or a date.
fn read_day(word: &str) -> Option<Day> {
    const WEEKDAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    match word {
        "today" => return Some(Day::Today),
        "tomorrow" => return Some(Day::Tomorrow),
        _ => {}
    }
    let is_it = |name: &str| word == name || word == &name[..3];
    if let Some((_, weekday)) = WEEKDAYS.into_iter().find(|(name, _)| is_it(name)) {
        return Some(Day::Weekday(weekday));
    }
    // Only as it is written in a whole time: jiff reads `20261122` as well.
    let is_date = word.len() == 10 && word.as_bytes()[4] == b'-';
    word.parse().ok().filter(|_| is_date).map(Day::Date)
}

fn no_clock(text: &str, lower: &str) -> Error {
    Error::invalid_with(
        format!("`{text}` is a day without a time of day"),
        format!("write it like `{lower} 03:00`"),
    )
}

/// Nothing can be made of a word in a text.
fn unreadable(text: &str, word: &str) -> Error {
    let is_number = (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return Error::invalid_with(
            format!("`{text}` could be a time of day or a duration"),
            format!("write it like `{word}:00` or `+{word}m`"),
        );
    }
    Error::invalid_with(
        format!("`{text}` is not a time"),
        "write it like `03:00`, `tomorrow 03:00`, `+10m`, `2026-11-22 03:00` or `2026-11-22T03:00:00Z`",
    )
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
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn paris() -> Zone {
        // POSIX rules, so that the test needs no time zone database.
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap().into()
    }

    /// A Sunday, 10:00 in Paris.
    fn sunday() -> Timestamp {
        at("2026-11-22T09:00:00Z")
    }

    fn refusal(text: &str, now: Timestamp) -> String {
        parse_time(text, now, &paris()).unwrap_err().to_string()
    }

    /// Texts that are near to what is read.
    fn near() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC*",
            "[-0-9dhmsPT:+Z. ]{0,40}",
            "((today|tomorrow|sunday|mon|noon|midnight|3:00|03:00|12|2026-10-25|\\+|10m|\\PC) ?){1,4}",
        ]
    }

    proptest! {
        #[test]
        fn requirement_27_no_text_makes_the_reader_panic(text in near()) {
            let _ = parse_duration(&text);
            for now in [sunday(), Timestamp::MAX, Timestamp::MIN] {
                let _ = parse_time(&text, now, &paris());
                let _ = parse_time_after(&text, now, sunday(), &paris());
            }
        }

        #[test]
        fn a_time_in_words_is_the_one_that_its_words_say(
            now in 1_700_000_000_i64..1_900_000_000, hour in 0_i8..24, minute in 0_i8..60, word in 0_usize..10,
        ) {
            const WORDS: [&str; 10] = [
                "", "today", "tomorrow", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
            ];
            let now = Timestamp::from_second(now).unwrap();
            let text = format!("{} {hour}:{minute:02}", WORDS[word]);
            let zone = paris();
            let local = |time: Timestamp| time.to_zoned_datetime(zone.shown().clone()).datetime();
            let today = local(now).date();
            let clock = civil::time(hour, minute, 0, 0);
            match parse_time(&text, now, &zone) {
                Ok(time) => {
                    prop_assert!(time > now);
                    prop_assert_eq!(local(time).time(), clock);
                    let days = today.until(local(time).date()).unwrap().get_days();
                    match word {
                        0 => prop_assert_eq!(days, i32::from(clock <= local(now).time())),
                        1 => prop_assert_eq!(days, 0),
                        2 => prop_assert_eq!(days, 1),
                        _ => {
                            prop_assert!((1..7).contains(&days));
                            let number = local(time).weekday().to_monday_one_offset();
                            prop_assert_eq!(usize::from(number.unsigned_abs()), word - 2);
                        }
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    let is_today = word > 2 && usize::from(today.weekday().to_monday_one_offset().unsigned_abs()) == word - 2;
                    prop_assert!(
                        error.contains("clocks change")
                            || (word == 1 && error.contains("has passed"))
                            || (is_today && error.contains("in a week")),
                        "{}", error
                    );
                }
            }
        }

        #[test]
        fn a_duration_from_now_is_added(seconds in 1_i64..300_000_000) {
            let duration = SignedDuration::from_secs(seconds);
            let time = parse_time(&format!("+{duration:#}"), sunday(), &paris()).unwrap();
            prop_assert_eq!(time, sunday() + duration);
        }
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let time = |text| parse_time(text, sunday(), &paris()).unwrap();
        assert_eq!(time("11:00"), at("2026-11-22T10:00:00Z"));
        assert_eq!(time("03:00"), at("2026-11-23T02:00:00Z"));
        assert_eq!(time("10:00"), at("2026-11-23T09:00:00Z"), "now itself is not next");
        assert_eq!(time("3:00"), time("03:00"));
        assert_eq!(time("noon"), at("2026-11-22T11:00:00Z"));
        assert_eq!(time("midnight"), at("2026-11-22T23:00:00Z"));
        assert_eq!(time("3:00:30"), at("2026-11-23T02:00:30Z"));
    }

    #[test]
    fn every_documented_form_is_read() {
        for text in [
            "2026-12-01T03:00:00Z",
            "2026-12-01T04:00:00+01:00",
            "2026-12-01 04:00",
            "2026-12-01 4:00",
            "2026-12-01T04:00",
        ] {
            let time = parse_time(text, sunday(), &paris()).unwrap();
            assert_eq!(time, at("2026-12-01T03:00:00Z"), "{text}");
        }
        for (text, expected) in [
            ("today 23:30", "2026-11-22T22:30:00Z"),
            ("tomorrow 03:00", "2026-11-23T02:00:00Z"),
            ("Tomorrow   Noon", "2026-11-23T11:00:00Z"),
            ("monday 3:00", "2026-11-23T02:00:00Z"),
            ("sat 03:00", "2026-11-28T02:00:00Z"),
            ("2026-12-01 noon", "2026-12-01T11:00:00Z"),
            ("+10m", "2026-11-22T09:10:00Z"),
            ("+1h 30m", "2026-11-22T10:30:00Z"),
        ] {
            assert_eq!(parse_time(text, sunday(), &paris()).unwrap(), at(expected), "{text}");
        }
        for text in [
            "",
            "2026-12-01",
            "25:00",
            "2026-13-01 03:00",
            "2026-02-30 03:00",
            "3:0",
            "003:00",
            "3:000",
            "next sunday 03:00",
            "03:00 tomorrow",
            "3pm",
            "yesterday 03:00",
            "+",
            "+-5m",
            "++5m",
        ] {
            assert!(parse_time(text, sunday(), &paris()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_people_could_mean_in_two_ways_is_refused() {
        for (text, why) in [
            ("12", "a time of day or a duration"),
            ("3", "a time of day or a duration"),
            ("tomorrow 3", "a time of day or a duration"),
            ("sunday 23:00", "today or in a week"),
            ("sunday 03:00", "today or in a week"),
            ("today 03:00", "has passed"),
            ("tomorrow", "a day without a time of day"),
            ("sunday", "a day without a time of day"),
            ("tomorrow midnight", "begins or ends with"),
            ("2026-12-01 midnight", "begins or ends with"),
        ] {
            assert!(refusal(text, sunday()).contains(why), "{text}: {}", refusal(text, sunday()));
        }
    }

    #[test]
    fn what_follows_a_start_is_read_from_there_and_days_are_those_of_now() {
        let start = at("2026-11-24T22:00:00Z"); // Tuesday, 23:00 in Paris
        let time = |text| parse_time_after(text, sunday(), start, &paris());
        assert_eq!(time("01:00").unwrap(), at("2026-11-25T00:00:00Z"));
        assert_eq!(time("tuesday 23:30").unwrap(), at("2026-11-24T22:30:00Z"));
        assert_eq!(time("tomorrow 23:30").unwrap(), at("2026-11-23T22:30:00Z"));
        let refused = time("+10m").unwrap_err().to_string();
        assert!(refused.contains("from now or from the start"), "{refused}");
    }

    #[test]
    fn requirement_37_an_offset_is_obeyed_or_refused() {
        for text in ["03:00+02:00", "03:00-05:00", "T03:00+02"] {
            let error = refusal(text, sunday());
            assert!(error.contains("an offset needs a date"), "{error}");
        }
        for text in ["0300-05:00", "03-05:00", "tomorrow 03:00+02:00", "tomorrow 03:00Z"] {
            assert!(parse_time(text, sunday(), &paris()).is_err(), "{text}");
        }
        // Too late to be a moment, and so not a local time either.
        assert!(parse_time("9999-12-30T21:59-02:00", sunday(), &TimeZone::UTC.into()).is_err());
    }

    #[test]
    fn requirement_37_local_times_that_the_clock_change_skips_or_repeats_are_refused() {
        for (text, now) in [
            ("2026-03-29 02:30", "2026-01-01T00:00:00Z"),
            ("2026-10-25 02:30", "2026-01-01T00:00:00Z"),
            ("2:30", "2026-03-28T23:30:00Z"),
            ("tomorrow 2:30", "2026-10-24T09:00:00Z"),
            ("sunday 2:30", "2026-10-23T09:00:00Z"),
        ] {
            let error = refusal(text, at(now));
            assert!(error.contains("clocks change"), "{text}: {error}");
        }
        let now = at("2026-01-01T00:00:00Z");
        let with_offset = parse_time("2026-10-25T02:30+01:00", now, &paris()).unwrap();
        assert_eq!(with_offset, at("2026-10-25T01:30:00Z"));
    }

    #[test]
    fn a_time_that_the_clocks_skip_or_repeat_today_is_tomorrows_once_it_has_passed() {
        for (now, expected) in [
            ("2026-03-29T08:00:00Z", Some("2026-03-30T00:30:00Z")),
            ("2026-10-25T00:45:00Z", None), // 02:45, and 02:30 comes again
            ("2026-10-25T01:30:00Z", Some("2026-10-26T01:30:00Z")),
            ("2026-10-25T08:00:00Z", Some("2026-10-26T01:30:00Z")),
        ] {
            assert_eq!(parse_time("2:30", at(now), &paris()).ok(), expected.map(at), "{now}");
        }
    }

    #[test]
    fn a_midnight_that_the_clocks_skip_is_refused() {
        // Beirut's clocks go from 00:00 to 01:00 on the last Sunday of March.
        let beirut = TimeZone::posix("EET-2EEST,M3.5.0/0,M10.5.0/0").unwrap().into();
        let error = parse_time("midnight", at("2026-03-28T12:00:00Z"), &beirut).unwrap_err();
        assert!(error.to_string().contains("clocks change"), "{error}");
    }
}
