//! The functions that an app passes in, and the log entry if one raises.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict as _, PyString};

use crate::error::UsageError;

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
        let answer = returned.and_then(|value| {
            if value.is_none() {
                return Ok(None);
            }
            understand(value.clone()).map(Some).map_err(|error| never_awaited(&value, error))
        });
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

/// Why an answer makes no sense, where it is a coroutine. Python warns of one that is neither
/// awaited nor closed.
fn never_awaited(value: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    if !value.hasattr("__await__").unwrap_or(false) {
        return error;
    }
    // Other awaitables have nothing to close.
    let _ = value.call_method0("close");
    PyTypeError::new_err(
        "it returned a coroutine, and nothing awaits that; write a plain function, or for `user` \
         and `is_read` an `async def`",
    )
}

/// Whether a function of the app has to be awaited.
pub(crate) fn is_async(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    let module = function.py().import("maint._asking")?;
    module.call_method1("is_async", (function,))?.extract()
}

/// Refuses a function that would have to be awaited.
pub(crate) fn refuse_async(name: &str, function: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    if function.map_or(Ok(false), is_async)? {
        return Err(UsageError::new_err(format!(
            "{name}: the function is asynchronous, and nothing awaits it; write a plain function"
        )));
    }
    Ok(())
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
