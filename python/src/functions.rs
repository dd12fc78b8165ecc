//! The functions that an app hands in, and who is told if one raises.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict as _, PyString};

/// How often trouble with one function is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A function of the app. One that raises knows nothing: a request is answered
/// in any case.
pub(crate) struct Function {
    name: &'static str,
    callable: Py<PyAny>,
    told_at: Mutex<Option<Instant>>,
}

impl Function {
    pub(crate) fn new(name: &'static str, callable: Py<PyAny>) -> Self {
        Self { name, callable, told_at: Mutex::new(None) }
    }

    /// What it says of a request.
    pub(crate) fn ask<'py, T>(
        &self,
        subject: &Bound<'py, PyAny>,
        understand: impl FnOnce(Bound<'py, PyAny>) -> PyResult<T>,
    ) -> Option<T> {
        let py = subject.py();
        let said = self.callable.bind(py).call1((subject,));
        let said = said
            .and_then(|said| if said.is_none() { Ok(None) } else { understand(said).map(Some) });
        said.unwrap_or_else(|error| {
            if self.is_due() {
                let text =
                    format!("the function for `{}` failed, and counts as not knowing", self.name);
                log(py, "error", &text, Some(error));
            }
            None
        })
    }

    fn is_due(&self) -> bool {
        let Ok(mut told_at) = self.told_at.lock() else { return true };
        let is_due = told_at.is_none_or(|at| at.elapsed() >= TOLD_EVERY);
        if is_due {
            *told_at = Some(Instant::now());
        }
        is_due
    }
}

/// Tells the logger `maint`. Whatever goes wrong there, the request goes on.
pub(crate) fn log(py: Python<'_>, level: &str, text: &str, error: Option<PyErr>) {
    let tell = || -> PyResult<()> {
        let logger = py.import("logging")?.call_method1("getLogger", ("maint",))?;
        let options = [("exc_info", error)].into_py_dict(py)?;
        logger.call_method(level, ("%s", PyString::new(py, text)), Some(&options))?;
        Ok(())
    };
    if let Err(error) = tell() {
        error.write_unraisable(py, None);
    }
}
