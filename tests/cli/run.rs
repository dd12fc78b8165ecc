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
    assert!(ran.stderr.contains("window: `maint off deploy-42`"), "{ran:?}");
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

/// Takes the window of `run --name w` away, and ends with a code.
fn loses(env: &TestEnv, script: &str) -> crate::env::Ran {
    env.run(&["run", "--name", "w", "--", "sh", "-c", script])
}

#[test]
fn requirement_67_a_run_that_lost_its_window_does_not_exit_0_and_leaves_others_alone() {
    for (what, script, state) in [
        ("is held by somebody else now", "maint -q off w; maint -q on w", "on"),
        ("is held by somebody else now", "maint -q on w --yes --path '/a/**'", "on"),
        ("was closed by somebody else", "maint -q off w", "off"),
        ("was closed by somebody else", "maint -q off --all; maint -q on x", "on"),
    ] {
        let env = TestEnv::ticking();
        let ran = loses(&env, script);
        assert_eq!(ran.code, 5, "{script}: {ran:?}");
        assert!(ran.stderr.contains(&format!("window `w` {what}")), "{script}: {ran:?}");
        assert_eq!(env.json(&["status"])["state"], state, "{script}");
        let ran = loses(&TestEnv::ticking(), &format!("{script}; exit 9"));
        assert_eq!(ran.code, 9, "the code of a command that failed goes first: {ran:?}");
    }
}

#[test]
fn requirement_67_who_takes_the_window_of_a_run_that_goes_is_told() {
    for verb in ["off", "on"] {
        let ran = loses(&TestEnv::ticking(), &format!("maint {verb} w"));
        assert!(ran.stderr.contains("the run that held window `w` (process"), "{verb}: {ran:?}");
    }
}

#[test]
fn requirement_67_a_window_that_no_dead_run_left_is_not_taken_over() {
    let env = TestEnv::ticking();
    env.ok(&["on", "hand"]);
    env.ok(&["on", "planned", "--at", "2100-01-01 00:00"]);
    assert_eq!(env.run(&["run", "--name", "failed", "--", "false"]).code, 1);
    env.ok(&["on", "failed"]);
    for name in ["hand", "planned", "failed"] {
        let error = env.fails(5, &["run", "--name", name, "--take-over", "--", "touch", "ran"]);
        assert!(error.contains("was not left by a run") && error.contains("hint: "), "{error}");
        assert!(!env.dir().join("ran").exists());
    }
}

#[test]
fn requirement_67_what_a_dead_run_left_is_taken_over_with_its_settings() {
    let env = TestEnv::ticking();
    let first = ["run", "--name", "w", "-m", "Moving", "--path", "/a/**", "--status", "500"];
    assert_eq!(env.run(&[&first[..], &["--", "false"]].concat()).code, 1);
    let since = env.json(&["status"])["windows"][0]["opened_at"].clone();
    let script = "maint --json status >kept";
    env.ok(&["run", "--name", "w", "--take-over", "--retry-after", "9s", "--", "sh", "-c", script]);
    let kept = std::fs::read(env.dir().join("kept")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    let window = &kept["windows"][0];
    assert_eq!(window["reason"], "Moving");
    assert_eq!(window["scope"]["paths"], serde_json::json!(["/a/**"]));
    assert_eq!(window["page"], serde_json::json!({"status": 500, "retry_after": 9}));
    assert_eq!(window["opened_at"], since, "visitors have waited since then");
    let names: Vec<_> = std::fs::read_dir(env.site()).unwrap().flatten().collect();
    let is_claim = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("run.");
    assert!(!names.iter().any(|entry| is_claim(&entry.file_name())), "{names:?}");
}

#[test]
fn a_new_message_of_a_run_that_takes_over_leaves_those_in_other_languages() {
    let env = TestEnv::ticking();
    let first = ["run", "--name", "w", "-m", "Moving", "-m", "de=Umzug", "-m", "fr=Travaux"];
    assert_eq!(env.run(&[&first[..], &["--", "false"]].concat()).code, 1);
    let take_over = ["run", "--name", "w", "--take-over", "-m", "Still moving", "-m", "fr=Encore"];
    let ran = env.run(&[&take_over[..], &["--", "false"]].concat());
    assert_eq!(ran.code, 1);
    let window = env.json(&["status"])["windows"][0].clone();
    assert_eq!(window["reason"], "Still moving");
    assert_eq!(window["reasons"], serde_json::json!({"de": "Umzug", "fr": "Encore"}));
    assert!(ran.stderr.contains("the message in `de` stays: “Umzug”\n"), "{ran:?}");
    assert!(!ran.stderr.contains("in `fr` stays"), "{ran:?}");
    let silent = ["run", "--name", "w", "--take-over", "-m", "", "-m", "de=", "--", "false"];
    assert_eq!(env.run(&silent).code, 1);
    let window = env.json(&["status"])["windows"][0].clone();
    assert!(window["reason"].is_null(), "{window}");
    assert_eq!(window["reasons"], serde_json::json!({"fr": "Encore"}));
}

/// A script that works until a file is there, or its site is gone: the test is over then, and
/// nothing of it is left behind.
fn works_until(file: &str) -> String {
    format!("while [ -e .maint ] && ! [ -e {file} ]; do sleep 0.02; done")
}

/// A command that works until it is told to end.
struct Worker<'a> {
    env: &'a TestEnv,
    name: char,
    child: Option<std::process::Child>,
}

impl<'a> Worker<'a> {
    fn start(env: &'a TestEnv, name: char) -> Self {
        let script = format!("touch began-{name}; {}", works_until(&format!("end-{name}")));
        let mut command =
            env.command(&["run", "--name", "deploy", "--take-over", "--", "sh", "-c", &script]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut worker = Self { env, name, child: Some(command.spawn().unwrap()) };
        eventually("it works or is refused", || worker.works() || worker.has_ended());
        worker
    }

    fn works(&self) -> bool {
        self.env.dir().join(format!("began-{}", self.name)).exists()
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Ends it, and returns its exit code.
    fn end(&mut self) -> i32 {
        self.env.write(format!("end-{}", self.name), "");
        finish(self.child.take().unwrap()).code
    }
}

#[test]
fn requirement_67_the_site_is_never_up_while_one_of_two_runs_works() {
    for order in ["AaBb", "ABab", "ABba", "BbAa", "BAba", "BAab"] {
        let env = TestEnv::ticking();
        let mut workers = std::collections::BTreeMap::new();
        let mut codes = Vec::new();
        for event in order.chars() {
            let name = event.to_ascii_uppercase();
            if event == name {
                workers.insert(name, Worker::start(&env, name));
            } else {
                let mut worker = workers.remove(&name).unwrap();
                let expected = if worker.works() { 0 } else { 5 };
                let code = worker.end();
                assert_eq!(code, expected, "{order}");
                codes.push(code);
            }
            if workers.values().any(Worker::works) {
                assert_eq!(env.json(&["status"])["state"], "on", "{order}: after `{event}`");
            }
        }
        assert_eq!(env.json(&["status"])["state"], "off", "{order}");
        let refused = codes.iter().filter(|code| **code == 5).count();
        assert_eq!(refused, usize::from(order[..2] == *"AB" || order[..2] == *"BA"), "{order}");
    }
}

#[test]
fn requirement_67_a_killed_run_goes_on_while_its_command_works() {
    let env = TestEnv::ticking();
    let mut worker = Worker::start(&env, 'A');
    let mut run = worker.child.take().unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    let second = ["run", "--name", "deploy", "--take-over", "--", "true"];
    let error = env.fails(5, &second);
    assert!(error.contains("is held by a run that still goes (process"), "{error}");
    env.write("end-A", "");
    eventually("the command has ended", || env.run(&second).code == 0);
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[cfg(unix)]
#[test]
fn requirement_67_a_run_whose_lease_lapsed_meanwhile_does_not_exit_0() {
    use rustix::process::{Pid, Signal, kill_process};
    let env = TestEnv::ticking();
    let script = format!("touch began; {}", works_until("end"));
    let child = env
        .command(&["run", "--name", "w", "--on-failure", "release", "--lease", "3s"])
        .args(["--", "sh", "-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    eventually("the command works", || env.dir().join("began").exists());
    kill_process(pid, Signal::STOP).unwrap();
    env.ok(&["wait", "off", "--timeout", "20s"]);
    // It goes, so not even its lapsed window is free.
    env.fails(5, &["run", "--name", "w", "--", "true"]);
    env.fails(5, &["run", "--name", "w", "--take-over", "--", "true"]);
    env.write("end", "");
    kill_process(pid, Signal::CONT).unwrap();
    let ran = finish(child);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stderr.contains("the lease of window `w` had lapsed"), "{ran:?}");
    assert_eq!(env.json(&["status"])["state"], "off");
}

#[test]
fn requirement_62_no_argument_of_a_wrapped_command_is_kept_or_shown() {
    let env = TestEnv::ticking();
    let ran = env.run(&["run", "--name", "w", "--", "/bin/sh", "-c", "maint log; false", "s3cret"]);
    assert!(ran.stdout.contains("run --name w -- sh …"), "{ran:?}");
    env.ok(&["on", "--redirect", "/s"]);
    let token = env.ok(&["bypass", "new"]);
    env.run(&["bypass", "revoke", token.trim()]);
    let mut shown = env.ok(&["log", "--all"]) + &env.ok(&["--json", "log"]);
    shown += &(env.ok(&["status"]) + &env.ok(&["--json", "status"]));
    for secret in ["s3cret", token.trim()] {
        assert!(!shown.contains(secret), "{shown}");
        for (path, bytes) in env.files() {
            assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{}", path.display());
        }
        let lock = std::fs::read_to_string(env.site().join("lock")).unwrap();
        assert!(!lock.contains(secret), "{lock}");
    }
}

#[test]
fn requirement_62_arguments_that_an_older_version_kept_are_not_shown() {
    let env = TestEnv::new();
    env.ok(&["on"]);
    for file in ["state.json", "history.jsonl"] {
        let text = std::fs::read_to_string(env.site().join(file)).unwrap();
        let old = text.replace("\"command\":\"on\"", "\"command\":\"run -- sh -c s3cret\"");
        let old = old.replace("\"command\": \"on\"", "\"command\": \"run -- sh -c s3cret\"");
        assert_ne!(old, text, "{file}");
        env.write(format!(".maint/{file}"), &old);
    }
    let shown = env.ok(&["log"]) + &env.ok(&["--json", "log"]) + &env.ok(&["--json", "status"]);
    assert_eq!((shown.matches("run -- sh …").count(), shown.matches("s3cret").count()), (3, 0));
    env.ok(&["off"]);
    assert!(!std::fs::read_to_string(env.site().join("state.json")).unwrap().contains("s3cret"));
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
pub(crate) fn ignored_signals() -> u64 {
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
    let script = "trap 'exit 7' USR1; touch ready; while [ -e .maint ]; do sleep 0.05; done";
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
    let script = "maint --json status >one; while [ -e .maint ] && [ \"$(maint --json log --all | grep -c '\"renewal\":true')\" = 0 ]; do sleep 0.1; done; maint --json status >two";
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
        .command(&["run", "--on-failure", "release", "--lease", "3s"])
        .args(["--", "sh", "-c", &works_until("end")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    env.ok(&["wait", "on", "--timeout", "60s"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let revision = |env: &TestEnv| env.json(&["status"])["revision"].clone();
    let killed = revision(&env);
    env.ok(&["wait", "off", "--timeout", "60s"]);
    env.write("end", "");
    assert_eq!(revision(&env), killed, "nobody closed it");
}

#[test]
fn a_window_that_somebody_closed_is_not_opened_again() {
    let env = TestEnv::ticking();
    let ran = env.run(&["run", "--name", "w", "--", "maint", "off", "w"]);
    assert_eq!(ran.code, 5, "{ran:?}");
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

#[test]
fn tokens_that_go_with_a_maintenance_the_clock_ended_are_named() {
    let env = TestEnv::after_a_maintenance();
    let ran = env.run(&["run", "--", "true"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("of the previous maintenance are revoked: b3"), "{ran:?}");
}

#[test]
fn a_command_needs_no_dashes_and_keeps_its_own_options() {
    let env = TestEnv::new();
    let script = "echo $MAINT_WINDOW $*";
    let ran = env.run(&["run", "sh", "-c", script, "x", "--json", "-q", "--", "--on-failure"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.starts_with("run-") && ran.stdout.ends_with(" --json -q -- --on-failure\n"),
        "{ran:?}"
    );
    // A word before the dashes is the window, as for `on`.
    for words in [
        &["run", "deploy", "--", "sh", "-c", script, "x", "a"][..],
        &["run", "--name", "deploy", "--", "sh", "-c", script, "x", "a"],
        &["run", "--name", "deploy", "sh", "-c", script, "x", "a"],
    ] {
        assert_eq!(env.ok(words), "deploy a\n", "{words:?}");
    }
    let ran = env.run(&["run", "--", "deploy", "--", "x"]);
    assert_eq!(ran.code, 127, "{ran:?}");
    assert!(ran.stderr.contains("could not run `deploy`"), "{ran:?}");
    let error = env.fails(2, &["run", "--name", "one", "two", "--", "true"]);
    assert!(error.contains("the window has two names: `one` and `two`"), "{error}");
    assert!(env.fails(2, &["run", "deploy", "--"]).contains("there is no command"));
    assert!(env.fails(2, &["run", "--no-such-option", "true"]).contains("--no-such-option"));
}

#[test]
fn what_a_command_is_given_stands_in_no_history_without_dashes_either() {
    let env = TestEnv::new();
    for words in [
        &["run", "/bin/true", "--password", "s3cret"][..],
        &["run", "--name", "x", "/bin/true", "--password", "s3cret"],
        &["run", "x", "--", "/bin/true", "--password", "s3cret"],
        &["run", "-m", "x", "/bin/true", "s3cret", "--", "s3cret"],
    ] {
        env.ok(words);
    }
    let log = env.ok(&["log"]);
    assert!(log.contains("maint run -- true …") && log.contains("maint run x -- true …"), "{log}");
    for (path, bytes) in env.files() {
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cret"), "in {}", path.display());
    }
}

#[test]
fn a_failed_run_with_a_name_says_how_the_next_one_goes_on() {
    let env = TestEnv::new();
    let ran = env.run(&["run", "--name", "mig", "--", "false"]);
    assert_eq!(
        ran.stderr.lines().last().unwrap(),
        "hint: when it is fixed, run it again with `--take-over`, or close the window: `maint off mig`"
    );
    assert_eq!(env.run(&["run", "--name", "mig", "--take-over", "--", "true"]).code, 0);
    let ran = env.run(&["run", "--", "false"]);
    assert!(!ran.stderr.contains("--take-over"), "{ran:?}");
}
