//! Requirement 21: people who edit the state with whatever tool is at hand.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::Duration;

use maint::gate::Gate;
use serde_json::json;

use crate::env::{TestSite, down, is_blocked, state, until};
use crate::say::{figure, skip};

/// Runs a line of shell in the site directory.
fn shell(site: &TestSite, script: &str) {
    let mut command = Command::new("sh");
    let done = command.args(["-ec", script]).current_dir(&site.dir).output().unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}

/// Asks without pause until an edit takes effect; returns how long that took.
fn noticed(gate: &Gate, revision: u64) -> Duration {
    until("the edit", || gate.revision() == revision)
}

/// Writes a revision, by a line of shell or in an editor: its name, its program under
/// one or more names, and whether it replaces the file, where that can be seen: a file
/// made after the old one is gone may get its inode number.
type Edit = (&'static str, &'static [&'static str], Option<bool>, String);

/// Ways to write one revision after another, starting with 10.
fn edits() -> Vec<Edit> {
    let text = |revision: u64| state(revision, &down("two"));
    let swap = |revision: u64| format!("s/\"revision\":{}/\"revision\":{revision}/", revision - 1);
    let vim = |revision: u64, setting: &str| {
        // Vim keeps no backup of files below /tmp unless told to.
        let setting = format!("-c 'set writebackup backupskip= backupcopy={setting}'");
        format!(
            "\"$TOOL\" -Es -u NONE -i NONE -n {setting} -c '%{}' -c wq state.json",
            swap(revision)
        )
    };
    let sh = &["sh"][..];
    let vims = &["vim.tiny", "vim", "vim.basic"][..];
    vec![
        ("echo >", sh, Some(false), format!("echo '{}' > state.json", text(10))),
        ("vim, a new file", vims, Some(true), vim(11, "no")),
        ("vim, in place", vims, Some(false), vim(12, "yes")),
        ("ed", &["ed"], Some(false), format!("printf '%s\\n' '{}' w q | ed -s state.json", swap(13))),
        ("sed -i", &["sed"], Some(true), format!("sed -i '{}' state.json", swap(14))),
        ("perl -i", &["perl"], Some(true), format!("perl -i -pe '{}' state.json", swap(15))),
        ("tee", &["tee"], Some(false), format!("echo '{}' | tee state.json >/dev/null", text(16))),
        ("cp", sh, Some(false), format!("echo '{}' > draft; cp draft state.json", text(17))),
        ("cp -p, older", sh, Some(false), format!("echo '{}' > draft; touch -d 2001-01-01 draft; cp -p draft state.json", text(18))),
        ("mv over", sh, Some(true), format!("echo '{}' > draft; mv draft state.json", text(19))),
        ("install", &["install"], None, format!("echo '{}' > draft; install -m 644 draft state.json", text(20))),
        ("touch into the past", sh, Some(false), format!("echo '{}' > state.json; touch -d 2001-01-01 state.json", text(21))),
        ("touch into the future", sh, Some(false), format!("echo '{}' > state.json; touch -d 2101-01-01 state.json", text(22))),
        ("dd in place", &["dd"], Some(false), "printf 3 | dd of=state.json bs=1 conv=notrunc seek=$(( $(grep -bo '\"revision\":22' state.json | cut -d: -f1) + 12 )) status=none".to_owned()),
        ("ln -sf", sh, Some(true), format!("mkdir -p other; echo '{}' > other/state.json; ln -sf other/state.json state.json", text(24))),
    ]
}

#[test]
fn requirement_21_every_way_to_edit_by_hand_is_noticed() {
    let site = TestSite::new();
    let edits = edits();
    let (mut names, mut replaced, mut slowest) = (Vec::new(), 0, Duration::ZERO);
    site.put(9, &down("one"));
    let gate = site.gate();
    let inode = || fs::metadata(site.state_file()).unwrap().ino();
    for ((name, tools, replaces, script), revision) in edits.iter().zip(10..) {
        let Some(tool) = tools.iter().find(|tool| is_installed(tool)) else {
            skip(&format!("{name}: `{}` is not installed", tools[0]));
            site.put(revision, &down("instead"));
            continue;
        };
        let before = inode();
        shell(&site, &format!("TOOL={tool}; {script}"));
        // An editor that works differently from its settings would show less.
        let is_another = before != inode();
        assert!(replaces.is_none_or(|replaces| replaces == is_another), "{name}");
        slowest = slowest.max(noticed(&gate, revision));
        assert!(is_blocked(&gate), "{name}");
        names.push(*name);
        replaced += usize::from(is_another);
    }
    figure(&format!(
        "{0}/{0} edits by hand noticed ({replaced} put a new file there), after {slowest:?} at \
         most: {1}",
        names.len(),
        names.join("; ")
    ));
    assert_eq!(site.told(), [""; 0]);
}

#[test]
fn requirement_21_two_edits_of_one_size_in_quick_succession_are_both_noticed() {
    let site = TestSite::new();
    site.put(1, &json!({}));
    let gate = site.gate();
    let mut file = OpenOptions::new().write(true).open(site.state_file()).unwrap();
    let mut write = |revision: u64| {
        file.rewind().unwrap();
        file.write_all(state(revision, &json!({})).as_bytes()).unwrap();
    };
    let mut slowest = Duration::ZERO;
    let mut at_once = 0;
    for revision in (2..200).step_by(2) {
        // The first is read, and the second may come within the same tick of the clock.
        write(10 + revision % 80);
        let _ = gate.revision();
        write(11 + revision % 80);
        at_once += u32::from(gate.revision() == 11 + revision % 80);
        slowest = slowest.max(noticed(&gate, 11 + revision % 80));
    }
    figure(&format!("99/99 second edits noticed, {at_once} at once, after {slowest:?} at most"));
}

#[test]
fn requirement_21_a_state_that_is_half_written_leaves_the_last_good_one_in_force() {
    let site = TestSite::new();
    site.put(1, &down("one"));
    let gate = site.gate();
    let mut files = 0;
    for round in 0..20 {
        let next = if round % 2 == 0 { json!({}) } else { down("again") };
        let text = state(round + 2, &next);
        let was_blocked = is_blocked(&gate);
        let mut file =
            OpenOptions::new().write(true).truncate(true).open(site.state_file()).unwrap();
        for byte in text.as_bytes() {
            assert_eq!(is_blocked(&gate), was_blocked, "half of {text}");
            assert_eq!(gate.revision(), round + 1);
            file.write_all(&[*byte]).unwrap();
            files += 1;
        }
        drop(file);
        noticed(&gate, round + 2);
        assert_eq!(is_blocked(&gate), !was_blocked);
    }
    let told = site.told();
    figure(&format!("{files} half-written states, {} told", told.len()));
    assert_eq!(told.len(), 2, "once a minute, and the recovery: {told:?}");
}

#[test]
fn requirement_21_an_editor_that_moves_the_file_away_first_makes_a_gap_and_no_error() {
    let site = TestSite::new();
    site.put(1, &down("one"));
    let gate = site.gate();
    shell(&site, "mv state.json state.json~");
    assert!(!is_blocked(&gate), "a missing state means that nothing is down");
    fs::copy(site.dir.join("state.json~"), site.state_file()).unwrap();
    assert!(is_blocked(&gate));
    assert_eq!(site.told(), [""; 0]);
}
