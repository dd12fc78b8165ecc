//! Where files have no owner whose identity could be taken.

use std::path::Path;

use crate::error::Result;
use crate::site::Site;

/// Does something in a site, as the caller.
pub(crate) fn as_owner<T>(_site: &Site, work: impl FnOnce() -> Result<T>) -> Result<T> {
    work()
}

/// Does something to a file, as the caller.
pub(crate) fn as_owner_of<T>(_path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    work()
}

/// Does what a file says, as the caller.
pub(crate) fn as_author_of<T>(_file: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    work()
}
