//! File systems of different kinds to keep a site on.

use std::fs;
use std::path::{Path, PathBuf};

use crate::can::{ON_AN_OVERLAY, can_mount};
use crate::env::TestSite;
use crate::roles::{Program, command};
use crate::say::{figure, skip};

/// The places to keep a site here: a disk, if there is one, and memory.
pub(crate) fn all() -> Vec<PathBuf> {
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        skip("there is no /dev/shm");
        return vec![std::env::temp_dir()];
    }
    vec![std::env::temp_dir(), memory.to_owned()]
}

/// The type of the file system, by the last mount on the longest path above.
pub(crate) fn kind(place: &Path) -> String {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = table.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        place.starts_with(point).then(|| (point.len(), source.split(' ').next().unwrap_or("?")))
    });
    mounts.max_by_key(|(length, _)| *length).unwrap().1.to_owned()
}

/// Whether every change on this kind of file system waits for a disk.
pub(crate) fn waits_for_a_disk(kind: &str) -> bool {
    !["tmpfs", "ramfs", "overlay"].contains(&kind)
}

/// Runs a role where a directory in memory lies over another, as in a container, and
/// reports what it saw.
pub(crate) fn on_an_overlay(role: &str) {
    if !can_mount() {
        return;
    }
    let before = ["unshare", "-m", "sh", "-c", ON_AN_OVERLAY, "sh"];
    let program = Program::new();
    let site = TestSite::new();
    let done = command(&before, &program.playing(role), &site.dir, 0).output().unwrap();
    if done.status.code() == Some(77) {
        skip("this kernel mounts no overlay");
        return;
    }
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    // The harness starts the line with the name of the role.
    let seen: Vec<_> = said.lines().filter_map(|line| line.split_once("seen: ")).collect();
    assert!(!seen.is_empty(), "{said}");
    for (_, what) in seen {
        figure(what);
    }
}
