//! Where the time of a run goes: each part, and in it each program of tests.

use std::collections::VecDeque;

/// How many steps of a part are named; the others are short.
const NAMED: usize = 6;

/// What a part said of its programs of tests, in the order in which they ended.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// Programs that began and have not said how long they took.
    begun: VecDeque<String>,
    ended: Vec<(String, f64)>,
}

impl Steps {
    /// Reads a line. Programs and their times come by two pipes, each in its order.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(name) = begins(line) {
            self.begun.push_back(name);
        } else if let Some(seconds) = of_cargo(line) {
            let name = self.begun.pop_front().unwrap_or_else(|| "?".to_owned());
            self.ended.push((name, seconds));
        } else if let Some(seconds) = of_pytest(line) {
            self.ended.push(("pytest".to_owned(), seconds));
        }
    }

    /// A row of the table: the part, its seconds, and the longest of its steps.
    pub(crate) fn row(&self, part: &str, seconds: u64) -> String {
        let mut steps: Vec<_> = self.ended.iter().filter(|(_, seconds)| *seconds >= 1.0).collect();
        steps.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let steps: Vec<String> = steps
            .iter()
            .take(NAMED)
            .map(|(name, seconds)| format!("{name} {seconds:.0}"))
            .collect();
        format!("  {part:12} {seconds:6} s  {}", steps.join(", ")).trim_end().to_owned()
    }
}

/// `     Running unittests src/lib.rs (target/debug/deps/maint-0123)`, `   Doc-tests maint`.
fn begins(line: &str) -> Option<String> {
    let line = line.trim_start();
    if line.starts_with("Doc-tests ") {
        return Some("documentation".to_owned());
    }
    let (path, _) = line.strip_prefix("Running ")?.split_once(" (")?;
    let path = path.strip_prefix("unittests ").unwrap_or(path);
    // What tells one from another: `store` of tests/proof/store/main.rs.
    let words = path.trim_end_matches(".rs").trim_end_matches("/main");
    Some(words.rsplit('/').next().unwrap_or(words).to_owned())
}

/// The end of `test result: ok. 3 passed; …; finished in 0.52s`.
fn of_cargo(line: &str) -> Option<f64> {
    line.strip_prefix("test result: ")?
        .rsplit_once("finished in ")?
        .1
        .strip_suffix('s')?
        .parse()
        .ok()
}

/// The end of `72 passed, 1 skipped in 83.17s (0:01:23)`.
fn of_pytest(line: &str) -> Option<f64> {
    let (counts, taken) = line.rsplit_once(" in ")?;
    let counts = counts.contains(" passed") || counts.contains(" failed");
    counts.then(|| taken.split('s').next()?.parse().ok()).flatten()
}
