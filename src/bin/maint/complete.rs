//! The names that completion offers: windows, rules, tokens and templates of the site.

use std::ffi::OsString;
use std::path::PathBuf;

use clap_complete::engine::CompletionCandidate;
use maint::internal::rules::method;
use maint::internal::state::by_number;
use maint::internal::template;
use maint::internal::visible::visible;
use maint::rules::UserClass;
use maint::{Site, State};

/// The variable by which a completion script asks this binary.
pub(crate) const VARIABLE: &str = "MAINT_COMPLETE";

/// The words typed so far; a shell passes them after `--`.
pub(crate) fn words() -> Vec<OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

/// The site that the words typed so far mean. Completion is silent on errors.
fn site() -> Option<Site> {
    let words = words();
    let mut given = None;
    for (position, word) in words.iter().enumerate() {
        if word == "--site" {
            given = words.get(position + 1).map(PathBuf::from);
        } else if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--site=")) {
            given = Some(PathBuf::from(path));
        }
    }
    Site::discover(given.as_deref()).ok()
}

fn state() -> Option<State> {
    site()?.state().ok()
}

/// Names that would drive the terminal are not offered: they would have to be typed as they are.
fn can_be_shown(name: &str) -> bool {
    visible(name) == name
}

fn candidate(value: impl Into<OsString>, help: Option<&str>) -> CompletionCandidate {
    let help = help.map(|help| visible(help.lines().next().unwrap_or_default()).into_owned());
    CompletionCandidate::new(value).help(help.map(Into::into))
}

pub(crate) fn windows() -> Vec<CompletionCandidate> {
    let state = state().unwrap_or_default();
    state.windows.iter().map(|(name, window)| candidate(name, window.reason.as_deref())).collect()
}

pub(crate) fn rules() -> Vec<CompletionCandidate> {
    let state = state().unwrap_or_default();
    by_number(&state.ignore)
        .into_iter()
        .filter(|(id, _)| can_be_shown(id))
        .map(|(id, rule)| candidate(id, Some(&format!("{} {}", rule.kind, rule.value))))
        .collect()
}

pub(crate) fn flags() -> Vec<CompletionCandidate> {
    let flags = site().and_then(|site| maint::flags::read(&site).ok()).unwrap_or_default();
    flags
        .flags
        .iter()
        .filter(|(id, _)| can_be_shown(id))
        .map(|(id, flag)| candidate(id, Some(flag.kind.as_str())))
        .collect()
}

pub(crate) fn flag_kinds() -> Vec<CompletionCandidate> {
    maint::flags::definitions()
        .map(|definition| candidate(definition.kind.as_str(), Some(definition.on)))
        .collect()
}

pub(crate) fn tokens() -> Vec<CompletionCandidate> {
    let state = state().unwrap_or_default();
    by_number(&state.bypass)
        .into_iter()
        .filter(|(id, _)| can_be_shown(id))
        .map(|(id, token)| candidate(id, token.note.as_deref()))
        .collect()
}

pub(crate) fn templates() -> Vec<CompletionCandidate> {
    let templates =
        site().and_then(|site| template::list(&site.templates()).ok()).unwrap_or_default();
    let mut names: Vec<String> = templates.into_iter().map(|template| template.name).collect();
    names.dedup();
    names.into_iter().map(|name| candidate(name, None)).collect()
}

pub(crate) fn languages() -> Vec<CompletionCandidate> {
    maint::internal::page::languages().into_iter().map(|tag| candidate(tag, None)).collect()
}

pub(crate) fn proxies() -> Vec<CompletionCandidate> {
    let networks = state()
        .and_then(|state| state.trusted_proxies)
        .map_or_else(Vec::new, |proxies| proxies.networks);
    networks.iter().map(|network| candidate(network.to_string(), None)).collect()
}

pub(crate) fn methods() -> Vec<CompletionCandidate> {
    method::COMMON.iter().map(|name| candidate(*name, None)).collect()
}

/// The values of a rule, if its kind has only a few.
pub(crate) fn rule_values() -> Vec<CompletionCandidate> {
    let words = words();
    if words.iter().any(|word| word == "user") {
        UserClass::ALL
            .iter()
            .map(|class| candidate(class.as_str(), Some(class.describe())))
            .collect()
    } else if words.iter().any(|word| word == "method") {
        methods()
    } else {
        Vec::new()
    }
}
