//! Changing the state of a fleet: load → change → compare-and-set, in the engine that a site follows.
//!
//! The engine has the truth. A change runs on the state that is there, and again on a newer one if
//! somebody else was first. Then this host gets it, as every other does from its agent.

use std::thread;
use std::time::Duration;

use super::agent::{Duty, duty};
use super::asking::{Asking, LEAST};
use super::beside::{Beside, FileChange, TemplateFile};
use super::local;
use super::mirror::{Mirrored, beside_name, mirror};
use super::options::{Applied, Options, Purpose};
use super::transaction::{run, sign};
use super::trial::Trial;
use crate::actor::Stamp;
use crate::error::{Error, Result};
use crate::flags::Report;
use crate::fleet::{Cas, Document, Failure, FailureKind, Fate, Following, Snapshot, Write, random};
use crate::identity::as_owner;
use crate::load;
use crate::page::template;
use crate::site::Site;
use crate::state::{Mirror, State, next_number};

/// The name beside the document of the state before the last change.
const BEFORE: &str = "before";

/// A larger state is not kept when it is replaced: with its successor it may be more than etcd takes.
const MAX_BEFORE: usize = 512 * 1024;

/// How often it is looked whether the agent brought a document here.
const LOOK: Duration = Duration::from_millis(50);

/// A change of the state, which gets the state before the last change if it restores that.
pub(super) type Wish<'a, T> = dyn Fn(&mut State, Stamp<'_>, Option<State>) -> Result<T> + 'a;

/// Makes a change in the engine, and brings it to this host.
///
/// # Errors
///
/// [`Error::Store`] if the engine cannot be reached, does not confirm, or has no document of this
/// site.
pub(super) fn change<T>(
    site: &Site,
    options: &Options<'_>,
    engine: &Following,
    beside: Beside<'_>,
    wish: &Wish<'_, T>,
) -> Result<Applied<T>> {
    as_owner(site, || {
        let mut writer = Writer::begin(site, options, engine, beside)?;
        let mut unanswered: Vec<Sent<T>> = Vec::new();
        let mut is_late = false;
        loop {
            let loaded = writer.load();
            let (snapshot, document) =
                loaded.map_err(|error| writer.or_unknown(error, &unanswered))?;
            if let Some(applied) = writer.find(&document, &mut unanswered)? {
                return Ok(applied);
            }
            if is_late {
                let failure = Failure::unavailable("there was no time left to try again");
                return Err(writer.or_unknown(writer.asking.failed(failure), &unanswered));
            }
            match writer.attempt(&snapshot, &document, wish) {
                Ok(Attempt::Done(applied)) => return Ok(*applied),
                Ok(Attempt::Again) => {}
                Ok(Attempt::Unanswered(sent)) => unanswered.push(*sent),
                Err(error) => return Err(writer.or_unknown(error, &unanswered)),
            }
            is_late = writer.asking.left().is_zero();
        }
    })
}

/// Returns what [`change`] would do, without writing.
pub(super) fn preview<T>(
    site: &Site,
    options: &Options<'_>,
    engine: &Following,
    beside: Beside<'_>,
    wish: &Wish<'_, T>,
) -> Result<Applied<T>> {
    as_owner(site, || {
        let mut writer = Writer::begin(site, options, engine, beside)?;
        let (_, document) = writer.load()?;
        let before = document.state;
        let previous = writer.previous()?;
        let change = |state: &mut State, stamp: Stamp<'_>| wish(state, stamp, previous.clone());
        let (value, after, changes) = run(&before, options.stamp(), &change)?;
        Trial::of_file(site, beside)?.of_state(options.purpose, &before, &after)?;
        let file = site.files()?.state;
        let applied = Applied::unwritten(value, before, after, changes, file);
        Ok(Applied { store: Some(engine.address.to_string()), ..applied })
    })
}

/// A change that was sent and not answered.
struct Sent<T> {
    /// The revision that it was to follow on.
    follows: u64,
    applied: Applied<T>,
    /// Why there is no answer.
    reason: String,
}

/// Names and bytes to put beside a document.
pub(super) type Put = Vec<(String, Vec<u8>)>;

/// What became of an attempt.
enum Attempt<T> {
    Done(Box<Applied<T>>),
    /// Somebody else was first, or the engine was away.
    Again,
    Unanswered(Box<Sent<T>>),
}

/// One change on its way into the engine.
struct Writer<'a> {
    site: &'a Site,
    options: &'a Options<'a>,
    asking: Asking<'a>,
    beside: Beside<'a>,
    operation: String,
}

impl<'a> Writer<'a> {
    fn begin(
        site: &'a Site,
        options: &'a Options<'a>,
        following: &'a Following,
        beside: Beside<'a>,
    ) -> Result<Self> {
        let asking = Asking::begin(options, following)?;
        Ok(Self { site, options, asking, beside, operation: random()? })
    }

    /// The document as the engine has it, if it may be followed here.
    fn load(&mut self) -> Result<(Snapshot, Document)> {
        // In this order: others on this host bring newer documents meanwhile.
        let here = load::read(&self.site.state_file()).unwrap_or_default();
        let (snapshot, document) = self.asking.known_document()?;
        let address = &self.asking.following.address;
        document.check(&address.site, here.mirror.as_ref()).map_err(|odd| {
            let failure = Failure::protocol(odd.to_string());
            self.asking.failed(failure.with_hint("`maint store show` tells more"))
        })?;
        Ok((snapshot, document))
    }

    /// The state before the last change, for whoever brings it back.
    fn previous(&mut self) -> Result<Option<State>> {
        if !matches!(self.beside, Beside::Salvage) {
            return Ok(None);
        }
        let bytes = self.asking.ask(|engine, left| engine.beside(BEFORE, left))?;
        let state = bytes.and_then(|bytes| State::from_json(&bytes).ok());
        state.map(Some).ok_or_else(|| {
            let reason = "there is nothing to restore: the store has no state before this one, or one \
                          too large to be kept";
            Error::invalid(reason)
        })
    }

    /// Runs the change on this document, and replaces it.
    fn attempt<T>(
        &mut self,
        snapshot: &Snapshot,
        document: &Document,
        wish: &Wish<'_, T>,
    ) -> Result<Attempt<T>> {
        let before = &document.state;
        let previous = self.previous()?;
        let stamp = self.options.stamp();
        let change = |state: &mut State, stamp: Stamp<'_>| wish(state, stamp, previous.clone());
        let (value, mut after, changes) = run(before, stamp, &change)?;
        local::refuse(&after)?;
        after.mirror = None;
        let is_owed = self.options.purpose == Purpose::Create && before.last_change.is_none();
        let file = self.site.files()?.state;
        if changes.is_empty() && !is_owed && !self.is_edited(document) {
            let applied = Applied::unwritten(value, before.clone(), after, changes, file);
            return Ok(Attempt::Done(Box::new(self.with_what_is_here(applied, document))));
        }
        if self.needs_templates(&after) {
            // What is tried out has to be what the fleet has.
            self.bring_here(document)?;
        }
        if let Beside::Template(file) = self.beside {
            refuse_file(file, document)?;
        }
        Trial::of_file(self.site, self.beside)?.of_state(self.options.purpose, before, &after)?;
        sign(&mut after, before, stamp, self.options);
        let next = document.next(after.clone(), &self.operation, stamp.now);
        let bytes = next.to_json()?;
        let (put, remove) = self.beside_of(before, &after)?;
        let write = Write { document: &bytes, put: &put, remove: &remove };
        let applied = Applied::unwritten(value, before.clone(), after, changes, file);
        let within = self.asking.within();
        match self.asking.engine.cas(Some(&snapshot.revision), &write, within) {
            Ok(Cas::Committed(_)) => Ok(Attempt::Done(Box::new(self.applied(applied, &next)))),
            Ok(Cas::Conflict) => Ok(Attempt::Again),
            Err(failure) if failure.kind == FailureKind::Ambiguous => {
                let (follows, reason) = (before.revision, failure.reason);
                Ok(Attempt::Unanswered(Box::new(Sent { follows, applied, reason })))
            }
            Err(failure) => {
                self.asking.wait_after(failure)?;
                Ok(Attempt::Again)
            }
        }
    }

    /// Finds a change that was sent and not answered, if it is in force. It may still be on its way
    /// there: whoever sends it again, on the same document or a later one, looks here first, so it
    /// is applied once.
    fn find<T>(
        &mut self,
        document: &Document,
        unanswered: &mut Vec<Sent<T>>,
    ) -> Result<Option<Applied<T>>> {
        let Some(first) = unanswered.first() else { return Ok(None) };
        match document.fate(&self.operation, first.follows) {
            Fate::Lost => Ok(None),
            Fate::Unknown => {
                let failure = Failure::protocol("too much was changed since");
                Err(self.or_unknown(self.asking.failed(failure), unanswered))
            }
            Fate::Applied(revision) => {
                let is_it = |sent: &Sent<T>| next_number(sent.follows) == revision;
                let place = unanswered.iter().position(is_it).unwrap_or(0);
                let mut applied = unanswered.swap_remove(place).applied;
                applied.after.revision = revision;
                Ok(Some(self.applied(applied, document)))
            }
        }
    }

    /// The error of a change of which it is unknown whether it is in force.
    fn or_unknown<T>(&self, error: Error, unanswered: &[Sent<T>]) -> Error {
        let Some(last) = unanswered.last() else { return error };
        let reason = match error {
            Error::Store { reason, .. } if reason != last.reason => {
                format!("{}; {reason}", last.reason)
            }
            _ => last.reason.clone(),
        };
        let reason = format!("it did not confirm the change, which may be in force: {reason}");
        let hint = "`maint status` shows whether it is, once the store answers";
        self.asking.failed(Failure::ambiguous(reason).with_hint(hint))
    }

    /// Brings what is in force to this host, and says what could not be.
    fn applied<T>(&mut self, applied: Applied<T>, document: &Document) -> Applied<T> {
        let applied = Applied { is_written: true, ..applied };
        self.with_what_is_here(applied, document)
    }

    fn with_what_is_here<T>(&mut self, mut applied: Applied<T>, document: &Document) -> Applied<T> {
        applied.store = Some(self.asking.following.address.to_string());
        match self.bring_here(document) {
            Ok(Mirrored { state, warnings, flags, .. }) => {
                // Somebody else may have changed the fleet again meanwhile.
                if state.revision == applied.after.revision {
                    applied.after = state;
                }
                applied.warnings.extend(warnings);
                applied.flags = flags;
            }
            Err(_) if self.has_come(document) => {}
            Err(error) => {
                let what =
                    if applied.is_written { "is in force in the fleet" } else { "is as ever" };
                let problem = format!("the store {what}, but this host does not have it: {error}");
                applied.flags = Report::behind(problem);
            }
        }
        applied.warnings.extend(applied.flags.complaints());
        applied
    }

    /// Whether somebody else brings the document here, or a later one: a command that was quicker,
    /// or the agent of this host, which takes it a moment.
    fn has_come(&self, document: &Document) -> bool {
        loop {
            let here = load::read(&self.site.state_file()).unwrap_or_default();
            let is_here = |mirror: &Mirror| {
                mirror.lineage == document.lineage && mirror.sequence >= document.sequence
            };
            if here.mirror.as_ref().is_some_and(is_here) {
                return true;
            }
            if self.asking.left().is_zero() || !matches!(duty(self.site), Ok(Duty::Runs(_))) {
                return false;
            }
            thread::sleep(LOOK.min(self.asking.left()));
        }
    }

    fn bring_here(&mut self, document: &Document) -> Result<Mirrored> {
        let left = self.asking.left().max(LEAST);
        let written = match self.beside {
            Beside::Template(TemplateFile { change: FileChange::Write { text, .. }, .. }) => {
                Some((beside_name(&template::digest(text)), text.as_bytes().to_vec()))
            }
            _ => None,
        };
        let Asking { engine, following, .. } = &mut self.asking;
        let mut fetch = |name: &str| match &written {
            Some((written, text)) if written == name => Ok(Some(text.clone())),
            _ => engine.beside(name, left),
        };
        mirror(self.site, self.options, following, document, &mut fetch)
    }

    /// Whether templates are tried out for this change.
    fn needs_templates(&self, after: &State) -> bool {
        let uses = |state: &State| {
            state.page.template.is_some()
                || state.windows.values().any(|window| window.page.template.is_some())
        };
        matches!(self.beside, Beside::Template(_)) || uses(after)
    }

    /// Whether a template is written that the document knows by another text.
    fn is_edited(&self, document: &Document) -> bool {
        match self.beside {
            Beside::Template(file) => match file.change {
                FileChange::Write { text, .. } => {
                    document.state.templates.get(file.name()) != Some(&template::digest(text))
                }
                FileChange::Remove { .. } => document.state.templates.contains_key(file.name()),
            },
            Beside::Nothing | Beside::Salvage => false,
        }
    }

    /// What is put and removed beside the document, in the same write.
    fn beside_of(&self, before: &State, after: &State) -> Result<(Put, Vec<String>)> {
        let (mut put, mut remove) = match self.options.purpose {
            Purpose::Renew => (Vec::new(), Vec::new()),
            _ => keep_before(Some(before))?,
        };
        if let Beside::Template(TemplateFile { change: FileChange::Write { text, .. }, .. }) =
            self.beside
        {
            put.push((beside_name(&template::digest(text)), text.as_bytes().to_vec()));
        }
        let gone = before
            .templates
            .values()
            .filter(|digest| !after.templates.values().any(|kept| kept == *digest));
        remove.extend(gone.map(|digest| beside_name(digest)));
        remove.sort();
        remove.dedup();
        Ok((put, remove))
    }
}

/// What is put and removed so that the state before can be brought back. One from long before, or
/// of another document, would be brought back in the place of what is not kept.
pub(super) fn keep_before(before: Option<&State>) -> Result<(Put, Vec<String>)> {
    let earlier = before.map(State::to_json).transpose()?;
    Ok(match earlier.filter(|earlier| earlier.len() <= MAX_BEFORE) {
        Some(earlier) => (vec![(BEFORE.to_owned(), earlier)], Vec::new()),
        None => (Vec::new(), vec![BEFORE.to_owned()]),
    })
}

/// Refuses a new template that is there already, in the fleet or here.
fn refuse_file(file: &TemplateFile<'_>, document: &Document) -> Result<()> {
    if let FileChange::Write { replace: false, .. } = file.change
        && document.state.templates.contains_key(file.name())
    {
        return Err(Error::TemplateExists { file_name: file.name().to_owned() });
    }
    super::trial::refuse_file(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::silence::{AFTER, BEFORE, fall};
    use crate::fleet::{Address, following};
    use crate::rules::{Kind, Matcher};
    use crate::state::{Opened, PageSettings, RuleSettings, WindowSettings};
    use crate::store::{self, Joined, Origin, Winner};
    use crate::sys;

    /// An engine in a file, and hosts with a site each.
    struct Fleet {
        temp: tempfile::TempDir,
    }

    impl Fleet {
        fn new() -> Self {
            Self { temp: tempfile::tempdir().unwrap() }
        }

        fn address(&self) -> Address {
            Address::parse(&format!("file://{}/engine/shop", self.temp.path().display())).unwrap()
        }

        fn site(&self, host: &str) -> Site {
            let engine = self.temp.path().join("engine");
            let _ = std::fs::create_dir(engine);
            Site::at(self.temp.path().join(host).join(".maint"))
        }

        fn try_join(&self, site: &Site, winner: Option<Winner>) -> Result<Joined> {
            store::join(site, &options(), &self.address(), winner)
        }

        fn join(&self, host: &str) -> Site {
            let site = self.site(host);
            self.try_join(&site, None).unwrap();
            site
        }
    }

    fn options() -> Options<'static> {
        Options::new("test").patience(Duration::ZERO)
    }

    fn open(site: &Site, options: &Options<'_>, name: &str) -> Result<Applied<Opened>> {
        let settings = WindowSettings::new().reason(name);
        store::update(site, options, |state, stamp| state.open_window(name, &settings, stamp))
    }

    /// What the agent of a host does.
    fn follow(site: &Site) -> Result<Mirrored> {
        let engine = following(site).unwrap().unwrap();
        let mut opened = engine.open().unwrap();
        let there = opened.load(LEAST).unwrap().unwrap();
        let document = Document::from_json(&there.document).unwrap();
        let mut fetch = |name: &str| opened.beside(name, LEAST);
        mirror(site, &options(), &engine, &document, &mut fetch)
    }

    fn names(site: &Site) -> Vec<String> {
        site.state().unwrap().windows.keys().cloned().collect()
    }

    #[test]
    fn a_change_on_one_host_is_that_of_all() {
        let fleet = Fleet::new();
        let (one, two) = (fleet.join("one"), fleet.join("two"));
        let applied = open(&one, &options(), "deploy").unwrap();
        assert!(applied.is_written && applied.warnings.is_empty(), "{:?}", applied.warnings);
        assert_eq!(applied.store, Some(fleet.address().to_string()));
        assert_eq!(names(&one), ["deploy"], "the one who asked has it at once");
        assert!(follow(&two).unwrap().is_written);
        assert!(!follow(&two).unwrap().is_written, "it has it already");
        assert_eq!(names(&two), ["deploy"]);
        assert_eq!(one.state().unwrap(), two.state().unwrap());
        let (records, _) = store::history::read(&two.files().unwrap()).unwrap();
        let last = records.last().unwrap();
        assert_eq!((last.command.as_str(), last.from.clone()), ("test", applied.store));
        // A change on a host that lags runs on what the fleet has.
        open(&one, &options(), "second").unwrap();
        open(&two, &options(), "third").unwrap();
        assert_eq!(names(&two), ["deploy", "second", "third"]);
    }

    #[test]
    fn requirement_94_windows_of_one_host_stay_until_they_are_closed_there() {
        let fleet = Fleet::new();
        let (one, two) = (fleet.join("one"), fleet.join("two"));
        let local = options().local(true);
        open(&two, &local, "disk").unwrap();
        assert_eq!(names(&two), ["disk.local"]);
        open(&one, &options(), "disk").unwrap();
        follow(&two).unwrap();
        assert_eq!(names(&two), ["disk", "disk.local"]);
        let state = two.state().unwrap();
        assert_eq!(state.revision, one.state().unwrap().revision, "one number for the fleet");
        store::update(&two, &options(), |state, stamp| Ok(state.close_all_windows(stamp.now)))
            .unwrap();
        assert_eq!(names(&two), ["disk.local"], "the fleet's alone were closed");
        // Nobody else has it, so a broken state does not lose it.
        std::fs::remove_file(two.state_file()).unwrap();
        sys::write_all(&sys::create_new(&two.state_file()).unwrap(), b"{broken").unwrap();
        assert!(follow(&two).unwrap().is_written);
        assert_eq!(names(&two), ["disk.local"]);
        store::update(&two, &local, |state, stamp| state.close_window("disk", stamp.now)).unwrap();
        assert!(names(&two).is_empty());
        let elsewhere = Site::at(fleet.temp.path().join("alone"));
        assert!(
            open(&elsewhere, &local.clone().make_site(true), "x").is_err(),
            "it follows nobody"
        );
    }

    #[test]
    fn templates_travel_with_the_state() {
        let fleet = Fleet::new();
        let (one, two) = (fleet.join("one"), fleet.join("two"));
        let page = "<p>{{ reason }}</p>";
        store::add_template(&one, &options(), "sorry.html", page).unwrap();
        let settings = WindowSettings::new().page(PageSettings::new().template("sorry"));
        let opened = |site: &Site| {
            store::update(site, &options(), |state, stamp| state.open_window("w", &settings, stamp))
        };
        opened(&two).unwrap();
        assert_eq!(template::read(&two.templates().join("sorry.html")).unwrap(), page);
        let again = store::add_template(&two, &options(), "sorry.html", "other");
        assert!(matches!(again, Err(Error::TemplateExists { .. })));
        store::put_template(&two, &options(), "sorry.html", "<p>new</p>").unwrap();
        follow(&one).unwrap();
        assert_eq!(template::read(&one.templates().join("sorry.html")).unwrap(), "<p>new</p>");
        assert!(store::remove_template(&one, &options(), "sorry").is_err(), "a window uses it");
        store::update(&one, &options(), |state, stamp| state.close_window("w", stamp.now)).unwrap();
        store::remove_template(&one, &options(), "sorry").unwrap();
        follow(&two).unwrap();
        for site in [&one, &two] {
            assert!(!site.templates().join("sorry.html").exists());
        }
    }

    #[test]
    fn the_state_before_is_that_of_the_fleet() {
        let fleet = Fleet::new();
        let (one, two) = (fleet.join("one"), fleet.join("two"));
        assert!(store::restore(&one, &options()).is_err(), "there was none");
        open(&one, &options(), "a").unwrap();
        open(&one, &options(), "b").unwrap();
        // This host has seen neither of them.
        store::restore(&two, &options()).unwrap();
        assert_eq!(names(&two), ["a"]);
        store::restore(&one, &options()).unwrap();
        assert_eq!(names(&one), ["a", "b"]);
    }

    #[test]
    fn what_replaces_the_state_of_a_fleet_can_be_undone() {
        let fleet = Fleet::new();
        let one = fleet.join("one");
        for name in ["a", "b"] {
            open(&one, &options(), name).unwrap();
        }
        let blank = (State::default(), std::collections::BTreeMap::new());
        let engine = following(&one).unwrap().unwrap();
        store::import(&options().confirmed(true), &engine, &blank.0, &blank.1).unwrap();
        follow(&one).unwrap();
        assert!(names(&one).is_empty());
        store::restore(&one, &options()).unwrap();
        assert_eq!(names(&one), ["a", "b"]);
        let two = fleet.site("two");
        open(&two, &options().make_site(true), "other").unwrap();
        fleet.try_join(&two, Some(Winner::Site)).unwrap();
        store::restore(&two, &options()).unwrap();
        assert_eq!(names(&two), ["a", "b"]);
    }

    #[test]
    fn who_joins_with_a_state_of_its_own_is_asked_which_wins() {
        let fleet = Fleet::new();
        let one = fleet.site("one");
        open(&one, &options().make_site(true), "mine").unwrap();
        store::add_template(&one, &options(), "sorry.html", "<p>one</p>").unwrap();
        let joined = fleet.try_join(&one, None).unwrap();
        assert_eq!(joined.origin, Origin::Site, "the engine was empty");
        assert_eq!(fleet.try_join(&one, None).unwrap().origin, Origin::Unchanged);
        let two = fleet.site("two");
        open(&two, &options().make_site(true), "other").unwrap();
        let refused = fleet.try_join(&two, None).unwrap_err();
        assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
        assert!(following(&two).unwrap().is_none() && names(&two) == ["other"]);
        assert_eq!(fleet.try_join(&two, Some(Winner::Store)).unwrap().origin, Origin::Store);
        assert_eq!(names(&two), ["mine"]);
        assert!(two.templates().join("sorry.html").exists());
        let three = fleet.site("three");
        open(&three, &options().make_site(true), "third").unwrap();
        let joined = fleet.try_join(&three, Some(Winner::Site)).unwrap();
        assert_eq!(joined.origin, Origin::Replaced);
        follow(&one).unwrap();
        assert_eq!(
            (names(&one), names(&three)),
            (vec!["third".to_owned()], vec!["third".to_owned()])
        );
        assert!(!one.templates().join("sorry.html").exists());
        let before = three.state().unwrap();
        assert_eq!(store::leave(&three, &options()).unwrap(), Some(fleet.address().to_string()));
        assert_eq!(store::leave(&three, &options()).unwrap(), None);
        let after = three.state().unwrap();
        assert_eq!((after.windows, after.mirror), (before.windows, None));
        open(&three, &options(), "alone").unwrap();
        assert_eq!(names(&one), ["third"]);
    }

    #[test]
    fn requirement_90_an_engine_that_lost_its_document_is_filled_again_by_hand() {
        let fleet = Fleet::new();
        let (one, two) = (fleet.join("one"), fleet.join("two"));
        open(&one, &options(), "deploy").unwrap();
        follow(&two).unwrap();
        std::fs::remove_file(fleet.address().file()).unwrap();
        let refused =
            store::update(&two, &options(), |state, stamp| state.close_window("deploy", stamp.now));
        assert!(matches!(refused, Err(Error::Store { .. })));
        assert_eq!(names(&two), ["deploy"], "nobody takes a missing document for off");
        let engine = following(&two).unwrap().unwrap();
        let state = two.state().unwrap();
        let texts = store::texts(&two).unwrap();
        store::import(&options(), &engine, &state, &texts).unwrap();
        assert!(store::import(&options(), &engine, &state, &texts).is_err(), "unconfirmed");
        // The others know it again.
        assert!(follow(&one).unwrap().is_written);
        store::update(&one, &options(), |state, stamp| state.close_window("deploy", stamp.now))
            .unwrap();
    }

    #[test]
    fn requirement_90_an_older_document_is_not_followed() {
        let fleet = Fleet::new();
        let one = fleet.join("one");
        let before = std::fs::read(fleet.address().file()).unwrap();
        open(&one, &options(), "deploy").unwrap();
        std::fs::remove_file(fleet.address().file()).unwrap();
        sys::write_all(&sys::create_new(fleet.address().file()).unwrap(), &before).unwrap();
        let refused = follow(&one).unwrap_err().to_string();
        assert!(refused.contains("older"), "{refused}");
        let refused = open(&one, &options(), "more").unwrap_err().to_string();
        assert!(refused.contains("older"), "{refused}");
        assert_eq!(names(&one), ["deploy"]);
    }

    #[test]
    fn requirement_90_who_joins_again_does_not_go_back_with_the_engine() {
        let fleet = Fleet::new();
        let one = fleet.join("one");
        let file = fleet.address().file().to_owned();
        let before = std::fs::read(&file).unwrap();
        open(&one, &options(), "deploy").unwrap();
        std::fs::remove_file(&file).unwrap();
        let refused = fleet.try_join(&one, None).unwrap_err();
        assert!(refused.to_string().contains("lost the document"), "{refused}");
        assert!(!file.exists(), "another host may have seen a later state");
        sys::write_all(&sys::create_new(&file).unwrap(), &before).unwrap();
        let refused = fleet.try_join(&one, None).unwrap_err();
        assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
        assert_eq!(names(&one), ["deploy"]);
        let joined = fleet.try_join(&one, Some(Winner::Site)).unwrap();
        assert_eq!((joined.origin, names(&one)), (Origin::Replaced, vec!["deploy".to_owned()]));
    }

    #[test]
    fn requirement_94_what_the_fleet_does_no_longer_comes_to_a_host_that_left() {
        let fleet = Fleet::new();
        let (one, two) = (fleet.join("one"), fleet.join("two"));
        open(&one, &options(), "deploy").unwrap();
        follow(&two).unwrap();
        // What an agent of it holds that has not heard of that yet.
        let engine = following(&two).unwrap().unwrap();
        store::leave(&two, &options()).unwrap();
        store::update(&one, &options(), |state, stamp| state.close_window("deploy", stamp.now))
            .unwrap();
        let there = engine.open().unwrap().load(LEAST).unwrap().unwrap();
        let document = Document::from_json(&there.document).unwrap();
        let refused = mirror(&two, &options(), &engine, &document, &mut |_| Ok(None)).unwrap_err();
        assert!(refused.to_string().contains("no longer follows"), "{refused}");
        assert_eq!((names(&two), two.state().unwrap().mirror), (vec!["deploy".to_owned()], None));
    }

    #[test]
    fn requirement_91_a_write_without_an_answer_is_found_by_its_id_before_it_is_sent_again() {
        let fleet = Fleet::new();
        let one = fleet.join("one");
        let address = fleet.address();
        for (number, lost) in [vec![AFTER], vec![BEFORE], vec![BEFORE, AFTER]].iter().enumerate() {
            let before = one.state().unwrap();
            for when in lost {
                fall(address.file(), when);
            }
            // Whoever made this twice would have two rules more.
            let applied = store::update(&one, &options(), |state, stamp| {
                let number = u8::try_from(state.ignore.len()).unwrap();
                let rule = Matcher::parse(&Kind::Ip, &format!("203.0.113.{number}"))?;
                state.add_rule(&rule, &RuleSettings::new(), stamp)
            })
            .unwrap();
            assert!(applied.is_written && applied.warnings.is_empty(), "{:?}", applied.warnings);
            let after = one.state().unwrap();
            assert_eq!(after.ignore.len(), number + 1, "{lost:?}");
            assert_eq!(after.revision, before.revision + 1, "{lost:?}");
            assert_eq!(applied.after.revision, after.revision, "{lost:?}");
        }
    }

    #[test]
    fn a_state_too_large_to_be_kept_twice_is_not_brought_back() {
        let fleet = Fleet::new();
        let one = fleet.join("one");
        open(&one, &options(), "first").unwrap();
        let many = |state: &mut State, stamp: Stamp<'_>| {
            for number in 0..4_000 {
                let path = format!("/{number}/{}", "x".repeat(100));
                let matcher = Matcher::parse(&Kind::Path, &path)?;
                state.add_rule(&matcher, &crate::state::RuleSettings::new(), stamp)?;
            }
            Ok(())
        };
        store::update(&one, &options(), many).unwrap();
        open(&one, &options(), "second").unwrap();
        let refused = store::restore(&one, &options()).unwrap_err().to_string();
        assert!(refused.contains("too large to be kept"), "{refused}");
    }

    #[test]
    fn requirement_93_an_engine_that_is_away_changes_nothing() {
        let fleet = Fleet::new();
        let one = fleet.join("one");
        let away = fleet.temp.path().join("away");
        std::fs::create_dir(&away).unwrap();
        sys::rename(&fleet.temp.path().join("engine"), &away.join("engine")).unwrap();
        let before = one.state().unwrap();
        let refused = open(&one, &options(), "deploy").unwrap_err();
        assert_eq!(refused.kind(), crate::ErrorKind::Store);
        assert_eq!(one.state().unwrap(), before);
        open(&one, &options().local(true), "deploy").unwrap();
        assert!(one.state().unwrap().is_down(crate::time::now()));
    }
}
