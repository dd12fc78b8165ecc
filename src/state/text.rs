//! Texts that people read: which characters, and how much of them.

use crate::error::{Error, Result};

/// Refuses control characters other than tab and newline, and too much text.
pub(crate) fn validate_text(what: &str, text: &str, longest: usize) -> Result<()> {
    if text.len() > longest {
        return Err(Error::invalid(format!(
            "{what} has {} bytes; {longest} are allowed",
            text.len()
        )));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(Error::invalid(format!("{what} contains a control character")));
    }
    Ok(())
}
