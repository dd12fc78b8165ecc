//! Times between Python and Rust, and the clock that tests stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyString, PyTzInfo};

/// Every answer reads this, so that it need not take the lock.
static IS_STOPPED: AtomicBool = AtomicBool::new(false);
static STOPPED_AT: Mutex<Option<Timestamp>> = Mutex::new(None);

/// The time at which tests have stopped the clock, if they have.
pub(crate) fn stopped() -> Option<Timestamp> {
    if !IS_STOPPED.load(Ordering::Acquire) {
        return None;
    }
    *STOPPED_AT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stops the clock of every gate and site of this process, for tests;
/// `None` lets it run again.
///
/// `at`: an aware `datetime`, or text in RFC 3339 with an offset. Raises
/// `ValueError` for a time without one.
#[pyfunction]
pub(crate) fn freeze(at: Option<Moment>) {
    let at = at.map(|moment| moment.0);
    *STOPPED_AT.lock().unwrap_or_else(PoisonError::into_inner) = at;
    IS_STOPPED.store(at.is_some(), Ordering::Release);
}

/// A time as an aware `datetime` in UTC.
pub(crate) fn datetime(py: Python<'_>, at: Timestamp) -> PyResult<Bound<'_, PyDateTime>> {
    let utc = PyTzInfo::utc(py)?;
    let epoch = PyDateTime::from_timestamp(py, 0.0, Some(&utc))?;
    // Whole numbers keep the microseconds.
    let micros = at.as_microsecond();
    let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let since = py.import("datetime")?.call_method1("timedelta", (0, seconds, rest))?;
    Ok(epoch.call_method1("__add__", (since,))?.cast_into()?)
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
            return Err(PyTypeError::new_err(format!("a time is a datetime or text, not {given}")));
        };
        let moment = text.parse().map_err(|cause| {
            PyValueError::new_err(format!(
                "`{text}` is not a time in RFC 3339 with an offset: {cause}"
            ))
        })?;
        Ok(Self(moment))
    }
}
