//! Keeping an app's answer out of shared caches, whatever a server keeps its header fields in.

use maint::gate::Pass;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

/// The header fields of an answer that no shared cache may keep, whatever
/// the case of their names. A list of (name, value) gives a new list; a
/// mapping is changed, and returned.
///
/// `as_bytes`: whether the fields are bytes, where there may be none.
#[pyfunction]
#[pyo3(signature = (headers, *, as_bytes=false))]
pub(crate) fn keep_private<'py>(
    headers: &Bound<'py, PyAny>,
    as_bytes: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let py = headers.py();
    let mut as_bytes = as_bytes;
    if headers.hasattr("keys")? {
        let names: Vec<Bound<'py, PyAny>> =
            headers.call_method0("keys")?.try_iter()?.collect::<PyResult<_>>()?;
        for name in names {
            as_bytes |= name.is_instance_of::<PyBytes>();
            // Of a field that was sent twice, the first removal removes both.
            if !is_left_on(&name)? && headers.contains(&name)? {
                headers.del_item(name)?;
            }
        }
        let (name, value) = field(py, as_bytes);
        headers.set_item(name, value)?;
        return Ok(headers.clone());
    }
    let kept = PyList::empty(py);
    for pair in headers.try_iter()? {
        let pair = pair?;
        // The items of a text are texts as well.
        let name = if pair.is_instance_of::<PyString>() {
            py.None().into_bound(py)
        } else {
            pair.get_item(0)?
        };
        as_bytes |= name.is_instance_of::<PyBytes>();
        if is_left_on(&name)? {
            kept.append(pair)?;
        }
    }
    let (name, value) = field(py, as_bytes);
    kept.append(PyTuple::new(py, [name, value])?)?;
    Ok(kept.into_any())
}

/// Whether an answer that no shared cache may keep retains a header field of the app.
fn is_left_on(name: &Bound<'_, PyAny>) -> PyResult<bool> {
    let is = |name: &str| {
        !name.eq_ignore_ascii_case("cache-control") && !Pass::overrides_cache_control(name)
    };
    if let Ok(text) = name.cast::<PyString>() {
        return Ok(is(text.to_str()?));
    }
    let bytes = name.cast::<PyBytes>().map_err(|_| {
        PyTypeError::new_err("headers: give (name, value) of text or bytes, or a mapping")
    })?;
    // A name that is no text is none of those.
    Ok(str::from_utf8(bytes.as_bytes()).map_or(true, is))
}

fn field(py: Python<'_>, as_bytes: bool) -> (Bound<'_, PyAny>, Bound<'_, PyAny>) {
    if as_bytes {
        // ASGI requires lower case.
        let value = PyBytes::new(py, Pass::CACHE_CONTROL.as_bytes());
        return (PyBytes::new(py, b"cache-control").into_any(), value.into_any());
    }
    let value = PyString::new(py, Pass::CACHE_CONTROL);
    (PyString::new(py, "Cache-Control").into_any(), value.into_any())
}
