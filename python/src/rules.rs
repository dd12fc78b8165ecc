//! Ignore rules, as Python writes them.

use maint::rules::{Kind, Matcher};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::words;

#[pyfunction]
pub(crate) fn parse_rule(kind: &str, value: &str) -> PyResult<String> {
    Ok(rule(kind, value).map_err(PyValueError::new_err)?.to_string())
}

/// An ignore rule that does not let everybody in, or why it is none.
pub(crate) fn rule(kind: &str, value: &str) -> Result<Matcher, String> {
    let sound = matcher(kind, value).and_then(|rule| rule.refuse_everything().map(|()| rule));
    sound.map_err(|cause| words(&cause))
}

/// What an ignore rule matches.
pub(crate) fn matcher(kind: &str, value: &str) -> maint::Result<Matcher> {
    let known = Kind::KNOWN.into_iter().find(|known| known.as_str() == kind);
    Matcher::parse(&known.unwrap_or_else(|| Kind::Unknown(kind.to_owned())), value)
}
