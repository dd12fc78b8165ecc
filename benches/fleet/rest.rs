//! What an agent uses while nothing happens.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::common::Result;
use crate::hosts::Hosts;
use crate::source::Source;
use crate::writer::Writer;

/// How long they are watched, and how long they get to come to rest.
const WATCHED: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) fn asleep(bench: &Bench) -> Result<()> {
    let sources = Source::all();
    let mut fleets = Vec::new();
    for source in &sources {
        let mut hosts = Hosts::default();
        let place = bench.disk.dir.join(source.ports()[0].to_string());
        fs::create_dir(&place)?;
        hosts.add(&bench.binary, &place, &source.url(), 1, None)?;
        let mut writer = Writer::to(&source.url())?;
        writer.must_toggle()?;
        hosts.have(writer.revision())?;
        fleets.push((source.name(), hosts));
    }
    sleep(SETTLE);
    let begun = Instant::now();
    let before: Vec<f64> =
        fleets.iter().map(|(_, hosts)| seconds(hosts.pid(0))).collect::<Result<_>>()?;
    sleep(WATCHED);
    println!("one agent that follows, asleep for {} s", WATCHED.as_secs());
    for ((name, hosts), before) in fleets.iter().zip(before) {
        let used = seconds(hosts.pid(0))? - before;
        let share = used / begun.elapsed().as_secs_f64() * 100.0;
        println!(
            "{name:<20}{share:.3} % of a core (budget 0.1), {} (budget 12 MiB)",
            uses(hosts.pid(0))?
        );
    }
    Ok(())
}

/// The processor time of all threads of a process, in seconds.
pub(crate) fn seconds(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}

/// The memory, threads and descriptors of a process.
pub(crate) fn uses(pid: u32) -> Result<String> {
    let mut sockets = 0;
    let mut descriptors = 0;
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        descriptors += 1;
        let leads_to = fs::read_link(entry?.path())?;
        sockets += usize::from(leads_to.to_string_lossy().starts_with("socket:"));
    }
    Ok(format!(
        "{:.1} MiB, {} threads, {descriptors} descriptors, of which {sockets} connections",
        mebibytes(pid)?,
        field(pid, "Threads")?
    ))
}

/// The memory of a process that is in use.
pub(crate) fn mebibytes(pid: u32) -> Result<f64> {
    Ok(field(pid, "VmRSS")? / 1024.0)
}

fn field(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    Ok(line.split_whitespace().nth(1).unwrap_or_default().parse()?)
}
