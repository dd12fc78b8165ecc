//! Requirement 4: what killed writers left is removed, and nothing else is.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};

use crate::env::{TestSite, write};
use crate::say::figure;

#[test]
fn requirement_04_a_writer_removes_its_own_kind_of_leftovers_and_nothing_else() {
    let site = TestSite::in_use();
    fs::create_dir(site.file("templates")).unwrap();
    write(&site.file("templates/page.html"), "<p>hello</p>");
    let ours = [
        ".state.json.0123456789abcdef.tmp",
        ".state.json.bak.fedcba9876543210.tmp",
        "templates/.page.html.0011223344556677.tmp",
    ];
    let decoys = [
        "state.tmp",
        ".state.json.tmp",
        ".state.json.1234.tmp",
        ".state.json.0123456789abcdef.tmp~",
        ".other.json.0123456789abcdef.tmp",
        "state.json.0123456789abcdef.tmp",
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
        assert!(site.file(name).exists(), "{name} was somebody else's");
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
