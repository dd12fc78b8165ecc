//! Extended attributes where there is no support for them: no file has any.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;

pub(crate) fn attributes(_path: &Path) -> Vec<OsString> {
    Vec::new()
}

pub(crate) fn attribute(_path: &Path, _name: impl AsRef<OsStr>) -> Option<Vec<u8>> {
    None
}

pub(crate) fn attribute_of(_file: &File, _name: &OsStr) -> Option<Vec<u8>> {
    None
}

pub(crate) fn set_attribute(_file: &File, _name: &OsStr, _value: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
