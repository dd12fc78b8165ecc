//! Templates, which change together with the state.

use super::beside::{Beside, FileChange, TemplateFile};
use super::options::{Applied, Options};
use super::route::transact;
use crate::error::{Error, Result};
use crate::identity::as_owner;
use crate::page::template::{self, Template};
use crate::site::Site;

/// Adds a template, and notes its digest in the state, so that readers, which watch only
/// the state, notice.
///
/// # Errors
///
/// [`Error::TemplateExists`] if there is one of this name, [`Error::Invalid`] if it has a
/// mistake.
pub fn add_template(
    site: &Site,
    options: &Options<'_>,
    file_name: &str,
    text: &str,
) -> Result<Applied<()>> {
    write(site, options, file_name, text, false)
}

/// Adds a template or replaces the one that has this name, and notes its digest in the state.
///
/// # Errors
///
/// [`Error::Invalid`] if it has a mistake, or if one that builds on it would break.
pub fn put_template(
    site: &Site,
    options: &Options<'_>,
    file_name: &str,
    text: &str,
) -> Result<Applied<()>> {
    write(site, options, file_name, text, true)
}

fn write(
    site: &Site,
    options: &Options<'_>,
    file_name: &str,
    text: &str,
    replace: bool,
) -> Result<Applied<()>> {
    let site = &site.current()?;
    let path = site.templates().join(file_name);
    let file = TemplateFile { path: &path, change: FileChange::Write { text, replace } };
    transact(site, options, Beside::Template(&file), |state, _| {
        state.templates.insert(file_name.to_owned(), template::digest(text));
        Ok(())
    })
}

/// Removes the files of a template.
///
/// # Errors
///
/// [`Error::Unknown`] if there is none, [`Error::TemplateInUse`] if the site or a
/// window that is open or scheduled uses it, [`Error::Invalid`] if another template
/// builds on it.
pub fn remove_template(
    site: &Site,
    options: &Options<'_>,
    name: &str,
) -> Result<Applied<Vec<Template>>> {
    let site = &site.current()?;
    let found = as_owner(site, || template::find(&site.templates(), name))?;
    let mut applied = None;
    for file in &found {
        let change = FileChange::Remove { files: &found };
        let removal = TemplateFile { path: &file.path, change };
        applied = Some(transact(site, options, Beside::Template(&removal), |state, stamp| {
            state.refuse_if_used(name, stamp.now)?;
            state.templates.remove(removal.name());
            Ok(())
        })?);
    }
    let applied = applied.ok_or_else(|| Error::invalid("there is nothing to remove"))?;
    Ok(applied.map(|()| found))
}
