//! Reads what the parts print: verdicts of tests, figures, and what was skipped.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What one part printed of the claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gathered {
    /// How many tests there were at all, whatever they show.
    pub(crate) tests: usize,
    /// Whether each test that names a claim passed.
    pub(crate) verdicts: BTreeMap<String, bool>,
    pub(crate) figures: BTreeSet<(String, String)>,
    pub(crate) skipped: BTreeSet<(String, String)>,
}

impl Gathered {
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(said) = line.strip_prefix("figure: ") {
            self.figures.extend(named(said));
        } else if let Some(said) = line.strip_prefix("SKIPPED: ") {
            self.skipped.insert(named(said).unwrap_or_else(|| (String::new(), said.to_owned())));
        } else if let Some((name, passed)) = verdict(line) {
            // The last line of pytest counts those of its tests that passed.
            self.tests += usize::from(!line.starts_with(PASSED));
            if !numbers(name).is_empty() {
                // Some tests run more than once, in builds with other features.
                *self.verdicts.entry(name.to_owned()).or_insert(true) &= passed;
            }
        } else if let Some(count) = of_pytest(line) {
            self.tests += count;
        }
    }
}

/// `NAME: TEXT`, as it follows `figure: ` and `SKIPPED: `.
pub(crate) fn named(said: &str) -> Option<(String, String)> {
    let (name, text) = said.split_once(": ")?;
    (!name.contains(' ')).then(|| (name.to_owned(), text.to_owned()))
}

/// Before the name of a test, as `python/tests/conftest.py` writes it.
const PASSED: &str = "PASSED ";

/// A test and whether it passed: `test NAME ... ok` of cargo, `FAILED FILE::NAME - WHY`
/// of pytest, and `PASSED FILE::NAME` of our own ones that show a claim.
pub(crate) fn verdict(line: &str) -> Option<(&str, bool)> {
    if let Some(said) = line.strip_prefix("test ") {
        let (name, result) = said.split_once(" ... ")?;
        // A test that should panic says so behind its name.
        let name = name.strip_suffix(" - should panic").unwrap_or(name);
        return match result {
            "ok" => Some((name, true)),
            "FAILED" => Some((name, false)),
            _ => None,
        };
    }
    let (name, passed) = if let Some(name) = line.strip_prefix(PASSED) {
        (name, true)
    } else {
        let said = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR "))?;
        (said.split(" - ").next()?, false)
    };
    name.contains("::").then_some((name, passed))
}

/// How many tests passed, by the last line of pytest: `2 failed, 72 passed in 9.17s`.
fn of_pytest(line: &str) -> Option<usize> {
    let (counts, _) = line.rsplit_once(" in ")?;
    counts.split(", ").find_map(|count| count.strip_suffix(" passed")?.parse().ok())
}

/// The numbers of the claims that a name tells: `requirement_22_and_23_a_reader_…`.
pub(crate) fn numbers(name: &str) -> Vec<&str> {
    let Some((_, rest)) = name.rsplit_once("requirement_") else { return Vec::new() };
    let is_number = |word: &&str| {
        let digits = word.strip_suffix('b').unwrap_or(word);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    rest.split('_')
        .take_while(|word| *word == "and" || is_number(word))
        .filter(is_number)
        .map(|number| number.trim_start_matches('0'))
        .collect()
}

/// What a test shows, in words: `requirement_03_a_kill_leaves…` is "a kill leaves…".
pub(crate) fn fact(name: &str) -> String {
    let last = name.rsplit_once("requirement_").map_or(name, |(_, rest)| rest);
    let words = last.split('_').skip_while(|word| {
        *word == "and" || word.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
    });
    words.collect::<Vec<_>>().join(" ")
}
