//! Looking at what the engine of a fleet holds, without changing anything.

use std::collections::BTreeMap;

use super::asking::{Asking, LEAST};
use super::mirror::{Mirrored, mirror};
use super::options::Options;
use crate::error::{Error, Result};
use crate::fleet::{Concern, Document, Following, HostReport, following};
use crate::site::Site;

/// What an engine holds of a site.
#[derive(Clone, Debug)]
pub struct Peek {
    /// The document, if there is one.
    pub document: Option<Document>,
    /// What about the engine puts the fleet at risk.
    pub concerns: Vec<Concern>,
}

/// The document, and what the hosts say of themselves.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// The document.
    pub document: Document,
    /// What each host says, by its name.
    pub hosts: BTreeMap<String, HostReport>,
    /// The hosts that say what cannot be understood.
    pub unread: Vec<String>,
}

/// Looks at what the engine holds of a site.
///
/// # Errors
///
/// [`Error::Store`].
pub fn peek(options: &Options<'_>, engine: &Following) -> Result<Peek> {
    engine.as_its_owner(|| {
        let mut asking = Asking::begin(options, engine)?;
        let document = asking.document()?.map(|(_, document)| document);
        let concerns = asking.ask(|engine, within| engine.examine(within))?;
        Ok(Peek { document, concerns })
    })
}

/// Looks at what the hosts of a fleet say of themselves.
///
/// # Errors
///
/// [`Error::Store`].
pub fn hosts(options: &Options<'_>, engine: &Following) -> Result<Hosts> {
    let (document, reports) = engine.as_its_owner(|| {
        let mut asking = Asking::begin(options, engine)?;
        // In this order, so that no host seems to lag that is ahead.
        let (_, document) = asking.known_document()?;
        Ok((document, asking.ask(|engine, within| engine.hosts(within))?))
    })?;
    let (mut hosts, mut unread) = (BTreeMap::new(), Vec::new());
    for (name, report) in reports {
        match serde_json::from_slice(&report) {
            Ok(report) => drop(hosts.insert(name, report)),
            Err(_) => unread.push(name),
        }
    }
    Ok(Hosts { document, hosts, unread })
}

/// Brings what the engine holds to this host at once, as its agent does.
///
/// # Errors
///
/// [`Error::Invalid`] if the site follows no engine, and those of [`mirror`](super::mirror()).
pub fn refresh(site: &Site, options: &Options<'_>) -> Result<Mirrored> {
    let engine = following(site)?.ok_or_else(|| Error::invalid("this site follows no engine"))?;
    engine.as_its_owner(|| {
        let mut asking = Asking::begin(options, &engine)?;
        let (_, document) = asking.known_document()?;
        let mut fetch = |name: &str| asking.engine.beside(name, LEAST);
        mirror(site, options, &engine, &document, &mut fetch)
    })
}
