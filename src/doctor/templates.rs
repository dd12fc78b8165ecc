//! Checks of the site's own pages.

use std::collections::BTreeMap;
use std::fs;

use super::finding::{Finding, Level};
use super::patient::Patient;
use super::words::{names, tick, word};
use crate::page::template::{self, Template};
use crate::page::{Context, Templates};
use crate::state::window::Phase;

/// Who uses which template, in words: the site, and windows that are not over.
pub(super) fn users(patient: &Patient<'_>) -> BTreeMap<String, String> {
    let mut users = BTreeMap::new();
    let Some(state) = &patient.state else {
        return users;
    };
    for (name, window) in &state.windows {
        if let Some(template) = &window.page.template
            && window.phase(patient.now) != Phase::Ended
        {
            users.entry(template.clone()).or_insert_with(|| format!("the window `{name}`"));
        }
    }
    if let Some(template) = &state.page.template {
        users.insert(template.clone(), "the site".to_owned());
    }
    users
}

fn all(patient: &Patient<'_>) -> Vec<Template> {
    template::list(&patient.site.templates()).unwrap_or_default()
}

pub(super) fn in_use(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let known = all(patient);
    for (name, user) in users(patient) {
        if !known.iter().any(|template| template.name == name) {
            findings.push(
                Finding::problem(
                    "template-missing",
                    format!(
                        "{user} uses a missing template, `{name}`; visitors get the built-in page"
                    ),
                )
                .fixed_by(format!(
                    "add it: {}",
                    patient.maint(&format!("template add {name} FILE"))
                ))
                .at(&patient.site.templates()),
            );
        }
    }
    if let Err(error) = template::list(&patient.site.templates()) {
        findings.push(
            Finding::warning("templates-unreadable", error.to_string())
                .at(&patient.site.templates()),
        );
    }
}

pub(super) fn mistakes(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let users = users(patient);
    let (templates, _) = Templates::read(&patient.site.templates());
    for template in all(patient) {
        let Err(error) = templates.try_file(&template) else {
            continue;
        };
        let is_shown =
            templates.render(Some(&template.name), template.format, &Context::sample()).is_ok();
        let (level, consequence) = match users.get(&template.name) {
            Some(user) if is_shown => {
                (Level::Problem, format!("{user} uses it, and visitors get it as it is"))
            }
            Some(user) => {
                (Level::Problem, format!("{user} uses it, and visitors get the built-in page"))
            }
            None => (Level::Warning, "nothing uses it yet".to_owned()),
        };
        let path = tick(&template.path);
        let what = match &error {
            crate::Error::Invalid { message, .. } => format!("{path}: {message}"),
            other => other.to_string(),
        };
        let edit = format!("template edit {} --format {}", template.name, template.format);
        findings.push(
            Finding::new(level, "template-broken", format!("{what}; {consequence}"))
                .fixed_by(patient.maint(&edit))
                .at(&template.path),
        );
    }
}

/// Readers watch only the state, so they notice a template with the next change.
pub(super) fn edited(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    let users = users(patient);
    let known = all(patient);
    for template in &known {
        let file = template.file_name();
        let Ok(text) = template::read(&template.path) else {
            continue;
        };
        let how = match state.templates.get(&file) {
            Some(digest) if *digest == template::digest(&text) => continue,
            Some(_) => "was edited",
            None if users.contains_key(&template.name) => "was added",
            None => continue,
        };
        let add = format!("template add {} {} --replace", template.name, word(&template.path));
        findings.push(
            Finding::warning(
                "template-edited",
                format!(
                    "{} {how} without `maint`: running servers notice at the next change",
                    tick(&template.path)
                ),
            )
            .fixed_by(format!("to notify them: {}", patient.maint(&add)))
            .at(&template.path),
        );
    }
    let is_gone = |file: &&String| !known.iter().any(|template| template.file_name() == **file);
    let gone: Vec<&str> = state.templates.keys().filter(is_gone).map(String::as_str).collect();
    if !gone.is_empty() {
        findings.push(
            Finding::note(
                "template-deleted",
                format!(
                    "templates deleted from {} without `maint`: {}",
                    tick(&patient.site.templates()),
                    names(gone)
                ),
            )
            .at(&patient.site.templates()),
        );
    }
}

pub(super) fn passed_over(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let directory = patient.site.templates();
    let Ok(entries) = fs::read_dir(&directory) else {
        return;
    };
    let known = all(patient);
    let mut others: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| !known.iter().any(|template| template.path == entry.path()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !name.ends_with('~'))
        .collect();
    others.sort();
    if !others.is_empty() {
        findings.push(
            Finding::note(
                "template-passed-over",
                format!(
                    "files in {} that are not templates: {}",
                    tick(&directory),
                    names(others.iter().map(String::as_str))
                ),
            )
            .fixed_by("call them NAME.html, .json or .txt, NAME of letters, digits, `_` and `-`")
            .at(&directory),
        );
    }
}
