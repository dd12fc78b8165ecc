//! The gate.

use std::sync::Arc;

use jiff::Timestamp;
use maint::gate::{Answer, App, Current, OnError, OnProblem, Options, Override, Pass as MaintPass};
use maint::rules::Matcher;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::answer::{Pass, Reply};
use crate::asked::{Asked, Functions, Request, Wanted};
use crate::clock::{self, Moment};
use crate::error::raise;
use crate::functions::{Function, log};
use crate::options::{self, Number};
use crate::rules;
use crate::servers::{Django, Environ, Scope, Server};
use crate::site::Site;

/// What an app asks about every request.
///
/// Looks at the state file before every answer, by one stat(2), so a
/// request that starts after `maint on` has returned is blocked. Any number
/// of threads may use it, and it survives fork(2). Never writes.
///
/// `site`: a `Site`, or the path of one; `None` for the site that the
/// command would choose, see `Site.discover`.
/// `recheck`: look at the state file at most every so many seconds, 0 to
/// 3600; `None` for every time.
/// `on_error`: what to do if there is no good state now: `refuse` raises
/// `MaintError`, `open` lets every request pass, `closed` blocks every
/// request, both until there is one. A state that goes bad later leaves the
/// last good one in force.
/// `on_problem`: called with a text when the state or a template cannot be
/// used, at most once a minute, and again on recovery; `None` for a warning
/// of the logger `maint`.
///
/// The application's own settings, which override the state:
/// `down`: `True` covers every request at all times, `False` none ever.
/// `ignore`: rules in addition to those of the site, as (name, kind,
/// value); `Pass.by` has the name. At most 1000 regular expressions.
///
/// Where neither a window nor the site has a setting of the page:
/// `status`: 200, or 400 to 599 (RFC 9110, 15).
/// `retry_after`: seconds, 1 to 604800 (RFC 9110, 10.2.3).
/// `redirect`: an http or https URL, or a path of this site.
///
/// `format`: the format of every page, whatever `Accept` says.
/// `user`: returns the `User` of a request; `None` counts as nobody.
/// `client`: returns the client's address, if the app knows better than the
/// site's trusted proxies; its text is parsed.
/// `plain_http`: visitors come without encryption, so the cookie of a
/// bypass link is sent in the clear.
///
/// `format`, `user` and `client` may be functions. They are called with the
/// request (the environ, the scope, the Django request), and only if their
/// answer matters, one at a time. If one raises, its answer is unknown, and
/// the logger `maint` gets an error, at most once a minute. One that cannot
/// reach its database, or needs more than a second, is called once in 10 s
/// until it works again; its answer is unknown meanwhile.
///
/// Raises `MaintError` if the site or its state cannot be used, and
/// `ValueError` for a rule or setting that cannot be; its text begins with
/// the name of the rule or setting.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Gate {
    inner: maint::Gate,
    site: maint::Site,
    functions: Functions,
    /// Made once, since most requests get it.
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
        status: Option<Number<u16>>,
        retry_after: Option<Number<u32>>,
        redirect: Option<String>,
        format: Option<&Bound<'_, PyAny>>,
        user: Option<Py<PyAny>>,
        client: Option<Py<PyAny>>,
        plain_http: bool,
    ) -> PyResult<Self> {
        let site = Site::meant(py, site)?;
        let recheck = options::interval(recheck)?;
        let page = options::page(status, retry_after, redirect)?;
        let mut app = App::new().is_down(down).page(page);
        app.ignore = app_rules(ignore)?;
        let mut options = Options::new().recheck(recheck).on_error(policy(on_error)?).app(app);
        options.on_problem = Some(reporter(on_problem));
        let functions = Functions {
            user: user.map(|function| Function::new(py, "user", function)).transpose()?,
            client: client.map(|function| Function::new(py, "client", function)).transpose()?,
            format: format.map(wanted).transpose()?,
            is_plain_http: plain_http,
        };
        let opened = py.detach(|| maint::Gate::open_with(&site, options));
        let inner = opened.map_err(|error| raise(py, &error))?;
        let pass = Py::new(py, Pass::from(MaintPass::default()))?;
        Ok(Self { inner, site, functions, pass })
    }

    /// The site whose gate it is.
    #[getter]
    fn site(&self) -> Site {
        Site(self.site.clone())
    }

    /// The revision of the state that is in force.
    #[getter]
    fn revision(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.inner.revision())
    }

    /// Whether any window is open now; the app's own `down` goes before.
    fn is_down(&self, py: Python<'_>) -> bool {
        py.detach(|| self.current(None).is_down())
    }

    /// What to do with a request that is described.
    ///
    /// `force`: the answer of a view that is always down, `on`, or never
    /// down, `off`; no rule or token matters then.
    /// `at`: when, an aware `datetime` or text in RFC 3339; `None` for now.
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

    /// What to do with a request of WSGI, described by its environ
    /// (PEP 3333).
    ///
    /// `force`: the answer of a view that is always down, `on`, or never
    /// down, `off`; no rule or token matters then.
    #[pyo3(signature = (environ, *, force=None))]
    fn answer_environ<'py>(
        &self,
        environ: &Bound<'py, PyDict>,
        force: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(environ.as_any(), Environ(environ), true, force)
    }

    /// What to do with a request or WebSocket of ASGI, described by its
    /// scope.
    ///
    /// `ask`: whether functions of the app may be called; if not, see
    /// `Reply.needs_asking`.
    /// `force`: the answer of a view that is always down, `on`, or never
    /// down, `off`; no rule or token matters then.
    #[pyo3(signature = (scope, ask=true, *, force=None))]
    fn answer_scope<'py>(
        &self,
        scope: &Bound<'py, PyAny>,
        ask: bool,
        force: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.ask(scope, Scope(scope), ask, force)
    }

    /// What to do with a `django.http.HttpRequest`.
    ///
    /// `ask`: whether functions of the app may be called; if not, see
    /// `Reply.needs_asking`.
    /// `force`: the answer of a view that is always down, `on`, or never
    /// down, `off`; no rule or token matters then.
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
    /// What to do with a request, at a time of the caller's choice or now. Other threads
    /// may run while the gate looks at the file: the file system may be slow, and a new
    /// state takes a moment to read.
    fn decide(
        &self,
        py: Python<'_>,
        request: &impl maint::request::Request,
        force: Option<Override>,
        now: Option<Timestamp>,
    ) -> Answer {
        if force == Some(Override::Off) {
            return Answer::Pass(MaintPass::default());
        }
        let current = py.detach(|| self.current(now));
        match force {
            Some(force) => current.answer_overridden(request, force),
            None => current.answer(request),
        }
    }

    /// What is in force, for a time of the caller's choice or that of the clock.
    fn current(&self, now: Option<Timestamp>) -> Current {
        let current = self.inner.current();
        match now.or_else(clock::stopped) {
            Some(now) => current.at(now),
            None => current,
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

fn forced(force: Option<&str>) -> PyResult<Option<Override>> {
    match force {
        None => Ok(None),
        Some("on") => Ok(Some(Override::On)),
        Some("off") => Ok(Some(Override::Off)),
        Some(other) => {
            Err(PyValueError::new_err(format!("force: `{other}` is neither `on` nor `off`")))
        }
    }
}

fn policy(on_error: &str) -> PyResult<OnError> {
    match on_error {
        "refuse" => Ok(OnError::Refuse),
        "open" => Ok(OnError::Open),
        "closed" => Ok(OnError::Closed),
        other => Err(PyValueError::new_err(format!(
            "on_error: `{other}` is unknown; write `refuse`, `open` or `closed`"
        ))),
    }
}

/// Called on trouble with the files of the site, and on recovery.
fn reporter(on_problem: Option<Py<PyAny>>) -> OnProblem {
    Arc::new(move |problem| {
        let text = problem.to_string();
        // The interpreter may be gone at the very end of a process.
        let _ = Python::try_attach(|py| match &on_problem {
            None => log(py, "warning", &text, None),
            Some(report) => {
                if let Err(error) = report.call1(py, (&text,)) {
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
            return Err(PyTypeError::new_err("ignore: a rule is three texts: name, kind, value"));
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
        return Err(PyTypeError::new_err("format: write `html`, `json` or a function"));
    }
    Ok(Wanted::Asked(Function::new(format.py(), "format", format.clone().unbind())?))
}
