//! What visitors will miss on the site's own pages.

use jiff::Timestamp;

use super::finding::Finding;
use super::patient::Patient;
use super::schedule::is_let_through;
use super::templates;
use super::words::names;
use crate::format::Format;
use crate::page::loads::loads;
use crate::page::template;
use crate::site::Site;
use crate::state::State;

/// What the HTML of a template loads in vain while the site is down, in words.
#[must_use]
pub fn missing(site: &Site, state: &State, name: &str, now: Timestamp) -> Vec<String> {
    let files = template::find(&site.templates(), name).unwrap_or_default();
    let html = files.iter().find(|file| file.format == Format::Html);
    let Some(source) = html.and_then(|file| template::read(&file.path).ok()) else {
        return Vec::new();
    };
    let (mut blocked, mut covered, mut relative) = (Vec::new(), Vec::new(), Vec::new());
    for load in loads(&source) {
        // A data URL is its own content.
        let short: String = load.url.chars().take(60).collect();
        if let Some(why) = load.blocked() {
            blocked.push(format!("template `{name}.html` loads `{short}`: {why}"));
        } else if let Some(path) = load.own_path() {
            let mut rules = state.ignore.values().filter(|rule| !rule.has_expired(now));
            if !path.starts_with('/') {
                relative.push(short);
            } else if !is_let_through(&mut rules, path) {
                covered.push(path.to_owned());
            }
        }
    }
    if !covered.is_empty() {
        let paths = names(covered.iter().map(String::as_str));
        blocked.push(format!("template `{name}.html` loads {paths}, which no rule lets through"));
    }
    if !relative.is_empty() {
        let paths = names(relative.iter().map(String::as_str));
        blocked.push(format!(
            "template `{name}.html` loads {paths}, which lies elsewhere for each page: begin it with `/`"
        ));
    }
    blocked
}

pub(super) fn missed(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(state) = &patient.state else {
        return;
    };
    for name in templates::users(patient).keys() {
        for message in missing(patient.site, state, name, patient.now) {
            let finding = Finding::warning("page-incomplete", message);
            findings.push(finding.fixed_by(format!(
                "let it through, as by {}, or put it into the page: images as `data:`, styles inline",
                patient.maint("ignore add path '/static/**'")
            )));
        }
    }
}
