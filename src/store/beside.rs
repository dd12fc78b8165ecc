//! What is written together with the state, in one transaction.

use std::fs;
use std::io;
use std::path::Path;

use super::create::make_directory;
use crate::error::{Error, Result};
use crate::page::template::{self, Template};
use crate::replace::{self, Earlier, Failure, OldFile, Replacement};
use crate::sys;

/// What else happens when the state changes.
#[derive(Clone, Copy)]
pub(super) enum Beside<'a> {
    /// Nothing.
    Nothing,
    /// A template changes with it.
    Template(&'a TemplateFile<'a>),
    /// A corrupt state may be replaced.
    Salvage,
}

/// A template file that changes together with the state.
pub(super) struct TemplateFile<'a> {
    pub(super) path: &'a Path,
    pub(super) change: FileChange<'a>,
}

/// What becomes of a template file.
#[derive(Clone, Copy)]
pub(super) enum FileChange<'a> {
    /// It gets this text. A file that exists is overwritten only if `replace`.
    Write { text: &'a str, replace: bool },
    /// It is removed, like the other `files` of its template.
    Remove { files: &'a [Template] },
}

impl TemplateFile<'_> {
    /// Its name with the extension.
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Whether the file already has the new content.
    pub(super) fn is_there(&self) -> bool {
        match self.change {
            FileChange::Write { text, .. } => {
                template::read(self.path).is_ok_and(|now| now == text)
            }
            FileChange::Remove { .. } => false,
        }
    }
}

/// Writes or removes a template so that it can be undone.
pub(super) fn put<'a>(template: &TemplateFile<'a>) -> Result<Earlier<'a>> {
    let path = template.path;
    let earlier = Earlier::keep(path)?;
    let written = match template.change {
        FileChange::Write { text, .. } => write_template(path, text),
        FileChange::Remove { .. } => {
            sys::unlink(path).map_err(|source| Error::io("remove", path, source))
        }
    };
    match written {
        Ok(()) => Ok(earlier),
        Err(error) => {
            earlier.settle();
            Err(error)
        }
    }
}

fn write_template(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.is_dir() {
        make_directory(directory)?;
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
        mode: None,
        backup: None,
    });
    match replaced {
        // If a power cut undoes the template, whoever notices writes it again.
        Ok(_) | Err(Failure::Unsynced(..)) => Ok(()),
        Err(Failure::NotApplied(error)) => Err(error),
        Err(Failure::Overtaken) => {
            Err(Error::conflict(format!("`{}` appeared meanwhile", path.display())))
        }
    }
}
