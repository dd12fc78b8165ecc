//! Finishing an app's answer, whatever a server keeps its header fields in.

use maint::gate::Pass;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

/// What an app's answer gets.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    /// Whether no shared cache may keep it.
    pub(crate) is_private: bool,
    /// A field that it gets unless it has one of that name.
    pub(crate) mark: Option<(&'static str, &'static str)>,
    /// Whether the fields are bytes, where there may be none.
    pub(crate) as_bytes: bool,
}

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
    finish(headers, Finish { is_private: true, mark: None, as_bytes })
}

/// The header fields of a finished answer. A list of (name, value) gives a new list; a mapping is
/// changed, and returned.
pub(crate) fn finish<'py>(
    headers: &Bound<'py, PyAny>,
    finish: Finish,
) -> PyResult<Bound<'py, PyAny>> {
    let py = headers.py();
    let Finish { is_private, mut mark, mut as_bytes } = finish;
    let wanted = mark;
    let is_marked = |name: &Bound<'py, PyAny>| {
        wanted.is_none_or(|(mark, _)| text(name).is_ok_and(|name| name.eq_ignore_ascii_case(mark)))
    };
    let caching = is_private.then_some(("Cache-Control", Pass::CACHE_CONTROL));
    if headers.hasattr("keys")? {
        let names: Vec<Bound<'py, PyAny>> =
            headers.call_method0("keys")?.try_iter()?.collect::<PyResult<_>>()?;
        let has_mark = names.iter().any(is_marked);
        for name in names {
            as_bytes |= name.is_instance_of::<PyBytes>();
            // Of a field that was sent twice, the first removal removes both.
            if is_private && !is_left_on(&name)? && headers.contains(&name)? {
                headers.del_item(name)?;
            }
        }
        mark = mark.filter(|_| !has_mark);
        for (name, value) in caching.into_iter().chain(mark) {
            let [name, value] = field(py, name, value, as_bytes);
            headers.set_item(name, value)?;
        }
        return Ok(headers.clone());
    }
    let kept = PyList::empty(py);
    let mut has_mark = false;
    for pair in headers.try_iter()? {
        let pair = pair?;
        // The items of a text are texts as well.
        let name = if pair.is_instance_of::<PyString>() {
            py.None().into_bound(py)
        } else {
            pair.get_item(0)?
        };
        as_bytes |= name.is_instance_of::<PyBytes>();
        has_mark |= is_marked(&name);
        if is_left_on(&name)? || !is_private {
            kept.append(pair)?;
        }
    }
    mark = mark.filter(|_| !has_mark);
    for (name, value) in caching.into_iter().chain(mark) {
        kept.append(PyTuple::new(py, field(py, name, value, as_bytes))?)?;
    }
    Ok(kept.into_any())
}

/// Whether an answer that no shared cache may keep retains a header field of the app.
fn is_left_on(name: &Bound<'_, PyAny>) -> PyResult<bool> {
    let is = |name: &str| {
        !name.eq_ignore_ascii_case("cache-control") && !Pass::overrides_cache_control(name)
    };
    // A name that is no text is none of those.
    Ok(text(name)?.is_empty() || is(&text(name)?))
}

/// The name of a field; empty for bytes that are no text.
fn text(name: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = name.cast::<PyString>() {
        return Ok(text.to_str()?.to_owned());
    }
    let bytes = name.cast::<PyBytes>().map_err(|_| {
        PyTypeError::new_err("headers: give (name, value) of text or bytes, or a mapping")
    })?;
    Ok(str::from_utf8(bytes.as_bytes()).unwrap_or_default().to_owned())
}

fn field<'py>(py: Python<'py>, name: &str, value: &str, as_bytes: bool) -> [Bound<'py, PyAny>; 2] {
    if as_bytes {
        // ASGI requires lower case.
        let name = name.to_ascii_lowercase();
        return [name.as_bytes(), value.as_bytes()].map(|bytes| PyBytes::new(py, bytes).into_any());
    }
    [name, value].map(|text| PyString::new(py, text).into_any())
}
