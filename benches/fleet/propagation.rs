//! From an acknowledged write to the file on each host.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Place, Result, span};
use crate::eyes::Eyes;
use crate::hosts::{Hosts, PATIENCE};
use crate::rest::seconds;
use crate::source::Source;
use crate::writer::Writer;
use crate::{Bench, number};

/// One toggle each so often, as long as every host had the one before.
const PACE: Duration = Duration::from_millis(20);

/// How many toggles go before those that count.
const WARM: usize = 20;

pub(crate) fn propagation(bench: &Bench) -> Result<()> {
    let toggles = number("MAINT_BENCH_TOGGLES", 500)?;
    println!(
        "{toggles} toggles, one each {} ms; from the acknowledged write to `state.json`\n\
         {:<20}{:<20}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        PACE.as_millis(),
        "",
        "",
        "write p50",
        "p99",
        "host p50",
        "p99",
        "max",
        "last p50",
        "p99",
        "CPU"
    );
    for (count, place, kind) in [
        (20, &bench.memory, "in memory"),
        (1, &bench.memory, "in memory"),
        (1, &bench.disk, "disk"),
    ] {
        for source in Source::all() {
            let figures = toggled(bench, &source, place, count, toggles)?;
            let hosts = if count == 1 { "host" } else { "hosts" };
            let what = format!("{count} {hosts}, {kind}");
            println!("{:<20}{what:<20}{figures}", source.name());
        }
    }
    println!("budget: p50 1.5 ms, p99 15 ms with 20 hosts");
    Ok(())
}

fn toggled(
    bench: &Bench,
    source: &Source,
    place: &Place,
    count: usize,
    toggles: usize,
) -> Result<String> {
    let mut hosts = Hosts::default();
    hosts.add(&bench.binary, &place.dir, &source.url(), count, None)?;
    let mut writer = Writer::to(&source.url())?;
    writer.must_toggle()?;
    hosts.have(writer.revision())?;
    let eyes = Eyes::on(hosts.sites())?;
    let (mut commits, mut each, mut last) = (Vec::new(), Vec::new(), Vec::new());
    let used = || (0..count).map(|host| seconds(hosts.pid(host))).sum::<Result<f64>>();
    let mut before = 0.0;
    let mut next = Instant::now();
    for number in 0..WARM + toggles {
        if number == WARM {
            before = used()?;
        }
        sleep(next.saturating_duration_since(Instant::now()));
        next = next.max(Instant::now()) + PACE;
        let written = writer.must_toggle()?;
        let mut lags = Vec::with_capacity(count);
        while lags.len() < count {
            let seen = eyes.look(PATIENCE)?;
            let lag = written.elapsed().as_secs_f64();
            if seen.is_empty() {
                return Err(format!("{} of {count} hosts got it", lags.len()).into());
            }
            lags.extend(seen.iter().map(|_| lag));
        }
        if number >= WARM {
            let (sent, written, _) = writer.acknowledged[writer.acknowledged.len() - 1];
            commits.push((written - sent).as_secs_f64());
            last.extend(lags.last());
            each.append(&mut lags);
        }
    }
    hosts.have(writer.revision())?;
    // Of an agent for a change: the mirror, the flags, and the report.
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let each_used = (used()? - before) / (count * toggles) as f64;
    let at = |values: &mut Vec<f64>, part| span(quantile(values, part));
    Ok(format!(
        "{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        at(&mut commits, 0.5),
        at(&mut commits, 0.99),
        at(&mut each, 0.5),
        at(&mut each, 0.99),
        at(&mut each, 1.0),
        at(&mut last, 0.5),
        at(&mut last, 0.99),
        span(each_used)
    ))
}

/// The value that so large a part of all is not above.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (part * values.len() as f64).ceil() as usize;
    values[place.clamp(1, values.len()) - 1]
}
