//! Requirement 6: what fsync(2) says is taken at its word, once.

use std::fs;

use crate::can::can_trace;
use crate::env::{TestSite, run, wrapped};
use crate::say::figure;
use crate::scene::{Point, Scene, interfered};
use crate::trace::traced;

#[test]
fn requirement_06_fsync_is_not_tried_again_on_the_same_file() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let log = site.project.join("trace");
    let strace = ["strace", "-y", "-o", log.to_str().unwrap(), "-e", "trace=fsync,fdatasync"];
    let words = [&strace[..], &["-e", "inject=fsync:error=EIO", "--"]].concat();
    let done = run(&mut wrapped(&words, &site.dir, &["on", "-m", "new"]));
    assert_eq!(done.code, 3, "{done:?}");
    assert_eq!(site.reason().as_deref(), Some("two"));
    let calls = crate::trace::parse(&format!(
        "1 {}",
        fs::read_to_string(&log).unwrap().replace('\n', "\n1 ")
    ));
    assert_eq!(calls.len(), 1, "{calls:?}");
    figure("1 fsync of a file that failed: not applied, exit 3");
}

#[test]
fn requirement_06_a_directory_that_cannot_be_synced_is_told_apart() {
    if !can_trace() {
        return;
    }
    let site = TestSite::in_use();
    let (_, calls) = traced(&site.dir, &["on", "-m", "three"], |_| ());
    let nth = calls.iter().filter(|call| call.name == "fsync").count();
    let point = Point { call: "fsync", nth };
    let done = interfered(&site, Scene::InUse, &point, &format!("error=EIO:when={nth}"));
    assert_eq!(done.code, 6, "{done:?}");
    assert!(done.stderr.contains("durability unknown"), "{done:?}");
    assert!(done.stderr.contains(site.dir.to_str().unwrap()), "the path: {done:?}");
    assert_eq!(site.reason().as_deref(), Some("new"));
    assert_eq!(site.recorded(), [1, 2, 3, 4], "it is in force, so it is in the history");
    figure("1 fsync of the directory that failed: applied, exit 6");
}
