//! `/metrics`, for Prometheus and whatever reads its formats.
//!
//! It is written here and not by `prometheus-client`, which knows `OpenMetrics` alone: scrapers
//! that ask for the older text name counters and information in another way. All but the counts
//! of decisions is made anew for each scrape, so a registry would hold nothing.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use http::HeaderMap;
use http::header::ACCEPT;
use jiff::Timestamp;

use super::seen::Found;
use super::sites::{Served, Sites};
use crate::gate::Current;
use crate::state::{Phase, Window};

/// A format that scrapers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    /// The text of Prometheus before that.
    Text,
}

impl Format {
    /// The best one that a scraper takes.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let takes = |value: &str| value.contains("application/openmetrics-text");
        let mut values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if values.any(takes) { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    /// Its samples end in `_total`.
    Counter,
    /// Its samples end in `_info`.
    Info,
}

/// What is known of one site at the time of a scrape.
struct Seen<'s> {
    site: String,
    served: &'s Served,
    current: Current,
    found: Found,
}

impl Sites {
    /// The metrics of one site, or of all, with the requests that told of no site.
    pub(super) fn metrics(
        &self,
        name: Option<&str>,
        format: Format,
        unplaced: u64,
    ) -> Option<String> {
        let now = Timestamp::now();
        let asked: Vec<(&str, &Served)> = match (name, self.of(name)) {
            (Some(name), Some(served)) => vec![(name, served)],
            (Some(_), None) => return None,
            (None, _) => self.each().collect(),
        };
        let seen: Vec<Seen<'_>> = asked
            .into_iter()
            .map(|(name, served)| {
                let current = served.gate.current();
                let found = served.last_found.look(&served.site, current.revision(), now);
                Seen { site: label(name, served), served, current, found }
            })
            .collect();
        let mut page = Page { format, text: String::new() };
        page.family("maint_build", Kind::Info, "The version of maint that answers.");
        page.sample("maint_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        states(&mut page, &seen, now);
        windows(&mut page, &seen, now);
        flags(&mut page, &seen);
        decisions(&mut page, &seen);
        if name.is_none() {
            let labels = [("site", ""), ("outcome", "untold")];
            page.sample("maint_decisions_total", &labels, unplaced);
        }
        if format == Format::OpenMetrics {
            page.text.push_str("# EOF\n");
        }
        Some(page.text)
    }
}

fn states(page: &mut Page, seen: &[Seen<'_>], now: Timestamp) {
    page.each(seen, "maint_down", "Whether a window is open.", |seen| {
        Some(u64::from(seen.current.state().is_down(now)))
    });
    page.each(seen, "maint_state_readable", "Whether the state file can be used.", |seen| {
        Some(u64::from(seen.current.is_of_the_file()))
    });
    page.each(seen, "maint_state_revision", "The revision of the state in force.", |seen| {
        Some(seen.current.revision())
    });
    page.each(
        seen,
        "maint_agent_running",
        "Whether an agent acts when the time has come.",
        |seen| seen.found.has_agent.map(u64::from),
    );
    page.family("maint_windows", Kind::Gauge, "Windows by phase.");
    for one in seen {
        for (phase, text) in [(Phase::Open, "open"), (Phase::Scheduled, "scheduled")] {
            let count = one.current.state().windows_in(phase, now).count();
            page.sample("maint_windows", &[("site", &one.site), ("phase", text)], count);
        }
    }
}

fn windows(page: &mut Page, seen: &[Seen<'_>], now: Timestamp) {
    type Seconds = fn(&Window, Timestamp) -> Option<f64>;
    let families: [(&str, &str, Phase, Seconds); 4] = [
        (
            "maint_window_age_seconds",
            "How long an open window has been open.",
            Phase::Open,
            |window, now| Some(now.duration_since(window.since()).as_secs_f64()),
        ),
        (
            "maint_window_until_end_seconds",
            "How long an open window stays, if it ends by itself.",
            Phase::Open,
            |window, now| window.end.map(|end| end.duration_since(now).as_secs_f64()),
        ),
        (
            "maint_window_until_estimate_seconds",
            "Until an open window is expected to be over; negative if it is late.",
            Phase::Open,
            |window, now| window.estimate.map(|time| time.duration_since(now).as_secs_f64()),
        ),
        (
            "maint_window_until_start_seconds",
            "Until a scheduled window opens.",
            Phase::Scheduled,
            |window, now| Some(window.since().duration_since(now).as_secs_f64()),
        ),
    ];
    for (name, help, phase, seconds) in families {
        page.family(name, Kind::Gauge, help);
        for one in seen {
            for (window, of) in one.current.state().windows_in(phase, now) {
                if let Some(value) = seconds(of, now) {
                    page.sample(name, &[("site", &one.site), ("window", window)], value);
                }
            }
        }
    }
}

fn flags(page: &mut Page, seen: &[Seen<'_>]) {
    page.each(
        seen,
        "maint_flags_readable",
        "Whether it can be told where the flags stand.",
        |seen| Some(u64::from(seen.found.flags.is_some())),
    );
    page.each(seen, "maint_flags", "Flags that are declared.", |seen| {
        seen.found.flags.as_ref().map(Vec::len)
    });
    page.each(seen, "maint_flags_out_of_step", "Flags that do not follow the state.", |seen| {
        let flags = seen.found.flags.as_ref()?;
        Some(flags.iter().filter(|flag| flag.in_step == Some(false)).count())
    });
}

fn decisions(page: &mut Page, seen: &[Seen<'_>]) {
    page.family("maint_decisions", Kind::Counter, "Requests that proxies asked about.");
    for one in seen {
        let counts = &one.served.counts;
        for (outcome, count) in [
            ("pass", &counts.passed),
            ("read-only", &counts.read_only),
            ("block", &counts.blocked),
            ("untold", &counts.untold),
        ] {
            let labels = [("site", one.site.as_str()), ("outcome", outcome)];
            page.sample("maint_decisions_total", &labels, count.load(Ordering::Relaxed));
        }
    }
}

/// The name of a site, or that of its project: the path to it is nobody's business.
fn label(name: &str, served: &Served) -> String {
    if !name.is_empty() {
        return name.to_owned();
    }
    let site = served.site.absolute();
    let dir = site.dir();
    let is_inner = dir.file_name().is_some_and(|name| name == ".maint");
    let project = if is_inner { dir.parent().unwrap_or(dir) } else { dir };
    project.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Metrics as they are written.
struct Page {
    format: Format,
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let (name, kind) = match (kind, self.format) {
            (Kind::Gauge, _) => (name.to_owned(), "gauge"),
            (Kind::Counter, Format::OpenMetrics) => (name.to_owned(), "counter"),
            (Kind::Counter, Format::Text) => (format!("{name}_total"), "counter"),
            (Kind::Info, Format::OpenMetrics) => (name.to_owned(), "info"),
            (Kind::Info, Format::Text) => (format!("{name}_info"), "gauge"),
        };
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        if self.format == Format::OpenMetrics && name.ends_with("_seconds") {
            let _ = writeln!(self.text, "# UNIT {name} seconds");
        }
        let _ = writeln!(self.text, "# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(self.text, "{name}{{{}}} {value}", labels.join(","));
    }

    /// A gauge with a sample for each site of which it is known.
    fn each<V: std::fmt::Display>(
        &mut self,
        seen: &[Seen<'_>],
        name: &str,
        help: &str,
        value: impl Fn(&Seen<'_>) -> Option<V>,
    ) {
        self.family(name, Kind::Gauge, help);
        for one in seen {
            if let Some(value) = value(one) {
                self.sample(name, &[("site", &one.site)], value);
            }
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
