//! systemd: the units, and what the endpoint tells it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::rig::{command, maint, program};
use crate::say::{figure, skip};
use crate::watched::{PATIENCE, ended, signal};

/// The most exposed that systemd may find the unit, in tenths; an ordinary service has 96.
const EXPOSURE: &str = "20";

/// The units in a directory of their own, with the program of this build.
fn units() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["maint-serve.service", "maint-serve.socket"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd").join(name);
        let text = fs::read_to_string(path).unwrap();
        crate::put(
            &dir.path().join(name),
            &text.replace("/usr/bin/maint ", &format!("{} ", program().display())),
        );
    }
    dir
}

fn analyze(arguments: &[&str], units: &[&Path]) -> Option<(bool, String)> {
    let output = Command::new("systemd-analyze").args(arguments).args(units).output().ok();
    let Some(output) = output else {
        skip("needs systemd-analyze(1)");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(said).unwrap()))
}

#[test]
fn systemd_takes_the_units_of_the_endpoint() {
    let dir = units();
    let (service, socket) =
        (dir.path().join("maint-serve.service"), dir.path().join("maint-serve.socket"));
    let verify = ["verify", "--man=no", "--recursive-errors=no"];
    let Some((is_sound, said)) = analyze(&verify, &[&service, &socket]) else { return };
    if !is_sound && !said.contains("maint-serve") {
        return skip(&format!("systemd-analyze verifies no unit here: {}", said.trim()));
    }
    assert!(is_sound && !said.contains("maint-serve"), "{said}");
    let wrong = dir.path().join("maint-serve.service.d");
    fs::create_dir(&wrong).unwrap();
    crate::put(&wrong.join("wrong.conf"), "[Service]\nProtectAll=yes\n");
    assert!(analyze(&verify, &[&service]).unwrap().1.contains("wrong.conf"), "the control");
}

#[test]
fn systemd_finds_little_to_harden() {
    let dir = units();
    let service = dir.path().join("maint-serve.service");
    let threshold = format!("--threshold={EXPOSURE}");
    let arguments = ["security", "--offline=yes", "--no-pager", &threshold];
    let Some((is_hard, said)) = analyze(&arguments, &[&service]) else { return };
    let Some(level) = said.lines().find(|line| line.contains("exposure level")) else {
        return skip(&format!("systemd-analyze judges no unit here: {}", said.trim()));
    };
    figure(level.trim_start_matches(['→', ' ']));
    assert!(is_hard, "{said}");
}

#[test]
fn the_service_manager_hears_that_it_is_ready_and_alive_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    maint(&dir, &["init", "."]);
    let path = dir.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = command(&dir);
    command.args(["serve", "--listen", "unix:s.sock", "--workers", "2"]).stderr(Stdio::null());
    let mut process =
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000").spawn().unwrap();
    let mut heard = Vec::new();
    let mut hear = |wanted: &str| loop {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).expect("it speaks");
        let message = String::from_utf8(message[..length].to_vec()).unwrap();
        let is_it = message.lines().any(|line| line == wanted);
        heard.push(message);
        if is_it {
            break;
        }
    };
    hear("READY=1");
    assert!(dir.path().join("s.sock").exists(), "whoever waits for it can connect");
    (0..5).for_each(|_| hear("WATCHDOG=1"));
    signal(&process, "TERM");
    hear("STOPPING=1");
    assert_eq!(ended(&mut process), Some(0));
}
