//! Errors of the library as exceptions.

use maint::Error;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(maint, MaintError, PyException, "Something failed: what, where and why.");

/// An error as an exception, with everything that a program may want to know.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let exception = MaintError::new_err(words(error));
    let value = exception.value(py);
    let path = error.path().map(|path| path.display().to_string());
    // A plain exception takes any attribute, so these cannot fail.
    let _ = value.setattr("code", error.kind().as_str());
    let _ = value.setattr("path", path);
    let _ = value.setattr("errno", error.errno());
    let _ = value.setattr("hint", hint(error));
    exception
}

/// An error with its hint in one line.
pub(crate) fn words(error: &Error) -> String {
    match hint(error) {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// One thing to run or to read, for somebody who has no `--site` at hand.
fn hint(error: &Error) -> Option<String> {
    match error {
        Error::Invalid { hint, .. } | Error::Refused { hint, .. } => hint.clone(),
        Error::NotASite { hint, .. } => {
            Some(hint.clone().unwrap_or_else(|| "`maint init` makes a site".to_owned()))
        }
        Error::Unknown { known, .. } if known.is_empty() => Some("there is none".to_owned()),
        Error::Unknown { known, .. } => Some(format!("there are: {}", known.join(", "))),
        Error::NoSite { .. } => Some("run `maint init` in the project, or name a site".to_owned()),
        Error::Untrusted { .. } => {
            Some("if you mean it, name it: `MAINT_SITE` or the path of the site".to_owned())
        }
        Error::Unreadable { .. } | Error::Corrupt { .. } => {
            Some("`maint doctor` tells more".to_owned())
        }
        Error::Newer { .. } => Some("install the newer maint here too".to_owned()),
        _ => None,
    }
}
