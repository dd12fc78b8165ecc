//! The mutants that no test kills, and what a person said of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How many mutants of each name are answered. Two places of one function may
/// have the same name, and each wants an answer.
pub(crate) struct Answered(BTreeMap<String, usize>);

impl Answered {
    /// Reads the list: lines like ``- `FILE: replace … with …` ``, each below it why.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|cause| cause.to_string())?;
        let mut answered = BTreeMap::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("- `").and_then(|rest| rest.strip_suffix('`')) {
                *answered.entry(name.to_owned()).or_default() += 1;
            }
        }
        Ok(Self(answered))
    }

    /// Those that nobody answered.
    pub(crate) fn missing(&self, survived: &[String]) -> Vec<String> {
        let mut left = self.0.clone();
        let mut is_missing = |name: &String| match left.get_mut(name) {
            Some(number) if *number > 0 => {
                *number -= 1;
                false
            }
            _ => true,
        };
        survived.iter().filter(|name| is_missing(name)).cloned().collect()
    }
}
