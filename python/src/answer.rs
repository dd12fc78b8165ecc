//! Answers of the gate as objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use maint::gate;
use maint::page;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDateTime, PyDict, PyString};

use crate::clock;
use crate::json;
use crate::private::{Finish, finish};

/// The app answers.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Pass {
    /// The id of the rule or token that lets the request through, or the
    /// name of the app's own rule; `None` if nothing holds it up.
    #[pyo3(get)]
    by: Option<String>,
    /// Whether others would have been blocked, so that the app's answer
    /// must not be shared: see `keep_private`.
    #[pyo3(get)]
    is_private: bool,
    /// The open window that blocks others who change something there;
    /// `None` if nothing is read-only, and if a rule or token lets the
    /// request through.
    #[pyo3(get)]
    read_only: Option<String>,
    next: Option<Arc<gate::Upcoming>>,
    mark: Option<(&'static str, &'static str)>,
}

#[pymethods]
impl Pass {
    /// The next maintenance to come where the request leads, for an
    /// announcement: see `Gate.next`.
    #[getter]
    fn next(&self) -> Option<Upcoming> {
        self.next.clone().map(Upcoming)
    }

    /// Whether the app's answer has to be finished: see `finish`.
    #[getter]
    fn needs_finishing(&self) -> bool {
        self.is_private || self.mark.is_some()
    }

    /// Finishes the app's answer: does what `keep_private` does, and says by
    /// `Maint-Decision: read-only` that the site is read-only, unless the
    /// answer has that field already.
    ///
    /// `headers`: as for `keep_private`.
    /// `as_bytes`: whether the fields are bytes, where there may be none.
    #[pyo3(signature = (headers, *, as_bytes=false))]
    fn finish<'py>(
        &self,
        headers: &Bound<'py, PyAny>,
        as_bytes: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !self.needs_finishing() {
            return Ok(headers.clone());
        }
        let mark = self.mark.map(|(_, value)| ("Maint-Decision", value));
        finish(headers, Finish { is_private: self.is_private, mark, as_bytes })
    }

    /// Keeps the app's answer out of shared caches if it is private: sets
    /// `Cache-Control` to `PRIVATE`, and removes the fields that
    /// `overrides_cache_control` names, whatever the case of a name.
    ///
    /// `headers`: a list of (name, value), of text or bytes, which gives a
    /// new list; or a mapping, which is changed and returned. Those of an
    /// answer that is not private are returned as they are.
    fn keep_private<'py>(&self, headers: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if !self.is_private {
            return Ok(headers.clone());
        }
        finish(headers, Finish { is_private: true, mark: None, as_bytes: false })
    }

    fn __repr__(&self) -> String {
        let private = if self.is_private { " private" } else { "" };
        format!("<maint.Pass by={}{private}>", repr(self.by.as_deref()))
    }
}

impl From<gate::Pass> for Pass {
    fn from(pass: gate::Pass) -> Self {
        Self {
            mark: pass.mark(),
            by: pass.by.map(|by| by.to_string()),
            is_private: pass.is_private,
            read_only: pass.read_only.map(|name| name.to_string()),
            next: pass.next,
        }
    }
}

/// A scheduled window that will cover what is asked for, with any method.
///
/// `start`, `end` and the reason are what visitors may be told, as on the
/// page later. `name` and `scope` are words of the operators: decide by
/// them, and do not print them.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Upcoming(pub(crate) Arc<gate::Upcoming>);

#[pymethods]
impl Upcoming {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// When it begins, an aware `datetime` in UTC.
    #[getter]
    fn start<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        clock::datetime(py, self.0.start)
    }

    /// When it ends by itself, as far as visitors are told; an aware
    /// `datetime` in UTC.
    #[getter]
    fn end<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        self.0.end.map(|end| clock::datetime(py, end)).transpose()
    }

    /// When it is expected to be over, an aware `datetime` in UTC.
    #[getter]
    fn estimate<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        self.0.estimate.map(|estimate| clock::datetime(py, estimate)).transpose()
    }

    /// The reason shown to visitors who read none of the languages in
    /// `reasons`.
    #[getter]
    fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The same in further languages, by BCP 47 tag in lower case.
    #[getter]
    fn reasons(&self) -> BTreeMap<String, String> {
        self.0.reasons.clone()
    }

    /// The language of `reason`, which is that of the page: a BCP 47 tag in
    /// lower case.
    #[getter]
    fn language(&self) -> &str {
        &self.0.language
    }

    /// Returns the reason for a visitor, as the page will choose it.
    ///
    /// `languages`: what the visitor reads, as `Accept-Language` has it, or
    /// the tag of the language that the app has chosen. What depends on that
    /// field needs `Vary: Accept-Language`.
    fn reason_in(&self, languages: &str) -> Option<&str> {
        self.0.reason_in(languages)
    }

    /// Whether only what changes something will be blocked.
    #[getter]
    fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    /// Whether it will cover every request, whatever its path, host and
    /// method.
    #[getter]
    fn covers_everything(&self) -> bool {
        self.0.covers_everything()
    }

    /// Which requests it will cover, as in docs/state-file.md.
    #[getter]
    fn scope<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.0.scope)
    }

    fn __repr__(&self) -> String {
        format!("<maint.Upcoming {:?} at {}>", self.0.name, self.0.start)
    }
}

/// The answer to send; the app is not asked.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Reply {
    reply: page::Reply,
    /// Whether a function of the app could still change the answer. It was
    /// not called because the answer was asked for with `ask=False`.
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
    /// The status code (RFC 9110, 15): that of the page, 200 or 400 to 599;
    /// 302 for a redirect, 303 for a bypass link.
    #[getter]
    fn status(&self) -> u16 {
        self.reply.status()
    }

    /// The header fields as (name, value): names in lower case, values in
    /// visible ASCII. `content-length` is that of GET, for HEAD too.
    #[getter]
    fn headers(&self) -> Vec<(&'static str, String)> {
        self.reply.headers().map(|(name, value)| (name, value.into_owned())).collect()
    }

    /// The header fields as `django.http.HttpResponse.headers` keeps them:
    /// (name, value) by the name in lower case.
    fn header_store<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = PyDict::new(py);
        for (name, value) in self.reply.headers() {
            // Names are few, and always the same.
            let name = PyString::intern(py, name);
            store.set_item(&name, (&name, &*value))?;
        }
        Ok(store)
    }

    /// The body in UTF-8; empty for HEAD.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.reply.body())
    }

    /// The name of the window that blocks; `None` where a view or a setting
    /// does, and where the visitor is sent elsewhere.
    #[getter]
    fn window(&self) -> Option<&str> {
        self.reply.window()
    }

    /// The format of the page; `None` without a page: a redirect, a bypass
    /// link, gRPC.
    #[getter]
    fn format(&self) -> Option<&'static str> {
        self.reply.format().map(maint::page::Format::extension)
    }

    /// The name of the site's template that the page was made from; `None`
    /// if the page is built in.
    #[getter]
    fn template(&self) -> Option<&str> {
        self.reply.template()
    }

    /// What a template is given, see docs/page.md: `title`, `reason`,
    /// `reason_language`, `site`, `start`, `end`, `estimate` (text in
    /// RFC 3339, or `None`), `is_late`, `retry_after` (seconds), `status`,
    /// `read_only`, `comes_back`, `contact`, `contact_url`, `status_url`,
    /// `language`, `dir`, `texts` (a dict). `None` without a page.
    #[getter]
    fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.reply.context().map(|context| json::object(py, &context)).transpose()
    }

    fn __repr__(&self) -> String {
        let window = self.window().map_or_else(String::new, |window| format!(" window={window:?}"));
        format!("<maint.Reply {}{window}>", self.status())
    }
}

/// Text as a repr shows it, or `None`.
fn repr(text: Option<&str>) -> String {
    text.map_or_else(|| "None".to_owned(), |text| format!("{text:?}"))
}
