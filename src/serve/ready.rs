//! `/readyz`: whether each site's state is read and in force.

use std::fmt::Write as _;

use super::sites::{Served, Sites};

impl Sites {
    /// Reports the sites whose state file cannot be used, and what holds there meanwhile.
    pub(super) fn ready(&self, name: Option<&str>) -> Option<Result<(), String>> {
        let asked: Vec<(&str, &Served)> = match (self.of(name), name) {
            (Some(served), _) => vec![(name.unwrap_or_default(), served)],
            (None, Some(_)) => return None,
            (None, None) => self.each().collect(),
        };
        let mut text = String::new();
        for (name, served) in asked {
            let current = served.gate.current();
            if !current.is_of_the_file() {
                let separator = if text.is_empty() { "" } else { "\n" };
                let site = if name.is_empty() { "the site" } else { name };
                let revision = current.revision();
                let _ = write!(
                    text,
                    "{separator}{site}: the state cannot be read; revision {revision} stays in force"
                );
            }
        }
        Some(if text.is_empty() { Ok(()) } else { Err(text) })
    }
}
