//! The kinds, each in a file of its own, and the one table of them: what each is, and what
//! it can carry.

mod file;
mod page;
mod parent;
mod web;

use super::definition::Definition;
use super::flag::{Flag, Kind};
use crate::error::{Error, Result};

static DEFINITIONS: [&Definition; 3] = [&file::DEFINITION, &page::DEFINITION, &web::DEFINITION];

/// All kinds, in the order of the documentation.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    DEFINITIONS.into_iter()
}

/// What a kind is; `None` for one of a later version.
#[must_use]
pub fn definition(kind: &Kind) -> Option<&'static Definition> {
    definitions().find(|definition| definition.kind == *kind)
}

/// What a flag is.
///
/// # Errors
///
/// [`Error::Invalid`] if it is of a kind of a later version.
pub(crate) fn definition_of(flag: &Flag) -> Result<&'static Definition> {
    definition(&flag.kind).ok_or_else(|| {
        Error::invalid(format!("this version knows no flags of kind `{}`", flag.kind))
    })
}
