//! The state of a site as it was last read: compiled, with its pages made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::gate::Consequence;
use crate::gate::plan::{Plan, RulesPlan};
use crate::load;
use crate::page::Templates;
use crate::page::pages::{Pages, Surroundings};
use crate::site::Site;
use crate::state::{State, parts};
use crate::sys::Look;

/// Rules of up to so many bytes, at least a thousand as `maint` writes them, are
/// compiled by the request that notices them.
const COMPILED_AT_ONCE: usize = 192 * 1024;

/// How long after a change made in place the clock of a file system may still
/// show the same time, in nanoseconds.
const SETTLES_AFTER: i128 = 1_000_000_000;

/// The files of a site that are read.
pub(crate) struct Source {
    pub(crate) state: PathBuf,
    pub(crate) templates: PathBuf,
}

impl Source {
    pub(crate) fn new(site: &Site) -> Self {
        Self { state: site.state_file(), templates: site.templates() }
    }

    /// The directory that must be there even if the state file is not.
    pub(crate) fn directory(&self) -> &Path {
        self.state.parent().unwrap_or(Path::new("/"))
    }
}

/// A state that is in force.
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
}

/// Rules that are not in force yet, and the process that compiles them.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) text: Arc<str>,
    pub(crate) pid: u32,
}

/// What a state says, ready for requests.
pub(crate) struct Content {
    pub(crate) plan: Plan,
    /// All but the ignore rules.
    state: State,
    rules_text: Arc<str>,
    templates: Arc<Templates>,
    pages: BTreeMap<Arc<str>, Arc<Pages>>,
    /// The page of a view that is always down.
    pub(crate) page_without_window: Arc<Pages>,
}

/// What came of reading a state.
pub(crate) struct Fresh {
    pub(crate) content: Content,
    /// Rules that are still to be compiled; those from before are in force.
    pub(crate) rules: Option<Arc<str>>,
    /// What is wrong with the pages, which are then the built-in ones.
    pub(crate) errors: Vec<Error>,
}

impl Content {
    /// The page of a window.
    pub(crate) fn pages(&self, window: &str) -> &Arc<Pages> {
        self.pages.get(window).unwrap_or(&self.page_without_window)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.state.revision
    }

    /// Makes a state ready that was made up and not read.
    pub(crate) fn of(state: State) -> Result<Self> {
        let rules = Arc::new(RulesPlan::new(&state.ignore)?);
        let (content, _) =
            Self::build(state, "".into(), rules, Arc::new(Templates::empty()), None)?;
        Ok(content)
    }

    /// The same with other ignore rules.
    pub(crate) fn with_rules(&self, text: Arc<str>, rules: Arc<RulesPlan>) -> Self {
        Self {
            plan: self.plan.replace_rules(rules),
            state: self.state.clone(),
            rules_text: text,
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
        let content = Self { plan, state, rules_text, templates, pages, page_without_window };
        Ok((content, errors))
    }
}

/// Reads the state of a site.
///
/// Whatever is the same `before` is taken over. Without it the rules are
/// compiled at once, however many.
pub(crate) fn read(source: &Source, bytes: &[u8], before: Option<&Content>) -> Result<Fresh> {
    let malformed = |cause| load::malformed(&source.state, cause);
    let known = before.map(|before| &*before.rules_text);
    let parts = parts::split(bytes, known).map_err(malformed)?;
    let same = |before: &Content| (before.rules_text.clone(), before.plan.rules().clone());
    let mut later = None;
    let (text, rules) = match (before, parts.rules) {
        (Some(before), None) => same(before),
        (Some(before), Some(text)) if text.len() > COMPILED_AT_ONCE => {
            later = Some(Arc::from(text));
            same(before)
        }
        (_, text) => {
            let text = text.unwrap_or("{}");
            (Arc::from(text), compile(source, text)?)
        }
    };
    let (templates, mut errors) = templates(source, &parts.state, before);
    let (content, more) = Content::build(parts.state, text, rules, templates, before)?;
    errors.extend(more);
    Ok(Fresh { content, rules: later, errors })
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

/// Whether a file that looks like this may be changed once more and look the same.
pub(crate) fn is_unsettled(look: Look) -> bool {
    let Look::File(key) = look else { return false };
    let now = jiff::Timestamp::now().as_nanosecond();
    (now - key.mtime_ns.max(key.ctime_ns)).abs() < SETTLES_AFTER
}
