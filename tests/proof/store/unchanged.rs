//! Requirements 9, 10 and 20: what stays unwritten, what is kept, and when.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::can::{ON_AN_OVERLAY, OVERLAY, can_mount};
use crate::env::{TestSite, change, finished, run_with, write};
use crate::say::{amount, figure, skip};

#[test]
fn requirement_09_saying_the_same_again_writes_nothing() {
    let site = TestSite::in_use();
    site.ok(&["ignore", "add", "path", "/health", "--note", "load balancer"]);
    site.ok(&["proxy", "add", "10.0.0.0/8"]);
    run_with(&mut site.command(&["template", "add", "page"]), "<h1>hello</h1>");
    let identity = || {
        let metadata = fs::metadata(site.state_file()).unwrap();
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.ctime_nsec())
    };
    let (before, files) = (identity(), site.snapshot());
    for _ in 0..20 {
        for args in [
            &["on", "-m", "two"][..],
            &["ignore", "add", "path", "/health", "--note", "load balancer"],
            &["proxy", "add", "10.0.0.0/8"],
            &["template", "use", "--builtin"],
            &["template", "add", "page", "--replace"],
        ] {
            assert_eq!(run_with(&mut site.command(args), "<h1>hello</h1>").code, 0, "{args:?}");
            assert_eq!(identity(), before, "{args:?}");
        }
    }
    assert_eq!(site.snapshot(), files, "revision, backup and history");
    figure("100 repeats, 0 renames");
}

#[test]
fn requirement_10_restore_brings_back_the_generation_before_and_undoes_itself() {
    let site = TestSite::in_use();
    for (reason, revision) in [("one", 3), ("two", 4), ("one", 5)] {
        site.ok(&["restore"]);
        let state = site.state();
        assert_eq!((site.reason().as_deref(), state.revision), (Some(reason), revision));
    }
    assert_eq!(site.recorded(), [1, 2, 3, 4, 5]);
}

#[test]
fn requirement_10_a_corrupt_state_can_be_restored() {
    for broken in ["", "{", "not JSON at all", "{\"version\":1,\"revision\":1,\"revision\":9}"] {
        let site = TestSite::in_use();
        site.ok(&["on", "-m", "three"]);
        write(&site.state_file(), broken);
        let done = site.run(&["on", "-m", "four"]);
        assert_eq!(done.code, 8, "{done:?}");
        assert!(done.stderr.contains("maint restore"), "{done:?}");
        site.ok(&["restore"]);
        assert_eq!(site.reason().as_deref(), Some("three"), "after {broken:?}");
        assert!(site.state().revision > 3, "it keeps rising");
        assert_eq!(fs::read_to_string(site.file("state.json.broken")).unwrap(), broken);
        assert!(maint::internal::load::read(&site.file("state.json.bak")).is_ok());
        site.ok(&["on", "-m", "four"]);
    }
}

#[test]
fn requirement_10_a_lost_state_is_restored_without_counting_backwards() {
    let site = TestSite::in_use();
    fs::remove_file(site.state_file()).unwrap();
    site.ok(&["restore"]);
    assert_eq!(site.reason().as_deref(), Some("one"));
    assert_eq!(site.state().revision, 3, "the history has 2");
}

#[test]
fn requirement_10_without_a_backup_there_is_nothing_to_restore() {
    let site = TestSite::new();
    let done = site.run(&["restore"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(!site.state_file().exists());
}

#[test]
fn requirement_20_the_modification_time_rises_with_each_write() {
    for place in ["/dev/shm", "/tmp"] {
        if Path::new(place).is_dir() {
            rises_with_each_write(Path::new(place));
        } else {
            skip(&format!("there is no {place}"));
        }
    }
}

#[test]
fn requirement_20_the_modification_time_rises_on_an_overlay_too() {
    if !can_mount() {
        return;
    }
    let own = std::env::current_exe().unwrap();
    let mut overlaid = Command::new("unshare");
    overlaid.args(["-m", "sh", "-c", ON_AN_OVERLAY, "sh"]).arg(own);
    overlaid.args(["unchanged::on_an_overlay", "--exact", "--ignored", "--nocapture"]);
    // Without a time limit: the processor may be a virtual one.
    let done = finished(&overlaid.output().unwrap());
    if done.code == 77 {
        skip("this kernel mounts no overlay");
        return;
    }
    assert!(done.code == 0 && done.stdout.contains("1 passed"), "{done:?}");
    done.stderr.lines().filter_map(|line| line.strip_prefix("figure: ")).for_each(figure);
}

#[test]
#[ignore = "a process that another test starts, where the overlay is"]
fn on_an_overlay() {
    rises_with_each_write(Path::new(OVERLAY));
}

fn rises_with_each_write(place: &Path) {
    let site = TestSite::under(place);
    let writes = amount(2_000, 10_000);
    let mut last = 0;
    let mut same_tick = 0;
    for number in 0..writes {
        if number == writes / 2 {
            // From here on the clock does not help.
            let state = fs::File::open(site.state_file()).unwrap();
            state.set_modified(SystemTime::UNIX_EPOCH + FAR).unwrap();
            last = i128::try_from(FAR.as_nanos()).unwrap();
        }
        change(&site, &number.to_string()).unwrap();
        let metadata = fs::metadata(site.state_file()).unwrap();
        let time = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        assert!(time > last, "write {number} in {}: {time} after {last}", place.display());
        same_tick += usize::from(time - last == 1);
        last = time;
    }
    let place = place.display();
    figure(&format!("{writes} of {writes} rise in {place}, {same_tick} by one nanosecond"));
}

/// The year 2100, which the clock will not reach during the test.
const FAR: Duration = Duration::from_secs(4_102_444_800);
