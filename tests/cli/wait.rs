//! `maint wait`

use std::fs;
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

#[cfg(target_os = "linux")]
#[test]
fn a_state_that_breaks_meanwhile_is_told_and_waited_out() {
    let env = TestEnv::ticking();
    env.ok(&["on"]);
    let good = fs::read_to_string(env.site().join("state.json")).unwrap();
    let told = env.dir().join("told");
    let waiting = env
        .command(&["wait", "off"])
        .stdout(Stdio::piped())
        .stderr(fs::OpenOptions::new().create_new(true).write(true).open(&told).unwrap())
        .spawn()
        .unwrap();
    // A sleeping process has looked and knows the good state (proc_pid_stat(5)).
    let stat = format!("/proc/{}/stat", waiting.id());
    eventually("it sleeps", || fs::read_to_string(&stat).is_ok_and(|text| text.contains(") S ")));
    env.write(".maint/state.json", "{");
    eventually("it reports", || fs::read_to_string(&told).unwrap().contains("is broken"));
    env.write(".maint/state.json", &good);
    env.ok(&["off"]);
    let ran = finish(waiting);
    assert_eq!(ran.code, 0, "the last good state held meanwhile: {ran:?}");
}

#[test]
fn a_state_that_is_broken_from_the_start_is_an_error() {
    let env = TestEnv::new();
    env.write(".maint/state.json", "{");
    env.fails(8, &["wait", "off"]);
}
