//! systemd, which judges the condition that the snippet prints.

use std::fs;
use std::process::Command;

use crate::say::skip;
use crate::server::{directory, installed, put};
use crate::site::TestSite;

#[test]
fn requirement_83_systemd_obeys() {
    let Some(program) = installed("systemd-analyze") else { return };
    let site = TestSite::new();
    site.add_flag();
    let snippet = site.maint(&["snippet", "systemd"]);
    let condition = snippet.lines().find(|line| line.starts_with("Condition")).unwrap();
    let may_start = || {
        let output = Command::new(&program).arg("condition").arg(condition).output().unwrap();
        output.status.success()
    };
    if !Command::new(&program)
        .args(["condition", "ConditionPathExists=/"])
        .output()
        .unwrap()
        .status
        .success()
    {
        return skip("systemd-analyze judges no condition here");
    }
    for _ in 0..2 {
        assert!(may_start(), "{condition}");
        site.on("The cellar is being swept");
        assert!(!may_start(), "{condition}");
        site.off();
    }
    assert!(may_start(), "{condition}");
}

/// Systemd itself reads the unit with the drop-in, and complains of what it does not know.
#[test]
fn requirement_83_systemd_takes_the_drop_in() {
    let Some(program) = installed("systemd-analyze") else { return };
    let site = TestSite::new();
    site.add_flag();
    let dir = directory();
    let drop_ins = dir.path().join("worker.service.d");
    fs::create_dir(&drop_ins).unwrap();
    put(&dir.path().join("worker.service"), "[Service]\nExecStart=/bin/true\n");
    let verified = || {
        let mut command = Command::new(&program);
        command.args(["verify", "--man=no", "--recursive-errors=no"]);
        let output = command.arg(dir.path().join("worker.service")).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (is_sound, said) = verified();
    if !is_sound || said.contains("worker") {
        return skip(&format!("systemd-analyze verifies no unit here: {}", said.trim()));
    }
    put(&drop_ins.join("maint.conf"), &site.maint(&["snippet", "systemd"]));
    let (is_sound, said) = verified();
    assert!(is_sound && !said.contains("maint.conf"), "{said}");
    put(&drop_ins.join("wrong.conf"), "[Unit]\nConditionPathExist=!/x\n");
    assert!(verified().1.contains("wrong.conf"), "the control");
}
