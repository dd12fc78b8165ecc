//! The gate.

use std::sync::Arc;

use jiff::Timestamp;
use maint::gate::{Answer, App, Current, OnError, OnProblem, Options, Override, Pass as MaintPass};
use maint::rules::Matcher;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::answer::{Pass, Reply, Upcoming};
use crate::asked::{self, Asked, Functions, Request, Wanted};
use crate::clock::{self, Moment};
use crate::error::{UsageError, raise};
use crate::functions::{Function, is_async, log, refuse_async};
use crate::options;
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
/// `title`: in place of that of the page.
/// `contact`: a mail address, a telephone number, or an http or https URL.
/// `status_url`: where visitors read how it goes, an http or https URL.
/// `language`: for visitors who ask for none that the page speaks, and that
/// of a reason without one; a tag (BCP 47), like `de` or `pt-br`.
///
/// `format`: the format of every page, whatever `Accept` says.
/// `user`: returns the `User` of a request; `None` counts as nobody. It may
/// be asynchronous where `maint.asgi` asks, and is refused elsewhere.
/// `client`: returns the client's address, if the app knows better than the
/// site's trusted proxies; its text is parsed.
/// `plain_http`: visitors come without encryption, so the cookie of a
/// bypass link is sent in the clear.
/// `is_read`: returns whether a request only reads, although its method
/// could change something: a login, or queries of GraphQL by POST. It is
/// called if nothing but read-only windows block a request, which passes
/// them if `True`. It may be asynchronous where `user` may.
///
/// `format`, `user`, `client` and `is_read` may be functions. They are
/// called with the request (the environ, the scope, the Django request),
/// and only if their answer matters, one at a time. If one raises, its
/// answer is unknown, and the logger `maint` gets an error, at most once a
/// minute. One that cannot reach its database, or needs more than a second,
/// is called once in 10 s until it works again; its answer is unknown
/// meanwhile.
///
/// Raises `MaintError` if the site or its state cannot be used, and
/// `ValueError` for a rule or setting that cannot be; its text begins with
/// the name of the rule or setting.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Gate {
    inner: maint::Gate,
    site: maint::Site,
    functions: Functions,
    /// A `maint._asking.Awaited` by the name of each option that is an asynchronous function.
    awaited: Option<Py<PyDict>>,
    /// Made once, since most requests get it.
    pass: Py<Pass>,
}

#[pymethods]
impl Gate {
    #[new]
    #[pyo3(signature = (
        site=None, *, recheck=None, on_error=None, on_problem=None, down=None, ignore=None,
        status=None, retry_after=None, redirect=None, title=None, contact=None, status_url=None,
        language=None, format=None, user=None, client=None, plain_http=None, is_read=None,
    ), text_signature = "(site=None, *, recheck=None, on_error='refuse', on_problem=None, down=None, \
        ignore=None, status=None, retry_after=None, redirect=None, title=None, contact=None, \
        status_url=None, language=None, format=None, user=None, client=None, plain_http=False, \
        is_read=None)")]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn new(
        py: Python<'_>,
        site: Option<&Bound<'_, PyAny>>,
        recheck: Option<&Bound<'_, PyAny>>,
        on_error: Option<&Bound<'_, PyAny>>,
        on_problem: Option<Bound<'_, PyAny>>,
        down: Option<&Bound<'_, PyAny>>,
        ignore: Option<&Bound<'_, PyAny>>,
        status: Option<&Bound<'_, PyAny>>,
        retry_after: Option<&Bound<'_, PyAny>>,
        redirect: Option<&Bound<'_, PyAny>>,
        title: Option<&Bound<'_, PyAny>>,
        contact: Option<&Bound<'_, PyAny>>,
        status_url: Option<&Bound<'_, PyAny>>,
        language: Option<&Bound<'_, PyAny>>,
        format: Option<&Bound<'_, PyAny>>,
        user: Option<Bound<'_, PyAny>>,
        client: Option<Bound<'_, PyAny>>,
        plain_http: Option<&Bound<'_, PyAny>>,
        is_read: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        refuse_async("client", client.as_ref())?;
        refuse_async("format", format)?;
        refuse_async("on_problem", on_problem.as_ref())?;
        let user = options::function("user", user)?;
        let client = options::function("client", client)?;
        let is_read = options::function("is_read", is_read)?;
        let on_problem = options::function("on_problem", on_problem)?;
        let on_error = match on_error {
            None => OnError::Refuse,
            Some(said) => policy(said)?,
        };
        let down = options::typed("down", TRUE_OR_FALSE, down)?;
        let is_plain_http = options::typed("plain_http", TRUE_OR_FALSE, plain_http)?;
        let recheck =
            options::interval(options::typed("recheck", "a number of seconds", recheck)?)?;
        let page = options::app_page([
            ("status", status),
            ("retry_after", retry_after),
            ("redirect", redirect),
            ("title", title),
            ("contact", contact),
            ("status_url", status_url),
            ("language", language),
        ])?;
        let site = Site::meant(py, site)?;
        let mut app = App::new().is_down(down).page(page);
        app.ignore = app_rules(ignore)?;
        let mut options = Options::new().recheck(recheck).on_error(on_error).app(app);
        options.on_problem = Some(reporter(on_problem));
        let awaited = PyDict::new(py);
        let [user, is_read] = [("user", user), ("is_read", is_read)]
            .map(|(name, function)| answering(&awaited, name, function));
        let functions = Functions {
            user: user?.map(|function| Function::new(py, "user", function)).transpose()?,
            is_read: is_read?.map(|function| Function::new(py, "is_read", function)).transpose()?,
            client: client.map(|function| Function::new(py, "client", function)).transpose()?,
            format: format.map(wanted).transpose()?,
            is_plain_http: is_plain_http.unwrap_or(false),
        };
        let opened = py.detach(|| maint::Gate::open_with(&site, options));
        let inner = opened.map_err(|error| raise(py, &error))?;
        let pass = Py::new(py, Pass::from(MaintPass::default()))?;
        let awaited = (!awaited.is_empty()).then(|| awaited.unbind());
        Ok(Self { inner, site, functions, awaited, pass })
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

    /// What awaits asynchronous functions: for the package alone.
    #[getter]
    fn _awaited(&self, py: Python<'_>) -> Option<Py<PyDict>> {
        self.awaited.as_ref().map(|awaited| awaited.clone_ref(py))
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
        let has_user = |awaited: &Py<PyDict>| awaited.bind(py).contains("user").unwrap_or(true);
        if request.0.user.is_none() && self.awaited.as_ref().is_some_and(has_user) {
            self.refuse_to_await(py, "give the user with the request: `Request(…, user=…)`")?;
        }
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
        self.refuse_to_await(environ.py(), NOT_HERE)?;
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
        if ask && !scope.contains(intern!(scope.py(), QUESTION_KEY))? {
            self.refuse_to_await(scope.py(), "write `await maint.asgi.answer_scope(gate, scope)`")?;
        }
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
        self.refuse_to_await(request.py(), NOT_HERE)?;
        self.ask(request, Django(request), ask, force)
    }

    /// The earliest scheduled window that would cover a request that is
    /// described, for an announcement; `None` if none is to come.
    ///
    /// It looks at path and host, not at the method, since a page that is
    /// read now may have a form. Where a rule for that path or host will let
    /// everyone through, nothing is announced. Rules by who asks and bypass
    /// tokens make no difference, so all get the same announcement, and caches
    /// may share it.
    ///
    /// `at`: when, an aware `datetime` or text in RFC 3339; `None` for now.
    #[pyo3(signature = (request, *, at=None))]
    fn next(&self, py: Python<'_>, request: &Request, at: Option<Moment>) -> Option<Upcoming> {
        let current = py.detach(|| self.current(at.map(|moment| moment.0)));
        current.next(&request.0).map(Upcoming)
    }

    /// The same as `next`, for a request of WSGI.
    fn next_environ(&self, environ: &Bound<'_, PyDict>) -> Option<Upcoming> {
        self.coming(environ.as_any(), Environ(environ))
    }

    /// The same as `next`, for a request or WebSocket of ASGI.
    fn next_scope(&self, scope: &Bound<'_, PyAny>) -> Option<Upcoming> {
        self.coming(scope, Scope(scope))
    }

    /// The same as `next`, for a `django.http.HttpRequest`.
    fn next_django(&self, request: &Bound<'_, PyAny>) -> Option<Upcoming> {
        self.coming(request, Django(request))
    }

    fn __repr__(&self) -> String {
        format!("<maint.Gate {}>", self.site.dir().display())
    }
}

impl Gate {
    /// Refuses to answer where a function of the app would have to be awaited: without it, those
    /// whom a rule lets through would get the page.
    fn refuse_to_await(&self, py: Python<'_>, hint: &str) -> PyResult<()> {
        let Some(awaited) = &self.awaited else { return Ok(()) };
        let name = awaited.bind(py).keys().get_item(0)?;
        let what = "the function is asynchronous, and nothing awaits it here";
        Err(UsageError::new_err(format!("{name}: {what}; {hint}")))
    }

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

    fn coming(&self, subject: &Bound<'_, PyAny>, server: impl Server) -> Option<Upcoming> {
        let asked = Asked::new(server, subject, &self.functions, false);
        subject.py().detach(|| self.current(None)).next(&asked).map(Upcoming)
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

/// The key of the scope under which `maint.asgi` leaves the answers of asynchronous functions.
const QUESTION_KEY: &str = "maint.question";

const NOT_HERE: &str = "write a plain function";

/// The function that the gate calls for an option. One that is asynchronous is noted in
/// `awaited`, and what it found is returned in its place.
fn answering(
    awaited: &Bound<'_, PyDict>,
    name: &str,
    function: Option<Py<PyAny>>,
) -> PyResult<Option<Py<PyAny>>> {
    let py = awaited.py();
    let Some(function) = function else { return Ok(None) };
    if !is_async(function.bind(py))? {
        return Ok(Some(function));
    }
    let module = py.import("maint._asking")?;
    awaited.set_item(name, module.call_method1("Awaited", (name, function))?)?;
    Ok(Some(module.call_method1("found", (name,))?.unbind()))
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

const TRUE_OR_FALSE: &str = "`True` or `False`";

fn policy(on_error: &Bound<'_, PyAny>) -> PyResult<OnError> {
    let said: Option<String> = options::typed("on_error", "text", Some(on_error))?;
    match said.as_deref() {
        None | Some("refuse") => Ok(OnError::Refuse),
        Some("open") => Ok(OnError::Open),
        Some("closed") => Ok(OnError::Closed),
        Some(other) => Err(PyValueError::new_err(format!(
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

const RULES: &str = "a list of rules; a rule is (name, kind, value), as in `ignore=[(\"probe\", \"path\", \"/health\")]`";
const RULE: &str = "a rule: (name, kind, value), as in `(\"probe\", \"path\", \"/health\")`";

/// The rules of the app: name, kind, value.
fn app_rules(ignore: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(String, Matcher)>> {
    let mut rules = Vec::new();
    let Some(ignore) = ignore else { return Ok(rules) };
    let entries = match ignore.try_iter() {
        Ok(entries) if !ignore.is_instance_of::<PyString>() => entries,
        _ => return Err(options::not_it("ignore", RULES, ignore)),
    };
    for entry in entries {
        let entry = entry?;
        let Ok((name, kind, value)) = entry.extract::<(String, String, String)>() else {
            return Err(options::not_it("ignore", RULE, &entry));
        };
        let matcher = rules::rule(&kind, &value)
            .map_err(|why| PyValueError::new_err(format!("{name}: {why}")))?;
        rules.push((name, matcher));
    }
    Ok(rules)
}

fn wanted(format: &Bound<'_, PyAny>) -> PyResult<Wanted> {
    if let Ok(format) = format.cast::<PyString>() {
        return Ok(Wanted::Always(asked::format(format.to_str()?)?));
    }
    if !format.is_callable() {
        return Err(PyTypeError::new_err("format: write `html`, `json` or a function"));
    }
    Ok(Wanted::Asked(Function::new(format.py(), "format", format.clone().unbind())?))
}
