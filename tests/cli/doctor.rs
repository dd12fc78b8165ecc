//! `maint doctor`

use std::fs;

use crate::env::TestEnv;

#[test]
fn a_broken_state_is_a_problem_with_its_mend() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    env.write(".maint/state.json", "{");
    let ran = env.run(&["doctor"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("problem:") && ran.stdout.contains("fix: "), "{ran:?}");
    assert!(ran.stdout.contains("maint restore"), "{ran:?}");
}

#[test]
fn doctor_changes_nothing() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    let before = env.files();
    env.run(&["doctor"]);
    assert_eq!(before, env.files());
}

#[cfg(unix)]
#[test]
fn requirement_31_a_directory_for_everyone_is_a_problem() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = TestEnv::new();
    fs::set_permissions(env.site(), fs::Permissions::from_mode(0o777)).unwrap();
    let ran = env.run(&["--site", ".maint", "doctor"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("chmod o-w"), "{ran:?}");
}

#[test]
fn requirement_38_a_clock_behind_the_state_is_told() {
    let mut env = TestEnv::new();
    env.ok(&["on"]);
    env.set_now("2026-11-22T02:58:00Z");
    let ran = env.run(&["doctor"]);
    assert!(ran.stdout.contains("clock"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn requirement_51_a_file_name_cannot_drive_the_terminal() {
    let env = TestEnv::new();
    env.write(".maint/templates/\u{1b}[2J\n.htm", "x");
    let ran = env.run(&["doctor"]);
    assert!(ran.stdout.contains("that are not templates"), "{ran:?}");
    assert!(!ran.stdout.contains('\u{1b}') && ran.stdout.contains("\\u{1b}[2J\\n.htm"), "{ran:?}");
}
