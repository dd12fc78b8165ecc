//! Ignore rules, as Python writes them.

use maint::rules::{Kind, Matcher};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::words;

/// The value of an ignore rule as the state has it: `method`, `purge` gives
/// `PURGE`.
///
/// Raises `ValueError`, with what is wrong and what to write instead, for a
/// rule that cannot be or that lets everyone in.
#[pyfunction]
pub(crate) fn parse_rule(kind: &str, value: &str) -> PyResult<String> {
    Ok(rule(kind, value).map_err(PyValueError::new_err)?.to_string())
}

/// An ignore rule; or what is wrong with it, which includes letting everyone in.
pub(crate) fn rule(kind: &str, value: &str) -> Result<Matcher, String> {
    let sound = matcher(kind, value).and_then(|rule| rule.refuse_everything().map(|()| rule));
    sound.map_err(|cause| words(&cause))
}

/// What an ignore rule matches.
pub(crate) fn matcher(kind: &str, value: &str) -> maint::Result<Matcher> {
    let known = Kind::KNOWN.into_iter().find(|known| known.as_str() == kind);
    Matcher::parse(&known.unwrap_or_else(|| Kind::Unknown(kind.to_owned())), value)
}
