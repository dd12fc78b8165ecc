//! The functions that an app passes in, and the log entry if one raises.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict as _, PyString};

/// The time between two reports of trouble with the same function.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// A function of the app. If it raises, its answer is unknown, and the request is
/// answered all the same.
pub(crate) struct Function {
    name: &'static str,
    callable: Py<PyAny>,
    reported_at: Mutex<Option<Instant>>,
}

impl Function {
    /// Guards the function: one that is away or slow is not asked by each visitor.
    pub(crate) fn new(py: Python<'_>, name: &'static str, callable: Py<PyAny>) -> PyResult<Self> {
        let guarded = py.import("maint._asking")?.call_method1("guarded", (name, callable))?;
        Ok(Self { name, callable: guarded.unbind(), reported_at: Mutex::new(None) })
    }

    /// What it returns for a request; `None` if that is unknown.
    pub(crate) fn ask<'py, T>(
        &self,
        subject: &Bound<'py, PyAny>,
        understand: impl FnOnce(Bound<'py, PyAny>) -> PyResult<T>,
    ) -> Option<T> {
        let py = subject.py();
        let returned = self.callable.bind(py).call1((subject,));
        let answer = returned
            .and_then(|value| if value.is_none() { Ok(None) } else { understand(value).map(Some) });
        answer.unwrap_or_else(|error| {
            if self.is_due() {
                let text = format!(
                    "the function for `{}` failed; its answer counts as unknown",
                    self.name
                );
                log(py, "error", &text, Some(error));
            }
            None
        })
    }

    fn is_due(&self) -> bool {
        let Ok(mut reported_at) = self.reported_at.lock() else { return true };
        let is_due = reported_at.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        if is_due {
            *reported_at = Some(Instant::now());
        }
        is_due
    }
}

/// Writes to the logger `maint`. Whatever goes wrong there, the request goes on.
pub(crate) fn log(py: Python<'_>, level: &str, text: &str, error: Option<PyErr>) {
    let write = || -> PyResult<()> {
        let logger = py.import("logging")?.call_method1("getLogger", ("maint",))?;
        let options = [("exc_info", error)].into_py_dict(py)?;
        logger.call_method(level, ("%s", PyString::new(py, text)), Some(&options))?;
        Ok(())
    };
    if let Err(error) = write() {
        error.write_unraisable(py, None);
    }
}
