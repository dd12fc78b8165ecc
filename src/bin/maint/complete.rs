//! The names that completion offers: windows, rules, tokens and templates of the site.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter as _};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};
use maint::internal::rules::method;
use maint::internal::state::by_number;
use maint::internal::template;
use maint::internal::visible::visible;
use maint::rules::UserClass;
use maint::{Site, State};

/// The variable by which a completion script asks this binary.
pub(crate) const VARIABLE: &str = "MAINT_COMPLETE";

/// The shells, each of which offers options only where a dash was typed.
pub(crate) const SHELLS: Shells<'static> =
    Shells(&[&Calm(Bash), &Calm(Elvish), &Calm(Fish), &Calm(Powershell), &Calm(Zsh)]);

/// A shell that is not offered every option before anything was typed.
struct Calm<S>(S);

impl<S: EnvCompleter> EnvCompleter for Calm<S> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn is(&self, name: &str) -> bool {
        self.0.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        self.0.write_registration(var, name, bin, completer, buf)
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        here: Option<&Path>,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        // Some shells say which word is being typed; for the others it is the last.
        let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
        let is_empty = match index {
            Some(index) => words.get::<usize>(index).is_none_or(|word| word.is_empty()),
            None => words.last().is_none_or(|word| word.is_empty()),
        };
        let mut offered = Vec::new();
        self.0.write_complete(command, words, here, &mut offered)?;
        if !is_empty {
            return buf.write_all(&offered);
        }
        let separator = std::env::var("_CLAP_IFS").ok().filter(|separator| !separator.is_empty());
        let separator = separator.as_deref().unwrap_or("\n");
        let offered = String::from_utf8_lossy(&offered);
        let values: Vec<&str> =
            offered.split(separator).filter(|value| !value.starts_with('-')).collect();
        buf.write_all(values.join(separator).as_bytes())
    }
}

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
        .flat_map(|(id, rule)| {
            let by_id = candidate(id, Some(&format!("{} {}", rule.kind, rule.value)));
            let by_value = can_be_shown(&rule.value)
                .then(|| candidate(&rule.value, Some(&format!("{} {id}", rule.kind))));
            [Some(by_id), by_value].into_iter().flatten()
        })
        .collect()
}

/// What can be run, and then its files.
pub(crate) fn commands(current: &OsStr) -> Vec<CompletionCandidate> {
    let words = words();
    let typed = words.iter().rposition(|word| word == "run").map_or(0, |run| run + 1);
    // The last word is being typed.
    let before = words.get(typed..words.len().saturating_sub(1)).unwrap_or_default();
    let is_first = before.is_empty() || before.last().is_some_and(|word| word == "--");
    let mut found = PathCompleter::any().complete(current);
    let name = current.to_string_lossy();
    if is_first && !name.is_empty() && !name.contains('/') {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut names: Vec<String> = std::env::split_paths(&path)
            .filter_map(|directory| std::fs::read_dir(directory).ok())
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|found| found.starts_with(&*name) && can_be_shown(found))
            .collect();
        names.sort();
        names.dedup();
        found.extend(names.into_iter().map(|name| candidate(name, None)));
    }
    found
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
