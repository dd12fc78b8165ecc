//! Bringing the document of a fleet to this host.

use std::collections::BTreeMap;

use super::beside::{Beside, FileChange, TemplateFile};
use super::current::{self, Current};
use super::guard::check_target;
use super::history::{self, Record};
use super::local;
use super::options::{Applied, Options};
use super::transaction::Transaction;
use crate::error::{Error, Result};
use crate::flags::Report;
use crate::fleet::{Document, Failure, Following, Outcome, is_following};
use crate::identity::as_owner;
use crate::load;
use crate::page::template::{self, Template};
use crate::site::{Files, Site};
use crate::state::page::parse_file_name;
use crate::state::{Change, Mirror, State, diff};

/// How often it is tried again because somebody else wrote meanwhile.
const RERUNS: usize = 100;

/// What came of bringing a document here.
#[derive(Clone, Debug)]
pub struct Mirrored {
    /// The state of this host now: that of the fleet, with the windows of this host alone.
    pub state: State,
    /// Whether anything was written.
    pub is_written: bool,
    /// What went wrong although it is in force.
    pub warnings: Vec<String>,
    /// Where the flags of this host stand now.
    pub flags: Report,
}

/// The name beside the document of the template that has this digest.
pub(super) fn beside_name(digest: &str) -> String {
    format!("templates/{digest}")
}

/// Brings a document to this host, with its templates, unless what is here is newer. `fetch` reads
/// what is beside the document.
///
/// The windows of this host alone stay. A broken state is set aside, and replaced.
///
/// # Errors
///
/// [`Error::Store`] if the document must not be followed, or a template of it cannot be had: what
/// is here stays. Those of [`update`](super::update()).
pub fn mirror(
    site: &Site,
    options: &Options<'_>,
    engine: &Following,
    document: &Document,
    fetch: &mut dyn FnMut(&str) -> Outcome<Option<Vec<u8>>>,
) -> Result<Mirrored> {
    as_owner(site, || {
        let files = site.files()?;
        let here = load::read(&files.state).or_else(|_| load::read(&files.backup));
        check(engine, document, here.unwrap_or_default().mirror.as_ref())?;
        let texts = missing_templates(site, engine, document, fetch)?;
        let transaction = Transaction::begin(site, options, Beside::Salvage)?;
        let incoming = Incoming { site, engine, document, texts: &texts, is_adopted: false };
        incoming.follow(&transaction)
    })
}

/// The same, whatever was here before: this host begins to follow. Then, still under the lock,
/// `settle` makes it lasting.
pub(super) fn adopt(
    site: &Site,
    options: &Options<'_>,
    engine: &Following,
    document: &Document,
    fetch: &mut dyn FnMut(&str) -> Outcome<Option<Vec<u8>>>,
    settle: impl FnOnce() -> Result<()>,
) -> Result<Mirrored> {
    check(engine, document, None)?;
    let texts = missing_templates(site, engine, document, fetch)?;
    let transaction = Transaction::begin(site, options, Beside::Salvage)?;
    let incoming = Incoming { site, engine, document, texts: &texts, is_adopted: true };
    let mirrored = incoming.follow(&transaction)?;
    settle()?;
    Ok(mirrored)
}

/// Refuses what must not come in place of what is here.
fn check(engine: &Following, document: &Document, here: Option<&Mirror>) -> Result<()> {
    document
        .check(&engine.address.site, here)
        .map_err(|odd| engine.failed(Failure::protocol(odd.to_string())))
}

/// The templates of the document that are not here as they are there: file names and texts.
fn missing_templates(
    site: &Site,
    engine: &Following,
    document: &Document,
    fetch: &mut dyn FnMut(&str) -> Outcome<Option<Vec<u8>>>,
) -> Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for (file_name, digest) in &document.state.templates {
        let path = site.templates().join(file_name);
        if template::read(&path).is_ok_and(|text| template::digest(&text) == *digest) {
            continue;
        }
        let odd = |what: &str| {
            engine.failed(Failure::protocol(format!("the template `{file_name}` {what}")))
        };
        let bytes = fetch(&beside_name(digest)).map_err(|failure| engine.failed(failure))?;
        let bytes = bytes.ok_or_else(|| odd("is not beside the document"))?;
        if bytes.len() > template::MAX_SIZE {
            return Err(odd("is too large"));
        }
        let text = String::from_utf8(bytes).map_err(|_| odd("is not UTF-8"))?;
        if template::digest(&text) != *digest {
            return Err(odd("is another one than the document says"));
        }
        texts.insert(file_name.clone(), text);
    }
    Ok(texts)
}

/// A document on its way to this host.
struct Incoming<'a> {
    site: &'a Site,
    engine: &'a Following,
    document: &'a Document,
    texts: &'a BTreeMap<String, String>,
    /// Whether it comes in place of whatever is here.
    is_adopted: bool,
}

impl Incoming<'_> {
    fn follow(&self, transaction: &Transaction<'_>) -> Result<Mirrored> {
        for round in 0..RERUNS {
            if let Some(mut applied) = self.bring(transaction, round > 0)? {
                if applied.is_written {
                    transaction.bring_in_step(&mut applied);
                }
                let Applied { after: state, is_written, warnings, flags, .. } = applied;
                return Ok(Mirrored { state, is_written, warnings, flags });
            }
        }
        Err(Error::conflict("the state changed again and again while the fleet's was brought here"))
    }

    /// Writes it; `None` if somebody else wrote meanwhile.
    fn bring(
        &self,
        transaction: &Transaction<'_>,
        was_overtaken: bool,
    ) -> Result<Option<Applied<()>>> {
        // Whoever was overtaken reads in its turn, so that no writer overtakes it again.
        let turn = if was_overtaken { transaction.take_turn()? } else { None };
        let files = transaction.files();
        let current = current::read(files, true)?;
        check_target(files, &current)?;
        transaction.clear_leftovers();
        let here = last_here(files, &current);
        check(self.engine, self.document, here.mirror.as_ref().filter(|_| !self.is_adopted))?;
        let after = self.state_here(&here);
        let changes = diff(&here, &after);
        let removed = self.removed(&here);
        let is_here = current.revision == Some(after.revision)
            && current.old.is_some()
            && here.mirror == after.mirror
            && changes.is_empty()
            && self.texts.is_empty();
        let file = files.state.clone();
        if is_here {
            return Ok(Some(Applied::unwritten((), here.clone(), here, changes, file)));
        }
        let _turn = match turn {
            Some(turn) => Some(turn),
            None => transaction.take_turn()?,
        };
        if !current.is_still_there(files) {
            return Ok(None);
        }
        // Whoever left has the last word; the agent may hear of it later.
        if !self.is_adopted && !is_following(self.site, &self.engine.address) {
            let failure = Failure::protocol("this site no longer follows it");
            return Err(self.engine.failed(failure));
        }
        let mut record =
            Record::of(current.revision, &after, &changes, is_renewal(&changes, &after));
        record.from = Some(self.engine.address.to_string());
        let paths: Vec<_> =
            self.texts.keys().map(|name| self.site.templates().join(name)).collect();
        let added = paths.iter().zip(self.texts.values()).map(|(path, text)| TemplateFile {
            path,
            change: FileChange::Write { text, replace: true },
        });
        let gone = removed.iter().map(|template| TemplateFile {
            path: &template.path,
            change: FileChange::Remove { files: std::slice::from_ref(template) },
        });
        let templates: Vec<TemplateFile<'_>> = added.chain(gone).collect();
        let Some(warnings) = transaction.commit(&current, &after, &templates, &record)? else {
            return Ok(None);
        };
        let applied = Applied::unwritten((), here, after, changes, file);
        Ok(Some(Applied { is_written: true, warnings, ..applied }))
    }

    /// What the document says, as the state of this host.
    fn state_here(&self, here: &State) -> State {
        let mut state = self.document.state.clone();
        state.windows.retain(|_, window| !window.local);
        local::keep(&mut state, here);
        let kept = here.mirror.as_ref().map(|mirror| mirror.extra.clone()).unwrap_or_default();
        state.mirror = Some(Mirror {
            extra: kept,
            ..Mirror::new(self.document.lineage.clone(), self.document.sequence)
        });
        state
    }

    /// The templates that came from the fleet and are no longer in it.
    fn removed(&self, here: &State) -> Vec<Template> {
        let gone = here
            .templates
            .iter()
            .filter(|(name, _)| !self.document.state.templates.contains_key(*name));
        gone.filter_map(|(file_name, digest)| {
            let (name, format) = parse_file_name(file_name)?;
            let path = self.site.templates().join(file_name);
            let template = Template { name: name.to_owned(), format, path };
            // What somebody wrote by hand since is not the fleet's to remove.
            let text = template::read(&template.path).ok()?;
            (template::digest(&text) == *digest).then_some(template)
        })
        .collect()
    }
}

/// What was here last: for what was mirrored, and for the windows of this host alone, which nobody
/// else has.
fn last_here(files: &Files, current: &Current) -> State {
    if current.revision.is_some() && current.old.is_some() {
        return current.state.clone();
    }
    let mirror = load::read(&files.backup).unwrap_or_default().mirror;
    if current.old.is_none() {
        // A deleted state means that nothing is down.
        return State { mirror, ..current.state.clone() };
    }
    let (records, _) = history::read(files).unwrap_or_default();
    State { mirror, windows: local::known(&records), ..current.state.clone() }
}

/// Whether only the ends of leased windows moved.
fn is_renewal(changes: &[Change], after: &State) -> bool {
    !changes.is_empty()
        && changes.iter().all(|change| match &change.path()[..] {
            [windows, name, end] if windows == "windows" && end == "end" => {
                after.windows.get(name).is_some_and(|window| window.lease.is_some())
            }
            _ => false,
        })
}
