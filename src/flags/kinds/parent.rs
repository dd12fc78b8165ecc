//! What the kinds of plain files ask of their place.

use std::path::Path;

use crate::error::{Error, Result};

/// Refuses a path in a directory that is not there.
pub(super) fn check_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    if parent.is_dir() {
        return Ok(());
    }
    Err(Error::Refused {
        path: path.to_owned(),
        reason: format!("`{}` is not a directory", parent.display()),
        hint: Some("make the directory that the software looks into first".to_owned()),
    })
}
