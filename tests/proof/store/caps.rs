//! Requirement 11: a file that is too large, too deep or ambiguous is refused on write
//! and on read, before it costs memory.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use maint::Site;
use maint::state::MAX_REASON;
use maint::state::{MAX_SIZE, WindowSettings};
use maint::store::{self, Options};

use crate::env::{TestSite, run, write};
use crate::say::figure;

/// The most additional memory for a refusal, in KiB.
const MOST: u64 = 16 * 1024;

/// The variable with the state for a process that another test starts.
const STATE: &str = "MAINT_TEST_STATE";

#[test]
fn requirement_11_a_state_beyond_the_caps_is_refused_before_it_costs_memory() {
    let deep = format!(r#"{{"version":1,"revision":1,"x":{}"#, "[".repeat(10_000));
    let twice = r#"{"version":1,"revision":1,"revision":2}"#;
    let table = [
        ("one byte too many", "", MAX_SIZE as u64 + 1, "are allowed"),
        ("a terabyte", "", 1 << 40, "are allowed"),
        ("10000 deep", &deep, deep.len() as u64, "recursion limit"),
        ("a key twice", twice, twice.len() as u64, "duplicate key"),
    ];
    let mut told = Vec::new();
    for (what, text, size, cause) in table {
        let site = TestSite::new();
        write(&site.state_file(), text);
        let state = File::options().write(true).open(site.state_file()).unwrap();
        state.set_len(size).unwrap();
        for args in [&["status"][..], &["on", "-m", "x"]] {
            let done = site.run(args);
            assert!(done.code == 8 && done.stderr.contains(cause), "{what}, {args:?}: {done:?}");
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["caps::a_reader", "--exact", "--ignored", "--nocapture"]);
        let done = run(child.env(STATE, site.state_file()));
        assert_eq!(done.code, 0, "{what}: {done:?}");
        let growth = done.stdout.lines().find_map(|line| line.strip_prefix("growth "));
        let (growth, micros) = growth.and_then(|rest| rest.split_once(' ')).unwrap();
        let growth: u64 = growth.parse().unwrap();
        assert!(growth < MOST, "{what}: {growth} KiB");
        told.push(format!("{what} +{growth} KiB in {micros} µs"));
    }
    figure(&told.join(", "));
}

#[test]
#[ignore = "a process that another test starts, so that its memory is its own"]
fn a_reader() {
    let path = std::env::var_os(STATE).unwrap();
    let (before, begun) = (peak(), Instant::now());
    assert!(maint::internal::load::read(Path::new(&path)).is_err());
    let took = begun.elapsed();
    println!("\ngrowth {} {}", peak() - before, took.as_micros());
}

/// The peak memory of this process, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn requirement_11_what_would_be_beyond_the_caps_is_not_written() {
    let site = TestSite::in_use();
    let before = site.snapshot();
    let error = opened(&site, 1, MAX_REASON + 1).unwrap_err().to_string();
    assert!(error.contains(&MAX_REASON.to_string()), "{error}");
    let error = opened(&site, MAX_SIZE / MAX_REASON, MAX_REASON).unwrap_err().to_string();
    assert!(error.contains(&MAX_SIZE.to_string()), "{error}");
    assert_eq!(site.snapshot(), before);
    opened(&site, 1, MAX_REASON).unwrap();
    figure("2 of 2 refused, state unchanged: a message and a state that are too long");
}

/// Opens this many windows with reasons of this many bytes.
fn opened(site: &TestSite, windows: usize, length: usize) -> maint::Result<()> {
    let options = Options::new("test");
    let settings = WindowSettings::new().reason("x".repeat(length));
    store::update(&Site::at(&site.dir), &options, |state, stamp| {
        (0..windows).try_for_each(|number| {
            state.open_window(&format!("w{number}"), &settings, stamp).map(drop)
        })
    })
    .map(drop)
}
