//! Requirements 12 and 32: files that are unsuitable as a state file, and links to it.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, mknodat};

use crate::can::can_be_others;
use crate::env::{Run, TestSite, chmod, maint, run, write};
use crate::say::figure;

fn special(path: &Path, kind: FileType, device: u64) {
    mknodat(CWD, path, kind, 0o644.into(), device).unwrap();
}

#[track_caller]
fn assert_refused(site: &TestSite, done: &Run, code: i32, what: &str) {
    assert_eq!(done.code, code, "{done:?}");
    let message = done.stderr.lines().next().unwrap_or_default();
    assert!(message.contains(what), "{done:?}");
    assert!(message.contains(site.dir.to_str().unwrap()), "with the path: {done:?}");
    assert!(done.stderr.lines().filter(|line| line.starts_with("maint:")).count() == 1, "{done:?}");
}

#[test]
fn requirement_12_a_state_that_is_no_regular_file_is_named_and_left_alone() {
    type Make = fn(&Path);
    let table: [(&str, Make); 4] = [
        ("it is a directory", |path| fs::create_dir(path).unwrap()),
        ("it is a FIFO", |path| special(path, FileType::Fifo, 0)),
        ("it is a socket", |path| drop(UnixListener::bind(path).unwrap())),
        ("it is a device", |path| special(path, FileType::CharacterDevice, 0x0103)),
    ];
    let mut refused = 0;
    for (what, make) in table {
        if what.contains("device") && !can_be_others() {
            continue;
        }
        let site = TestSite::new();
        make(&site.state_file());
        let kind = fs::symlink_metadata(site.state_file()).unwrap().file_type();
        // A FIFO without a reader hangs a careless open.
        for args in [&["on", "-m", "x"][..], &["status"], &["off"], &["ignore", "clear"]] {
            assert_refused(&site, &site.run(args), 8, what);
            refused += 1;
        }
        assert_eq!(fs::symlink_metadata(site.state_file()).unwrap().file_type(), kind);
    }
    figure(&format!("{refused} commands refused on directory, FIFO, socket and device, 0 hangs"));
}

#[test]
fn requirement_12_restore_does_not_replace_a_special_file_either() {
    let site = TestSite::in_use();
    fs::remove_file(site.state_file()).unwrap();
    special(&site.state_file(), FileType::Fifo, 0);
    assert_refused(&site, &site.run(&["restore"]), 8, "it is a FIFO");
}

#[test]
fn requirement_12_other_files_of_the_site_may_be_special_without_a_hang() {
    for (name, code) in [("lock", 3), ("history.jsonl", 0), ("state.json.bak", 0)] {
        let site = TestSite::in_use();
        let _ = fs::remove_file(site.file(name));
        special(&site.file(name), FileType::Fifo, 0);
        let done = site.run(&["on", "-m", "three"]);
        assert_eq!(done.code, code, "{name}: {done:?}");
        if name != "state.json.bak" {
            assert!(done.stderr.contains(name) && done.stderr.contains("FIFO"), "{name}: {done:?}");
        }
        let reason = if code == 0 { "three" } else { "two" };
        assert_eq!(site.reason().as_deref(), Some(reason), "{name}");
    }
    let site = TestSite::in_use();
    fs::remove_file(site.file("state.json.bak")).unwrap();
    fs::create_dir(site.file("state.json.bak")).unwrap();
    let done = site.ok(&["on", "-m", "three"]);
    assert!(done.stderr.contains("state.json.bak"), "the missing backup: {done:?}");
    assert_eq!(site.leftovers(), Vec::<String>::new());
    figure("4 of 4: lock, history and backup as a FIFO, backup as a directory, 0 hangs");
}

#[test]
fn requirement_12_a_lock_that_is_a_link_is_not_followed() {
    let site = TestSite::in_use();
    let precious = site.project.join("precious");
    write(&precious, "precious");
    fs::remove_file(site.file("lock")).unwrap();
    symlink(&precious, site.file("lock")).unwrap();
    assert_refused(&site, &site.run(&["on", "-m", "three"]), 3, "lock");
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
}

#[test]
fn requirement_12_a_setuid_state_is_refused() {
    for mode in [0o4644, 0o2654] {
        let site = TestSite::in_use();
        chmod(&site.state_file(), mode);
        assert_refused(&site, &site.run(&["on", "-m", "three"]), 3, "setuid");
        assert_eq!(site.reason().as_deref(), Some("two"));
    }
    figure("2 of 2 refused: setuid, setgid");
}

#[test]
fn requirement_12_another_name_for_the_state_is_warned_of() {
    let site = TestSite::in_use();
    let other = site.project.join("other-name");
    fs::hard_link(site.state_file(), &other).unwrap();
    let done = site.ok(&["on", "-m", "three"]);
    assert!(done.stderr.contains("2 hard links"), "{done:?}");
    let done = site.ok(&["on", "-m", "four"]);
    assert_eq!(done.stderr, "", "no warning for the backup");
    figure("1 of 1 warned of, 0 for the backup");
}

#[test]
fn requirement_32_links_are_followed_and_stay_links() {
    let site = TestSite::new();
    let base = &site.project;
    let shared = base.join("shared/state.json");
    fs::create_dir_all(base.join("shared")).unwrap();
    let state = site.state_file();
    let absolute = shared.to_str().unwrap();
    for target in [absolute, "../shared/state.json", "first"] {
        let _ = fs::remove_file(&state);
        symlink(target, &state).unwrap();
        let _ = fs::remove_file(site.file("first"));
        symlink("second", site.file("first")).unwrap();
        let _ = fs::remove_file(site.file("second"));
        symlink("../shared/state.json", site.file("second")).unwrap();
        // At first the link dangles, and the working directory is elsewhere.
        site.ok(&["on", "-m", target]);
        assert_eq!(fs::read_link(&state).unwrap(), Path::new(target));
        assert!(fs::symlink_metadata(&shared).unwrap().is_file());
        assert_eq!(site.reason().as_deref(), Some(target));
    }
    let mut beside = crate::env::names(&base.join("shared"));
    beside.sort();
    assert_eq!(beside, ["history.jsonl", "lock", "state.json", "state.json.bak"]);
    figure("3 of 3 followed, each still a link: absolute, relative, chain");
}

#[test]
fn requirement_32_links_that_lead_nowhere_good_are_refused() {
    for (target, code, what) in [
        ("state.json", 3, "symbolic links"),
        ("../no/such/state.json", 3, "no such file"),
        ("templates", 8, "it is a directory"),
    ] {
        let site = TestSite::new();
        fs::create_dir(site.file("templates")).unwrap();
        symlink(target, site.state_file()).unwrap();
        let done = site.run(&["on", "-m", "x"]);
        assert_eq!(done.code, code, "{target}: {done:?}");
        assert!(done.stderr.contains(what), "{target}: {done:?}");
        assert_eq!(fs::read_link(site.state_file()).unwrap(), Path::new(target));
    }
    figure("3 of 3 refused: loop, into no directory, to a directory");
}

#[test]
fn requirement_32_links_through_a_directory_of_everyone_are_refused() {
    for open in ["link", "target"] {
        let site = TestSite::new();
        let target = site.project.join("shared");
        fs::create_dir(&target).unwrap();
        symlink("../shared/state.json", site.state_file()).unwrap();
        let everyones = if open == "link" { &site.dir } else { &target };
        chmod(everyones, 0o1777);
        let done = run(&mut maint(&site.dir, &["on", "-m", "x"]));
        assert_eq!(done.code, 3, "{open}: {done:?}");
        assert!(done.stderr.contains("everyone can write"), "{open}: {done:?}");
        assert!(!target.join("state.json").exists());
    }
    figure("2 of 2 refused");
}
