//! Requirements 3, 4 and 10: writers are killed at random, under the eyes of a
//! reader that never stops.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use maint::State;

use crate::changes::{Change, read};
use crate::env::{Meanwhile, TestSite, write};
use crate::say::{amount, figure};

/// What was seen in a storm in which everything held.
struct Storm {
    /// Writers that were killed at work. Those that had ended before are not counted.
    killed: usize,
    /// After how many kills the new state was in force.
    done: usize,
    /// After how many kills something was left behind.
    left: usize,
    acknowledged: usize,
    reads: usize,
    revision: u64,
}

/// Three tests ask for three sides of one storm.
fn storm() -> &'static Storm {
    static STORM: OnceLock<Result<Storm, String>> = OnceLock::new();
    STORM.get_or_init(run).as_ref().unwrap()
}

#[test]
fn requirement_03_writers_killed_at_random_lose_nothing_they_acknowledged() {
    let storm = storm();
    figure(&format!(
        "{} writers killed at work: {} before the change, {} after it, 0 torn of {} reads, \
         0 of {} acknowledged changes lost, revision {} never fell, every next command worked",
        storm.killed,
        storm.killed - storm.done,
        storm.done,
        storm.reads,
        storm.acknowledged,
        storm.revision
    ));
    assert!(storm.done > 0 && storm.done < storm.killed, "all of them died at one moment");
}

#[test]
fn requirement_04_the_next_command_after_a_kill_removes_what_was_left() {
    let Storm { killed, left, .. } = storm();
    figure(&format!("leftovers after {left} of {killed} kills, 0 after the next command"));
    assert!(*left > 0, "nothing was ever left, so nothing was shown");
}

#[test]
fn requirement_10_the_backup_is_whole_whenever_a_writer_is_killed() {
    let Storm { killed, reads, .. } = storm();
    figure(&format!("it parses after {killed} of {killed} kills, and in {reads} of {reads} reads"));
}

fn run() -> Result<Storm, String> {
    let site = TestSite::in_use();
    let meanwhile = Meanwhile::new();
    thread::scope(|scope| {
        let reader = scope.spawn(|| watch(&site, &meanwhile));
        let storm = meanwhile.of(|| kill_writers(&site, amount(1_000, 10_000)));
        let (reads, revision) = reader.join().unwrap()?;
        let storm = storm?;
        if revision > storm.revision {
            return Err(format!("{revision} was read and is no more"));
        }
        Ok(Storm { reads, ..storm })
    })
}

/// Kills writers until so many died at work. After each comes one that is let be.
fn kill_writers(site: &TestSite, kills: usize) -> Result<Storm, String> {
    let mut storm = Storm { killed: 0, done: 0, left: 0, acknowledged: 0, reads: 0, revision: 0 };
    let mut life = Duration::from_millis(5);
    for number in 0.. {
        if storm.killed == kills {
            break;
        }
        if number > 10 * kills {
            return Err(format!("only {} writers were killed at work", storm.killed));
        }
        let before = state(site)?;
        let change = Change::nth(number, site);
        let is_killed = is_killed(site, &change, life.mul_f64(random()));
        let after = state(site)?;
        storm.killed += usize::from(is_killed);
        storm.done += usize::from(is_killed && after != before);
        storm.left += usize::from(is_killed && !site.leftovers().is_empty());
        storm.acknowledged += 1 + usize::from(!is_killed);
        if let Some(fault) = change.contradicts(&before, &after, !is_killed) {
            return Err(format!("{fault}; killed: {is_killed}"));
        }
        let next = Change::nth(number + 4, site);
        let begun = Instant::now();
        let done = site.run(&next.args.iter().map(String::as_str).collect::<Vec<_>>());
        // Anywhere within the life of a writer, however busy this machine is.
        life = (life * 3 + begun.elapsed()) / 4;
        if done.code != 0 || !site.leftovers().is_empty() {
            return Err(format!("the next command: {done:?}, {:?}", site.leftovers()));
        }
        if let Some(fault) = next.contradicts(&after, &state(site)?, true) {
            return Err(format!("the next command: {fault}"));
        }
    }
    storm.revision = state(site)?.revision;
    if site.recorded() != (1..=storm.revision).collect::<Vec<_>>() {
        return Err("the history does not have every revision once".to_owned());
    }
    Ok(storm)
}

/// Whether a writer was still at work when it was killed.
fn is_killed(site: &TestSite, change: &Change, after: Duration) -> bool {
    let args: Vec<&str> = change.args.iter().map(String::as_str).collect();
    let mut command = site.command(&args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(after);
    let _ = child.kill();
    let status = child.wait().unwrap();
    assert!(status.success() || status.signal() == Some(9), "{args:?}: {status}");
    !status.success()
}

fn state(site: &TestSite) -> Result<State, String> {
    read(&site.state_file())
}

/// Reads without pause; every read must be whole and no older than the one before.
fn watch(site: &TestSite, meanwhile: &Meanwhile) -> Result<(usize, u64), String> {
    let (mut reads, mut revision) = (0, 0);
    while meanwhile.goes_on() {
        let now = state(site)?.revision;
        if now < revision {
            return Err(format!("revision {now} was read after {revision}"));
        }
        revision = now;
        read(&site.file("state.json.bak"))?;
        reads += 1;
        thread::sleep(Duration::from_millis(1));
    }
    Ok((reads, revision))
}

fn random() -> f64 {
    let mut byte = [0];
    getrandom::fill(&mut byte).unwrap();
    f64::from(byte[0]) / 256.0
}

#[test]
fn requirement_57_the_reader_of_the_storm_catches_a_writer_that_works_in_place() {
    let site = TestSite::in_use();
    let state = std::fs::read(site.state_file()).unwrap();
    let meanwhile = Meanwhile::new();
    let caught = thread::scope(|scope| {
        let reader = scope.spawn(|| watch(&site, &meanwhile));
        meanwhile.of(|| {
            for _ in 0..1_000_000 {
                if reader.is_finished() {
                    break;
                }
                write(&site.state_file(), &state);
            }
        });
        reader.join().unwrap()
    });
    assert!(caught.is_err(), "{caught:?}");
}

#[test]
fn requirement_57_the_storm_catches_planted_losses() {
    let site = TestSite::in_use();
    let before = site.state();
    let change = Change::nth(0, &site);
    site.ok(&change.args.iter().map(String::as_str).collect::<Vec<_>>());
    let after = site.state();
    assert_eq!(change.contradicts(&before, &after, true), None, "nothing was planted");
    assert_eq!(change.contradicts(&before, &before, false), None, "not made, not acknowledged");
    let skipped = State { revision: after.revision + 1, ..after.clone() };
    let fallen = State { revision: before.revision - 1, ..after.clone() };
    let unmade = State { revision: after.revision, ..before.clone() };
    let other = State { name: Some("other".to_owned()), ..after.clone() };
    for (planted, state, fault) in [
        ("lost", &before, "acknowledged and lost"),
        ("a revision skipped", &skipped, "does not rise by one"),
        ("a revision fallen", &fallen, "does not rise by one"),
        ("a revision without the change", &unmade, "the change is not in it"),
        ("a change of something else", &other, "something else changed"),
    ] {
        let found = change.contradicts(&before, state, true).unwrap_or_default();
        assert!(found.contains(fault), "{planted}: {found}");
    }
}
