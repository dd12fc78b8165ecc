//! The only writer: lock → read → change → replace → history.
//!
//! A change is a function from state to state. It is run under the lock and may
//! be run again on a newer state, so it must do nothing but change the state.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::access;
use crate::actor::Actor;
use crate::custody::Custody;
use crate::error::{Error, Result, describe};
use crate::history::{self, Record, Revisions};
use crate::load::{self, Loaded};
use crate::lock::{self, Holder, Lock, OnWait};
use crate::page::template::{self, Template};
use crate::replace::{self, Earlier, Failure, OldFile, Replacement};
use crate::site::{Files, Found, Site};
use crate::state::{Change, LastChange, State, VERSION, diff};
use crate::sys::{self, Ownership};

/// For how long a state file that somebody else holds is waited for, once the
/// lock proper is ours. See [`settled`].
const SECOND_LOCK: Duration = Duration::from_secs(2);

/// How often a change is run again because the state moved under it.
const RERUNS: usize = 100;

/// Up to this many changes go into one line of the history.
const MOST_RECORDED: usize = 100;

/// How a change is made, and in whose name.
#[derive(Clone)]
pub struct Options<'a> {
    /// How long to wait for another writer; zero means not at all.
    pub patience: Duration,
    /// Whether to take the lock. Without it two writers can lose a change.
    pub locking: bool,
    /// As root, leave new files to root instead of the directory's owner.
    pub keep_root: bool,
    /// In whose name.
    pub actor: Actor,
    /// The command, without the name of the program, for the history.
    pub command: String,
    /// The time; that of the system clock if absent.
    pub now: Option<Timestamp>,
    /// What the change is for.
    pub purpose: Purpose,
    /// Told once if waiting for the lock takes longer than a second.
    pub on_wait: Option<OnWait<'a>>,
}

impl Options<'_> {
    /// The defaults, for a command run by this process.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            patience: lock::PATIENCE,
            locking: true,
            keep_root: false,
            actor: Actor::current(),
            command: command.into(),
            now: None,
            purpose: Purpose::Change,
            on_wait: None,
        }
    }

    fn now(&self) -> Timestamp {
        self.now.unwrap_or_else(crate::time::now)
    }
}

/// What a change is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It changes what the state says.
    Change,
    /// It also writes a state file where there is none, even if it says nothing.
    Create,
    /// It renews a lease. There is no backup, so that `restore` goes back to
    /// what a person did.
    Renew,
}

/// What a change did.
#[derive(Clone, Debug)]
pub struct Applied<T> {
    /// What the change returned.
    pub value: T,
    /// The state before.
    pub before: State,
    /// The state now in force.
    pub after: State,
    /// What the state says differently.
    pub changes: Vec<Change>,
    /// Whether anything was written.
    pub is_written: bool,
    /// What did not go as it should although the change is in force.
    pub warnings: Vec<String>,
    /// The file that holds the state, behind all links.
    pub file: PathBuf,
}

impl<T> Applied<T> {
    fn unwritten(
        value: T,
        before: State,
        after: State,
        changes: Vec<Change>,
        file: PathBuf,
    ) -> Self {
        Self { value, before, after, changes, is_written: false, warnings: Vec::new(), file }
    }

    fn map<U>(self, change: impl FnOnce(T) -> U) -> Applied<U> {
        Applied {
            value: change(self.value),
            before: self.before,
            after: self.after,
            changes: self.changes,
            is_written: self.is_written,
            warnings: self.warnings,
            file: self.file,
        }
    }
}

/// Changes the state of a site.
///
/// The change runs under the lock, on the state as it is then, with the time.
/// If it fails, or its result is not a valid state, nothing is written. If
/// nothing differs afterwards, nothing is written either.
///
/// # Errors
///
/// Whatever the change returns, and every kind of failure of [`Error`]. All
/// leave the state as it was but [`Error::Unsynced`].
pub fn update<T>(
    site: &Site,
    options: &Options<'_>,
    change: impl Fn(&mut State, Timestamp) -> Result<T>,
) -> Result<Applied<T>> {
    transact(site, options, None, false, change)
}

/// What [`update`] would do, without a lock and without writing.
pub fn preview<T>(
    site: &Site,
    options: &Options<'_>,
    change: impl Fn(&mut State, Timestamp) -> Result<T>,
) -> Result<Applied<T>> {
    let files = site.files()?;
    let before = load::read(&files.state)?;
    let (value, after, changes) = run(&before, options.now(), &change)?;
    Ok(Applied::unwritten(value, before, after, changes, files.state))
}

/// Writes a template and notes its digest in the state, so that readers who
/// watch the state notice.
///
/// # Errors
///
/// [`Error::Invalid`] if it is not a template, or exists and `replace` is false.
pub fn put_template(
    site: &Site,
    options: &Options<'_>,
    file_name: &str,
    text: &str,
    replace: bool,
) -> Result<Applied<()>> {
    template::validate(text)?;
    let path = site.templates().join(file_name);
    let file = TemplateFile { path: &path, text: Some(text) };
    transact(site, options, Some(&file), false, |state, _| {
        if !replace && fs::symlink_metadata(&path).is_ok() {
            return Err(Error::invalid_with(
                format!("the template `{file_name}` exists already"),
                "to change it: `maint template edit`; to replace it: `--replace`",
            ));
        }
        state.templates.insert(file_name.to_owned(), template::digest(text));
        Ok(())
    })
}

/// Removes the files of a template.
///
/// # Errors
///
/// [`Error::Unknown`] if there is none; [`Error::Invalid`] if a window that is
/// open or scheduled, or the site, uses it.
pub fn remove_template(
    site: &Site,
    options: &Options<'_>,
    name: &str,
) -> Result<Applied<Vec<Template>>> {
    let found = template::find(&site.templates(), name)?;
    let mut applied = None;
    for file in &found {
        let removal = TemplateFile { path: &file.path, text: None };
        let done = transact(site, options, Some(&removal), false, |state, now| {
            refuse_if_used(state, name, now)?;
            if let Some(file_name) = file.path.file_name().and_then(|name| name.to_str()) {
                state.templates.remove(file_name);
            }
            Ok(())
        })?;
        applied = Some(done);
    }
    let applied = applied.ok_or_else(|| Error::invalid("there is nothing to remove"))?;
    Ok(applied.map(|()| found))
}

fn refuse_if_used(state: &State, name: &str, now: Timestamp) -> Result<()> {
    if state.page.template.as_deref() == Some(name) {
        return Err(Error::invalid_with(
            format!("the template `{name}` is the one of this site"),
            "first use another: `maint template use NAME`, or `maint template use --builtin`",
        ));
    }
    let user = state.windows.iter().find(|(_, window)| {
        window.page.template.as_deref() == Some(name)
            && window.phase(now) != crate::window::Phase::Ended
    });
    match user {
        Some((window, _)) => {
            Err(Error::invalid(format!("the window `{window}` uses the template `{name}`")))
        }
        None => Ok(()),
    }
}

/// Brings back the generation before, as a new revision. Run again, it undoes
/// itself.
///
/// Bypass tokens that were revoked stay revoked. A state that cannot be
/// understood is set aside as `….broken`.
///
/// # Errors
///
/// [`Error::Invalid`] if there is no backup.
pub fn restore(site: &Site, options: &Options<'_>) -> Result<Applied<()>> {
    let backup = backup(site)?;
    let salvaged = matches!(load::read(&site.files()?.state), Err(Error::Corrupt { .. }));
    transact(site, options, None, true, |state, _| {
        *state = restored(state, &backup, salvaged);
        Ok(())
    })
}

/// What [`restore`] would do.
pub fn preview_restore(site: &Site) -> Result<Applied<()>> {
    let files = site.files()?;
    let backup = backup(site)?;
    let (before, salvaged) = match load::read(&files.state) {
        Err(Error::Corrupt { .. }) => (State::default(), true),
        other => (other?, false),
    };
    let after = restored(&before, &backup, salvaged);
    let changes = diff(&before, &after);
    Ok(Applied::unwritten((), before, after, changes, files.state))
}

/// The backup, as a successor of the state now.
fn restored(now: &State, backup: &State, salvaged: bool) -> State {
    let mut state =
        State { revision: now.revision, last_change: now.last_change.clone(), ..backup.clone() };
    if !salvaged {
        state.bypass.retain(|id, _| now.bypass.contains_key(id));
    }
    state
}

fn backup(site: &Site) -> Result<State> {
    let path = site.files()?.backup;
    match load::load(&path)? {
        Some(loaded) => Ok(loaded.state),
        None => Err(Error::invalid(format!(
            "there is nothing to restore: `{}` does not exist",
            path.display()
        ))),
    }
}

/// A template file that changes together with the state.
struct TemplateFile<'a> {
    path: &'a Path,
    /// The new content, or `None` to remove it.
    text: Option<&'a str>,
}

impl TemplateFile<'_> {
    /// Whether the file has the new content already.
    fn is_there(&self) -> bool {
        self.text.is_some_and(|text| template::read(self.path).is_ok_and(|now| now == text))
    }
}

/// The state as a writer finds it.
struct Current {
    state: State,
    /// Absent if the state could not be understood.
    revision: Option<u64>,
    old: Option<OldFile>,
    hard_links: u64,
    /// Keeps the second lock.
    _file: Option<fs::File>,
}

fn transact<T>(
    site: &Site,
    options: &Options<'_>,
    template: Option<&TemplateFile<'_>>,
    salvage: bool,
    change: impl Fn(&mut State, Timestamp) -> Result<T>,
) -> Result<Applied<T>> {
    let files = site.files()?;
    let directory = prepare(site, &files)?;
    let custody = Custody::new(directory, options.keep_root);
    let lock = if options.locking { Some(take_lock(&files, options, custody)?) } else { None };
    for _ in 0..RERUNS {
        let Some(current) = settled(&files, salvage)? else {
            continue;
        };
        check_target(&files, &current)?;
        if lock.is_some() {
            clear_leftovers(site, &files);
        }
        let now = options.now();
        let (value, mut after, changes) = run(&current.state, now, &change)?;
        let is_template_there = template.is_none_or(TemplateFile::is_there);
        let is_missing = current.old.is_none() && options.purpose == Purpose::Create;
        if changes.is_empty() && current.revision.is_some() && is_template_there && !is_missing {
            let before = current.state;
            return Ok(Applied::unwritten(value, before, after, changes, files.state));
        }
        sign(&mut after, &current.state, now, options)?;
        let bytes = after.to_json()?;
        let mut warnings = warnings_about(&files, &current, lock.as_ref());

        let history = history::complete(&files, &current.state, custody);
        let earlier_template =
            template.map(|template| put(template, options, custody)).transpose()?;
        if salvage && current.revision.is_none() {
            set_aside(&files, &mut warnings);
        }
        let has_backup = options.purpose != Purpose::Renew && current.revision.is_some();
        let replaced = replace::replace(&Replacement {
            path: &files.state,
            bytes: &bytes,
            old: current.old,
            owner: custody.owner(),
            keep_root: options.keep_root,
            backup: has_backup.then_some(files.backup.as_path()),
        });
        if let Some(template) = earlier_template {
            match replaced {
                Ok(_) | Err(Failure::Unsynced(..)) => template.settle(),
                Err(_) => template.undo(),
            }
        }
        let record =
            |history| record(history, &files, options, &current, &after, &changes, custody);
        // Held until the history is written, so that whoever reads the new state
        // to change it waits even if the lock file was deleted.
        let _second_lock = match replaced {
            Ok(done) => {
                warnings.extend(done.warnings);
                Some(done.file)
            }
            Err(Failure::Overtaken) => continue,
            Err(Failure::NotApplied(error)) => return Err(error),
            Err(Failure::Unsynced(path, source)) => {
                let _ = history.and_then(record);
                return Err(Error::Unsynced { path, revision: after.revision, source });
            }
        };
        if let Err(cause) = history.and_then(record) {
            warnings.push(format!(
                "could not write history `{}`: {}",
                files.history.display(),
                describe(&cause)
            ));
        }
        if let Some(user) = &after.web_user
            && let Some(obstacle) = access::obstacle(&site.state_file(), user)
        {
            warnings.push(format!("the web server's user cannot see this change: {obstacle}"));
        }
        return Ok(Applied {
            value,
            before: current.state,
            after,
            changes,
            is_written: true,
            warnings,
            file: files.state,
        });
    }
    Err(Error::Conflict {
        message: format!(
            "`{}` changed {RERUNS} times while this change was made",
            files.state.display()
        ),
    })
}

/// Runs a change on a state, and checks what comes out.
fn run<T>(
    before: &State,
    now: Timestamp,
    change: &impl Fn(&mut State, Timestamp) -> Result<T>,
) -> Result<(T, State, Vec<Change>)> {
    let mut after = before.clone();
    let value = change(&mut after, now)?;
    after.validate()?;
    let changes = diff(before, &after);
    Ok((value, after, changes))
}

/// Makes a state the successor of another.
fn sign(after: &mut State, before: &State, now: Timestamp, options: &Options<'_>) -> Result<()> {
    after.revision = before
        .revision
        .checked_add(1)
        .ok_or_else(|| Error::invalid("the revision cannot rise any further"))?;
    after.last_change =
        Some(LastChange { at: now, by: options.actor.clone(), command: options.command.clone() });
    Ok(())
}

/// Checks the directory, and makes the user's own one at its first use.
fn prepare(site: &Site, files: &Files) -> Result<Ownership> {
    if site.found() == Found::User {
        site.create(false)?;
    }
    let look = |path: &Path| {
        fs::metadata(path)
            .map(|metadata| sys::ownership(&metadata))
            .map_err(|source| Error::io("write into", path, source))
    };
    let directory = look(files.directory())?;
    let refuse = |path: &Path| {
        Err(Error::Refused {
            path: files.state.clone(),
            reason: format!("everyone can write to `{}`", path.display()),
            hint: Some(format!("take that away: `chmod o-w {}`", path.display())),
        })
    };
    if directory.is_world_writable() && (sys::is_root() || !files.links.is_empty()) {
        return refuse(files.directory());
    }
    for link in &files.links {
        let parent = link.parent().unwrap_or(Path::new("/"));
        if look(parent)?.is_world_writable() {
            return refuse(parent);
        }
    }
    Ok(directory)
}

fn take_lock(files: &Files, options: &Options<'_>, custody: Custody) -> Result<Lock> {
    lock::acquire(&lock::Request {
        path: &files.lock,
        patience: options.patience,
        holder: Holder {
            pid: options.actor.pid,
            host: options.actor.host.clone(),
            command: options.command.clone(),
            since: options.now(),
        },
        custody,
        on_wait: options.on_wait,
    })
}

/// Reads the state once nobody else can be about to replace it.
///
/// The lock file can be deleted by others, and then two writers can each hold
/// "the" lock. So the state file that was read is locked as well. Only the
/// holder of that lock replaces it, and whoever gets the lock afterwards finds
/// a new file at the path and starts again: `None`. A stranger who may only
/// read could hold this second lock, so it is not waited for without end.
fn settled(files: &Files, salvage: bool) -> Result<Option<Current>> {
    let loaded = match load::load(&files.state) {
        Err(Error::Corrupt { reason, path }) if salvage => {
            return broken(files, path, reason).map(Some);
        }
        other => other?,
    };
    let Some(Loaded { state, file, key, ownership, hard_links }) = loaded else {
        // A state that somebody deleted means "off", but its numbers are used up.
        let state = State { revision: last_known_revision(files), ..State::default() };
        return Ok(Some(Current {
            revision: Some(state.revision),
            state,
            old: None,
            hard_links: 1,
            _file: None,
        }));
    };
    if state.version > VERSION {
        return Err(Error::Newer {
            path: files.state.clone(),
            version: state.version,
            known: VERSION,
        });
    }
    let begun = Instant::now();
    while let Ok(false) = sys::try_flock(&file) {
        if begun.elapsed() > SECOND_LOCK {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let is_still_there =
        fs::metadata(&files.state).is_ok_and(|metadata| sys::key(&metadata) == key);
    Ok(is_still_there.then(|| Current {
        revision: Some(state.revision),
        state,
        old: Some(OldFile { key, ownership }),
        hard_links,
        _file: Some(file),
    }))
}

/// A state that makes no sense, for `restore` to replace.
fn broken(files: &Files, path: PathBuf, reason: String) -> Result<Current> {
    let metadata = fs::metadata(&files.state)
        .map_err(|source| Error::Unreadable { path: path.clone(), source })?;
    if sys::special_kind(&metadata).is_some() {
        return Err(Error::Corrupt { path, reason });
    }
    let revision = last_known_revision(files).saturating_add(1);
    Ok(Current {
        state: State { revision, ..State::default() },
        revision: None,
        old: Some(OldFile { key: sys::key(&metadata), ownership: sys::ownership(&metadata) }),
        hard_links: 1,
        _file: None,
    })
}

/// The highest revision that the backup or the history tells of.
fn last_known_revision(files: &Files) -> u64 {
    let backup = load::read(&files.backup).map_or(0, |state| state.revision);
    backup.max(history::last_revision(files).unwrap_or(0))
}

/// Keeps a state that makes no sense, for whoever wants to know how it came to that.
fn set_aside(files: &Files, warnings: &mut Vec<String>) {
    let mut name = files.state.as_os_str().to_owned();
    name.push(".broken");
    let aside = PathBuf::from(name);
    let _ = sys::unlink(&aside);
    match sys::link(&files.state, &aside) {
        Ok(()) => warnings.push(format!("the broken state is kept as `{}`", aside.display())),
        Err(cause) => {
            warnings.push(format!("the broken state could not be kept: {}", describe(&cause)));
        }
    }
}

/// Refuses files that must not be replaced.
fn check_target(files: &Files, current: &Current) -> Result<()> {
    let Some(old) = current.old else {
        return Ok(());
    };
    let refuse = |reason: &str, hint: String| {
        Err(Error::Refused {
            path: files.state.clone(),
            reason: reason.to_owned(),
            hint: Some(hint),
        })
    };
    if old.ownership.mode & 0o6000 != 0 {
        return refuse(
            "it is setuid or setgid",
            format!("take that away: `chmod ug-s {}`", files.state.display()),
        );
    }
    if sys::is_root() && old.ownership.is_world_writable() {
        return refuse(
            "everyone can write to it",
            format!("take that away: `chmod o-w {}`", files.state.display()),
        );
    }
    let absolute = fs::canonicalize(&files.state).unwrap_or_else(|_| files.state.clone());
    if sys::is_mount_point(&absolute) {
        return Err(replace::mounted(&files.state));
    }
    Ok(())
}

fn warnings_about(files: &Files, current: &Current, lock: Option<&Lock>) -> Vec<String> {
    let mut warnings = Vec::new();
    match lock {
        None => {
            warnings.push("no lock was taken, so a change by somebody else may be lost".to_owned());
        }
        Some(lock) if !lock.is_writable => {
            warnings
                .push(format!("lock `{}` could be opened for reading only", files.lock.display()));
        }
        Some(_) => {}
    }
    let is_backup = || match (fs::metadata(&files.state), fs::metadata(&files.backup)) {
        (Ok(state), Ok(backup)) => current.hard_links == 2 && sys::same_file(&state, &backup),
        _ => false,
    };
    if current.hard_links > 1 && !is_backup() {
        warnings.push(format!(
            "`{}` had {} names, and only this one leads to the new state",
            files.state.display(),
            current.hard_links
        ));
    }
    warnings
}

fn clear_leftovers(site: &Site, files: &Files) {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let ours = [name(&files.state), name(&files.backup)];
    replace::remove_leftovers(files.directory(), |of| ours.iter().any(|name| name == of));
    replace::remove_leftovers(&site.templates(), |of| template::parse_file_name(of).is_some());
}

/// Writes or removes a template, in such a way that it can be undone.
fn put<'a>(
    template: &TemplateFile<'a>,
    options: &Options<'_>,
    custody: Custody,
) -> Result<Earlier<'a>> {
    let path = template.path;
    let earlier = Earlier::keep(path)?;
    let written = match template.text {
        Some(text) => write_template(path, text, options, custody),
        None => sys::unlink(path).map_err(|source| Error::io("remove", path, source)),
    };
    match written {
        Ok(()) => Ok(earlier),
        Err(error) => {
            earlier.settle();
            Err(error)
        }
    }
}

fn write_template(path: &Path, text: &str, options: &Options<'_>, custody: Custody) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.is_dir() {
        sys::create_dir(directory, !options.keep_root)
            .map_err(|source| Error::io("create", directory, source))?;
    }
    let old = fs::symlink_metadata(path).ok();
    if let Some(kind) = old.as_ref().and_then(sys::special_kind) {
        return Err(Error::Refused {
            path: path.to_owned(),
            reason: format!("it is {kind}"),
            hint: None,
        });
    }
    let replaced = replace::replace(&Replacement {
        path,
        bytes: text.as_bytes(),
        old: old.map(|metadata| OldFile {
            key: sys::key(&metadata),
            ownership: sys::ownership(&metadata),
        }),
        owner: custody.owner(),
        keep_root: options.keep_root,
        backup: None,
    });
    match replaced {
        // A template that a power cut may undo is written again by whoever notices.
        Ok(_) | Err(Failure::Unsynced(..)) => Ok(()),
        Err(Failure::NotApplied(error)) => Err(error),
        Err(Failure::Overtaken) => {
            Err(Error::Conflict { message: format!("`{}` appeared meanwhile", path.display()) })
        }
    }
}

fn record(
    history: history::Complete,
    files: &Files,
    options: &Options<'_>,
    current: &Current,
    after: &State,
    changes: &[Change],
    custody: Custody,
) -> io::Result<()> {
    let kept = changes.len().min(MOST_RECORDED);
    let record = Record {
        time: after.last_change.as_ref().map_or_else(crate::time::now, |change| change.at),
        revision: Revisions { before: current.revision, after: after.revision },
        actor: options.actor.clone(),
        command: options.command.clone(),
        changes: changes[..kept].to_vec(),
        left_out: changes.len() - kept,
        renewal: options.purpose == Purpose::Renew,
        recovered: false,
    };
    history::append(history, files, &record, custody)
}
