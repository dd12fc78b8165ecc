//! The application's own settings, which override the state of its site.

use std::sync::Arc;

use super::rules::RulesPlan;
use crate::error::{Error, Result};
use crate::rules::Matcher;
use crate::rules::path::PathPattern;
use crate::state::MAX_REGEXES;
use crate::state::page::PageSettings;

/// The application's own settings, which override the state. The command does not
/// see them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct App {
    /// `Some(true)`: every request is covered, at any time. `Some(false)`: none
    /// ever is. `None`, the default: the state decides.
    pub is_down: Option<bool>,
    /// Rules that let requests through in addition to those of the state, each
    /// with a name for [`Pass::by`](field@super::Pass::by). They do not expire, and
    /// at most 1000 of them may be regular expressions.
    pub ignore: Vec<(String, Matcher)>,
    /// Settings of the page where neither a window nor the site has them.
    pub page: PageSettings,
}

impl App {
    /// Creates settings that leave everything to the state.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the app is down, whatever the state says.
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

    /// Sets what pages get where neither a window nor the site has a setting.
    #[must_use]
    pub fn page(mut self, page: PageSettings) -> Self {
        self.page = page;
        self
    }
}

/// The settings of an app, compiled.
#[derive(Default)]
pub(crate) struct AppPlan {
    pub(super) is_down: Option<bool>,
    pub(super) rules: RulesPlan,
}

impl AppPlan {
    /// Compiles the settings of an app.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a rule that lets everyone in, for more regular
    /// expressions than a state may have, and for invalid page settings.
    pub(super) fn new(app: &App) -> Result<Self> {
        app.page.validate()?;
        for (name, matcher) in &app.ignore {
            let refused = matcher.refuse_everything();
            // The layer names a rule after its value, which the cause names.
            let of_rule = |cause: String| {
                if *name == matcher.to_string() { cause } else { format!("{name}: {cause}") }
            };
            refused.map_err(|cause| Error::invalid(of_rule(cause.to_string())))?;
            // In code nothing but a mistake has one: for a path that has, `re:` is there.
            if let Matcher::Path(pattern) = matcher
                && let Some(doubt) = pattern.doubt()
            {
                return Err(Error::invalid(of_rule(doubt)));
            }
        }
        let is_regex = |matcher: &Matcher| matches!(matcher, Matcher::Path(PathPattern::Regex(_)));
        let regexes = app.ignore.iter().filter(|(_, matcher)| is_regex(matcher)).count();
        if regexes > MAX_REGEXES {
            return Err(Error::invalid(format!(
                "an app has at most {MAX_REGEXES} regular expressions, this one has {regexes}"
            )));
        }
        let rules = app.ignore.iter();
        let rules = rules.map(|(name, rule)| Ok((Arc::from(&**name), Some(rule.clone()), None)));
        Ok(Self { is_down: app.is_down, rules: RulesPlan::of::<Arc<str>>(rules)? })
    }
}
