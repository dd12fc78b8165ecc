//! `maint run`

use std::process::Stdio;

use crate::env::{TestEnv, eventually, finish};
use crate::say::skip;

#[test]
fn the_site_is_down_while_the_command_runs_and_up_afterwards() {
    let env = TestEnv::ticking();
    let ran = env.run(&["run", "-m", "Moving", "--", "maint", "--json", "status"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(status["state"], "on");
    assert_eq!(status["windows"][0]["reason"], "Moving");
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn the_exit_code_is_handed_on_and_a_failure_keeps_the_window() {
    let env = TestEnv::ticking();
    let ran = env.run(&["run", "--name", "deploy-42", "--", "sh", "-c", "exit 42"]);
    assert_eq!(ran.code, 42);
    assert!(ran.stderr.contains("window `deploy-42` stays open"), "{ran:?}");
    assert!(ran.stderr.contains("hint: when it is fixed, `maint off deploy-42`"), "{ran:?}");
    assert_eq!(env.json(&["status"])["state"], "on");
}

#[test]
fn release_closes_the_window_after_a_failure_too() {
    let env = TestEnv::ticking();
    let ran = env.run(&["run", "--on-failure", "release", "--", "sh", "-c", "exit 3"]);
    assert_eq!(ran.code, 3);
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn a_command_that_cannot_be_run_leaves_no_window() {
    let env = TestEnv::ticking();
    assert_eq!(env.run(&["run", "--", "no-such-command"]).code, 127);
    env.write("plain", "");
    assert_eq!(env.run(&["run", "--", "./plain"]).code, 126);
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn a_window_that_had_ended_is_no_reason_to_stay_down() {
    let env = TestEnv::ticking();
    env.ok(&["on", "w", "--for", "50ms"]);
    env.ok(&["wait", "off", "--timeout", "15s"]);
    assert_eq!(env.run(&["run", "--name", "w", "--", "no-such-command"]).code, 127);
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn run_does_not_take_over_a_window_of_somebody_else() {
    let env = TestEnv::ticking();
    env.ok(&["on", "deploy-42"]);
    let error = env.fails(5, &["run", "--name", "deploy-42", "--", "touch", "ran"]);
    assert!(error.contains("window `deploy-42` is open already"), "{error}");
    assert!(!env.dir().join("ran").exists());
}

#[test]
fn a_run_takes_over_the_window_that_a_failed_one_left_open() {
    let env = TestEnv::ticking();
    assert_eq!(env.run(&["run", "--name", "deploy", "--", "false"]).code, 1);
    assert_eq!(env.run(&["run", "--name", "deploy", "--", "true"]).code, 5);
    // A half-done deploy stays hidden, even if the second try does not start.
    assert_eq!(env.run(&["run", "--name", "deploy", "--take-over", "--", "no-such"]).code, 127);
    assert_eq!(env.json(&["status"])["state"], "on");
    env.ok(&["run", "--name", "deploy", "--take-over", "--", "true"]);
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn a_window_of_the_same_name_that_somebody_else_opened_meanwhile_is_left_alone() {
    let env = TestEnv::ticking();
    let ran = env.run(&["run", "--name", "w", "--", "sh", "-c", "maint -q off w; maint -q on w"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("window `w` was closed by somebody else"), "{ran:?}");
    assert_eq!(env.json(&["status"])["state"], "on");
}

#[test]
fn json_tells_how_it_ended_on_standard_error_alone() {
    let env = TestEnv::ticking();
    for (command, exit, open) in [("true", 0, false), ("false", 1, true), ("no-such", 127, false)] {
        let ran = env.run(&["--json", "run", "--", command]);
        let object: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!((&object["exit"], &object["open"]), (&exit.into(), &open.into()), "{command}");
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn closing_its_own_window_leaves_others_open() {
    let env = TestEnv::ticking();
    env.ok(&["on", "deploy-41"]);
    env.ok(&["run", "--", "true"]);
    assert_eq!(env.json(&["status"])["windows"].as_array().unwrap().len(), 1);
}

/// The signals that this process ignores, as a bit mask (`proc_pid_status(5)`).
#[cfg(unix)]
fn ignored_signals() -> u64 {
    mask(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
}

#[cfg(unix)]
fn mask(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap())
}

#[cfg(unix)]
#[test]
fn signals_reach_the_command() {
    use rustix::process::{Pid, Signal, kill_process};
    let env = TestEnv::ticking();
    for (signal, name, code) in
        [(Signal::TERM, "TERM", 143), (Signal::INT, "INT", 130), (Signal::HUP, "HUP", 129)]
    {
        if ignored_signals() & (1 << (signal.as_raw() - 1)) != 0 {
            // As in the background of a shell without job control; `run` keeps it ignored.
            skip(&format!("SIG{name} is ignored where this test runs"));
            continue;
        }
        let window = format!("w-{name}");
        let child = env
            .command(&["run", "--name", &window, "--", "sleep", "60"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        eventually("the command runs", || {
            std::fs::read_to_string(&children).is_ok_and(|text| !text.is_empty())
        });
        kill_process(pid, signal).unwrap();
        let ran = finish(child);
        assert_eq!(ran.code, code, "{name}: {ran:?}");
        assert_eq!(
            env.json(&["status"])["windows"].as_array().unwrap().len(),
            1,
            "kept after a failure"
        );
        env.ok(&["off", &window]);
    }
}

#[cfg(unix)]
#[test]
fn a_command_that_handles_a_signal_decides_its_exit_code() {
    use rustix::process::{Pid, Signal, kill_process};
    let env = TestEnv::ticking();
    let script = "trap 'exit 7' USR1; touch ready; while :; do sleep 0.05; done";
    let child = env
        .command(&["run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the trap is set", || env.dir().join("ready").exists());
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::USR1).unwrap();
    assert_eq!(finish(child).code, 7);
}

#[cfg(unix)]
#[test]
fn an_ignored_hangup_stays_ignored() {
    let env = TestEnv::ticking();
    let mut shell = std::process::Command::new("sh");
    env.seal(shell.args(["-c", "trap '' HUP; exec maint run -- grep SigIgn /proc/self/status"]));
    let text = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    assert_eq!(mask(&text) & 1, 1, "{text}");
}

#[test]
fn a_lease_is_renewed_while_the_command_runs() {
    let env = TestEnv::ticking();
    let script = "maint --json status >one; while [ \"$(maint --json log --all | grep -c '\"renewal\":true')\" = 0 ]; do sleep 0.1; done; maint --json status >two";
    let ran =
        env.run(&["run", "--on-failure", "release", "--lease", "3s", "--", "sh", "-c", script]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let end = |file: &str| {
        let text = std::fs::read_to_string(env.dir().join(file)).unwrap();
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        status["windows"][0]["end"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    assert!(end("two") > end("one"));
    assert!(!env.ok(&["log"]).contains("renews"), "renewals are not shown unless asked for");
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn a_killed_holder_loses_its_lease_by_itself() {
    let env = TestEnv::ticking();
    let mut child = env
        .command(&["run", "--on-failure", "release", "--lease", "3s", "--", "sleep", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    env.ok(&["wait", "on", "--timeout", "15s"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(env.json(&["status"])["state"], "on", "not at once");
    env.ok(&["wait", "off", "--timeout", "15s"]);
}

#[test]
fn a_window_that_somebody_closed_is_not_opened_again() {
    let env = TestEnv::ticking();
    let ran = env.run(&["run", "--name", "w", "--", "maint", "off", "w"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("window `w` was closed by somebody else"), "{ran:?}");
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn a_window_that_cannot_be_closed_is_never_success() {
    let env = TestEnv::ticking();
    let ran = env.run(&[
        "run",
        "--name",
        "w",
        "--",
        "sh",
        "-c",
        "cp .maint/state.json saved; echo '{' >.maint/state.json",
    ]);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(
        ran.stderr.contains("could not close the window") && ran.stderr.contains("`w` stays open"),
        "{ran:?}"
    );
}
