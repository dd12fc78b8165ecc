//! Processes that other tests start: this program again, as another user, under
//! strace(1), or to fork.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use maint::Site;
use maint::gate::Gate;
use tempfile::TempDir;

use crate::env::{get, is_blocked};

/// The variable with the site directory of a role.
const SITE: &str = "MAINT_TEST_SITE";

/// The variable with the number of answers.
const ANSWERS: &str = "MAINT_TEST_ANSWERS";

/// A copy of this program that everyone may run.
pub(crate) struct Program {
    _temp: TempDir,
    pub(crate) path: PathBuf,
}

impl Program {
    pub(crate) fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::Builder::new().prefix("maint-role-").tempdir().unwrap();
        let path = temp.path().join("program");
        let own = std::env::current_exe().unwrap();
        if std::fs::hard_link(&own, &path).is_err() {
            std::fs::copy(&own, &path).unwrap();
        }
        std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { _temp: temp, path }
    }

    /// The arguments that make this program play a role: a test ignored otherwise.
    pub(crate) fn playing(&self, role: &str) -> Vec<String> {
        let program = self.path.to_str().unwrap();
        [program, role, "--exact", "--ignored", "--nocapture", "--test-threads=1"]
            .map(str::to_owned)
            .into()
    }
}

/// This program playing a role on a site, behind others: `strace …`, `setpriv …`.
pub(crate) fn command(before: &[&str], role: &[String], site: &Path, answers: u32) -> Command {
    let words: Vec<&str> = before.iter().copied().chain(role.iter().map(String::as_str)).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir("/").env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env(SITE, site).env(ANSWERS, answers.to_string());
    command.envs(std::env::var_os("MAINT_PROOF").map(|size| ("MAINT_PROOF", size)));
    command
}

/// A role that acts, waits for a line on standard input, and goes on.
pub(crate) struct Player(Child);

impl Player {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Returns when the role waits.
    pub(crate) fn waits(&mut self) {
        let mut lines = BufReader::new(self.0.stdout.as_mut().unwrap());
        let mut line = String::new();
        while !line.contains("waiting") {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended before it waited");
        }
    }

    /// Lets it go on, and waits until it ends.
    pub(crate) fn goes_on(mut self) -> Output {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        self.0.wait_with_output().unwrap()
    }
}

fn wait() {
    println!("waiting");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

pub(crate) fn given_site() -> PathBuf {
    PathBuf::from(std::env::var_os(SITE).expect("started by another test"))
}

/// Asks about an unchanged state, and as often after a window was opened.
#[test]
#[ignore = "a process that other tests start"]
fn reader() {
    let gate = Gate::open(&Site::at(given_site())).unwrap();
    let answers: u32 = std::env::var(ANSWERS).unwrap().parse().unwrap();
    for _ in 0..answers {
        assert!(!is_blocked(&gate));
    }
    wait();
    for _ in 0..answers {
        assert!(is_blocked(&gate), "the window is open by now");
    }
    println!("answered {}", 2 * answers);
}

/// A process that may only read the state tries every word in it as a token.
#[test]
#[ignore = "a process that other tests start"]
fn forger() {
    let site = Site::at(given_site());
    let text = std::fs::read_to_string(site.state_file()).unwrap();
    let gate = Gate::open(&site).unwrap();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    let mut tried = 0;
    for word in words.filter(|word| !word.is_empty()) {
        for token in [word.to_owned(), format!("maint_{word}"), word.to_uppercase()] {
            for cookie in ["maint_bypass", "__Host-maint_bypass"] {
                let request = get("/").with("cookie", &format!("{cookie}={token}"));
                let link = get(&format!("/?maint_bypass={token}"));
                for request in [request, link] {
                    let reply = crate::env::reply(gate.answer(&request));
                    assert_eq!(reply.status(), 503, "{token}");
                    tried += 1;
                }
            }
        }
    }
    println!("tried {tried}");
}

/// A state whose mode locks out everyone except root.
#[test]
#[ignore = "a process that other tests start"]
fn kept_out() {
    crate::failures::unreadable_by_its_mode();
}

/// Forks while other threads read the state again.
#[test]
#[ignore = "a process that other tests start"]
fn forks() {
    crate::fork::play();
}
