//! Requirement 24: what happens to requests when the state cannot be read.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;

use maint::gate::{Gate, OnError};
use rustix::fs::{CWD, FileType, mknodat};
use serde_json::json;

use crate::can::can_be_others;
use crate::env::{HANG, NOBODY, TestSite, down, get, is_blocked, reply, state, write};
use crate::roles::{Program, command};
use crate::say::figure;

/// The number of requests while something is wrong.
const ANSWERS: usize = 300;

/// Breaks a site that has no state yet.
type Make = fn(&Path);

/// What is wrong, how to bring it about, and a part of the report; without one it
/// counts as no trouble and means that nothing is down.
type Cause = (&'static str, Make, Option<&'static str>);

/// A way to meet a cause.
type Way = fn(Cause, OnError);

const CAUSES: [Cause; 15] = [
    ("the state file is missing", |_| {}, None),
    (
        "the site directory is missing",
        |file| fs::remove_dir(dir(file)).unwrap(),
        Some("is not a site"),
    ),
    (
        "the site directory is a file",
        |file| {
            fs::remove_dir(dir(file)).unwrap();
            write(dir(file), "x");
        },
        Some("could not read"),
    ),
    ("it is not JSON", |file| write(file, r#"{"version":1,"revi"#), Some("is broken")),
    ("it is empty", |file| write(file, ""), Some("it is empty")),
    (
        "it is larger than 8 MiB",
        |file| {
            write(file, state(1, &down("x")));
            OpenOptions::new()
                .write(true)
                .open(file)
                .unwrap()
                .set_len(8 * 1024 * 1024 + 1)
                .unwrap();
        },
        Some("8388608 are allowed"),
    ),
    (
        "a key is there twice",
        |file| {
            write(file, r#"{"version":1,"revision":1,"revision":2}"#);
        },
        Some("duplicate key"),
    ),
    (
        "it says something impossible",
        |file| {
            write(file, state(1, &json!({ "page": { "status": 204 } })));
        },
        Some("`204` cannot be the status"),
    ),
    (
        "it is of a later version",
        |file| {
            write(file, r#"{"version":2,"revision":1}"#);
        },
        Some("needs version 2"),
    ),
    ("it is a directory", |file| fs::create_dir(file).unwrap(), Some("it is a directory")),
    (
        "it is a FIFO",
        |file| {
            mknodat(CWD, file, FileType::Fifo, 0o644.into(), 0).unwrap();
        },
        Some("it is a FIFO"),
    ),
    (
        "it is a socket",
        |file| {
            drop(UnixListener::bind(file).unwrap());
        },
        Some("it is a socket"),
    ),
    ("it is a loop of links", |file| symlink("state.json", file).unwrap(), Some("symbolic link")),
    (
        "it is a link into a directory that is missing",
        |file| {
            symlink("gone/state.json", file).unwrap();
        },
        Some("is not a site"),
    ),
    // A file that can be opened and not read.
    ("reading fails", |file| symlink("/proc/self/mem", file).unwrap(), Some("could not read")),
];

/// A mode that locks out everyone except root.
const KEPT_OUT: Cause = (
    "it may not be read",
    |file| {
        write(file, state(1, &down("x")));
        fs::set_permissions(file, Permissions::from_mode(0o000)).unwrap();
    },
    Some("permission denied"),
);

fn dir(file: &Path) -> &Path {
    file.parent().unwrap()
}

/// Leaves only the directory of a state.
fn clear(file: &Path) {
    if dir(file).is_dir() {
        let _ = fs::remove_dir(file);
        let _ = fs::remove_file(file);
    } else {
        let _ = fs::remove_file(dir(file));
        fs::create_dir(dir(file)).unwrap();
    }
}

/// A site for one try, whose directory can be removed.
fn site() -> TestSite {
    let site = TestSite::new();
    fs::remove_dir(site.dir.join("templates")).unwrap();
    site
}

/// Asks many times, and every answer must be the same.
#[track_caller]
fn all(gate: &Gate, blocked: bool, what: &str) {
    for _ in 0..ANSWERS {
        assert_eq!(is_blocked(gate), blocked, "{what}");
    }
}

/// The cause is there before the app starts.
fn cold((cause, make, part): Cause, on_error: OnError) {
    let what = format!("{cause}, cold, {on_error:?}");
    let site = site();
    let file = site.state_file();
    make(&file);
    let opened = site.gate_with(on_error);
    let Some(part) = part else {
        all(&opened.unwrap(), false, &what);
        assert_eq!(site.told(), [""; 0], "{what}");
        return;
    };
    let gate = match (opened, on_error) {
        (Err(error), OnError::Refuse) => {
            let text = error.to_string();
            assert!(text.contains(part), "{what}: {text}");
            assert!(error.path().unwrap().starts_with(dir(&file)), "{what}: {text}");
            return;
        }
        (opened, _) => opened.unwrap(),
    };
    let is_closed = on_error == OnError::Closed;
    all(&gate, is_closed, &what);
    if is_closed {
        let page = reply(gate.answer(&get("/")));
        let wait = page.header("retry-after");
        assert_eq!((page.status(), wait.as_deref()), (503, Some("30")), "{what}");
    }
    let told = site.told();
    let consequence = if is_closed { "every request is blocked" } else { "every request passes" };
    assert_eq!(told.len(), 1, "{what}: {told:?}");
    assert!(told[0].contains(part) && told[0].ends_with(consequence), "{what}: {told:?}");

    clear(&file);
    let mended = if is_closed { json!({}) } else { down("x") };
    site.put(5, &mended);
    all(&gate, !is_closed, &what);
    let over = "the state can be read again; revision 5 is in force";
    assert_eq!(site.told(), [over], "{what}");
}

/// The cause comes while the app runs.
fn warm((cause, make, part): Cause, on_error: OnError) {
    let what = format!("{cause}, warm, {on_error:?}");
    let site = site();
    let file = site.state_file();
    site.put(7, &down("x"));
    let gate = site.gate_with(on_error).unwrap();
    all(&gate, true, &what);
    fs::remove_file(&file).unwrap();
    make(&file);
    all(&gate, part.is_some(), &what);
    let told = site.told();
    if let Some(part) = part {
        assert_eq!(told.len(), 1, "{what}: {told:?}");
        let in_force = "the last good state, revision 7, stays in force";
        assert!(told[0].contains(part) && told[0].ends_with(in_force), "{what}: {told:?}");
    } else {
        assert_eq!(told, [""; 0], "{what}");
    }
    clear(&file);
    site.put(8, &json!({}));
    all(&gate, false, &what);
    let over = "the state can be read again; revision 8 is in force";
    assert_eq!(site.told(), if part.is_some() { vec![over] } else { Vec::new() }, "{what}");
}

/// Tries one cause in every way, and gives up on a hang.
fn every_way(cause: Cause) -> usize {
    let ways: [(Way, OnError); 5] = [
        (cold, OnError::Refuse),
        (cold, OnError::Open),
        (cold, OnError::Closed),
        (warm, OnError::Open),
        (warm, OnError::Closed),
    ];
    for (way, on_error) in ways {
        let (done, is_done) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            way(cause, on_error);
            done.send(()).unwrap();
        });
        match is_done.recv_timeout(HANG) {
            Ok(()) => {}
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{}: it hangs", cause.0),
            Err(_) => std::panic::resume_unwind(thread.join().unwrap_err()),
        }
    }
    ways.len()
}

/// The cause that root never meets.
pub(crate) fn unreadable_by_its_mode() {
    every_way(KEPT_OUT);
}

#[test]
fn requirement_24_every_cause_has_the_consequence_that_the_table_says() {
    let mut cells = 0;
    for cause in CAUSES {
        cells += every_way(cause);
    }
    if rustix::process::geteuid().is_root() {
        if can_be_others() {
            let program = Program::new();
            let id = NOBODY.to_string();
            let become_nobody = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--"];
            let role = program.playing("roles::kept_out");
            let done = command(&become_nobody, &role, Path::new("/"), 0).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
            cells += 5;
        }
    } else {
        cells += every_way(KEPT_OUT);
    }
    figure(&format!("{cells} of {cells} cells as the table says, {ANSWERS} answers each"));
}
