//! The clock, and times as people read them.

use std::cell::OnceCell;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maint::internal::time::Zone;

use crate::text::duration;

/// The clock and the time zone in which times are shown.
pub(crate) struct Clock {
    fixed: Option<Timestamp>,
    /// Found when it is first needed.
    zone: OnceCell<Zone>,
}

impl Clock {
    pub(crate) fn new(fixed: Option<Timestamp>) -> Self {
        Self { fixed, zone: OnceCell::new() }
    }

    /// The time in tests, if it is fixed.
    pub(crate) fn fixed(&self) -> Option<Timestamp> {
        self.fixed
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.fixed.unwrap_or_else(maint::internal::time::now)
    }

    /// The zone in which local times are read.
    pub(crate) fn zone(&self) -> &Zone {
        self.zone.get_or_init(Zone::of_system)
    }

    fn shown(&self) -> TimeZone {
        self.zone().shown().clone()
    }

    /// `03:45 UTC`, with the date unless it is today, and seconds unless they are zero.
    pub(crate) fn time(&self, time: Timestamp) -> String {
        let local = time.to_zoned_datetime(self.shown());
        let today = self.now().to_zoned_datetime(self.shown()).date();
        let date = if local.date() == today { "" } else { "%Y-%m-%d " };
        let clock = if local.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
        local.strftime(&format!("{date}{clock} %Z")).to_string()
    }

    /// `03:45 UTC (in 29 min)` or `03:02 UTC (14 min ago)`.
    pub(crate) fn relative(&self, time: Timestamp) -> String {
        let distance = time.duration_since(self.now());
        let text = duration(distance.abs());
        if distance.as_secs() == 0 {
            format!("{} (now)", self.time(time))
        } else if distance.is_positive() {
            format!("{} (in {text})", self.time(time))
        } else {
            format!("{} ({text} ago)", self.time(time))
        }
    }

    /// A text of the library, which writes times in RFC 3339, with the times as people read them.
    pub(crate) fn in_words(&self, text: &str) -> String {
        let words = text.split(' ').map(|word| {
            let bare = word.trim_end_matches([',', ';', ':', ')']);
            match bare.parse() {
                Ok(time) => self.time(time) + &word[bare.len()..],
                Err(_) => word.to_owned(),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// The whole time, for the history.
    pub(crate) fn full(&self, time: Timestamp) -> String {
        time.to_zoned_datetime(self.shown()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
    }
}
