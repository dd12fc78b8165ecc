//! Writers that are killed.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use crate::numbers::Numbers;
use crate::say::{amount, figure};
use crate::site::{Site, is_a};

/// Where a writer is when it is killed, by what it has done to the files.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Locked,
    InTurn,
    Written,
    Replaced,
    Recorded,
}

const MOMENTS: [Moment; 5] =
    [Moment::Locked, Moment::InTurn, Moment::Written, Moment::Replaced, Moment::Recorded];

/// What a look at the files shows.
#[derive(PartialEq)]
struct Look {
    lock: Vec<u8>,
    state: Vec<u8>,
    history: u64,
    leftovers: Vec<String>,
}

impl Look {
    fn at(site: &Site) -> Self {
        Self {
            lock: fs::read(site.file("lock")).unwrap_or_default(),
            state: fs::read(site.file("state.json")).unwrap(),
            history: fs::metadata(site.file("history.jsonl")).map_or(0, |file| file.len()),
            leftovers: site.leftovers(),
        }
    }

    fn shows(&self, moment: Moment, before: &Self) -> bool {
        match moment {
            Moment::Locked => self.lock != before.lock,
            Moment::InTurn => self.leftovers.iter().any(|name| is_a(name, "turn")),
            Moment::Written => self.leftovers.iter().any(|name| is_a(name, "tmp")),
            Moment::Replaced => self.state != before.state,
            Moment::Recorded => self.history != before.history,
        }
    }
}

#[test]
fn a_killed_writer_leaves_a_whole_state_and_nobody_waits_for_it() {
    let Some(site) = Site::new() else { return };
    let rounds = amount(5, 40);
    let mut numbers = Numbers(18);
    let (mut killed, mut old, mut new) = (0, 0, 0);
    for round in 0..rounds {
        for moment in MOMENTS {
            let before = Look::at(&site);
            let revision = site.state()["revision"].as_u64().unwrap();
            let name = format!("w{round}");
            let mut writer = site.mortal(&["on", &name, "-m", &format!("{moment:?}"), "--yes"]);
            let mut writer = writer.spawn().unwrap();
            let ended = loop {
                if Look::at(&site).shows(moment, &before) {
                    std::thread::sleep(Duration::from_micros(numbers.any() % 3_000));
                    writer.kill().unwrap();
                    break writer.wait().unwrap();
                }
                if let Some(ended) = writer.try_wait().unwrap() {
                    break ended;
                }
            };
            killed += i32::from(ended.signal() == Some(9));
            let state = site.state();
            match state["revision"].as_u64().unwrap() - revision {
                0 => {
                    assert_eq!(before.state, Look::at(&site).state, "{moment:?}: neither");
                    old += 1;
                }
                1 => {
                    let reason = &state["windows"][&name]["reason"];
                    assert_eq!(reason, &format!("{moment:?}"), "{moment:?}: {state}");
                    new += 1;
                }
                other => panic!("{moment:?}: {other} revisions"),
            }
            // The dead one is waited for by nobody.
            site.ok(&[
                "ignore",
                "add",
                "ip",
                &format!("10.1.{round}.{}", moment as u8),
                "--wait",
                "5s",
            ]);
            assert_eq!(site.leftovers(), [""; 0], "after {moment:?}");
        }
    }
    let last = site.state()["revision"].clone();
    let records = site.ok(&["log", "--all", "--json"]);
    assert!(records.contains(&format!("\"after\":{last}}}")), "{records}");
    assert!(killed > 0, "none was alive when it was to be killed");
    assert!(old > 0 && new > 0, "{old} old and {new} new states");
    figure(&format!("{killed} writers killed: {old} old states, {new} new ones, none broken"));
}
