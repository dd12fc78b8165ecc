//! The sites that are asked for.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use super::question::WORDS;
use super::seen::LastFound;
use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::site::Site;

/// One site, or several.
pub(super) enum Sites {
    /// The only one, which needs no name.
    One(Served),
    Named(BTreeMap<String, Served>),
}

/// A site that is asked for.
pub(super) struct Served {
    pub(super) site: Site,
    pub(super) gate: Gate,
    pub(super) counts: Counts,
    pub(super) last_found: LastFound,
}

/// How many requests had which outcome.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) passed: AtomicU64,
    pub(super) read_only: AtomicU64,
    pub(super) blocked: AtomicU64,
    /// Those of which too little was told.
    pub(super) untold: AtomicU64,
}

impl Sites {
    /// Each site, with the name that it has if there are several.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &Served)> {
        let (one, named) = match self {
            Sites::One(served) => (Some(("", served)), None),
            Sites::Named(named) => (None, Some(named)),
        };
        let named = named.into_iter().flatten().map(|(name, served)| (name.as_str(), served));
        one.into_iter().chain(named)
    }

    /// The site of a name, or the only one.
    pub(super) fn of(&self, name: Option<&str>) -> Option<&Served> {
        self.of_host(name, || None)
    }

    /// The site of a name, or else of a host, or the only one. Reading a host takes time, so it is
    /// read where it matters.
    pub(super) fn of_host(
        &self,
        name: Option<&str>,
        host: impl FnOnce() -> Option<String>,
    ) -> Option<&Served> {
        match (self, name) {
            (Sites::One(served), name) => name.is_none().then_some(served),
            (Sites::Named(named), Some(name)) => named.get(name),
            (Sites::Named(named), None) => named.get(&host()?),
        }
    }
}

impl Served {
    pub(super) fn of(site: &Site) -> Result<Self> {
        Ok(Self::by(site, Gate::open(site)?))
    }

    pub(super) fn by(site: &Site, gate: Gate) -> Self {
        let (counts, last_found) = (Counts::default(), LastFound::default());
        Self { site: site.clone(), gate, counts, last_found }
    }
}

/// A name is one part of a path, and may be a host.
pub(super) fn validate_name(name: &str) -> Result<()> {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    if !name.is_empty()
        && name.bytes().all(is_plain)
        && !WORDS.contains(&name)
        && !name.starts_with('.')
        // No host ends in one by the time that it is looked for.
        && !name.ends_with('.')
    {
        return Ok(());
    }
    Err(Error::invalid_with(
        format!("`{name}` is no name of a site"),
        "use a host, or lower-case letters, digits, `-`, `.` and `_`",
    ))
}
