//! Requirements 3, 4 and 10: writers are killed at random while a reader reads without
//! pause.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use maint::State;

use crate::changes::{Change, read};
use crate::env::{TestSite, write};
use crate::meanwhile::Meanwhile;
use crate::say::{amount, figure};

/// The counts of a storm in which everything held.
struct Storm {
    /// Writers killed at work. Those that had already ended do not count.
    killed: usize,
    /// Kills after which the new state was in force.
    done: usize,
    /// Kills after which something was left behind.
    left: usize,
    acknowledged: usize,
    reads: usize,
    revision: u64,
    /// Lines of the history that a kill cut short, and the next writer wrote anew.
    torn: usize,
}

/// One storm for three tests, each of which checks one side of it.
fn storm() -> &'static Storm {
    static STORM: OnceLock<Result<Storm, String>> = OnceLock::new();
    STORM.get_or_init(run).as_ref().unwrap()
}

#[test]
fn requirement_03_writers_killed_at_random_lose_nothing_they_acknowledged() {
    let storm = storm();
    figure(&format!(
        "{} writers killed at work: {} before the change, {} after it, 0 torn of {} reads, \
         0 of {} acknowledged changes lost, revision {} never fell, every next command worked; \
         {} lines of the history cut short and written anew",
        storm.killed,
        storm.killed - storm.done,
        storm.done,
        storm.reads,
        storm.acknowledged,
        storm.revision,
        storm.torn
    ));
    assert!(storm.done > 0 && storm.done < storm.killed, "all of them died at one moment");
}

#[test]
fn requirement_04_the_next_command_after_a_kill_removes_what_was_left() {
    let Storm { killed, left, .. } = storm();
    figure(&format!("leftovers after {left} of {killed} kills, 0 after the next command"));
    assert!(*left > 0, "no kill left anything, so nothing was shown");
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
        let storm = meanwhile.of(|| kill_writers(&site, amount(300, 10_000)));
        let (reads, revision) = reader.join().unwrap()?;
        let storm = storm?;
        if revision > storm.revision {
            return Err(format!("{revision} was read and is no more"));
        }
        Ok(Storm { reads, ..storm })
    })
}

/// Kills writers until this many died at work. After each, one is left alone.
fn kill_writers(site: &TestSite, kills: usize) -> Result<Storm, String> {
    let mut storm =
        Storm { killed: 0, done: 0, left: 0, acknowledged: 0, reads: 0, revision: 0, torn: 0 };
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
    let (recorded, torn) = site.recorded_and_torn();
    if recorded != (1..=storm.revision).collect::<Vec<_>>() {
        return Err("the history does not have every revision once".to_owned());
    }
    if torn > storm.killed {
        return Err(format!("{torn} torn lines of the history, more than there were kills"));
    }
    storm.torn = torn;
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
    let state = fs::read(site.state_file()).unwrap();
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
fn requirement_04_a_writer_removes_its_own_kind_of_leftovers_and_nothing_else() {
    let site = TestSite::in_use();
    fs::create_dir(site.file("templates")).unwrap();
    write(&site.file("templates/page.html"), "<p>hello</p>");
    let ours = [
        ".state.json.0123456789abcdef.tmp",
        ".state.json.bak.fedcba9876543210.tmp",
        "..gitignore.0f1e2d3c4b5a6978.tmp",
        "templates/.page.html.0011223344556677.tmp",
    ];
    let decoys = [
        "state.tmp",
        ".state.json.tmp",
        ".state.json.1234.tmp",
        ".state.json.0123456789abcdef.tmp~",
        ".other.json.0123456789abcdef.tmp",
        "state.json.0123456789abcdef.tmp",
        ".gitignore.0123456789abcdef.tmp",
        "templates/.theirs.html.swp",
    ];
    for name in ours.iter().chain(&decoys) {
        write(&site.file(name), "x");
    }
    let directory = site.file(".state.json.1111111111111111.tmp");
    let link = site.file(".state.json.2222222222222222.tmp");
    let fifo = site.file(".state.json.3333333333333333.tmp");
    fs::create_dir(&directory).unwrap();
    let target = site.project.join("precious");
    write(&target, "x");
    symlink(&target, &link).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();

    site.ok(&["on", "-m", "three"]);
    for name in ours {
        assert!(!site.file(name).exists(), "{name} is left");
    }
    for name in decoys {
        assert!(site.file(name).exists(), "{name} belonged to someone else");
    }
    assert!(directory.is_dir() && link.is_symlink() && target.exists());
    assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
    let others = decoys.len() + 3;
    figure(&format!("{} of {} removed, 0 of {others} decoys touched", ours.len(), ours.len()));
}

#[test]
fn requirement_04_a_command_that_changes_nothing_cleans_up_too() {
    let site = TestSite::in_use();
    write(&site.file(".state.json.0123456789abcdef.tmp"), "x");
    let done = site.ok(&["on", "-m", "two"]);
    assert!(done.stdout.contains("unchanged"), "{done:?}");
    assert_eq!(site.leftovers(), Vec::<String>::new());
}
