//! Templates, which change together with the state.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::custody::Custody;
use super::replace::{self, Earlier, Failure, OldFile, Replacement};
use super::transaction::{Beside, transact};
use super::{Applied, Options};
use crate::error::{Error, Result};
use crate::page::Templates;
use crate::page::template::{self, Template};
use crate::site::Site;
use crate::state::State;
use crate::sys;

/// Writes a template and notes its digest in the state, so that readers who
/// watch the state notice.
///
/// # Errors
///
/// [`Error::Invalid`] if it has a mistake, if one that builds on it would break,
/// or if it exists and `replace` is false.
pub fn put_template(
    site: &Site,
    options: &Options<'_>,
    file_name: &str,
    text: &str,
    replace: bool,
) -> Result<Applied<()>> {
    let path = site.templates().join(file_name);
    let file = TemplateFile { path: &path, text: Some(text) };
    transact(site, options, Beside::Template(&file), |state, _| {
        // Under the lock, since those that it builds on may change until then.
        try_out(site, file_name, text)?;
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

/// Tries a template out among the others of the site.
fn try_out(site: &Site, file_name: &str, text: &str) -> Result<()> {
    let (name, format) = template::parse_file_name(file_name).ok_or_else(|| {
        let name = file_name.escape_debug();
        Error::invalid(format!("`{name}` cannot be the file name of a template"))
    })?;
    let mut templates = read(site);
    templates.add(file_name.to_owned(), text.to_owned())?;
    templates.try_out(name, format)?;
    refuse_if_another_breaks(&read(site), &templates, name)
}

/// The templates of a site that are any good.
fn read(site: &Site) -> Templates {
    Templates::read(&site.templates()).0
}

/// Refuses a change of one template by which another, which was fine before,
/// would fail: it builds on this one.
fn refuse_if_another_breaks(before: &Templates, after: &Templates, changed: &str) -> Result<()> {
    for file_name in after.names() {
        let Some((name, format)) = template::parse_file_name(&file_name) else { continue };
        if name == changed || before.try_out(name, format).is_err() {
            continue;
        }
        if let Err(error) = after.try_out(name, format) {
            return Err(Error::invalid_with(
                format!(
                    "the template `{file_name}` builds on `{changed}`, and would fail: {error}"
                ),
                format!("change `{file_name}` first"),
            ));
        }
    }
    Ok(())
}

/// Removes the files of a template.
///
/// # Errors
///
/// [`Error::Unknown`] if there is none; [`Error::Invalid`] if a window that is
/// open or scheduled, the site, or another template uses it.
pub fn remove_template(
    site: &Site,
    options: &Options<'_>,
    name: &str,
) -> Result<Applied<Vec<Template>>> {
    let found = template::find(&site.templates(), name)?;
    let mut applied = None;
    for file in &found {
        let removal = TemplateFile { path: &file.path, text: None };
        let done = transact(site, options, Beside::Template(&removal), |state, now| {
            refuse_if_used(state, name, now)?;
            let without =
                found.iter().fold(read(site), |rest, file| rest.without(&file.file_name()));
            refuse_if_another_breaks(&read(site), &without, name)?;
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
            && window.phase(now) != crate::state::window::Phase::Ended
    });
    match user {
        Some((window, _)) => {
            Err(Error::invalid(format!("the window `{window}` uses the template `{name}`")))
        }
        None => Ok(()),
    }
}

/// A template file that changes together with the state.
pub(super) struct TemplateFile<'a> {
    path: &'a Path,
    /// The new content, or `None` to remove it.
    text: Option<&'a str>,
}

impl TemplateFile<'_> {
    /// Whether the file has the new content already.
    pub(super) fn is_there(&self) -> bool {
        self.text.is_some_and(|text| template::read(self.path).is_ok_and(|now| now == text))
    }
}

/// Writes or removes a template, in such a way that it can be undone.
pub(super) fn put<'a>(
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
    let old = match fs::symlink_metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(Error::io("look at", path, source)),
    };
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
