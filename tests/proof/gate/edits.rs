//! Requirement 21: people who edit the state with whatever is at hand.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, Write as _};
use std::process::Command;
use std::time::Duration;

use maint::gate::Gate;
use serde_json::json;

use crate::env::{TestSite, down, is_blocked, state, until};
use crate::say::figure;

/// Runs a line of shell in the site directory.
fn shell(site: &TestSite, script: &str) {
    let mut command = Command::new("sh");
    let done = command.args(["-ec", script]).current_dir(&site.dir).output().unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
}

/// Asks without pause until an edit is obeyed; returns how long that took.
fn noticed(gate: &Gate, revision: u64) -> Duration {
    until("the edit", || gate.revision() == revision)
}

#[test]
fn requirement_21_every_way_to_edit_by_hand_is_noticed() {
    let site = TestSite::new();
    site.put(1, &down("one"));
    let gate = site.gate();
    let text = |revision: u64| state(revision, &down("two"));
    let cases: [(&str, String); 9] = [
        ("echo >", format!("echo '{}' > state.json", text(2))),
        ("sed -i", "sed -i 's/\"revision\":2/\"revision\":3/' state.json".to_owned()),
        ("cp", format!("echo '{}' > draft; cp draft state.json", text(4))),
        ("cp -p, older", format!("echo '{}' > draft; touch -d 2001-01-01 draft; cp -p draft state.json", text(5))),
        ("mv over", format!("echo '{}' > draft; mv draft state.json", text(6))),
        ("touch into the past", format!("echo '{}' > state.json; touch -d 2001-01-01 state.json", text(7))),
        ("touch into the future", format!("echo '{}' > state.json; touch -d 2101-01-01 state.json", text(8))),
        ("dd in place", "printf 9 | dd of=state.json bs=1 conv=notrunc seek=$(( $(grep -bo '\"revision\":8' state.json | cut -d: -f1) + 11 )) status=none".to_owned()),
        ("ln -sf", format!("mkdir -p other; echo '{}' > other/state.json; ln -sf other/state.json state.json", text(10))),
    ];
    let mut slowest = Duration::ZERO;
    for ((name, script), revision) in cases.iter().zip(2..) {
        shell(&site, script);
        let took = noticed(&gate, revision);
        assert!(is_blocked(&gate), "{name}");
        slowest = slowest.max(took);
    }
    figure(&format!("{0}/{0} hand edits noticed, after {slowest:?} at most", cases.len()));
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
        // The first is read, and the second may come within the same tick.
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
    assert_eq!(told.len(), 2, "once a minute, and that it was over: {told:?}");
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
