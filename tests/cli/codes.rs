//! Requirement 60: each way to end has its number, and with JSON its word. The
//! faults themselves are in `tests/proof/store/`.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use crate::can::can_trace;
use crate::env::{Ran, TestEnv};
use crate::say::figure;

/// The words before the command, and the command.
type Words<'w> = (&'w [&'w str], &'w [&'w str]);

/// Runs the command with `--json`, behind other programs if there are any.
fn run(env: &TestEnv, (before, args): Words) -> Ran {
    let words = [before, &[env!("CARGO_BIN_EXE_maint"), "--json", "--no-wait"], args].concat();
    let mut command = Command::new(words[0]);
    env.seal(command.args(&words[1..]));
    Ran::from(command.output().unwrap())
}

/// The word of an error, which must carry its number too.
fn word(ran: &Ran) -> String {
    let error: Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(error["error"]["exit"], ran.code, "{ran:?}");
    error["error"]["code"].as_str().unwrap().to_owned()
}

#[test]
fn requirement_60_every_way_to_end_has_its_number_and_its_word() {
    let mut seen = BTreeSet::new();
    let mut expect = |code: i32, words: Option<&str>, ran: &Ran| {
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!(words.map(str::to_owned), words.map(|_| word(ran)), "{ran:?}");
        seen.insert(code);
    };
    let env = TestEnv::new();
    expect(0, None, &run(&env, (&[], &["status"])));
    expect(1, None, &run(&env, (&[], &["status", "--expect", "on"])));
    expect(2, Some("usage"), &run(&env, (&[], &["off", "nope"])));
    // Files may not grow.
    let no_file = ["sh", "-c", r#"trap "" XFSZ; ulimit -f 0; exec "$@""#, "sh"];
    expect(3, Some("not_applied"), &run(&env, (&no_file, &["on"])));
    let lock = File::open(env.site().join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    expect(4, Some("busy"), &run(&env, (&[], &["on"])));
    drop(lock);
    expect(5, Some("conflict"), &run(&env, (&[], &["on", "--if-revision", "99"])));
    if can_trace() {
        // The first fsync is of the new file, the later ones of its directory.
        let log = env.dir().join("trace");
        let inject = "inject=fsync:error=EIO:when=2+";
        let strace =
            ["strace", "-f", "-qq", "-o", log.to_str().unwrap(), "-e", "trace=fsync", "-e", inject];
        expect(6, Some("unsynced"), &run(&env, (&strace, &["on"])));
    }
    // The file can be opened and not read.
    let unreadable = TestEnv::new();
    let state = unreadable.site().join("state.json");
    std::fs::remove_file(&state).unwrap();
    symlink("/proc/self/mem", &state).unwrap();
    expect(7, Some("unreadable"), &run(&unreadable, (&[], &["status"])));
    let corrupt = TestEnv::new();
    corrupt.write(".maint/state.json", "{");
    expect(8, Some("corrupt"), &run(&corrupt, (&[], &["status"])));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = env.command(&["--json", "status"]);
    let done = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output();
    expect(9, Some("output"), &Ran::from(done.unwrap()));
    let numbers = seen.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
    figure(&format!("{} of 10 codes seen, each with its word: {numbers}", seen.len()));

    // The exit codes of a command are passed on unchanged.
    for code in [0, 1, 9, 37, 255] {
        let ran = env.run(&["run", "--", "sh", "-c", &format!("exit {code}")]);
        assert_eq!(ran.code, code, "{ran:?}");
    }
}
