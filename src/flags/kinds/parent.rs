//! What the kinds of plain files ask of their place.

use std::path::Path;

use crate::error::{Error, Result};

/// Refuses a path in a directory that is not there.
pub(super) fn check_parent(path: &Path) -> Result<()> {
    let refused = |reason: String, hint: &str| {
        Err(Error::Refused { path: path.to_owned(), reason, hint: Some(hint.to_owned()) })
    };
    match path.parent() {
        None => refused("it is the root of the file system".to_owned(), "name a path below it"),
        Some(parent) if parent.is_dir() => Ok(()),
        Some(parent) => refused(
            format!("`{}` is not a directory", parent.display()),
            "make the directory that the software looks into first",
        ),
    }
}

/// Refuses a path of something that is no directory, and one that cannot become one.
pub(super) fn check_directory(path: &Path) -> Result<()> {
    check_parent(path)?;
    if path.exists() && !path.is_dir() {
        return Err(Error::Refused {
            path: path.to_owned(),
            reason: "it is not a directory".to_owned(),
            hint: Some("name a directory for the flag, or one that is to be made".to_owned()),
        });
    }
    Ok(())
}
