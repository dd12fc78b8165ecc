//! What is written beside the state, in one transaction with it.

use std::fs;
use std::io;
use std::path::Path;

use super::Options;
use super::custody::Custody;
use super::replace::{self, Earlier, Failure, OldFile, Replacement};
use crate::error::{Error, Result};
use crate::page::template;
use crate::sys;

/// What happens beside the change of the state.
#[derive(Clone, Copy)]
pub(super) enum Beside<'a> {
    /// Nothing.
    Nothing,
    /// A template changes with it.
    Template(&'a TemplateFile<'a>),
    /// A state that makes no sense may be replaced.
    Salvage,
}

/// A template file that changes together with the state.
pub(super) struct TemplateFile<'a> {
    pub(super) path: &'a Path,
    /// The new content, or `None` to remove it.
    pub(super) text: Option<&'a str>,
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
