//! Answers of the gate as objects.

use maint::gate;
use maint::page;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

/// The app answers.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Pass {
    #[pyo3(get)]
    by: Option<String>,
    #[pyo3(get)]
    is_private: bool,
}

#[pymethods]
impl Pass {
    fn __repr__(&self) -> String {
        let by = self.by.as_deref().map_or_else(|| "None".to_owned(), |by| format!("{by:?}"));
        format!("<maint.Pass by={by}>")
    }
}

impl From<gate::Pass> for Pass {
    fn from(pass: gate::Pass) -> Self {
        Self { by: pass.by.map(|by| by.to_string()), is_private: pass.is_private }
    }
}

/// This is sent, and the app is not asked.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Reply {
    reply: page::Reply,
    #[pyo3(get)]
    needs_asking: bool,
}

impl Reply {
    pub(crate) fn new(reply: page::Reply, needs_asking: bool) -> Self {
        Self { reply, needs_asking }
    }
}

#[pymethods]
impl Reply {
    #[getter]
    fn status(&self) -> u16 {
        self.reply.status()
    }

    #[getter]
    fn headers(&self) -> Vec<(&'static str, String)> {
        self.reply.headers().map(|(name, value)| (name, value.into_owned())).collect()
    }

    fn header_store<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = PyDict::new(py);
        for (name, value) in self.reply.headers() {
            // Names are few, and always the same.
            let name = PyString::intern(py, name);
            store.set_item(&name, (&name, &*value))?;
        }
        Ok(store)
    }

    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.reply.body())
    }

    #[getter]
    fn window(&self) -> Option<&str> {
        self.reply.window()
    }

    #[getter]
    fn format(&self) -> Option<&'static str> {
        self.reply.format().map(maint::state::Format::extension)
    }

    #[getter]
    fn template(&self) -> Option<&str> {
        self.reply.template()
    }

    #[getter]
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(context) = self.reply.context() else { return Ok(None) };
        // Taken apart, so that a field more does not compile before it is told.
        let page::Context {
            title,
            reason,
            site,
            start,
            end,
            retry_after,
            status,
            read_only,
            comes_back,
        } = context;
        let told = PyDict::new(py);
        told.set_item("title", title)?;
        told.set_item("reason", reason)?;
        told.set_item("site", site)?;
        told.set_item("start", start)?;
        told.set_item("end", end)?;
        told.set_item("retry_after", retry_after)?;
        told.set_item("status", status)?;
        told.set_item("read_only", read_only)?;
        told.set_item("comes_back", comes_back)?;
        Ok(Some(told))
    }

    fn __repr__(&self) -> String {
        let window = self.window().map_or_else(String::new, |window| format!(" window={window:?}"));
        format!("<maint.Reply {}{window}>", self.status())
    }
}
