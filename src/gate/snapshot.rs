//! The state of a site as it was last read: compiled, with its pages made.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::plan::{Plan, RulesPlan};
use super::{Consequence, Failing};
use crate::error::{Error, Result};
use crate::load;
use crate::page::pages::{Pages, Surroundings};
use crate::page::{PageSettings, Templates};
use crate::site::Site;
use crate::state::{State, parts};
use crate::sys::Look;

/// Rules of up to so many bytes, at least a thousand as `maint` writes them, are
/// compiled by the request that notices them.
const COMPILED_AT_ONCE: usize = 192 * 1024;

/// How long after a change made in place the clock of a file system may still
/// show the same time, in nanoseconds; more than any clock tick of a kernel.
const SETTLES_AFTER: i128 = 1_000_000_000;

/// The same where times have no fractions of a second: FAT keeps every other second.
const SETTLES_AFTER_COARSE: i128 = 2_000_000_000;

/// The files of a site that are read.
pub(crate) struct Source {
    site: Site,
    pub(crate) state: PathBuf,
    pub(crate) templates: PathBuf,
    /// How the app has pages answered where the site does not say.
    app_page: PageSettings,
}

impl Source {
    pub(crate) fn new(site: &Site, app_page: &PageSettings) -> Self {
        Self {
            site: site.clone(),
            state: site.state_file(),
            templates: site.templates(),
            app_page: app_page.clone(),
        }
    }

    /// The trouble, if not just the state file is missing but the directory that
    /// it would be in, behind all links: then nobody can know what is down.
    pub(crate) fn missing_directory(&self) -> Option<Error> {
        let directory = match self.site.files() {
            Ok(files) if files.directory().is_dir() => return None,
            Ok(files) => files.directory().to_owned(),
            Err(error) => return Some(error),
        };
        let hint = if directory == self.site.dir() {
            "make it: `maint init`".to_owned()
        } else {
            format!("`{}` is a link into it", self.state.display())
        };
        let reason = "there is no such directory".to_owned();
        Some(Error::NotASite { path: directory, reason, hint: Some(hint) })
    }
}

/// A state that is in force.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// What the state file looked like before it was read. `Failed` never
    /// equals what is seen later, so that the next request tries again.
    pub(crate) look: Look,
    /// The file was changed so recently that another change could look the same.
    pub(crate) is_unsettled: bool,
    pub(crate) content: Arc<Content>,
    /// Rules that are being compiled off the path of the requests.
    pub(crate) pending: Option<Pending>,
    /// The content was made up, since there never was a good state.
    pub(crate) makeshift: Option<Consequence>,
    /// The content is not what the file says, which is no good.
    pub(crate) failing: Option<Failing>,
}

/// Rules that are not in force yet, and the process that compiles them.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) text: Arc<str>,
    pid: u32,
    /// The last state that was in force with its own rules, and will be again
    /// if these are no good.
    pub(crate) whole: Arc<Content>,
}

impl Pending {
    fn new(text: Arc<str>, whole: Arc<Content>) -> Self {
        Self { text, pid: std::process::id(), whole }
    }

    /// Whether the thread that compiles them is here. In a process forked off
    /// meanwhile there is none.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.pid == std::process::id()
    }

    /// These if this process compiles them, or else the same for it to compile.
    pub(crate) fn of_this_process(&self) -> Self {
        if self.is_of_this_process() {
            return self.clone();
        }
        Self::new(Arc::from(&*self.text), self.whole.clone())
    }

    /// Whether these are compiled by the same thread.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text)
    }
}

/// What a state says, ready for requests.
pub(crate) struct Content {
    pub(crate) plan: Plan,
    /// All but the ignore rules.
    state: State,
    rules_text: Arc<str>,
    /// Of the bytes that it was read from.
    fingerprint: u64,
    templates: Arc<Templates>,
    pages: BTreeMap<Arc<str>, Arc<Pages>>,
    /// The page of a view that is always down.
    page_without_window: Arc<Pages>,
}

/// What came of reading a state.
pub(crate) struct Fresh {
    pub(crate) content: Arc<Content>,
    /// Rules that are still to be compiled; those from before are in force.
    pub(crate) pending: Option<Pending>,
    /// What is wrong with the pages, which are then the built-in ones.
    pub(crate) errors: Vec<Error>,
}

impl Content {
    /// The page of a window, or of what is down without one.
    pub(crate) fn pages(&self, window: Option<&Arc<str>>) -> &Arc<Pages> {
        window.and_then(|window| self.pages.get(window)).unwrap_or(&self.page_without_window)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.state.revision
    }

    /// Makes a state ready that was made up and not read.
    pub(crate) fn of(source: &Source, mut state: State) -> Result<Self> {
        state.page = state.page.over(&source.app_page);
        let rules = Arc::new(RulesPlan::new(&state.ignore)?);
        let (content, _) =
            Self::build(state, "".into(), rules, Arc::new(Templates::empty()), 0, None)?;
        Ok(content)
    }

    /// The same with other ignore rules.
    pub(crate) fn with_rules(&self, text: Arc<str>, rules: Arc<RulesPlan>) -> Self {
        Self {
            plan: self.plan.replace_rules(rules),
            state: self.state.clone(),
            rules_text: text,
            fingerprint: self.fingerprint,
            templates: self.templates.clone(),
            pages: self.pages.clone(),
            page_without_window: self.page_without_window.clone(),
        }
    }

    /// Makes everything that is not the same as before.
    fn build(
        state: State,
        rules_text: Arc<str>,
        rules: Arc<RulesPlan>,
        templates: Arc<Templates>,
        fingerprint: u64,
        before: Option<&Self>,
    ) -> Result<(Self, Vec<Error>)> {
        let mut errors = Vec::new();
        let around = Surroundings {
            name: state.name.as_deref(),
            settings: &state.page,
            templates: &templates,
        };
        let before = before.filter(|before| {
            before.state.name == state.name
                && before.state.page == state.page
                && Arc::ptr_eq(&before.templates, &templates)
        });
        let mut pages = BTreeMap::new();
        for (name, window) in &state.windows {
            let same = before.filter(|before| before.state.windows.get(name) == Some(window));
            let known = same.and_then(|before| before.pages.get_key_value(name.as_str()));
            let (name, made) = if let Some((name, made)) = known {
                (name.clone(), made.clone())
            } else {
                let made = Pages::new(name, window, &around, &mut errors);
                (name.as_str().into(), Arc::new(made))
            };
            pages.insert(name, made);
        }
        let page_without_window = match before {
            Some(before) => before.page_without_window.clone(),
            None => Arc::new(Pages::without_window(&around, &mut errors)),
        };
        let plan = Plan::with_rules(&state, rules)?;
        let content =
            Self { plan, state, rules_text, fingerprint, templates, pages, page_without_window };
        Ok((content, errors))
    }
}

/// Reads the state of a site.
///
/// Whatever is the same `before` is taken over. Many new rules are left to be
/// compiled, unless there is no good state for them to come after.
pub(crate) fn read(
    source: &Source,
    look: Look,
    bytes: &[u8],
    before: Option<&Snapshot>,
) -> Result<Fresh> {
    let fingerprint = fingerprint(bytes);
    // Looked at once more, only to be sure. Otherwise somebody touched it, and
    // may have done so for the sake of a template.
    if let Some(before) = before
        && (before.look, before.content.fingerprint) == (look, fingerprint)
        && before.pending.as_ref().is_none_or(Pending::is_of_this_process)
    {
        let (content, pending) = (before.content.clone(), before.pending.clone());
        return Ok(Fresh { content, pending, errors: Vec::new() });
    }
    let malformed = |cause| load::malformed(&source.state, cause);
    let known = before.map(|before| &*before.content);
    let mut parts =
        parts::split(bytes, known.map(|known| &*known.rules_text)).map_err(malformed)?;
    parts.state.page = parts.state.page.over(&source.app_page);
    let same = |known: &Content| (known.rules_text.clone(), known.plan.rules().clone());
    let mut pending = None;
    let (text, rules) = match (before, parts.rules) {
        (Some(before), None) => same(&before.content),
        (Some(before), Some(text)) if before.failing.is_none() && text.len() > COMPILED_AT_ONCE => {
            pending = Some(before.pending_with(text));
            same(&before.content)
        }
        (_, text) => {
            let text = text.unwrap_or("{}");
            (Arc::from(text), compile(source, text)?)
        }
    };
    let (templates, mut errors) = templates(source, &parts.state, known);
    let (content, more) = Content::build(parts.state, text, rules, templates, fingerprint, known)?;
    errors.extend(more);
    Ok(Fresh { content: Arc::new(content), pending, errors })
}

impl Snapshot {
    /// Rules to be compiled after this. Those that already are, go on.
    fn pending_with(&self, text: &str) -> Pending {
        match &self.pending {
            Some(pending) if *pending.text == *text => pending.of_this_process(),
            Some(pending) => Pending::new(text.into(), pending.whole.clone()),
            None => Pending::new(text.into(), self.content.clone()),
        }
    }
}

/// Tells whether bytes are those that were read before. Nobody gains anything by
/// making two that have the same: they write the state as it is.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Compiles ignore rules from their text in the state file.
pub(crate) fn compile(source: &Source, text: &str) -> Result<Arc<RulesPlan>> {
    let rules = parts::rules(text).map_err(|cause| load::malformed(&source.state, cause))?;
    Ok(Arc::new(RulesPlan::of_lean(rules)?))
}

/// The templates of the site, if anything is made from one.
fn templates(
    source: &Source,
    state: &State,
    before: Option<&Content>,
) -> (Arc<Templates>, Vec<Error>) {
    let names = || {
        let windows = state.windows.values().map(|window| &window.page);
        windows.chain([&state.page]).filter_map(|page| page.template.as_deref())
    };
    let (found, mut errors) = if names().next().is_some() {
        Templates::read(&source.templates)
    } else {
        (Templates::empty(), Vec::new())
    };
    for name in names() {
        if !found.has_any(name) {
            errors.push(Error::Unknown {
                kind: "template",
                name: name.to_owned(),
                known: found.names(),
            });
        }
    }
    match before {
        Some(before) if *before.templates == found => (before.templates.clone(), errors),
        _ => (Arc::new(found), errors),
    }
}

/// Whether a file that looked like this at a moment could be changed once more
/// after it, and look the same.
pub(crate) fn is_unsettled(look: Look, at: Timestamp) -> bool {
    let Look::File(key) = look else { return false };
    let at = at.as_nanosecond();
    // Each by itself: `touch` may have set one of them into the future.
    [key.mtime_ns, key.ctime_ns].into_iter().any(|time| {
        let is_coarse = time % 1_000_000_000 == 0;
        let settles_after = if is_coarse { SETTLES_AFTER_COARSE } else { SETTLES_AFTER };
        (at - time).abs() < settles_after
    })
}
