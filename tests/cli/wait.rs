//! `maint wait`

use std::process::Stdio;

use crate::env::{TestEnv, eventually, finish};

#[test]
fn what_is_so_already_is_not_waited_for() {
    let env = TestEnv::new();
    env.ok(&["wait", "off"]);
    env.ok(&["on"]);
    env.ok(&["wait", "on"]);
}

#[test]
fn wait_ends_when_another_process_switches() {
    let env = TestEnv::ticking();
    env.ok(&["on"]);
    let waiting = env
        .command(&["--json", "wait", "off"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    env.ok(&["off"]);
    let ran = finish(waiting);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("\"timed_out\":false"), "{ran:?}");
}

#[test]
fn wait_gives_up_with_code_1() {
    let env = TestEnv::ticking();
    let ran = env.run(&["wait", "on", "--timeout", "50ms"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.starts_with("gave up waiting: ● up"), "{ran:?}");
}

#[test]
fn wait_sees_the_clock_close_a_window() {
    let env = TestEnv::ticking();
    env.ok(&["on", "--for", "300ms"]);
    env.ok(&["wait", "off", "--timeout", "15s"]);
    assert_eq!(env.run(&["status", "--expect", "off"]).code, 0);
}

#[test]
fn a_state_that_breaks_meanwhile_is_told_and_waited_out() {
    let env = TestEnv::ticking();
    env.ok(&["on"]);
    let good = std::fs::read_to_string(env.site().join("state.json")).unwrap();
    let mut waiting = env
        .command(&["wait", "off"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has the good state once it has opened it; only then is it broken.
    eventually("it waits", || {
        std::fs::read_to_string(format!("/proc/{}/wchan", waiting.id())).is_ok()
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    env.write(".maint/state.json", "{");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(waiting.try_wait().unwrap().is_none(), "the last good state holds");
    env.write(".maint/state.json", &good);
    env.ok(&["off"]);
    let ran = finish(waiting);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("is broken"), "{ran:?}");
}

#[test]
fn a_state_that_is_broken_from_the_start_is_an_error() {
    let env = TestEnv::new();
    env.write(".maint/state.json", "{");
    env.fails(8, &["wait", "off"]);
}
