//! The gate.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use maint::gate::{Answer, App, Force, OnError, OnProblem, Options, Pass as MaintPass};
use maint::page;
use maint::rules::Matcher;
use maint::state::PageSettings;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::answer::{Pass, Reply};
use crate::asked::{Asked, Functions, Request, Wanted};
use crate::clock::{self, Moment};
use crate::error::{raise, words};
use crate::functions::{Function, log};
use crate::rules;
use crate::servers::{Django, Environ, Scope, Server};
use crate::site::Site;

/// What an app asks about every request.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Gate {
    inner: maint::Gate,
    site: maint::Site,
    functions: Functions,
    /// The answer to most requests, made once.
    pass: Py<Pass>,
}

#[pymethods]
impl Gate {
    #[new]
    #[pyo3(signature = (
        site=None, *, recheck=None, on_error="refuse", on_problem=None, down=None, ignore=None,
        status=None, retry_after=None, redirect=None, format=None, user=None, client=None,
        plain_http=false,
    ))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn new(
        py: Python<'_>,
        site: Option<&Bound<'_, PyAny>>,
        recheck: Option<f64>,
        on_error: &str,
        on_problem: Option<Py<PyAny>>,
        down: Option<bool>,
        ignore: Option<&Bound<'_, PyAny>>,
        status: Option<u16>,
        retry_after: Option<u32>,
        redirect: Option<String>,
        format: Option<&Bound<'_, PyAny>>,
        user: Option<Py<PyAny>>,
        client: Option<Py<PyAny>>,
        plain_http: bool,
    ) -> PyResult<Self> {
        let site = Site::meant(py, site)?;
        check("status", status, |&status| maint::internal::state::validate_status(status))?;
        check("retry_after", retry_after, |&seconds| {
            maint::internal::state::validate_retry_after(seconds)
        })?;
        check("redirect", redirect.as_ref(), |url| maint::internal::state::validate_redirect(url))?;
        let page = PageSettings { status, retry_after, redirect, ..PageSettings::default() };
        let options = Options {
            recheck: recheck.map(seconds).transpose()?,
            on_error: policy(on_error)?,
            on_problem: Some(teller(on_problem)),
            app: App { is_down: down, ignore: app_rules(ignore)?, page },
        };
        let functions = Functions {
            user: user.map(|function| Function::new("user", function)),
            client: client.map(|function| Function::new("client", function)),
            format: format.map(wanted).transpose()?,
            is_plain_http: plain_http,
        };
        let opened = py.detach(|| maint::Gate::open_with(&site, options));
        let inner = opened.map_err(|error| raise(py, &error))?;
        let pass = Py::new(py, Pass::from(MaintPass::default()))?;
        Ok(Self { inner, site, functions, pass })
    }

    #[getter]
    fn site(&self) -> Site {
        Site(self.site.clone())
    }

    #[getter]
    fn revision(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.inner.revision())
    }

    fn is_down(&self, py: Python<'_>) -> bool {
        py.detach(|| self.inner.current().is_down(clock::stopped()))
    }

    #[pyo3(signature = (request, *, force=None, at=None))]
    fn answer<'py>(
        &self,
        py: Python<'py>,
        request: &Request,
        force: Option<&str>,
        at: Option<Moment>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let now = at.map(|moment| moment.0);
        let answer = self.decide(py, &request.0, forced(force)?, now);
        self.object(py, answer, false)
    }

    #[pyo3(signature = (environ, *, force=None))]
    fn answer_environ<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        force: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(environ.as_any(), Environ(environ), true, force)
    }

    #[pyo3(signature = (scope, ask=true, *, force=None))]
    fn answer_scope<'py>(
        &self,
        scope: &Bound<'py, PyAny>,
        ask: bool,
        force: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(scope, Scope(scope), ask, force)
    }

    #[pyo3(signature = (request, ask=true, *, force=None))]
    fn answer_django<'py>(
        &self,
        request: &Bound<'py, PyAny>,
        ask: bool,
        force: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(request, Django(request), ask, force)
    }

    fn __repr__(&self) -> String {
        format!("<maint.Gate {}>", self.site.dir().display())
    }
}

impl Gate {
    /// What to do with a request, at a time of the caller's choice or now. Others
    /// may run while the gate looks at the file: the file system may be slow, and
    /// a new state takes a moment to read.
    fn decide(
        &self,
        py: Python<'_>,
        request: &impl maint::request::Request,
        force: Option<Force>,
        now: Option<Timestamp>,
    ) -> Answer {
        let current = || py.detach(|| self.inner.current());
        let now = now.or_else(clock::stopped);
        match force {
            Some(Force::Off) => Answer::Pass(MaintPass::default()),
            Some(Force::On) => current().answer_down(request, now),
            None => current().answer(request, now),
        }
    }

    fn ask<'py>(
        &self,
        subject: &Bound<'py, PyAny>,
        server: impl Server,
        calls: bool,
        force: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = Asked::new(server, subject, &self.functions, calls);
        let answer = self.decide(subject.py(), &asked, forced(force)?, None);
        self.object(subject.py(), answer, asked.needs_calls())
    }

    fn object<'py>(
        &self,
        py: Python<'py>,
        answer: Answer,
        needs_asking: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        match answer {
            Answer::Pass(pass) if pass == MaintPass::default() => {
                Ok(self.pass.bind(py).clone().into_any())
            }
            Answer::Pass(pass) => Ok(Bound::new(py, Pass::from(pass))?.into_any()),
            Answer::Reply(reply) => Ok(Bound::new(py, Reply::new(reply, needs_asking))?.into_any()),
        }
    }
}

fn forced(force: Option<&str>) -> PyResult<Option<Force>> {
    match force {
        None => Ok(None),
        Some("on") => Ok(Some(Force::On)),
        Some("off") => Ok(Some(Force::Off)),
        Some(other) => {
            Err(PyValueError::new_err(format!("force: `{other}` is neither on nor off")))
        }
    }
}

fn check<T>(
    name: &str,
    setting: Option<T>,
    validate: impl FnOnce(&T) -> maint::Result<()>,
) -> PyResult<()> {
    let checked = setting.as_ref().map_or(Ok(()), validate);
    checked.map_err(|error| PyValueError::new_err(format!("{name}: {}", words(&error))))
}

fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|cause| PyValueError::new_err(format!("recheck: {seconds} seconds: {cause}")))
}

fn policy(on_error: &str) -> PyResult<OnError> {
    match on_error {
        "refuse" => Ok(OnError::Refuse),
        "open" => Ok(OnError::Open),
        "closed" => Ok(OnError::Closed),
        other => Err(PyValueError::new_err(format!(
            "on_error: `{other}` is none of refuse, open and closed"
        ))),
    }
}

/// Who is told of trouble with the files of the site.
fn teller(on_problem: Option<Py<PyAny>>) -> OnProblem {
    Arc::new(move |problem| {
        let text = problem.to_string();
        // At the very end of a process there is nobody left to tell.
        let _ = Python::try_attach(|py| match &on_problem {
            None => log(py, "warning", &text, None),
            Some(tell) => {
                if let Err(error) = tell.call1(py, (&text,)) {
                    log(py, "error", &format!("`on_problem` failed on: {text}"), Some(error));
                }
            }
        });
    })
}

/// The rules of the app: name, kind, value.
fn app_rules(ignore: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(String, Matcher)>> {
    let mut rules = Vec::new();
    for entry in ignore.map(PyAnyMethods::try_iter).transpose()?.into_iter().flatten() {
        let entry = entry?;
        let Ok((name, kind, value)) = entry.extract::<(String, String, String)>() else {
            return Err(PyTypeError::new_err(
                "ignore: each rule is three texts: name, kind, value",
            ));
        };
        let matcher = rules::rule(&kind, &value)
            .map_err(|why| PyValueError::new_err(format!("{name}: {why}")))?;
        rules.push((name, matcher));
    }
    Ok(rules)
}

fn wanted(format: &Bound<'_, PyAny>) -> PyResult<Wanted> {
    if let Ok(format) = format.cast::<PyString>() {
        return Ok(Wanted::Always(Wanted::media_type(format.to_str()?)?));
    }
    if !format.is_callable() {
        return Err(PyTypeError::new_err("format: `html`, `json` or a function"));
    }
    Ok(Wanted::Asked(Function::new("format", format.clone().unbind())))
}
