//! Templates, which change together with the state.

use std::fs;

use jiff::Timestamp;

use super::beside::{Beside, TemplateFile};
use super::transaction::transact;
use super::{Applied, Options};
use crate::error::{Error, Result};
use crate::page::Templates;
use crate::page::template::{self, Template};
use crate::site::Site;
use crate::state::State;

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
    let (name, format) = crate::state::page::parse_file_name(file_name).ok_or_else(|| {
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
        let Some((name, format)) = crate::state::page::parse_file_name(&file_name) else {
            continue;
        };
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
