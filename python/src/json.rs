//! Values as JSON on their way to Python and back.

use maint::{Error, Window};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::raise;

/// A value as the objects of Python that its JSON stands for.
pub(crate) fn object<'py>(
    py: Python<'py>,
    value: &impl serde::Serialize,
) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value);
    let text = text.map_err(|cause| PyValueError::new_err(cause.to_string()))?;
    py.import("json")?.call_method1("loads", (text,))
}

/// A window from a mapping.
pub(crate) fn window(window: &Bound<'_, PyAny>) -> PyResult<Window> {
    let py = window.py();
    let window = py.get_type::<PyDict>().call1((window,))?;
    let text: String = py.import("json")?.call_method1("dumps", (window,))?.extract()?;
    serde_json::from_str(&text).map_err(|cause| {
        raise(py, &Error::Invalid { message: format!("this is not a window: {cause}"), hint: None })
    })
}
