//! What an app says by itself, in its own settings, beside the state of its site.

use std::sync::{Arc, LazyLock};

use super::rules::RulesPlan;
use crate::error::{Error, Result};
use crate::rules::Matcher;
use crate::rules::path::PathPattern;
use crate::state::MAX_REGEXES;
use crate::state::page::PageSettings;

/// What an app says by itself, whatever the state of its site says. The command
/// knows nothing of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct App {
    /// `Some(true)`: every request is covered, at any time. `Some(false)`: none
    /// ever is. `None`: the state decides, as it should.
    pub is_down: Option<bool>,
    /// Rules that let requests through in addition to those of the state, each
    /// with a name for [`Pass::by`](field@super::Pass::by). They do not expire.
    pub ignore: Vec<(String, Matcher)>,
    /// How pages are answered where neither a window nor the site says.
    pub page: PageSettings,
}

impl App {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a fixed mode, whatever the state says.
    #[must_use]
    pub fn is_down(mut self, is_down: impl Into<Option<bool>>) -> Self {
        self.is_down = is_down.into();
        self
    }

    /// Adds a rule that lets requests through.
    #[must_use]
    pub fn ignore(mut self, name: impl Into<String>, rule: Matcher) -> Self {
        self.ignore.push((name.into(), rule));
        self
    }

    /// Sets how pages are answered where neither a window nor the site says.
    #[must_use]
    pub fn page(mut self, page: PageSettings) -> Self {
        self.page = page;
        self
    }
}

/// The same, compiled.
#[derive(Default)]
pub(crate) struct AppPlan {
    pub(super) is_down: Option<bool>,
    pub(super) rules: RulesPlan,
}

/// An app that says nothing.
pub(super) static SILENT: LazyLock<AppPlan> = LazyLock::new(AppPlan::default);

impl AppPlan {
    /// Compiles what an app says.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a rule that lets everyone in, for more regular
    /// expressions than a state may have, and for page settings that cannot be.
    pub(super) fn new(app: &App) -> Result<Self> {
        app.page.validate()?;
        for (name, matcher) in &app.ignore {
            let refused = matcher.refuse_everything();
            refused.map_err(|cause| Error::invalid(format!("{name}: {cause}")))?;
        }
        let is_regex = |matcher: &Matcher| matches!(matcher, Matcher::Path(PathPattern::Regex(_)));
        let regexes = app.ignore.iter().filter(|(_, matcher)| is_regex(matcher)).count();
        if regexes > MAX_REGEXES {
            return Err(Error::invalid(format!(
                "an app has at most {MAX_REGEXES} regular expressions, and these are {regexes}"
            )));
        }
        let rules = app.ignore.iter();
        let rules = rules.map(|(name, rule)| Ok((Arc::from(&**name), Some(rule.clone()), None)));
        Ok(Self { is_down: app.is_down, rules: RulesPlan::of::<Arc<str>>(rules)? })
    }
}
