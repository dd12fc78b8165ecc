//! Options of a gate that have limits. Those of the page are the library's.

use std::time::Duration;

use maint::internal::state::{validate_redirect, validate_retry_after, validate_status};
use maint::state::PageSettings;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::error::words;

/// The longest interval between two looks at the state file, in seconds.
const MAX_RECHECK: f64 = 3_600.0;

/// Refuses what cannot be an option of `Gate` with this name.
///
/// Raises `ValueError`, with what is wrong and what to write instead.
#[pyfunction]
#[pyo3(signature = (*, recheck=None, status=None, retry_after=None, redirect=None))]
pub(crate) fn validate_options(
    recheck: Option<f64>,
    status: Option<Number<u16>>,
    retry_after: Option<Number<u32>>,
    redirect: Option<String>,
) -> PyResult<()> {
    let checked = interval(recheck).and(page(status, retry_after, redirect).map(drop));
    checked.map_err(|refused| PyValueError::new_err(refused.why))
}

/// An option that cannot be.
pub(crate) struct Refused {
    name: &'static str,
    why: String,
}

impl From<Refused> for PyErr {
    fn from(Refused { name, why }: Refused) -> Self {
        PyValueError::new_err(format!("{name}: {why}"))
    }
}

/// How long a gate relies on its last look at the state file.
pub(crate) fn interval(recheck: Option<f64>) -> Result<Option<Duration>, Refused> {
    let Some(seconds) = recheck else { return Ok(None) };
    if (0.0..=MAX_RECHECK).contains(&seconds) {
        return Ok(Some(Duration::from_secs_f64(seconds)));
    }
    let why = format!(
        "`{seconds}` is not from 0 to {MAX_RECHECK} seconds; leave it out to look before every answer"
    );
    Err(Refused { name: "recheck", why })
}

/// The app's settings of the page.
pub(crate) fn page(
    status: Option<Number<u16>>,
    retry_after: Option<Number<u32>>,
    redirect: Option<String>,
) -> Result<PageSettings, Refused> {
    let status = Number::named(status, "status")?;
    let retry_after = Number::named(retry_after, "retry_after")?;
    check("status", status.map_or(Ok(()), validate_status))?;
    check("retry_after", retry_after.map_or(Ok(()), validate_retry_after))?;
    check("redirect", redirect.as_deref().map_or(Ok(()), validate_redirect))?;
    let mut settings = PageSettings::new().status(status).retry_after(retry_after);
    settings.redirect = redirect;
    Ok(settings)
}

fn check(name: &'static str, checked: maint::Result<()>) -> Result<(), Refused> {
    checked.map_err(|error| Refused { name, why: words(&error) })
}

/// The value of an option with this name, of the type that `wanted` describes. Otherwise Python's
/// own words would name neither.
pub(crate) fn typed<'py, T>(
    name: &str,
    wanted: &str,
    given: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let Some(given) = given.filter(|given| !given.is_none()) else { return Ok(None) };
    given.extract().map(Some).map_err(|_| not_it(name, wanted, given))
}

/// The function that an option with this name is.
pub(crate) fn function(name: &str, given: Option<Bound<'_, PyAny>>) -> PyResult<Option<Py<PyAny>>> {
    match given {
        Some(given) if !given.is_callable() => Err(not_it(name, "a function", &given)),
        given => Ok(given.map(Bound::unbind)),
    }
}

/// That an option is not of the type that `wanted` describes.
pub(crate) fn not_it(name: &str, wanted: &str, given: &Bound<'_, PyAny>) -> PyErr {
    let shown = given.repr().map_or_else(|_| "it".to_owned(), |repr| format!("`{repr}`"));
    PyTypeError::new_err(format!("{name}: {shown} is not {wanted}"))
}

/// A number of which the library knows the limits; or the text of one that its type cannot
/// hold, which is refused like any other beyond them.
pub(crate) struct Number<T>(Result<T, String>);

impl<T> Number<T> {
    /// The value of an option with this name.
    pub(crate) fn named(given: Option<Self>, name: &'static str) -> Result<Option<T>, Refused> {
        let refuse = |text| Refused { name, why: format!("`{text}` is out of range") };
        given.map(|number| number.0.map_err(refuse)).transpose()
    }
}

impl<'a, 'py, T> FromPyObject<'a, 'py> for Number<T>
where
    T: FromPyObject<'a, 'py, Error = PyErr>,
{
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.extract() {
            Ok(value) => Ok(Self(Ok(value))),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
                Ok(Self(Err(object.to_string())))
            }
            Err(error) => Err(error),
        }
    }
}
