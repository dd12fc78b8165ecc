//! Moments between Python and Rust, and the clock that tests stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyString};

/// Looked at with every answer, so that the lock is not.
static IS_STOPPED: AtomicBool = AtomicBool::new(false);
static STOPPED_AT: Mutex<Option<Timestamp>> = Mutex::new(None);

/// The time that tests have set, if they have.
pub(crate) fn stopped() -> Option<Timestamp> {
    if !IS_STOPPED.load(Ordering::Acquire) {
        return None;
    }
    *STOPPED_AT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pyfunction]
pub(crate) fn freeze(at: Option<Moment>) {
    let at = at.map(|moment| moment.0);
    *STOPPED_AT.lock().unwrap_or_else(PoisonError::into_inner) = at;
    IS_STOPPED.store(at.is_some(), Ordering::Release);
}

/// An aware `datetime`, or text in RFC 3339.
pub(crate) struct Moment(pub(crate) Timestamp);

impl<'a, 'py> FromPyObject<'a, 'py> for Moment {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let text = if let Ok(text) = object.cast::<PyString>() {
            text.to_string()
        } else if object.is_instance_of::<PyDateTime>() {
            if object.call_method0("utcoffset")?.is_none() {
                return Err(PyValueError::new_err(format!(
                    "`{}` has no time zone; add one",
                    object.str()?
                )));
            }
            object.call_method0("isoformat")?.extract()?
        } else {
            let given = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a datetime or text, not {given}")));
        };
        let moment = text.parse().map_err(|cause| {
            PyValueError::new_err(format!(
                "`{text}` is no time in RFC 3339 with an offset: {cause}"
            ))
        })?;
        Ok(Self(moment))
    }
}
