//! Processes, as the system shows them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// The longest that anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal, by its name.
pub(crate) fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name]).arg(process.id().to_string()).status();
    assert!(sent.unwrap().success());
}

/// Waits until a process has ended, and returns its exit code.
pub(crate) fn ended(process: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The memory of a process in KiB: what it has, and the most that it had.
pub(crate) fn memory(process: &Child) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// How many descriptors a process has.
pub(crate) fn descriptors(process: &Child) -> usize {
    fs::read_dir(Path::new("/proc").join(process.id().to_string()).join("fd")).unwrap().count()
}
