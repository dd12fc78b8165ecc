//! Settings of the page, as Python writes them.

use maint::page::{self, PageSettings};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;

use crate::error::words;

/// Refuses settings of the page that cannot be; they are options of `Gate`.
///
/// Raises `ValueError`, with what is wrong and what to write instead.
#[pyfunction]
#[pyo3(signature = (*, status=None, retry_after=None, redirect=None))]
pub(crate) fn validate_page(
    status: Option<Number<u16>>,
    retry_after: Option<Number<u32>>,
    redirect: Option<String>,
) -> PyResult<()> {
    let checked = settings(status, retry_after, redirect);
    checked.map(drop).map_err(|(_, why)| PyValueError::new_err(why))
}

/// The settings of an app's page; or the name of the first that cannot be, and why.
pub(crate) fn settings(
    status: Option<Number<u16>>,
    retry_after: Option<Number<u32>>,
    redirect: Option<String>,
) -> Result<PageSettings, (&'static str, String)> {
    let (status, retry_after) = (status.map(|status| status.0), retry_after.map(|given| given.0));
    check("status", status.map_or(Ok(()), page::validate_status))?;
    check("retry_after", retry_after.map_or(Ok(()), page::validate_retry_after))?;
    check("redirect", redirect.as_deref().map_or(Ok(()), page::validate_redirect))?;
    Ok(PageSettings { status, retry_after, redirect, ..PageSettings::default() })
}

fn check(name: &'static str, checked: maint::Result<()>) -> Result<(), (&'static str, String)> {
    checked.map_err(|error| (name, words(&error)))
}

/// A number of which the library knows the limits. One that its type cannot hold is a
/// `ValueError` like any other beyond them, where Rust's own conversion has an `OverflowError`.
pub(crate) struct Number<T>(pub(crate) T);

impl<'a, 'py, T> FromPyObject<'a, 'py> for Number<T>
where
    T: FromPyObject<'a, 'py, Error = PyErr>,
{
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        object.extract().map(Self).map_err(|error: PyErr| {
            if error.is_instance_of::<PyOverflowError>(object.py()) {
                PyValueError::new_err(format!("`{}` is out of range", &*object))
            } else {
                error
            }
        })
    }
}
