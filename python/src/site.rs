//! The site directory, and the changes that Python makes of its state.

use std::path::PathBuf;

use jiff::Timestamp;
use maint::site::Surroundings;
use maint::state::{Phase, Scope};
use maint::state::{PageSettings, WindowSettings};
use maint::store::{self, Applied, Options};
use maint::{Actor, Error, State, Window};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::clock::{self, Moment};
use crate::error::raise;
use crate::rules;

/// A site directory.
#[pyclass(frozen, eq, module = "maint")]
#[derive(PartialEq, Eq)]
pub(crate) struct Site(pub(crate) maint::Site);

/// What a change of the state did.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Change {
    #[pyo3(get)]
    revision: u64,
    #[pyo3(get)]
    is_written: bool,
    before: Option<Window>,
    after: Option<Window>,
    #[pyo3(get)]
    open: Vec<String>,
    #[pyo3(get)]
    warnings: Vec<String>,
}

#[pymethods]
impl Change {
    #[getter]
    fn before<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.before.as_ref().map(|window| loads(py, &json(window)?)).transpose()
    }

    #[getter]
    fn after<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.after.as_ref().map(|window| loads(py, &json(window)?)).transpose()
    }
}

#[pymethods]
impl Site {
    #[new]
    fn new(directory: PathBuf) -> Self {
        Self(maint::Site::at(directory))
    }

    #[staticmethod]
    #[pyo3(signature = (site=None, *, start=None))]
    fn discover(py: Python<'_>, site: Option<PathBuf>, start: Option<PathBuf>) -> PyResult<Self> {
        let mut around = Surroundings::current();
        around.directory = start.or(around.directory);
        let found = maint::Site::discover_in(site.as_deref(), &around);
        found.map(Self).map_err(|error| raise(py, &error))
    }

    #[staticmethod]
    fn create(py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        let site = maint::Site::at(directory);
        let author = Author::new(py, None, None)?;
        let made = py.detach(|| {
            let options = Options { purpose: store::Purpose::Create, ..author.options() };
            site.create(false)?;
            store::update(&site, &options, |_, _| Ok(()))
        });
        made.map_err(|error| raise(py, &error))?;
        Ok(Self(site))
    }

    #[getter]
    fn directory(&self) -> String {
        self.0.dir().display().to_string()
    }

    #[getter]
    fn state_file(&self) -> String {
        self.0.state_file().display().to_string()
    }

    #[getter]
    fn found(&self) -> &'static str {
        self.0.found().as_str()
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loads(py, &json(&self.read(py)?)?)
    }

    fn open_windows(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let now = clock::stopped().unwrap_or_else(Timestamp::now);
        Ok(open_windows(&self.read(py)?, now))
    }

    #[pyo3(signature = (
        name="default", *, reason=None, start=None, end=None, paths=None, methods=None,
        hosts=None, read_only=false, status=None, retry_after=None, template=None,
        redirect=None, by=None, command=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn on(
        &self,
        py: Python<'_>,
        name: &str,
        reason: Option<String>,
        start: Option<Moment>,
        end: Option<Moment>,
        paths: Option<Vec<String>>,
        methods: Option<Vec<String>>,
        hosts: Option<Vec<String>>,
        read_only: bool,
        status: Option<u16>,
        retry_after: Option<u32>,
        template: Option<String>,
        redirect: Option<String>,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<Change> {
        let page =
            PageSettings { status, retry_after, template, redirect, ..PageSettings::default() };
        let [paths, methods, hosts] = [paths, methods, hosts].map(Option::unwrap_or_default);
        self.change(py, name, by, command, |state, stamp| {
            let settings = WindowSettings {
                reason: reason.clone().filter(|reason| !reason.trim().is_empty()),
                start: start.as_ref().map(|moment| moment.0),
                end: end.as_ref().map(|moment| moment.0),
                scope: Scope::parse(&paths, &methods, &hosts, read_only)?,
                page: page.clone(),
                lease: None,
            };
            state.open_window(name, &settings, stamp.now, stamp.actor).map(drop)
        })
    }

    #[pyo3(signature = (name="default", *, by=None, command=None))]
    fn off(
        &self,
        py: Python<'_>,
        name: &str,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<Change> {
        self.change(py, name, by, command, |state, stamp| {
            if state.windows.contains_key(name) {
                state.close_window(name, stamp.now)?;
            }
            Ok(())
        })
    }

    #[pyo3(signature = (name, window, *, expected, by=None, command=None))]
    fn replace_window(
        &self,
        py: Python<'_>,
        name: &str,
        window: Option<&Bound<'_, PyAny>>,
        expected: Option<&Bound<'_, PyAny>>,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<Change> {
        let window = window.map(|window| from_python(window)).transpose()?;
        let expected = expected.map(|window| from_python(window)).transpose()?;
        self.change(py, name, by, command, |state, now, _| {
            state.replace_window(name, window.clone(), expected.as_ref(), now)
        })
    }

    #[pyo3(signature = (kind, value, *, note=None, expires_at=None, by=None, command=None))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn add_rule(
        &self,
        py: Python<'_>,
        kind: &str,
        value: &str,
        note: Option<String>,
        expires_at: Option<Moment>,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<String> {
        let expires_at = expires_at.map(|moment| moment.0);
        let applied = self.update(py, by, command, |state, now, actor| {
            let matcher = rules::matcher(kind, value)?;
            state.add_rule(&matcher, note.as_deref(), expires_at, false, now, actor)
        })?;
        Ok(applied.value)
    }

    #[pyo3(signature = (id, *, by=None, command=None))]
    fn remove_rule(
        &self,
        py: Python<'_>,
        id: &str,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<()> {
        self.update(py, by, command, |state, _| state.remove_rule(id)).map(drop)
    }

    fn __repr__(&self) -> String {
        format!("<maint.Site {}>", self.0.dir().display())
    }

    fn __fspath__(&self) -> String {
        self.directory()
    }
}

impl Site {
    /// The site that an app means: one that it has, the one at a path, or else
    /// the one that the command would mean.
    pub(crate) fn meant(py: Python<'_>, site: Option<&Bound<'_, PyAny>>) -> PyResult<maint::Site> {
        let path: Option<PathBuf> = match site {
            Some(site) => match site.cast::<Self>() {
                Ok(site) => return Ok(site.get().0.clone()),
                Err(_) => Some(site.extract()?),
            },
            None => None,
        };
        maint::Site::discover(path.as_deref()).map_err(|error| raise(py, &error))
    }

    fn read(&self, py: Python<'_>) -> PyResult<State> {
        let read = py.detach(|| maint::internal::load::read(&self.0.state_file()));
        read.map_err(|error| raise(py, &error))
    }

    /// Changes the state in the one way there is.
    fn update<T: Send>(
        &self,
        py: Python<'_>,
        by: Option<String>,
        command: Option<String>,
        change: impl Fn(&mut State, Stamp<'_>) -> maint::Result<T> + Sync,
    ) -> PyResult<Applied<T>> {
        let author = Author::new(py, by, command)?;
        let applied = py.detach(|| {
            let options = author.options();
            store::update(&self.0, &options, change)
        });
        applied.map_err(|error| raise(py, &error))
    }

    /// Changes a window.
    fn change(
        &self,
        py: Python<'_>,
        name: &str,
        by: Option<String>,
        command: Option<String>,
        change: impl Fn(&mut State, Stamp<'_>) -> maint::Result<()> + Sync,
    ) -> PyResult<Change> {
        let applied = self.update(py, by, command, |state, stamp| {
            change(state, stamp)?;
            Ok(stamp.now)
        })?;
        Ok(Change {
            revision: applied.after.revision,
            is_written: applied.is_written,
            before: applied.before.windows.get(name).cloned(),
            after: applied.after.windows.get(name).cloned(),
            open: open_windows(&applied.after, applied.value),
            warnings: applied.warnings,
        })
    }
}

fn open_windows(state: &State, now: Timestamp) -> Vec<String> {
    state.windows_in(Phase::Open, now).map(|(name, _)| name.to_owned()).collect()
}

/// In whose name the state is changed, and what the history says of it.
struct Author {
    actor: Actor,
    command: String,
}

impl Author {
    fn new(py: Python<'_>, by: Option<String>, command: Option<String>) -> PyResult<Self> {
        let command = command.map_or_else(|| command_line(py), Ok)?;
        let mut actor = Actor::current();
        actor.sudo_user = by.or(actor.sudo_user);
        Ok(Self { actor, command: format!("{}{command}", maint::internal::history::PYTHON) })
    }

    fn options(&self) -> Options<'static> {
        let (actor, command) = (self.actor.clone(), self.command.clone());
        Options { actor, now: clock::stopped(), ..Options::new(command) }
    }
}

/// The command line of the process, quoted for a shell.
fn command_line(py: Python<'_>) -> PyResult<String> {
    let words = py.import("sys")?.getattr("argv")?;
    let line = py.import("shlex")?.call_method1("join", (words,))?.extract()?;
    Ok(maint::internal::history::shortened(line))
}

fn json(value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|cause| PyValueError::new_err(cause.to_string()))
}

fn loads<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (text,))
}

fn from_python(window: &Bound<'_, PyAny>) -> PyResult<Window> {
    let py = window.py();
    let window = py.get_type::<PyDict>().call1((window,))?;
    let text: String = py.import("json")?.call_method1("dumps", (window,))?.extract()?;
    serde_json::from_str(&text).map_err(|cause| {
        raise(py, &Error::Invalid { message: format!("this is no window: {cause}"), hint: None })
    })
}
