//! `maint agent`
#![cfg(unix)]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::env::{TestEnv, eventually};
use crate::say::figure;

/// An agent that runs until it is dropped.
struct Running {
    process: Child,
    log: PathBuf,
}

impl Running {
    fn start(env: &TestEnv, more: &[(&str, &str)]) -> Self {
        let log = env.dir().join("agent.log");
        let file =
            fs::File::create_new(&log).or_else(|_| fs::File::options().append(true).open(&log));
        let mut command = env.command(&["agent"]);
        command.envs(more.iter().copied()).stdin(Stdio::null()).stderr(file.unwrap());
        let running = Self { process: command.spawn().unwrap(), log };
        eventually("the agent runs", || env.run(&["agent", "status"]).code == 0);
        running
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Ends it as a service manager does, and returns its exit code.
    fn end(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.process.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A site with a flag, by the clock of the system.
fn with_flag() -> (TestEnv, PathBuf) {
    let env = TestEnv::ticking();
    let down = env.dir().join("down");
    env.ok(&["flag", "add", "file", down.to_str().unwrap(), "--id", "it"]);
    (env, down)
}

fn is(down: &Path, there: bool) {
    eventually(&format!("the flag is there: {there}"), || down.exists() == there);
}

#[test]
fn requirement_80_the_agent_sets_and_clears_a_flag_by_the_clock() {
    let (env, down) = with_flag();
    let agent = Running::start(&env, &[]);
    let soon = jiff::Timestamp::now() + Duration::from_secs(2);
    let on = env.ok(&["on", "--at", &soon.to_string(), "--for", "5s"]);
    assert!(!on.contains("by itself"), "the agent sees to it: {on}");
    is(&down, true);
    assert!(jiff::Timestamp::now() >= soon, "not before its time");
    is(&down, false);
    eventually("it is reported", || agent.said().contains("flag `it` is clear now"));
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn requirement_80_a_killed_agent_that_is_back_brings_flags_in_step_at_once() {
    let (env, down) = with_flag();
    // The agent has to be dead before the window opens, however slow this machine is.
    for lead in [1, 5, 25, 125].map(Duration::from_secs) {
        let agent = Running::start(&env, &[]);
        let soon = jiff::Timestamp::now() + lead;
        env.ok(&["on", "--at", &soon.to_string()]);
        agent.signal(Signal::KILL);
        drop(agent);
        if jiff::Timestamp::now() < soon {
            break;
        }
        env.ok(&["off"]);
    }
    eventually("the window is open", || env.run(&["status", "--expect", "on"]).code != 1);
    assert!(!down.exists(), "nobody was there");
    assert_eq!(env.run(&["agent", "status"]).code, 1);
    let agent = Running::start(&env, &[]);
    is(&down, true);
    assert_eq!(agent.end(), Some(0));
    assert!(down.exists(), "the end of an agent changes no flag");
}

#[test]
fn requirement_79_the_agent_mends_what_others_do_to_a_flag_and_leaves_what_is_theirs() {
    let (env, down) = with_flag();
    let agent = Running::start(&env, &[]);
    env.ok(&["on"]);
    fs::remove_file(&down).unwrap();
    is(&down, true);
    env.write(&down, "mine");
    eventually("it is reported", || agent.said().contains("somebody else made it"));
    assert_eq!(fs::read(&down).unwrap(), b"mine");
    let status = env.run(&["agent", "status"]);
    eventually("it is shown", || env.ok(&["agent", "status"]).contains("does not follow: it"));
    assert_eq!(status.code, 0);
    fs::remove_file(&down).unwrap();
    eventually("it is in step", || agent.said().contains("flag `it` is in step again"));
    assert!(down.exists());
}

#[test]
fn a_state_that_cannot_be_read_turns_nothing_up() {
    let (env, down) = with_flag();
    let agent = Running::start(&env, &[]);
    env.ok(&["on"]);
    let state = fs::read(env.site().join("state.json")).unwrap();
    env.write(".maint/state.json", "{");
    eventually("it is reported", || agent.said().contains("the flags stay as they are"));
    fs::remove_file(&down).unwrap();
    env.write(".maint/state.json", std::str::from_utf8(&state).unwrap());
    is(&down, true);
    eventually("it is reported", || agent.said().contains("can be read again"));
}

#[test]
fn the_second_agent_says_who_runs() {
    let (env, _) = with_flag();
    let agent = Running::start(&env, &[]);
    let second = env.fails(5, &["agent"]);
    assert!(second.contains(&format!("process {}", agent.process.id())), "{second}");
    let status = env.json(&["agent", "status"]);
    assert_eq!(
        (&status["running"], &status["last"]["pid"]),
        (&true.into(), &agent.process.id().into())
    );
    assert_eq!(agent.end(), Some(0));
    assert!(env.run(&["agent", "status"]).stdout.contains("no agent runs"));
}

#[test]
fn a_service_manager_hears_that_it_is_ready_alive_and_stopping() {
    let (env, _) = with_flag();
    let path = env.dir().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut heard = String::new();
    let mut hear = |what: &str| {
        let mut buffer = [0; 4096];
        while !heard.contains(what) {
            let length = socket.recv(&mut buffer).unwrap_or_else(|cause| panic!("{what}: {cause}"));
            heard += &String::from_utf8_lossy(&buffer[..length]);
            heard += "\n";
        }
    };
    let agent = Running::start(
        &env,
        &[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")],
    );
    hear("READY=1");
    hear("STATUS=1 flags follow, 0 do not");
    hear("WATCHDOG=1");
    assert_eq!(agent.end(), Some(0));
    hear("STOPPING=1");
}

/// Processes of other tests share the machine, so this looks at what the process has, not at
/// how long anything takes.
#[cfg(target_os = "linux")]
#[test]
fn requirement_82_an_agent_keeps_few_descriptors_one_thread_and_little_memory() {
    let (env, down) = with_flag();
    let agent = Running::start(&env, &[]);
    let proc = PathBuf::from(format!("/proc/{}", agent.process.id()));
    let changes = 40;
    for _ in 0..changes / 2 {
        env.ok(&["on"]);
        env.ok(&["off"]);
    }
    fs::read_dir(proc.join("fd")).unwrap();
    let descriptors = fs::read_dir(proc.join("fd")).unwrap().count();
    let status = fs::read_to_string(proc.join("status")).unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert!(descriptors <= 8, "{descriptors} descriptors");
    assert_eq!(field("Threads:"), 1);
    assert!(!down.exists());
    figure(&format!(
        "after {changes} changes: {descriptors} descriptors, 1 thread, {} kB",
        field("VmRSS:")
    ));
}

#[test]
fn the_units_of_systemd_are_sound() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd");
    let env = TestEnv::bare();
    let mut units = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().replace('@', "@srv-shop-.maint");
        let text = fs::read_to_string(&path).unwrap();
        // The command and its pages are not installed here.
        let text = text.replace("/usr/bin/maint", "/bin/true");
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with("Documentation="))
            .flat_map(|line| [line, "\n"])
            .collect();
        env.write(&name, &text);
        units.push(env.dir().join(name));
    }
    assert_eq!(units.len(), 5);
    let mut command = std::process::Command::new("systemd-analyze");
    let Ok(done) = command.arg("verify").arg("--man=no").args(&units).output() else {
        return crate::say::skip("systemd-analyze is not installed");
    };
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.is_empty(), "{said}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "somebody moves the whole site")]
fn an_agent_whose_site_is_gone_says_so_and_leaves_the_flags_as_they_are() {
    let (env, down) = with_flag();
    env.ok(&["on"]);
    let agent = Running::start(&env, &[]);
    is(&down, true);
    let elsewhere = env.dir().join("elsewhere");
    fs::rename(env.site(), &elsewhere).unwrap();
    eventually("it is reported", || agent.said().contains("the flags stay as they are"));
    assert!(down.exists());
    fs::rename(&elsewhere, env.site()).unwrap();
    eventually("it is over", || agent.said().contains("can be read again"));
    env.ok(&["off"]);
    is(&down, false);
    fs::File::create_new(&down).unwrap();
    is(&down, false);
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn options_for_every_verb_may_stand_before_the_status_of_an_agent() {
    let env = TestEnv::new();
    let status = env.run(&["agent", "--json", "status"]);
    assert_eq!((status.code, status.stdout.trim()), (1, r#"{"last":null,"running":false}"#));
}
