//! Beginning to follow an engine, and ceasing to.

use std::collections::BTreeMap;
use std::fs;

use super::asking::{Asking, LEAST};
use super::beside::Beside;
use super::create;
use super::current;
use super::history::Record;
use super::local;
use super::mirror::{Mirrored, adopt, beside_name};
use super::options::{Applied, Options};
use super::remote::keep_before;
use super::transaction::{Transaction, sign};
use crate::error::{Error, Result};
use crate::fleet::{
    Address, Cas, Concern, Document, Failure, FailureKind, Following, Revision, Write,
    is_following, noted, random,
};
use crate::identity::as_owner;
use crate::load;
use crate::page::template;
use crate::replace::{self, Failure as NotReplaced, OldFile, Replacement};
use crate::site::Site;
use crate::state::{State, diff};
use crate::sys;

/// How often it is tried again because somebody else was first.
const RERUNS: usize = 20;

/// Which of two states is to be that of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winner {
    /// That of the engine; what this site had is kept as its backup.
    Store,
    /// That of this site.
    Site,
}

/// How a site came to follow an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It follows the same one already.
    Unchanged,
    /// The engine had no document of the site; this site's state is the first.
    Site,
    /// The engine had one, which this host has now.
    Store,
    /// The engine had one; this site's state came in its place.
    Replaced,
}

/// What came of beginning to follow.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Where the state came from.
    pub origin: Origin,
    /// What this host has now.
    pub mirrored: Mirrored,
    /// What about the engine puts the fleet at risk.
    pub concerns: Vec<Concern>,
}

/// Makes a site follow an engine from now on.
///
/// # Errors
///
/// [`Error::Conflict`] if both have a state, they differ, and no winner is given; [`Error::Store`];
/// those of [`create`](super::create()) and [`update`](super::update()).
pub fn join(
    site: &Site,
    options: &Options<'_>,
    address: &Address,
    winner: Option<Winner>,
) -> Result<Joined> {
    as_owner(site, || {
        create::make(site)?;
        let following = Following::named(address.clone());
        let mut asking = Asking::begin(options, &following)?;
        let concerns = asking.ask(|engine, within| engine.examine(within))?;
        let here = load::read(&site.state_file())?;
        let (is_same, templates) = (is_following(site, address), texts(site)?);
        for _ in 0..RERUNS {
            let (expected, document) = asking
                .document()?
                .map_or((None, None), |(there, document)| (Some(there.revision), Some(document)));
            let before = document.as_ref().map(|document| document.state.clone());
            let (origin, document) = match (document, winner) {
                (None, None) if is_same && here.mirror.is_some() => {
                    return Err(following.failed(lost()));
                }
                (None, _) => {
                    let given = with_templates(&here, &templates);
                    (Origin::Site, begin(&address.site, given, options)?)
                }
                (Some(document), _) if follows(&document, &here) => (Origin::Store, document),
                (Some(document), Some(Winner::Store)) => (Origin::Store, document),
                (Some(document), Some(Winner::Site)) => {
                    let given = with_templates(&here, &templates);
                    (Origin::Replaced, follow_on(&document, given, options)?)
                }
                (Some(document), None) => return Err(undecided(&following, &document, &here)),
            };
            if origin != Origin::Store
                && !put(&mut asking, expected.as_ref(), &document, before.as_ref(), &templates)?
            {
                continue;
            }
            let mut fetch = |name: &str| asking.engine.beside(name, LEAST);
            let mirrored =
                adopt(site, options, &following, &document, &mut fetch, || note(site, address))?;
            let is_unchanged = is_same && origin == Origin::Store && !mirrored.is_written;
            let origin = if is_unchanged { Origin::Unchanged } else { origin };
            return Ok(Joined { origin, mirrored, concerns });
        }
        Err(Error::conflict("others changed the store again and again meanwhile"))
    })
}

/// Puts a state into an engine, in place of what is there or as the first document of the site. If
/// it was mirrored before, hosts that hold what they had recognise it by its lineage.
///
/// # Errors
///
/// [`Error::Conflict`] if there is another state and it is not `confirmed`; [`Error::Store`].
pub fn import(
    options: &Options<'_>,
    following: &Following,
    state: &State,
    templates: &BTreeMap<String, String>,
) -> Result<Document> {
    following.as_its_owner(|| {
        let mut asking = Asking::begin(options, following)?;
        for _ in 0..RERUNS {
            let given = with_templates(state, templates);
            let there = asking.document()?;
            let before = there.as_ref().map(|(_, document)| document.state.clone());
            let (expected, document) = match there {
                None => (None, begin(&following.address.site, given, options)?),
                Some(_) if !options.confirmed => {
                    return Err(Error::conflict_with(
                        "the store has a state of this site, which would be replaced on every host",
                        "confirm it if that is meant",
                    ));
                }
                Some((there, document)) => {
                    (Some(there.revision), follow_on(&document, given, options)?)
                }
            };
            if put(&mut asking, expected.as_ref(), &document, before.as_ref(), templates)? {
                return Ok(document);
            }
        }
        Err(Error::conflict("others changed the store again and again meanwhile"))
    })
}

/// Makes a site follow no engine any more. Its state stays, and is its own from now on; windows of
/// this host alone become ordinary ones. Returns what it followed.
///
/// # Errors
///
/// Those of [`update`](super::update()).
pub fn leave(site: &Site, options: &Options<'_>) -> Result<Option<String>> {
    as_owner(site, || {
        let path = site.store_file();
        let Some(followed) = noted(site)? else { return Ok(None) };
        let transaction = Transaction::begin(site, options, Beside::Nothing)?;
        for _ in 0..RERUNS {
            let _turn = transaction.take_turn()?;
            let current = current::read(transaction.files(), false)?;
            let mut after = current.state.clone();
            after.mirror = None;
            local::settle(&mut after);
            sign(&mut after, &current.state, options.stamp(), options);
            let changes = diff(&current.state, &after);
            let record = Record::of(current.revision, &after, &changes, false);
            if transaction.commit(&current, &after, [], &record)?.is_none() {
                continue;
            }
            // If this is not done, the agent makes the state the fleet's again.
            sys::unlink(&path).map_err(|source| Error::io("remove", &path, source))?;
            let file = transaction.files().state.clone();
            let mut applied = Applied::unwritten((), current.state, after, changes, file);
            transaction.bring_in_step(&mut applied);
            return Ok(Some(followed));
        }
        Err(Error::conflict("the state changed again and again meanwhile"))
    })
}

/// The templates of a site, by the names of their files.
///
/// # Errors
///
/// Those of reading them.
pub fn texts(site: &Site) -> Result<BTreeMap<String, String>> {
    as_owner(site, || {
        let all = template::list(&site.templates())?;
        all.into_iter().map(|found| Ok((found.file_name(), template::read(&found.path)?))).collect()
    })
}

/// Whether a host loses nothing by following this document.
fn follows(document: &Document, here: &State) -> bool {
    let known = here.mirror.as_ref().filter(|mirror| mirror.lineage == document.lineage);
    let is_blank = || diff(&State::default(), here).is_empty();
    let is_new = match known {
        // An engine that went back takes no host with it.
        Some(known) => document.sequence >= known.sequence,
        None => is_blank(),
    };
    is_new || diff(&document.state, here).is_empty()
}

/// The engine that this site follows holds nothing of it any more. This host need not be the one
/// that saw the last change.
fn lost() -> Failure {
    Failure::protocol("it has lost the document that this site follows").with_hint(
        "`maint store import`, on the host with the highest revision, puts that there again",
    )
}

fn undecided(following: &Following, document: &Document, here: &State) -> Error {
    let count = |state: &State| match state.windows.len() {
        0 => "no window".to_owned(),
        1 => "one window".to_owned(),
        more => format!("{more} windows"),
    };
    Error::conflict_with(
        format!(
            "this site has a state (revision {}, {}), and store `{}` has another (revision {}, {})",
            here.revision,
            count(here),
            following.address,
            document.state.revision,
            count(&document.state)
        ),
        "say which of them wins: the store, or the site",
    )
}

/// A state with the digests of these templates, whatever it said of them.
fn with_templates(state: &State, templates: &BTreeMap<String, String>) -> State {
    let digests = templates.iter().map(|(name, text)| (name.clone(), template::digest(text)));
    State { templates: digests.collect(), ..state.clone() }
}

/// The first document of a site, made of a state.
fn begin(site: &str, mut state: State, options: &Options<'_>) -> Result<Document> {
    let mirror = state.mirror.take();
    let before = state.clone();
    state.windows.retain(|_, window| !window.local);
    local::refuse(&state)?;
    sign(&mut state, &before, options.stamp(), &options.clone().local(false));
    let first = Document::first(site, state.clone(), options.stamp().now)?;
    Ok(match mirror {
        Some(mirror) => {
            let (lineage, sequence) = (mirror.lineage, mirror.sequence);
            let known = Document { lineage, sequence, ..first };
            known.next(state, &random()?, options.stamp().now)
        }
        None => first,
    })
}

/// The document that puts a state in place of another.
fn follow_on(there: &Document, mut state: State, options: &Options<'_>) -> Result<Document> {
    state.mirror = None;
    state.windows.retain(|_, window| !window.local);
    local::refuse(&state)?;
    // Numbers go on from whichever is higher, so that no id is used again.
    state.last_id = state.last_id.max(there.state.last_id).max(Some(state.revision));
    sign(&mut state, &there.state, options.stamp(), &options.clone().local(false));
    Ok(there.next(state, &random()?, options.stamp().now))
}

/// Puts a document with its templates and the state before into the engine; false if somebody was
/// first.
fn put(
    asking: &mut Asking<'_>,
    expected: Option<&Revision>,
    document: &Document,
    before: Option<&State>,
    templates: &BTreeMap<String, String>,
) -> Result<bool> {
    let bytes = document.to_json()?;
    let (mut put, remove) = keep_before(before)?;
    let texts = templates.values();
    put.extend(texts.map(|text| (beside_name(&template::digest(text)), text.as_bytes().to_vec())));
    let write = Write { document: &bytes, put: &put, remove: &remove };
    let within = asking.within();
    match asking.engine.cas(expected, &write, within) {
        Ok(Cas::Committed(_)) => Ok(true),
        Ok(Cas::Conflict) => Ok(false),
        Err(failure) if failure.kind == FailureKind::Ambiguous => match asking.document() {
            Ok(Some((_, there))) if there == *document => Ok(true),
            _ => Err(asking.failed(failure)),
        },
        Err(failure) => Err(asking.failed(failure)),
    }
}

/// Writes down which engine this site follows.
fn note(site: &Site, address: &Address) -> Result<()> {
    let path = site.store_file();
    let text = format!("{address}\n");
    let old = fs::symlink_metadata(&path).ok();
    if is_following(site, address) {
        return Ok(());
    }
    let replaced = replace::replace(&Replacement {
        path: &path,
        bytes: text.as_bytes(),
        old: old.map(|metadata| OldFile {
            key: sys::key(&metadata),
            ownership: sys::ownership(&metadata),
        }),
        mode: None,
        backup: None,
    });
    match replaced {
        Ok(_) => Ok(()),
        Err(NotReplaced::NotApplied(error)) => Err(error),
        Err(NotReplaced::Unsynced(path, source)) => Err(Error::io("sync", &path, source)),
        Err(NotReplaced::Overtaken) => {
            Err(Error::conflict(format!("somebody else wrote `{}` meanwhile", path.display())))
        }
    }
}
