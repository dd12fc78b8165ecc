//! Requirement 16: a writer that had to wait acts on the state at its turn, not on the
//! one it saw at first.

use crate::env::{Run, TestSite, finished, run_with};
use crate::lock::{first_line, hold, waiting};

/// Runs a command that finds the lock held, and before its turn makes another change.
fn overtaken_by(site: &TestSite, late: &[&str], early: &[&str]) -> Run {
    let lock = hold(site);
    let mut child = waiting(site.command(&[late, &["--wait", "50s"]].concat()));
    let line = first_line(&mut child);
    assert!(line.contains("waiting"), "{line}");
    // The test holds the lock on behalf of the other writer.
    let done = run_with(&mut site.command(&[early, &["--no-lock"]].concat()), PAGE);
    assert_eq!(done.code, 0, "{early:?}: {done:?}");
    drop(lock);
    finished(&child.wait_with_output().unwrap())
}

const PAGE: &str = "{% extends 'base.html' %}";

#[test]
fn requirement_16_restore_goes_back_from_the_state_that_it_finds() {
    let site = TestSite::in_use();
    let done = overtaken_by(&site, &["restore"], &["on", "-m", "three"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(site.reason().as_deref(), Some("two"), "the generation before `three`");
    assert_eq!(site.state().revision, 4);
}

#[test]
fn requirement_16_a_template_that_went_meanwhile_is_not_taken_into_use() {
    for late in [&["template", "use", "base"][..], &["on", "--template", "base"]] {
        let site = with_a_template();
        let done = overtaken_by(&site, late, &["template", "remove", "base"]);
        assert_eq!(done.code, 2, "{late:?}: {done:?}");
        assert_eq!(site.state().revision, 4, "{late:?} changed nothing");
    }
}

#[test]
fn requirement_16_a_template_that_another_builds_on_meanwhile_stays() {
    let site = with_a_template();
    let done = overtaken_by(&site, &["template", "remove", "base"], &["template", "add", "page"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(site.file("templates/base.html").exists(), "`page` builds on it");
}

#[test]
fn requirement_16_a_template_whose_base_went_meanwhile_is_not_added() {
    let site = with_a_template();
    let page = site.project.join("page.html");
    crate::env::write(&page, PAGE);
    let late = ["template", "add", "page", page.to_str().unwrap()];
    let done = overtaken_by(&site, &late, &["template", "remove", "base"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(!site.file("templates/page.html").exists());
}

/// A site in use, with a template `base`.
fn with_a_template() -> TestSite {
    let site = TestSite::in_use();
    let done = run_with(&mut site.command(&["template", "add", "base"]), "<p>{{ reason }}</p>");
    assert_eq!(done.code, 0, "{done:?}");
    site
}
