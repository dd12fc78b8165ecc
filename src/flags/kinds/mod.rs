//! The kinds, each in a file of its own, and the one table of them: what each is, and what
//! it can carry.

mod command;
mod django_maintenance_mode;
mod exec;
mod file;
mod haproxy;
mod laravel;
mod magento;
mod mediawiki;
mod page;
mod parent;
mod php;
mod ruby;
mod turnout;
mod web;
mod wordpress;

use super::definition::Definition;
use super::flag::{Flag, Kind};
use crate::error::{Error, Result};
use crate::rules::PathPattern;

static DEFINITIONS: [&Definition; 11] = [
    &file::DEFINITION,
    &page::DEFINITION,
    &web::DEFINITION,
    &wordpress::DEFINITION,
    &laravel::DEFINITION,
    &django_maintenance_mode::DEFINITION,
    &magento::DEFINITION,
    &turnout::DEFINITION,
    &mediawiki::DEFINITION,
    &haproxy::DEFINITION,
    &exec::DEFINITION,
];

/// All kinds, in the order of the documentation.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    DEFINITIONS.into_iter()
}

/// What a kind is; `None` for one of a later version.
#[must_use]
pub fn definition(kind: &Kind) -> Option<&'static Definition> {
    definitions().find(|definition| definition.kind == *kind)
}

/// Whether a kind that carries paths carries those of a pattern.
pub(super) fn carries_path(kind: &Kind, pattern: &PathPattern) -> bool {
    match kind {
        Kind::Wordpress => wordpress::carries(pattern),
        Kind::Turnout => ruby::path_regex(pattern).is_some(),
        _ => true,
    }
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
