//! The man pages, as mandoc reads them.

use std::fs;
use std::process::Command;

use crate::env::{TestEnv, has};

#[test]
fn every_page_is_clean() {
    if !has("mandoc") {
        return;
    }
    let env = TestEnv::bare();
    fs::create_dir(env.dir().join("man")).unwrap();
    env.ok(&["man", "man"]);
    let mut pages = 0;
    for entry in fs::read_dir(env.dir().join("man")).unwrap() {
        let path = entry.unwrap().path();
        let output = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning"])
            .arg(&path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text, "", "{}", path.display());
        pages += 1;
    }
    assert!(pages > 16, "one page per verb: {pages}");
}

#[test]
fn pages_are_not_written_where_there_is_no_directory() {
    let env = TestEnv::bare();
    let error = env.run(&["man", "missing"]);
    assert_eq!(error.code, 2);
    assert!(error.stderr.contains("mkdir -p missing"), "{error:?}");
}
