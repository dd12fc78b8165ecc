//! Checks of the flags: software that is to follow and may not.

use super::finding::Finding;
use super::patient::Patient;
use super::words::names;
use crate::access;
use crate::flags::{self, Flags, Found, Standing};
use crate::store::agent::{Duty, duty};

/// The flags, unless there are none or they cannot be read.
fn flags_of(patient: &Patient<'_>) -> Flags {
    flags::read(patient.site).unwrap_or_default()
}

fn standings(patient: &Patient<'_>) -> Vec<Standing> {
    let state = patient.state.clone().unwrap_or_default();
    // What a state says that cannot be read is not known.
    if patient.trouble.is_some() {
        return Vec::new();
    }
    flags::look(patient.site, &state, patient.now).unwrap_or_default()
}

pub(super) fn declared(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    if let Err(error) = flags::read(patient.site) {
        let message = format!("no flag follows the site: {error}");
        findings.push(Finding::problem("flags-unusable", message).at(&patient.site.flags_file()));
    }
}

pub(super) fn in_step(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    for standing in standings(patient).iter().filter(|flag| flag.in_step != Some(true)) {
        let id = &standing.id;
        let why = standing.problem.as_deref().unwrap_or(standing.found.as_str());
        let message = format!("flag `{id}` does not follow the site: {why}");
        let fix = match standing.found {
            Found::SomebodyElses => format!(
                "look at it; then {}",
                patient.maint(&format!("flag sync {id} --take-over"))
            ),
            _ => patient.maint(&format!("flag sync {id}")),
        };
        let finding = if standing.in_step == Some(false) {
            Finding::problem("flag-behind", message).fixed_by(fix)
        } else {
            Finding::warning("flag-unknown", message)
        };
        findings.push(match &standing.path {
            Some(path) => finding.at(path),
            None => finding,
        });
    }
}

/// A server that may not look into the folder of a flag takes it for missing, and goes on.
pub(super) fn seen(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(user) = patient.web_user() else { return };
    for (id, flag) in flags_of(patient).flags {
        let Some(path) = &flag.path else { continue };
        if let Some(obstacle) = access::obstacle(path, user) {
            let message = format!("the web server never sees flag `{id}`: {obstacle}");
            findings.push(Finding::problem("flag-unseen", message).at(path));
        }
    }
}

pub(super) fn unattended(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    if matches!(duty(patient.site), Ok(Duty::Runs(_))) {
        return;
    }
    let waits = |flag: &&Standing| flag.lacks.iter().any(flags::Lack::is_of_the_clock);
    let standings = standings(patient);
    let waiting: Vec<&str> = standings.iter().filter(waits).map(|flag| flag.id.as_str()).collect();
    if !waiting.is_empty() {
        let message = format!(
            "nobody sets or clears these flags when the time has come: {}",
            names(waiting.iter().copied())
        );
        let fix = format!(
            "run {}, or {} from a timer",
            patient.maint("agent"),
            patient.maint("flag sync")
        );
        findings.push(Finding::warning("flags-unattended", message).fixed_by(fix));
    }
}
