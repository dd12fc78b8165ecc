//! The content of a state, ready for requests: decisions compiled, pages made.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::plan::Plan;
use super::rules::RulesPlan;
use crate::error::{Error, Result, SiteProblem};
use crate::load;
use crate::page::Templates;
use crate::page::pages::{Pages, SiteDefaults};
use crate::site::Site;
use crate::state::{PageSettings, State, parts};

/// The files of a site that a gate reads.
pub(crate) struct Source {
    site: Site,
    pub(crate) state: PathBuf,
    pub(crate) templates: PathBuf,
    /// The app's settings of the page, where the site has none.
    app_page: PageSettings,
}

impl Source {
    pub(crate) fn new(site: Site, app_page: &PageSettings) -> Self {
        Self {
            state: site.state_file(),
            templates: site.templates(),
            app_page: app_page.clone(),
            site,
        }
    }

    /// Returns the site as it would be chosen now, if nobody named it and it was not there.
    pub(crate) fn appeared(&self) -> Result<Option<Self>> {
        let site = self.site.current()?.absolute();
        let is_same = site.is_awaited() && site == self.site;
        Ok((!is_same).then(|| Self::new(site, &self.app_page)))
    }

    /// Whether the site is not there yet, and nobody named it.
    pub(crate) fn is_awaited(&self) -> bool {
        self.site.is_awaited()
    }

    /// The error, if the directory that the state file would be in, behind all
    /// links, is missing as well: then it is unknown what is down.
    pub(crate) fn missing_directory(&self) -> Option<Error> {
        let directory = match self.site.files() {
            Ok(files) if files.directory().is_dir() => return None,
            Ok(files) => files.directory().to_owned(),
            Err(error) => return Some(error),
        };
        let problem = if directory == self.site.dir() {
            SiteProblem::Missing
        } else {
            SiteProblem::MissingBehind(self.state.clone())
        };
        Some(Error::NotASite { path: directory, problem })
    }
}

/// The content of a state, ready for requests.
pub(crate) struct Content {
    pub(crate) plan: Plan,
    /// All but the ignore rules.
    pub(super) state: State,
    rules_text: Arc<str>,
    /// The fingerprint of the bytes that it was read from.
    fingerprint: u64,
    templates: Arc<Templates>,
    pages: BTreeMap<Arc<str>, Arc<Pages>>,
    /// The page of a view that is always down.
    page_without_window: Arc<Pages>,
}

/// A state that was just read.
pub(crate) struct Fresh {
    pub(crate) content: Arc<Content>,
    /// What is wrong with pages; visitors get the built-in ones instead.
    pub(crate) errors: Vec<Error>,
}

impl Content {
    /// The page of a window, or the one of what is down without a window.
    pub(crate) fn pages(&self, window: Option<&Arc<str>>) -> &Arc<Pages> {
        window.and_then(|window| self.pages.get(window)).unwrap_or(&self.page_without_window)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.state.revision
    }

    /// Why the last page that was made for a visitor is the built-in one, if nobody was told.
    pub(crate) fn mishap(&self) -> Option<Error> {
        self.templates.mishap()
    }

    /// Whether it was made from these bytes.
    pub(crate) fn is_of(&self, bytes: &[u8]) -> bool {
        self.fingerprint == fingerprint(bytes)
    }

    /// Prepares a state that does not come from the file.
    pub(crate) fn of(source: &Source, mut state: State) -> Result<Self> {
        state.page = state.page.over(&source.app_page);
        let rules = Arc::new(RulesPlan::new(&state.ignore)?);
        let (content, _) =
            Self::build(state, "".into(), rules, Arc::new(Templates::empty()), 0, None)?;
        Ok(content)
    }

    /// Makes what differs from `before`, and takes over the rest.
    fn build(
        state: State,
        rules_text: Arc<str>,
        rules: Arc<RulesPlan>,
        templates: Arc<Templates>,
        fingerprint: u64,
        before: Option<&Self>,
    ) -> Result<(Self, Vec<Error>)> {
        let mut errors = Vec::new();
        let around = SiteDefaults::new(state.name.as_deref(), &state.page, &templates);
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

/// Prepares the bytes of a state file. What is the same in `before` is taken over.
pub(crate) fn read(source: &Source, bytes: &[u8], before: Option<&Content>) -> Result<Fresh> {
    let malformed = |cause| load::malformed(&source.state, cause);
    let known = before.map(|before| &*before.rules_text);
    let mut parts = parts::split(bytes, known).map_err(malformed)?;
    parts.state.page = parts.state.page.over(&source.app_page);
    let (text, rules) = match (before, parts.rules) {
        (Some(before), None) => (before.rules_text.clone(), before.plan.rules().clone()),
        (_, text) => {
            let text = text.unwrap_or("{}");
            (Arc::from(text), compile(source, text)?)
        }
    };
    let (templates, mut errors) = templates(source, &parts.state, before);
    let (content, more) =
        Content::build(parts.state, text, rules, templates, fingerprint(bytes), before)?;
    errors.extend(more);
    Ok(Fresh { content: Arc::new(content), errors })
}

/// A hash that shows whether bytes were read before. It need not resist
/// collisions: whoever can write the file can write any state.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Compiles ignore rules from their text in the state file.
fn compile(source: &Source, text: &str) -> Result<Arc<RulesPlan>> {
    let rules = parts::rules(text).map_err(|cause| load::malformed(&source.state, cause))?;
    Ok(Arc::new(RulesPlan::of_lean(rules)?))
}

/// The templates of the site, if any page is made from one.
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
