//! Hosts of a fleet on this machine, each in a folder of its own with its own agent.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::pace::until;

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// The revision that a change with `--json` made.
    #[track_caller]
    pub(crate) fn revision(&self) -> u64 {
        let object: Value = serde_json::from_str(&self.stdout).unwrap_or_default();
        object["revision"].as_u64().unwrap_or_else(|| panic!("no revision: {self:?}"))
    }
}

/// Hosts, whose agents end when this is dropped.
pub(crate) struct Hosts {
    agents: Vec<Agent>,
    url: String,
    temp: TempDir,
}

struct Agent {
    host: String,
    process: Child,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Hosts {
    /// Hosts with these names, that follow the engine at this address. CI has a folder of its own
    /// and no site.
    pub(crate) fn of(url: &str, names: &[&str]) -> Self {
        let hosts = Self::bare(url);
        for name in names {
            hosts.join(name);
        }
        hosts
    }

    /// The same for so many, called `h0`, `h1` and so on.
    pub(crate) fn many(url: &str, count: usize) -> Self {
        let names: Vec<String> = (0..count).map(|number| format!("h{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Self::of(url, &names)
    }

    pub(crate) fn bare(url: &str) -> Self {
        let temp = tempfile::Builder::new().prefix("maint-fleet-").tempdir().unwrap();
        for name in ["ci", "home", "tmp"] {
            fs::create_dir(temp.path().join(name)).unwrap();
        }
        Self { agents: Vec::new(), url: url.to_owned(), temp }
    }

    /// One more host, which begins to follow.
    pub(crate) fn join(&self, host: &str) {
        fs::create_dir(self.dir(host)).unwrap();
        self.ok(host, &["init", "--store", &self.url]);
    }

    /// The address of the engine.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The folder of a host.
    pub(crate) fn dir(&self, host: &str) -> PathBuf {
        self.temp.path().join(host)
    }

    /// Gives a program the environment of a host.
    pub(crate) fn seal(&self, command: &mut Command, host: &str) {
        let binary = Path::new(env!("CARGO_BIN_EXE_maint")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", binary.display()))
            .env("HOME", self.dir("home"))
            .env("TMPDIR", self.dir("tmp"))
            .env("TZ", "UTC0")
            .current_dir(self.dir(host))
            .stdin(Stdio::null());
    }

    /// The command on a host, ready to run.
    pub(crate) fn command(&self, host: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maint"));
        self.seal(command.args(args), host);
        if host == "ci" {
            command.env("MAINT_STORE", &self.url);
        }
        command
    }

    pub(crate) fn run(&self, host: &str, args: &[&str]) -> Ran {
        Ran::from(self.command(host, args).output().unwrap())
    }

    #[track_caller]
    pub(crate) fn ok(&self, host: &str, args: &[&str]) -> String {
        let ran = self.run(host, args);
        assert_eq!(ran.code, 0, "{host} {args:?}: {ran:?}");
        ran.stdout
    }

    #[track_caller]
    pub(crate) fn fails(&self, host: &str, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(host, args);
        assert_eq!(ran.code, code, "{host} {args:?}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        ran
    }

    /// The state on a host, or that of the fleet for CI, as the command shows it.
    #[track_caller]
    pub(crate) fn json(&self, host: &str, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.ok(host, &args)).unwrap()
    }

    /// The state file of a host, which is there whole at any time.
    pub(crate) fn state(&self, host: &str) -> Value {
        let file = self.dir(host).join(".maint/state.json");
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    /// The revision that a host has.
    pub(crate) fn revision(&self, host: &str) -> u64 {
        self.state(host)["revision"].as_u64().unwrap()
    }

    /// The names of the windows on a host.
    pub(crate) fn windows(&self, host: &str) -> Vec<String> {
        let state = self.state(host);
        state["windows"].as_object().map_or_else(Vec::new, |all| all.keys().cloned().collect())
    }

    /// Starts the agent of a host, and waits until it has reached the engine.
    pub(crate) fn start_agent(&mut self, host: &str) {
        let command = self.command(host, &["agent", "--host", host]);
        self.start_agent_by(host, command);
    }

    /// The same by this command.
    pub(crate) fn start_agent_by(&mut self, host: &str, mut command: Command) {
        let log = File::options().create(true).append(true).open(self.log(host)).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let process = command.spawn().unwrap();
        self.agents.push(Agent { host: host.to_owned(), process });
        until("the agent has reached the engine", || {
            self.run(host, &["agent", "status"]).stdout.contains("last contact")
        });
    }

    fn log(&self, host: &str) -> PathBuf {
        self.temp.path().join(format!("{host}.log"))
    }

    /// What the agent of a host said.
    pub(crate) fn said(&self, host: &str) -> String {
        fs::read_to_string(self.log(host)).unwrap()
    }

    /// The processes of the agents, each of which has to be the first of its host still.
    pub(crate) fn assert_no_agent_ended(&mut self) {
        for agent in &mut self.agents {
            let ended = agent.process.try_wait().unwrap();
            assert!(ended.is_none(), "the agent of {} ended: {ended:?}", agent.host);
        }
    }

    /// No agent took what another writer of its host did for a fault of the engine.
    #[track_caller]
    pub(crate) fn assert_no_alarm(&self) {
        for agent in &self.agents {
            let said = self.said(&agent.host);
            assert!(!said.contains("keeps what it has"), "{}: {said}", agent.host);
        }
    }

    /// Ends the agent of a host by SIGTERM.
    pub(crate) fn end_agent(&mut self, host: &str) {
        let place = self.agents.iter().position(|agent| agent.host == host).unwrap();
        let mut agent = self.agents.remove(place);
        let pid = rustix::process::Pid::from_child(&agent.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(agent.process.wait().unwrap().success());
    }

    /// Waits until all these hosts have at least this revision; how long that took.
    pub(crate) fn until_all_have(&self, hosts: &[&str], revision: u64) -> Duration {
        let began = Instant::now();
        for host in hosts {
            until(&format!("{host} has revision {revision}"), || self.revision(host) >= revision);
        }
        began.elapsed()
    }
}

/// Says that it is over, also if a test panics while others wait for that.
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Names of hosts as slices.
pub(crate) fn names(hosts: &[String]) -> Vec<&str> {
    hosts.iter().map(String::as_str).collect()
}
