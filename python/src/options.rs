//! Options of a gate that have limits. Those of the page are the library's.

use std::time::Duration;

use maint::internal::state::is_language;
use maint::page::Format;
use maint::state::PageSettings;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::asked::format;
use crate::error::words;

/// The longest interval between two looks at the state file, in seconds.
const MAX_RECHECK: f64 = 3_600.0;

/// Refuses what cannot be an option of `Gate` with this name.
///
/// Raises `ValueError`: the name, what is wrong, and what to write instead.
#[pyfunction]
#[pyo3(signature = (
    *, recheck=None, status=None, retry_after=None, redirect=None, title=None, contact=None,
    status_url=None, language=None,
))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn validate_options(
    recheck: Option<f64>,
    status: Option<&Bound<'_, PyAny>>,
    retry_after: Option<&Bound<'_, PyAny>>,
    redirect: Option<&Bound<'_, PyAny>>,
    title: Option<&Bound<'_, PyAny>>,
    contact: Option<&Bound<'_, PyAny>>,
    status_url: Option<&Bound<'_, PyAny>>,
    language: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    interval(recheck)?;
    let given = [
        ("status", status),
        ("retry_after", retry_after),
        ("redirect", redirect),
        ("title", title),
        ("contact", contact),
        ("status_url", status_url),
        ("language", language),
    ];
    app_page(given).map(drop)
}

/// The tag of a language as the state has it; `None` for what is no
/// language that is known.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "what Python passes is owned")]
pub(crate) fn known_language(text: String) -> Option<String> {
    Some(tag(&text)).filter(|tag| is_language(tag))
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

/// A setting of the page by its name, `None` where it is taken away.
pub(crate) enum PageSetting {
    Status(Option<u16>),
    RetryAfter(Option<u32>),
    Template(Option<String>),
    Redirect(Option<String>),
    Format(Option<Format>),
    Title(Option<String>),
    Contact(Option<String>),
    StatusUrl(Option<String>),
    Language(Option<String>),
}

impl PageSetting {
    /// Raises `TypeError` for what is of another type, and `ValueError` for what cannot be put.
    pub(crate) fn read(name: &'static str, given: &Bound<'_, PyAny>) -> PyResult<Self> {
        let given = Some(given);
        let text = || typed::<String>(name, "text", given);
        Ok(match name {
            "status" => Self::Status(Number::named(typed(name, "a whole number", given)?, name)?),
            "retry_after" => {
                let seconds = typed(name, "a whole number of seconds", given)?;
                Self::RetryAfter(Number::named(seconds, name)?)
            }
            "template" => Self::Template(text()?),
            "redirect" => Self::Redirect(text()?),
            "format" => Self::Format(text()?.as_deref().map(format).transpose()?),
            "title" => Self::Title(text()?),
            "contact" => Self::Contact(text()?),
            "status_url" => Self::StatusUrl(text()?),
            _ => Self::Language(text()?.as_deref().map(tag)),
        })
    }

    pub(crate) fn put(&self, page: &mut PageSettings) {
        match self {
            Self::Status(status) => page.status = *status,
            Self::RetryAfter(seconds) => page.retry_after = *seconds,
            Self::Template(template) => page.template.clone_from(template),
            Self::Redirect(url) => page.redirect.clone_from(url),
            Self::Format(format) => page.format = *format,
            Self::Title(title) => page.title.clone_from(title),
            Self::Contact(contact) => page.contact.clone_from(contact),
            Self::StatusUrl(url) => page.status_url.clone_from(url),
            Self::Language(language) => page.language.clone_from(language),
        }
    }
}

/// The settings of the page that an app gives, checked one by one, so that each error names its
/// own.
pub(crate) fn app_page<const N: usize>(
    given: [(&'static str, Option<&Bound<'_, PyAny>>); N],
) -> PyResult<PageSettings> {
    let mut page = PageSettings::new();
    for (name, value) in given {
        let Some(value) = value else { continue };
        let mut alone = PageSettings::new();
        PageSetting::read(name, value)?.put(&mut alone);
        alone.validate().map_err(|error| Refused { name, why: words(&error) })?;
        page = page.over(&alone);
    }
    Ok(page)
}

/// The tag of a language as the state has it, from one that may be the name of a locale.
pub(crate) fn tag(language: &str) -> String {
    language.to_ascii_lowercase().replace('_', "-")
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
    fn named(given: Option<Self>, name: &'static str) -> Result<Option<T>, Refused> {
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
