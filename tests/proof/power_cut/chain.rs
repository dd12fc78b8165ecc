//! One disk and many cuts: each machine reports what the cut before left, writes, and
//! loses its power in turn. So the file system ages, and every replayed journal was
//! written after another replay.

use std::sync::{Arc, Mutex};

use crate::dice::Dice;
use crate::disk::{Disk, Loss};
use crate::judge::{Fault, Found, Kind};
use crate::machine::{Event, Machine, Parts};

/// The writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The command.
    Shipped,
    /// The command with an fsync(2) that does nothing.
    Planted,
}

/// A disk under a writer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) writer: Writer,
    /// The mount options of ext4.
    pub(crate) options: &'static str,
    pub(crate) cuts: usize,
}

/// The outcome.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kernel: String,
    /// Cuts of machines that had acknowledged a change.
    pub(crate) valid: usize,
    pub(crate) acknowledged: u64,
    /// Cuts within a change, which left a part of it.
    pub(crate) within: usize,
    /// Machines whose kernel did not come up, as happens where a busy host makes them
    /// miss their timers. They never saw the disk.
    pub(crate) unborn: usize,
    /// Writes not flushed when the power failed.
    pub(crate) unflushed: usize,
    /// The worst fault of each cut that had one.
    pub(crate) faults: Vec<Fault>,
}

impl Tally {
    /// How many cuts showed a fault of this kind.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.faults.iter().filter(|(its, _)| *its == kind).count()
    }
}

/// Cuts the power until the scene has as many valid cuts as it wants.
pub(crate) fn cut(scene: Scene, parts: &Parts, empty: &[u8]) -> Result<Tally, String> {
    let seed = Dice::seed();
    let mut dice = Dice::new(seed);
    let mut tally = Tally::default();
    let mut disk = new_disk(empty);
    // The last change that was acknowledged before the cut.
    let mut last = None;
    // More machines than cuts: some get a new disk, and some are cut before they write.
    for boot in 0..=2 * scene.cuts + 3 {
        let machine = start(scene, parts, &disk, boot)?;
        let Some(found) = told(&machine, &mut tally)? else {
            tally.unborn += 1;
            machine.kill();
            continue;
        };
        if let Some(last) = last.take() {
            tally.valid += 1;
            tally.within += usize::from(found.is_within_a_change(last));
            let fault = found.worst_fault(last);
            let is_usable = fault.as_ref().is_none_or(|(kind, _)| *kind == Kind::Lost);
            let tell = |(kind, why)| (kind, format!("{scene:?}, boot {boot}, seed {seed}: {why}"));
            tally.faults.extend(fault.map(tell));
            if tally.valid == scene.cuts {
                machine.kill();
                return Ok(tally);
            }
            if !is_usable {
                machine.kill();
                disk = new_disk(empty);
                continue;
            }
        }
        let first = found.revision;
        let acknowledged = wait_for_the_moment(scene, machine, first, &mut dice)?;
        let loss = Loss::ALL[boot % Loss::ALL.len()];
        tally.unflushed += disk.lock().unwrap().cut(loss, &mut dice);
        tally.acknowledged += acknowledged - first;
        last = (acknowledged > first).then_some(acknowledged);
    }
    Err(format!("{scene:?}: only {} cuts were valid", tally.valid))
}

fn new_disk(empty: &[u8]) -> Arc<Mutex<Disk>> {
    Arc::new(Mutex::new(Disk::new(empty.to_vec())))
}

fn start(
    scene: Scene,
    parts: &Parts,
    disk: &Arc<Mutex<Disk>>,
    boot: usize,
) -> Result<Machine, String> {
    let planted = if scene.writer == Writer::Planted { "yes" } else { "no" };
    let boot = boot.to_string();
    let words = [("options", scene.options), ("boot", &boot), ("planted", planted)];
    Machine::start(parts, disk, "writer", &words)
}

/// What a machine found on its disk, if its kernel came up.
fn told(machine: &Machine, tally: &mut Tally) -> Result<Option<Found>, String> {
    let mut found = Found::default();
    let mut is_up = false;
    loop {
        match machine.next()? {
            Event::Line(line) => {
                if let Some(kernel) = line.strip_prefix("kernel ") {
                    kernel.clone_into(&mut tally.kernel);
                    is_up = true;
                } else if found.takes(&line) {
                    return Ok(Some(found));
                }
            }
            Event::PowerFailed | Event::Ended if !is_up => return Ok(None),
            Event::PowerFailed | Event::Ended => {
                return Err(format!("the machine ended before it told anything: {found:?}"));
            }
        }
    }
}

/// Lets a machine write for a while, and cuts its power. Returns the last revision it
/// acknowledged.
fn wait_for_the_moment(
    scene: Scene,
    machine: Machine,
    first: u64,
    dice: &mut Dice,
) -> Result<u64, String> {
    // The moment is a number of changes and then of disk requests, not a time: so it
    // can come at every step of a change, however fast the machine is.
    let (changes, requests) = match scene.writer {
        Writer::Shipped => (1 + dice.below(16), dice.below(30)),
        // Long enough for ext4 to write its journal, which it does every five seconds.
        // Writes without a sync make no requests to wait for.
        Writer::Planted => (12 + dice.below(16), 0),
    };
    let mut last = first;
    loop {
        match machine.next()? {
            Event::Line(line) => {
                last = acknowledged(&line)?.unwrap_or(last);
                if last == first + changes {
                    machine.light_the_fuse(requests);
                    if requests == 0 {
                        break;
                    }
                }
            }
            Event::PowerFailed => break,
            Event::Ended => return Err("the machine ended by itself".to_owned()),
        }
    }
    for line in machine.kill() {
        last = acknowledged(&line)?.unwrap_or(last);
    }
    Ok(last)
}

/// The revision that a line acknowledges.
fn acknowledged(line: &str) -> Result<Option<u64>, String> {
    if line.starts_with("refused ") || line == "end" {
        return Err(format!("the writer stopped: {line}"));
    }
    Ok(line.strip_prefix("ack ").and_then(|number| number.parse().ok()))
}
