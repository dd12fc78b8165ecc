//! The site directory, and the changes that Python makes of its state.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use maint::flags::{self, Standing};
use maint::internal::state::validate_template_name;
use maint::internal::visible::visible;
use maint::page::Format;
use maint::site::Environment;
use maint::state::{Extension, Loss, PageSettings, Phase, RuleSettings, Scope, WindowSettings};
use maint::store::{self, Applied, Options, Purpose, Stamp};
use maint::{Actor, Error, State, Window};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::clock::{self, Moment};
use crate::error::raise;
use crate::json;
use crate::options::{PageSetting, not_it, tag, typed};
use crate::rules;

/// A site directory, whether or not it exists yet.
///
/// Changes its state as the command `maint` does: one writer at a time, and
/// every change in the history. A writer waits up to 10 seconds for
/// another, and raises `Busy` then. Each method that reads or changes the
/// state raises a subclass of `MaintError` if it fails. `open()` and
/// `os.path` take a site for the path of its directory.
#[pyclass(frozen, eq, module = "maint")]
#[derive(PartialEq, Eq)]
pub(crate) struct Site(pub(crate) maint::Site);

/// What a change of a window did.
#[pyclass(frozen, module = "maint")]
pub(crate) struct Change {
    name: String,
    /// The revision of the state that is in force after it.
    #[pyo3(get)]
    revision: u64,
    /// Whether a new state was written; `False` if it was the same already.
    #[pyo3(get)]
    is_written: bool,
    before: Option<Window>,
    after: Option<Window>,
    /// The names of the windows that are open after it, in order.
    #[pyo3(get)]
    open: Vec<String>,
    /// What the operator should know though the change is in force.
    #[pyo3(get)]
    warnings: Vec<String>,
    /// The path of the site directory, if this change made it.
    #[pyo3(get)]
    made: Option<String>,
    flags: Vec<Standing>,
}

#[pymethods]
impl Change {
    /// The window before it, as state.json has it; `None` if there was
    /// none.
    #[getter]
    fn before<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.before.as_ref().map(|window| json::object(py, window)).transpose()
    }

    /// The window after it, as state.json has it; `None` if there is none.
    #[getter]
    fn after<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.after.as_ref().map(|window| json::object(py, window)).transpose()
    }

    /// Where the flags of this host stand after it, as `Site.flags` has them.
    #[getter]
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.flags.iter().map(|flag| json::object(py, flag)).collect()
    }

    fn __repr__(&self) -> String {
        let same = if self.is_written { "" } else { " unchanged" };
        let Self { name, revision, open, .. } = self;
        format!("<maint.Change {name:?} revision={revision} open={open:?}{same}>")
    }
}

#[pymethods]
impl Site {
    #[new]
    fn new(directory: PathBuf) -> Self {
        Self(maint::Site::at(directory))
    }

    /// Chooses the site as the command does: the path given, then the
    /// variable `MAINT_SITE`, then the nearest `.maint/` from `start` (else
    /// the working directory) up, then that of the project around it, which
    /// the first change makes, then the user's own.
    ///
    /// `code`: a directory of the app's code; its `manage.py` is looked for
    /// from there, too.
    /// `project`: the directory of the project, if no file shows it.
    ///
    /// Raises `UsageError` if there is none, or if the nearest could have
    /// been planted by somebody else.
    #[staticmethod]
    #[pyo3(signature = (site=None, *, start=None, code=None, project=None))]
    fn discover(
        py: Python<'_>,
        site: Option<PathBuf>,
        start: Option<PathBuf>,
        code: Option<PathBuf>,
        project: Option<PathBuf>,
    ) -> PyResult<Self> {
        let mut around = Environment::current();
        around.directory = start.or(around.directory);
        (around.code, around.project) = (code, project);
        let found = maint::Site::discover_in(site.as_deref(), &around);
        found.map(Self).map_err(|error| raise(py, &error))
    }

    /// Makes a site directory whose state has no window, unless it is there.
    #[staticmethod]
    fn create(py: Python<'_>, directory: PathBuf) -> PyResult<Self> {
        let site = maint::Site::at(directory);
        let author = Author::new(py, None, None)?;
        let made = py.detach(|| {
            let options = author.options().purpose(Purpose::Create);
            store::create(&site)?;
            store::update(&site, &options, |_, _| Ok(()))
        });
        made.map_err(|error| raise(py, &error))?;
        Ok(Self(site))
    }

    /// The path of the directory.
    #[getter]
    fn directory(&self) -> String {
        self.0.dir().display().to_string()
    }

    /// The path of its state file.
    #[getter]
    fn state_file(&self) -> String {
        self.0.state_file().display().to_string()
    }

    /// How `discover` found it: the path was `given`, in the `environment`,
    /// the `nearest` above, that of the `project` around or of the one that
    /// the `framework` named, or the `user`'s own.
    #[getter]
    fn found(&self) -> &'static str {
        self.0.found().as_str()
    }

    /// Whether it was not there when it was chosen, though nobody named it:
    /// nothing is down then, and the first change makes it.
    #[getter]
    fn is_awaited(&self) -> bool {
        self.0.is_awaited()
    }

    /// The sites above the project that were passed over, since they may be
    /// planted: the path and the reason of each.
    #[getter]
    fn passed_over(&self) -> Vec<(String, String)> {
        let passed = self.0.passed_over().iter();
        passed.map(|one| (one.path.display().to_string(), one.reason.clone())).collect()
    }

    /// The site as it would be chosen now, if it was not there before.
    ///
    /// Raises `UsageError` if what appeared could have been planted.
    fn current(&self, py: Python<'_>) -> PyResult<Self> {
        self.0.current().map(Self).map_err(|error| raise(py, &error))
    }

    /// The state, as docs/state-file.md has it.
    ///
    /// Raises `Unreadable` or `Corrupt` if it cannot be used.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::object(py, &self.read(py)?)
    }

    /// The names of the windows that are open now, in order.
    ///
    /// Raises `Unreadable` or `Corrupt` if the state cannot be used.
    fn open_windows(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let now = clock::stopped().unwrap_or_else(Timestamp::now);
        Ok(open_windows(&self.read(py)?, now))
    }

    /// Opens a window, or replaces all settings of the one with this name,
    /// as `maint on` does.
    ///
    /// `reason`: text for visitors. `reasons`: the same for visitors who
    /// prefer a language, by its tag: `{"de": "Bis gleich"}`.
    /// `start`, `end`: aware `datetime`s, or text in RFC 3339; `None` for
    /// now, and for no end. A start that has passed opens it at once, and
    /// says since when it is down.
    /// `estimate`: the same, when it is expected to be over; visitors are
    /// told, and it opens nothing.
    /// `paths`, `methods`, `hosts`: which requests it covers; `None` for
    /// all. `read_only`: only those that change something.
    /// `status`, `retry_after`, `redirect`, `title`, `contact`, `status_url`,
    /// `language`: of the page, as for `Gate`.
    /// `template`: the name of a template of the site.
    /// `format`: what is answered where the request does not say: `html`,
    /// `json` or `txt`.
    /// `replace`: whether an open window loses what it has and is not given
    /// here, its message or scope for example.
    /// `by`, `command`: for the history, the name of the person (`None` for
    /// the user of the process) and what was run (`None` for the
    /// program's name); everyone may read it, so it must hold no secret.
    ///
    /// Raises `UsageError` for a setting that cannot be, `ValueError` for a
    /// time without an offset, a number out of range and an unknown format;
    /// with `replace=False`, `Conflict` with its `losses`.
    #[pyo3(signature = (
        name="default", *, reason=None, reasons=None, start=None, end=None, estimate=None,
        paths=None, methods=None, hosts=None, read_only=false, status=None, retry_after=None,
        template=None, redirect=None, format=None, title=None, contact=None, status_url=None,
        language=None, replace=true, by=None, command=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn on(
        &self,
        py: Python<'_>,
        name: &str,
        reason: Option<String>,
        reasons: Option<&Bound<'_, PyAny>>,
        start: Option<Moment>,
        end: Option<Moment>,
        estimate: Option<Moment>,
        paths: Option<&Bound<'_, PyAny>>,
        methods: Option<&Bound<'_, PyAny>>,
        hosts: Option<&Bound<'_, PyAny>>,
        read_only: bool,
        status: Option<&Bound<'_, PyAny>>,
        retry_after: Option<&Bound<'_, PyAny>>,
        template: Option<&Bound<'_, PyAny>>,
        redirect: Option<&Bound<'_, PyAny>>,
        format: Option<&Bound<'_, PyAny>>,
        title: Option<&Bound<'_, PyAny>>,
        contact: Option<&Bound<'_, PyAny>>,
        status_url: Option<&Bound<'_, PyAny>>,
        language: Option<&Bound<'_, PyAny>>,
        replace: bool,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<Change> {
        let mut page = PageSettings::new();
        for (name, given) in [
            ("status", status),
            ("retry_after", retry_after),
            ("template", template),
            ("redirect", redirect),
            ("format", format),
            ("title", title),
            ("contact", contact),
            ("status_url", status_url),
            ("language", language),
        ] {
            if let Some(given) = given {
                PageSetting::read(name, given)?.put(&mut page);
            }
        }
        let reasons = texts_by_language(reasons)?;
        let texts = |name, given| {
            let texts: Option<Vec<String>> = typed(name, "a list of texts", given)?;
            PyResult::Ok(texts.unwrap_or_default())
        };
        let paths = texts("paths", paths)?;
        let (methods, hosts) = (texts("methods", methods)?, texts("hosts", hosts)?);
        let lost = Mutex::new(Vec::new());
        let changed = self.change(py, name, by, command, Purpose::Change, |state, stamp| {
            let scope = Scope::new().paths(&paths)?.methods(&methods)?;
            let scope = scope.hosts(&hosts)?.read_only(read_only);
            let mut settings = WindowSettings::new()
                .start(start.as_ref().map(|moment| moment.0))
                .end(end.as_ref().map(|moment| moment.0))
                .estimate(estimate.as_ref().map(|moment| moment.0))
                .scope(scope)
                .page(page.clone());
            settings.reason = reason.clone().filter(|reason| !reason.trim().is_empty());
            settings.reasons.clone_from(&reasons);
            let losses = if replace { vec![] } else { state.losses(name, &settings, stamp.now) };
            let words: Vec<String> = losses.iter().map(in_words).collect();
            *lost.lock().unwrap_or_else(PoisonError::into_inner) = losses;
            if !words.is_empty() {
                let words = words.join("; its ");
                return Err(Error::conflict(format!(
                    "window `{name}` is open, and this would lose its {words}"
                )));
            }
            state.open_window(name, &settings, stamp).map(drop)
        });
        let lost = lost.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let (Err(error), false) = (&changed, lost.is_empty()) {
            error.value(py).setattr("losses", json::object(py, &lost)?)?;
        }
        changed
    }

    /// Changes settings of a window that is open or scheduled, as `maint set`
    /// does: those that are given, by the names that `on` has for them.
    /// `None` takes one away, and so does an empty list. The rest stays, and
    /// so does who opened it, and the `maint run` that holds it. `reasons`
    /// takes the place of those in all languages.
    ///
    /// `by`, `command`: for the history, the name of the person (`None` for
    /// the user of the process) and what was run (`None` for the
    /// program's name); everyone may read it, so it must hold no secret.
    ///
    /// Raises `UsageError` if there is no window of that name, and for a
    /// setting that cannot be; `Conflict` if the window has ended, for
    /// another start of an open one, and for another end of one that a run
    /// holds by a lease.
    #[pyo3(signature = (
        name="default", *, reason=Kept::new(), reasons=Kept::new(), start=Kept::new(),
        end=Kept::new(), estimate=Kept::new(), paths=Kept::new(), methods=Kept::new(),
        hosts=Kept::new(), read_only=Kept::new(), status=Kept::new(), retry_after=Kept::new(),
        template=Kept::new(), redirect=Kept::new(), format=Kept::new(), title=Kept::new(),
        contact=Kept::new(), status_url=Kept::new(), language=Kept::new(), by=None, command=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn set(
        &self,
        py: Python<'_>,
        name: &str,
        reason: Kept<'_>,
        reasons: Kept<'_>,
        start: Kept<'_>,
        end: Kept<'_>,
        estimate: Kept<'_>,
        paths: Kept<'_>,
        methods: Kept<'_>,
        hosts: Kept<'_>,
        read_only: Kept<'_>,
        status: Kept<'_>,
        retry_after: Kept<'_>,
        template: Kept<'_>,
        redirect: Kept<'_>,
        format: Kept<'_>,
        title: Kept<'_>,
        contact: Kept<'_>,
        status_url: Kept<'_>,
        language: Kept<'_>,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<Change> {
        let settings = [
            ("reason", reason),
            ("reasons", reasons),
            ("start", start),
            ("end", end),
            ("estimate", estimate),
            ("paths", paths),
            ("methods", methods),
            ("hosts", hosts),
            ("read_only", read_only),
            ("status", status),
            ("retry_after", retry_after),
            ("template", template),
            ("redirect", redirect),
            ("format", format),
            ("title", title),
            ("contact", contact),
            ("status_url", status_url),
            ("language", language),
        ];
        let given = settings.into_iter().filter_map(|(name, kept)| Some((name, kept.0?)));
        let given: Vec<Given> =
            given.map(|(name, value)| Given::read(name, &value)).collect::<PyResult<_>>()?;
        self.change(py, name, by, command, Purpose::Change, |state, stamp| {
            let change =
                |settings: &mut WindowSettings| given.iter().try_for_each(|one| one.put(settings));
            state.change_window(name, change, stamp)
        })
    }

    /// Moves the end of a window, as `maint extend` does: by a `timedelta`,
    /// which moves the estimate as well and counts from now where that has
    /// passed, or until an aware `datetime` or text in RFC 3339. A window
    /// without an end has its estimate moved.
    ///
    /// `longer`, `until`: one of them.
    /// `by`, `command`: for the history, the name of the person (`None` for
    /// the user of the process) and what was run (`None` for the
    /// program's name); everyone may read it, so it must hold no secret.
    ///
    /// Raises `UsageError` if there is no window of that name, and for what
    /// would not be longer; `Conflict` if it has ended, or has neither an
    /// end nor an estimate.
    #[pyo3(signature = (name="default", *, longer=None, until=None, by=None, command=None))]
    fn extend(
        &self,
        py: Python<'_>,
        name: &str,
        longer: Option<&Bound<'_, PyAny>>,
        until: Option<Moment>,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<Change> {
        let longer: Option<Duration> = typed("longer", "a timedelta above zero", longer)?;
        let extension = match (longer, until) {
            (Some(longer), None) if !longer.is_zero() => SignedDuration::try_from(longer)
                .map(Extension::By)
                .map_err(|cause| PyValueError::new_err(cause.to_string()))?,
            (None, Some(until)) => Extension::Until(until.0),
            (Some(_), None) => return Err(PyValueError::new_err("longer: it is zero")),
            _ => return Err(PyTypeError::new_err("give either `longer` or `until`")),
        };
        self.change(py, name, by, command, Purpose::Change, |state, stamp| {
            state.extend_window(name, extension, stamp)
        })
    }

    /// Closes a window, as `maint off` does. Does not fail if there is no
    /// window of that name.
    ///
    /// `by`, `command`: for the history, the name of the person (`None` for
    /// the user of the process) and what was run (`None` for the
    /// program's name); everyone may read it, so it must hold no secret.
    #[pyo3(signature = (name="default", *, by=None, command=None))]
    fn off(
        &self,
        py: Python<'_>,
        name: &str,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<Change> {
        self.change(py, name, by, command, Purpose::Change, |state, stamp| {
            if state.windows.contains_key(name) {
                state.close_window(name, stamp.now)?;
            }
            Ok(())
        })
    }

    /// Puts a window back as it was: `window` and `expected` are windows as
    /// `Change.before` and `Change.after` have them, `None` for none.
    ///
    /// `by`, `command`: for the history, the name of the person (`None` for
    /// the user of the process) and what was run (`None` for the
    /// program's name); everyone may read it, so it must hold no secret.
    ///
    /// Raises `Conflict` if the window is not as `expected`, and
    /// `UsageError` for a window that makes no sense.
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
        let window = window.map(|window| json::window(window)).transpose()?;
        let expected = expected.map(|window| json::window(window)).transpose()?;
        self.change(py, name, by, command, Purpose::Restore, |state, stamp| {
            state.replace_window(name, window.clone(), expected.as_ref(), stamp.now)
        })
    }

    /// Adds an ignore rule and returns its id, as `maint ignore add` does.
    /// The same rule again keeps its id, and gets the new note and expiry.
    ///
    /// `note`: text for operators. `expires_at`: an aware `datetime` or text
    /// in RFC 3339; `None` for never.
    /// `everything`: confirms a rule that lets everyone in, or the home page
    /// alone.
    /// `by`, `command`: for the history, the name of the person (`None` for
    /// the user of the process) and what was run (`None` for the
    /// program's name); everyone may read it, so it must hold no secret.
    ///
    /// Raises `UsageError` for a rule that cannot be or is not confirmed, and
    /// for an expiry in the past.
    #[pyo3(signature = (
        kind, value, *, note=None, expires_at=None, everything=false, by=None, command=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn add_rule(
        &self,
        py: Python<'_>,
        kind: &str,
        value: &str,
        note: Option<String>,
        expires_at: Option<Moment>,
        everything: bool,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<String> {
        let mut settings = RuleSettings::new().everything(everything);
        settings.note = note;
        settings.expires_at = expires_at.map(|moment| moment.0);
        let applied = self.update(py, by, command, Purpose::Change, |state, stamp| {
            let matcher = rules::matcher(kind, value)?;
            state.add_rule(&matcher, &settings, stamp)
        })?;
        Ok(applied.value)
    }

    /// Removes an ignore rule by its id.
    ///
    /// `by`, `command`: for the history, the name of the person (`None` for
    /// the user of the process) and what was run (`None` for the
    /// program's name); everyone may read it, so it must hold no secret.
    ///
    /// Raises `UsageError` if there is no rule with that id.
    #[pyo3(signature = (id, *, by=None, command=None))]
    fn remove_rule(
        &self,
        py: Python<'_>,
        id: &str,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<()> {
        self.update(py, by, command, Purpose::Change, |state, _| state.remove_rule(id)).map(drop)
    }

    /// Adds a template, as `maint template add` does. It is tried out first.
    ///
    /// `name`: up to 64 letters, digits, `_` and `-`, without the extension.
    /// `format`: `html`, `json` or `txt`.
    /// `replace`: whether one that exists is replaced.
    /// `by`, `command`: for the history, the name of the person (`None` for
    /// the user of the process) and what was run (`None` for the
    /// program's name); everyone may read it, so it must hold no secret.
    ///
    /// Raises `UsageError` for a name or format that cannot be, for a
    /// template with a mistake, and for one that exists.
    #[pyo3(signature = (name, text, *, format="html", replace=false, by=None, command=None))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn add_template(
        &self,
        py: Python<'_>,
        name: &str,
        text: &str,
        format: &str,
        replace: bool,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<()> {
        let author = Author::new(py, by, command)?;
        let added = validate_template_name(name).and_then(|()| {
            let format: Format = format.parse()?;
            let file_name = format!("{name}.{format}");
            let write = if replace { store::put_template } else { store::add_template };
            py.detach(|| write(&self.0, &author.options(), &file_name, text))
        });
        added.map(drop).map_err(|error| raise(py, &error))
    }

    /// Changes what every page of the site says, as `maint page set` does:
    /// the settings that are given, which are those of `Gate`. `None` takes
    /// one away. Those of a window go before them, those of an app after.
    ///
    /// `by`, `command`: for the history, the name of the person (`None` for
    /// the user of the process) and what was run (`None` for the
    /// program's name); everyone may read it, so it must hold no secret.
    ///
    /// Raises `UsageError` for a setting that cannot be.
    #[pyo3(signature = (
        *, title=Kept::new(), contact=Kept::new(), status_url=Kept::new(), language=Kept::new(),
        by=None, command=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn set_page(
        &self,
        py: Python<'_>,
        title: Kept<'_>,
        contact: Kept<'_>,
        status_url: Kept<'_>,
        language: Kept<'_>,
        by: Option<String>,
        command: Option<String>,
    ) -> PyResult<()> {
        let settings = [
            ("title", title),
            ("contact", contact),
            ("status_url", status_url),
            ("language", language),
        ];
        let given = settings.into_iter().filter_map(|(name, kept)| Some((name, kept.0?)));
        let given: Vec<PageSetting> =
            given.map(|(name, value)| PageSetting::read(name, &value)).collect::<PyResult<_>>()?;
        let changed = self.update(py, by, command, Purpose::Change, |state, _| {
            for setting in &given {
                setting.put(&mut state.page);
            }
            state.page.validate()
        });
        changed.map(drop)
    }

    /// Where the flags of this host stand: files that other software obeys.
    ///
    /// Each is a dictionary as `maint flag list --json` has it: `id`, `kind`,
    /// `path`, `wanted` (the window that sets it, or `None`), `found`,
    /// `in_step`, `problem`, `hint` and `lacks`, what it cannot carry.
    fn flags<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let looked = py.detach(|| {
            let site = self.0.current()?;
            let now = clock::stopped().unwrap_or_else(Timestamp::now);
            flags::look(&site, &site.state()?, now)
        });
        let standings = looked.map_err(|error| raise(py, &error))?;
        standings.iter().map(|flag| json::object(py, flag)).collect()
    }

    /// Brings the flags of this host in step with the state, and returns where
    /// they stand, as `flags` does.
    ///
    /// `ids`: those to bring in step; all if there are none. One that does not
    /// follow is no error: its `in_step` is not `True`.
    ///
    /// Raises `UsageError` for an id that no flag has.
    #[pyo3(signature = (*ids))]
    #[expect(clippy::needless_pass_by_value, reason = "what Python passes is owned")]
    fn sync_flags<'py>(
        &self,
        py: Python<'py>,
        ids: Vec<String>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let author = Author::new(py, None, None)?;
        let synced = py.detach(|| store::sync_flags(&self.0, &author.options(), &ids, false));
        let report = synced.map_err(|error| raise(py, &error))?;
        report.flags.iter().map(|flag| json::object(py, flag)).collect()
    }

    fn __repr__(&self) -> String {
        format!("<maint.Site {}>", self.0.dir().display())
    }

    /// The path of the directory.
    fn __fspath__(&self) -> String {
        self.directory()
    }
}

impl Site {
    /// The site that an app names, by an object or a path; if it names none, the one that
    /// the command would choose.
    pub(crate) fn meant(py: Python<'_>, site: Option<&Bound<'_, PyAny>>) -> PyResult<maint::Site> {
        let path: Option<PathBuf> = match site {
            Some(site) => match site.cast::<Self>() {
                Ok(site) => return Ok(site.get().0.clone()),
                Err(_) => {
                    Some(site.extract().map_err(|_| not_it("site", "a `Site` or a path", site))?)
                }
            },
            None => None,
        };
        maint::Site::discover(path.as_deref()).map_err(|error| raise(py, &error))
    }

    fn read(&self, py: Python<'_>) -> PyResult<State> {
        let read = py.detach(|| self.0.state());
        read.map_err(|error| raise(py, &error))
    }

    /// Changes the state through the store.
    fn update<T: Send>(
        &self,
        py: Python<'_>,
        by: Option<String>,
        command: Option<String>,
        purpose: Purpose,
        change: impl Fn(&mut State, Stamp<'_>) -> maint::Result<T> + Sync,
    ) -> PyResult<Applied<T>> {
        let author = Author::new(py, by, command)?;
        let applied = py.detach(|| {
            let options = author.options().purpose(purpose);
            store::update(&self.0, &options, &change)
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
        purpose: Purpose,
        change: impl Fn(&mut State, Stamp<'_>) -> maint::Result<()> + Sync,
    ) -> PyResult<Change> {
        let applied = self.update(py, by, command, purpose, |state, stamp| {
            change(state, stamp)?;
            Ok(stamp.now)
        })?;
        Ok(Change {
            name: name.to_owned(),
            revision: applied.after.revision,
            is_written: applied.is_written,
            before: applied.before.windows.get(name).cloned(),
            after: applied.after.windows.get(name).cloned(),
            open: open_windows(&applied.after, applied.value),
            warnings: applied.warnings,
            made: applied.made.map(|made| made.display().to_string()),
            flags: applied.flags.flags,
        })
    }
}

/// What is given for a setting, if anything: `None` takes it away, so it is not the default.
struct Kept<'py>(Option<Bound<'py, PyAny>>);

impl Kept<'_> {
    const fn new() -> Self {
        Self(None)
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Kept<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        // The default in the signature that Python shows.
        let is_given = !object.is(object.py().Ellipsis());
        Ok(Self(is_given.then(|| object.to_owned())))
    }
}

/// A setting of a window that is given.
enum Given {
    Reason(Option<String>),
    Reasons(BTreeMap<String, String>),
    Start(Option<Timestamp>),
    End(Option<Timestamp>),
    Estimate(Option<Timestamp>),
    Paths(Vec<String>),
    Methods(Vec<String>),
    Hosts(Vec<String>),
    ReadOnly(bool),
    Page(PageSetting),
}

impl Given {
    fn read(name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let given = Some(value);
        let texts = || {
            let texts = typed::<Vec<String>>(name, "a list of texts", given)?;
            PyResult::Ok(texts.unwrap_or_default())
        };
        let time = || {
            let given = given.filter(|given| !given.is_none());
            given.map(|given| PyResult::Ok(given.extract::<Moment>()?.0)).transpose()
        };
        Ok(match name {
            "reason" => {
                let reason = typed::<String>(name, "text", given)?;
                Self::Reason(reason.filter(|reason| !reason.trim().is_empty()))
            }
            "reasons" => Self::Reasons(texts_by_language(given)?),
            "start" => Self::Start(time()?),
            "end" => Self::End(time()?),
            "estimate" => Self::Estimate(time()?),
            "paths" => Self::Paths(texts()?),
            "methods" => Self::Methods(texts()?),
            "hosts" => Self::Hosts(texts()?),
            "read_only" => {
                Self::ReadOnly(typed::<bool>(name, "True or False", given)?.unwrap_or_default())
            }
            _ => Self::Page(PageSetting::read(name, value)?),
        })
    }

    fn put(&self, settings: &mut WindowSettings) -> maint::Result<()> {
        let scope = &mut settings.scope;
        match self {
            Self::Reason(reason) => settings.reason.clone_from(reason),
            Self::Reasons(reasons) => settings.reasons.clone_from(reasons),
            Self::Start(start) => settings.start = *start,
            Self::End(end) => settings.end = *end,
            Self::Estimate(estimate) => settings.estimate = *estimate,
            Self::Paths(paths) => scope.paths = Scope::new().paths(paths)?.paths,
            Self::Methods(methods) => scope.methods = Scope::new().methods(methods)?.methods,
            Self::Hosts(hosts) => scope.hosts = Scope::new().hosts(hosts)?.hosts,
            Self::ReadOnly(read_only) => scope.read_only = *read_only,
            Self::Page(setting) => setting.put(&mut settings.page),
        }
        Ok(())
    }
}

/// Messages by language, as the state has them: one that is empty is none.
fn texts_by_language(given: Option<&Bound<'_, PyAny>>) -> PyResult<BTreeMap<String, String>> {
    let texts = typed("reasons", "a dict of texts by language", given)?;
    let texts: BTreeMap<String, String> = texts.unwrap_or_default();
    let texts = texts.into_iter().filter(|(_, text)| !text.trim().is_empty());
    Ok(texts.map(|(language, text)| (tag(&language), text)).collect())
}

/// `end 2026-11-22T04:30:00Z`, `scope (paths /shop/**, and then every request)`
fn in_words(loss: &Loss) -> String {
    const MAX_SHOWN: usize = 60;
    let Loss { setting, before, after, .. } = loss;
    let mut rest = before.chars();
    let first: String = rest.by_ref().take(MAX_SHOWN).collect();
    let before = visible(&first) + if rest.next().is_some() { "…" } else { "" };
    match after {
        Some(after) => format!("{setting} ({before}, and then {after})"),
        None if setting.starts_with("message") => format!("{setting} “{before}”"),
        None => format!("{setting} {before}"),
    }
}

fn open_windows(state: &State, now: Timestamp) -> Vec<String> {
    state.windows_in(Phase::Open, now).map(|(name, _)| name.to_owned()).collect()
}

/// Who changes the state, and what the history records as the command.
struct Author {
    actor: Actor,
    command: String,
}

impl Author {
    fn new(py: Python<'_>, by: Option<String>, command: Option<String>) -> PyResult<Self> {
        let command = command.map_or_else(|| program(py), Ok)?;
        let mut actor = Actor::current();
        actor.sudo_user = by.or(actor.sudo_user);
        Ok(Self { actor, command: format!("{}{command}", maint::internal::history::PYTHON) })
    }

    fn options(&self) -> Options<'static> {
        let (actor, command) = (self.actor.clone(), self.command.clone());
        Options::new(command).actor(actor).now(clock::stopped())
    }
}

/// The name of the program that runs. Its arguments are the app's, and may hold secrets.
fn program(py: Python<'_>) -> PyResult<String> {
    let words: Vec<String> = py.import("sys")?.getattr("argv")?.extract()?;
    let program = Path::new(words.first().map_or("", String::as_str));
    // As `python -m NAME` begins: the file has the same name in every package.
    let is_package = program.file_name().is_some_and(|name| name == "__main__.py");
    let program = if is_package { program.parent().unwrap_or(program) } else { program };
    Ok(maint::internal::recorded([maint::internal::base_name(&program.to_string_lossy())]))
}
