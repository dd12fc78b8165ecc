//! Tries again what `fuzz/` keeps: seeds, and inputs that once broke something.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use super::{cookie, forwarded, path, state, template, time};
use crate::say::figure;

type Check = fn(&[u8]);

/// Every target, and what it asserts.
const TARGETS: [(&str, Check); 6] = [
    ("state", state::check),
    ("forwarded", forwarded::check),
    ("path", path::check),
    ("cookie", cookie::check),
    ("time", time::check),
    ("template", template::check),
];

/// Name and bytes of every input of one kind kept for a target.
fn kept(kind: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target);
    // There may be no crashes yet.
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let read = |entry: fs::DirEntry| {
        let name = format!("{kind}/{target}/{}", entry.file_name().display());
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(|entry| read(entry.unwrap())).collect()
}

fn breaks(check: Check, data: &[u8]) -> bool {
    catch_unwind(|| check(data)).is_err()
}

#[test]
fn requirement_27_what_was_kept_of_fuzzing_holds() {
    let mut numbers = [0, 0];
    let mut broken = Vec::new();
    for (target, check) in TARGETS {
        for (kind, number) in ["corpus", "crashes"].into_iter().zip(&mut numbers) {
            let kept = kept(kind, target);
            assert!(kind == "crashes" || kept.len() >= 10, "{target} has {} seeds", kept.len());
            *number += kept.len();
            broken.extend(kept.into_iter().filter(|(_, data)| breaks(check, data)));
        }
    }
    let broken: Vec<&String> = broken.iter().map(|(name, _)| name).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let [seeds, crashes] = numbers;
    figure(&format!("{} targets, {seeds} seeds and {crashes} old crashes hold", TARGETS.len()));
}

#[test]
fn requirement_57_what_was_kept_of_fuzzing_catches_a_rule_that_is_a_prefix() {
    let kept = kept("corpus", "path");
    let is_caught = |data: &[u8]| breaks(|data| path::check_of(data, path::planted), data);
    let caught = kept.iter().filter(|(_, data)| is_caught(data)).count();
    assert!(caught > 0);
    figure(&format!("caught by {caught} of {} seeds", kept.len()));
}

#[test]
fn every_target_is_built_and_replayed() {
    let manifest = include_str!("../../../fuzz/Cargo.toml");
    let built: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    let replayed: Vec<&str> = TARGETS.iter().map(|(target, _)| *target).collect();
    assert_eq!(built[1..], replayed);
}
