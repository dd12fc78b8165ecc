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

/// The options that a kind takes, as `flags.json` names them.
fn options_of(kind: &Kind) -> &'static [&'static str] {
    match kind {
        Kind::Exec => &["on", "off", "check", "timeout"],
        Kind::Haproxy => &["map", "key", "servers"],
        Kind::DjangoMaintenanceMode => &["times"],
        _ => &[],
    }
}

/// Refuses a flag that cannot be: its software is not there, or it has what its kind cannot use.
///
/// # Errors
///
/// [`Error::Invalid`] or [`Error::Refused`].
pub(crate) fn check(flag: &Flag) -> Result<()> {
    let definition = definition_of(flag)?;
    let given = serde_json::to_value(&flag.options).unwrap_or_default();
    let names = given.as_object().into_iter().flat_map(serde_json::Map::keys);
    let known = options_of(&flag.kind);
    if let Some(other) = names.into_iter().find(|name| !known.contains(&name.as_str())) {
        let kind = &flag.kind;
        return Err(Error::invalid(format!("a flag of kind `{kind}` has no use for `{other}`")));
    }
    if definition.path.is_empty() && flag.path.is_some() {
        return Err(Error::invalid(format!("a flag of kind `{}` has no path", flag.kind)));
    }
    definition.check(flag)
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
