//! Requirements 22 and 23: a reader's system calls, as strace(1) shows them.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::can::{can_be_others, can_mount, can_trace};
use crate::env::{MAINT, TestSite, down, until};
use crate::roles::{Player, Program, command};
use crate::say::figure;

/// The names of calls that change or lock something start like this, perhaps after an
/// `f`.
const CHANGES: [&str; 25] = [
    "allocate",
    "chmod",
    "chown",
    "copy_file_range",
    "creat",
    "datasync",
    "link",
    "lock",
    "mkdir",
    "mknod",
    "mount",
    "pwrite",
    "removexattr",
    "rename",
    "rmdir",
    "sendfile",
    "setxattr",
    "splice",
    "symlink",
    "sync",
    "truncate",
    "unlink",
    "utime",
    "utimensat",
    "vmsplice",
];

/// The system calls of one run of a reader, one per line.
struct Trace(Vec<String>);

impl Trace {
    fn of(site: &TestSite, answers: u32) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let path = log.path().to_str().unwrap();
        let strace = ["strace", "-f", "-qq", "-s", "256", "-o", path, "--"];
        let program = Program::new();
        let role = program.playing("roles::reader");
        let mut player = Player::start(command(&strace, &role, &site.dir, answers));
        player.waits();
        site.put(2, &down("x"));
        // By then another change could no longer look the same, so the reader needs no
        // second look.
        let fresh = fs::metadata(site.state_file()).unwrap();
        until("rest", || fresh.modified().unwrap().elapsed().unwrap().as_secs() >= 2);
        let done = player.goes_on();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        Self(fs::read_to_string(log.path()).unwrap().lines().map(str::to_owned).collect())
    }

    fn calls(&self, names: &[&str], about: &Path) -> usize {
        let about = format!("\"{}\"", about.display());
        let is_named = |line: &&String| {
            let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
            names.iter().any(|name| call.starts_with(&format!("{name}(")))
        };
        self.0.iter().filter(is_named).filter(|line| line.contains(&about)).count()
    }

    /// Calls that a reader has no reason to make.
    fn changes(&self) -> Vec<&String> {
        let writes = |line: &&String| {
            let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
            let name = call.split('(').next().unwrap_or_default();
            let is_output = ["write(1,", "write(2,"].iter().any(|own| call.starts_with(own));
            let is_write = name.starts_with("write") && !is_output;
            let opens_for_writing = name.starts_with("open")
                && ["O_RDWR", "O_WRONLY", "O_CREAT", "O_TRUNC"].iter().any(|f| call.contains(f));
            let is_change = CHANGES.iter().any(|change| {
                name.strip_prefix('f').unwrap_or(name).starts_with(change)
                    || name.starts_with(change)
            });
            let is_lock = name == "fcntl" && call.contains("SETL");
            is_write || opens_for_writing || is_change || is_lock
        };
        self.0.iter().filter(writes).collect()
    }
}

#[test]
fn requirement_22_and_23_a_reader_looks_once_an_answer_and_changes_nothing() {
    const ANSWERS: u32 = 1_000;
    if !can_trace() {
        return;
    }
    let site = TestSite::new();
    site.put(1, &json!({}));
    let trace = Trace::of(&site, ANSWERS);
    assert_eq!(trace.changes(), Vec::<&String>::new());
    let file = site.state_file();
    let looks = trace.calls(&["stat", "statx", "newfstatat", "lstat"], &file);
    let opens = trace.calls(&["open", "openat", "openat2"], &file);
    figure(&format!(
        "{} answers and a change: {looks} looks, {opens} opens; 0 of {} system calls write, lock or \
         create",
        2 * ANSWERS,
        trace.0.len()
    ));
    // One to open the gate, one for the change, and perhaps one for a file so new when
    // the gate was opened that another change could have looked the same.
    assert!((2..=3).contains(&opens), "{opens}");
    // Each further read takes one more look, to see that the file did not change meanwhile.
    assert_eq!(looks, 2 * ANSWERS as usize + opens - 1);
}

#[test]
fn requirement_57_the_trace_shows_a_writer() {
    if !can_trace() {
        return;
    }
    let site = TestSite::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    let done = std::process::Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(log.path())
        .args(["--", MAINT, "--site"])
        .arg(&site.dir)
        .args(["on", "-m", "x"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let text = fs::read_to_string(log.path()).unwrap();
    let trace = Trace(text.lines().map(str::to_owned).collect());
    for call in ["O_CREAT", "O_WRONLY", "flock", "rename", "fsync", "fchmod", "write"] {
        let is_seen = trace.changes().iter().any(|line| line.contains(call));
        assert!(is_seen, "{call} in {:?}", trace.changes());
    }
    figure(&format!("{} calls of `maint on` write, lock or create", trace.changes().len()));
}

#[test]
fn requirement_22_nobody_reads_from_a_file_system_that_nobody_can_write_to() {
    if !can_be_others() || !can_mount() {
        return;
    }
    let site = TestSite::new();
    site.put(1, &down("x"));
    let program = Program::new();
    let role = program.playing("roles::forger");
    let script = r#"set -e
        mount -t tmpfs none /mnt
        cp -a "$MAINT_TEST_SITE" /mnt/site
        mount -o remount,ro /mnt
        ! touch /mnt/site/state.json 2>/dev/null
        export MAINT_TEST_SITE=/mnt/site
        exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@""#;
    let before = ["unshare", "-m", "sh", "-c", script, "sh"];
    let done = command(&before, &role, &site.dir, 0).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("tried "), "{done:?}");
    figure("nobody reads, and is answered, on a file system that is mounted read-only");
}
