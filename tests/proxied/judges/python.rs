//! Django and Flask, from the package index into the test's own environment.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use super::servers::{Judge, Keeper, served};
use crate::process::Process;
use crate::say::skip;

const PACKAGES: [&str; 3] = ["django>=5.2,<5.3", "flask>=3.1,<3.2", "gunicorn>=23"];

/// Both servers, or none after a `SKIPPED` line.
pub(crate) fn start() -> Vec<Judge> {
    // Two tests at once would delete each other's work.
    static ENVIRONMENT: LazyLock<Result<PathBuf, String>> = LazyLock::new(environment);
    let python = match &*ENVIRONMENT {
        Ok(python) => python,
        Err(why) => {
            skip(&format!("Django and Flask are not asked: {why}"));
            return Vec::new();
        }
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proxied/judges");
    let django = judge("Django on gunicorn", python, &here, |command, port| {
        command.args(["-m", "gunicorn", "--threads", "4", "--log-level", "error", "--bind"]);
        command.arg(format!("127.0.0.1:{port}")).arg("judge:django");
    });
    let flask = judge("Flask on Werkzeug", python, &here, |command, port| {
        command.arg("judge.py").arg(port.to_string());
    });
    vec![django, flask]
}

fn judge(
    name: &'static str,
    python: &Path,
    directory: &Path,
    arguments: impl Fn(&mut Command, u16),
) -> Judge {
    // Another process may take the free port before the server does.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(python);
        arguments(&mut command, port);
        command.current_dir(directory).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start(&mut command);
        if process.is_up(|| served(port, b"/health").is_some_and(|it| it.route == "health")) {
            let keeper = Keeper::Process { _process: process };
            return Judge { name, port, has_gate: false, _keeper: keeper };
        }
    }
    panic!("{name} does not start");
}

/// A Python with the packages; made once, and kept in the target directory.
fn environment() -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("judges");
    let python = directory.join("bin/python");
    let is_ready = || {
        let output = Command::new(&python).args(["-c", "import django, flask, gunicorn"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if is_ready() {
        return Ok(python);
    }
    let run = |command: &mut Command| match command.stdin(Stdio::null()).output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, .. }) => {
            let text = String::from_utf8_lossy(&stderr);
            Err(text.trim().lines().last().unwrap_or("no word on why").to_owned())
        }
        Err(cause) => Err(cause.to_string()),
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))
        .map_err(|why| format!("no environment for python3: {why}"))?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "20"])
        .args(PACKAGES))
    .map_err(|why| format!("the packages cannot be installed: {why}"))?;
    Ok(python)
}
