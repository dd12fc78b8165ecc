//! Checks of what the files of a site hold: state, backup, leftovers.

use std::fs;
use std::io;
use std::path::Path;

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::finding::Finding;
use super::patient::Patient;
use super::words::{moment, names, spell, tick, word};
use crate::error::Error;
use crate::load;
use crate::site::Files;
use crate::state::{State, VERSION};
use crate::store;
use crate::store::history;
use crate::sys;

/// By how much the clocks of two hosts may differ without a warning.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn state(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    if let Some(error) = &patient.trouble {
        findings.push(about_trouble(patient, files, error).at(&files.state));
        return;
    }
    if patient.state.is_some() || !files.links.is_empty() || !files.directory().is_dir() {
        return;
    }
    let had_one = files.backup.exists() || history::last_revision(files).is_some();
    findings.push(if had_one {
        let finding = Finding::warning(
            "state-lost",
            format!("{} is gone, so nothing is down", tick(&files.state)),
        )
        .at(&files.state);
        if has_backup(files) {
            finding.fixed_by(format!("to see what was in it: {}", patient.maint("restore -n")))
        } else {
            finding
        }
    } else {
        Finding::note(
            "state-missing",
            format!("there is no {} yet, so nothing is down", tick(&files.state)),
        )
        .at(&files.state)
    });
}

fn about_trouble(patient: &Patient<'_>, files: &Files, error: &Error) -> Finding {
    let state = word(&files.state);
    let is_special =
        fs::metadata(&files.state).is_ok_and(|metadata| sys::special_kind(&metadata).is_some());
    match error {
        Error::Newer { .. } => Finding::problem("state-newer", error.to_string())
            .fixed_by("update `maint` on this host"),
        Error::Corrupt { .. } if is_special => {
            Finding::problem("state-not-a-file", error.to_string())
                .fixed_by(format!("move it away: `mv {state} {state}.old`"))
        }
        Error::Corrupt { .. } => {
            Finding::problem("state-corrupt", error.to_string()).fixed_by(if has_backup(files) {
                patient.maint("restore")
            } else {
                format!("repair it by hand, or start anew: `mv {state} {state}.broken`")
            })
        }
        _ => Finding::problem("state-unreadable", error.to_string()).fixed_by(
            if error.errno().map(|code| io::Error::from_raw_os_error(code).kind())
                == Some(io::ErrorKind::PermissionDenied)
            {
                "run `maint doctor` as the owner of the site or as root".to_owned()
            } else {
                // Nothing replaces a file that cannot even be read.
                format!("check the disk: `ls -l {state}`, `dmesg`")
            },
        ),
    }
}

fn has_backup(files: &Files) -> bool {
    matches!(load::load(&files.backup), Ok(Some(_)))
}

pub(super) fn version(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    if let (Some(state), Some(files)) = (&patient.state, &patient.files)
        && state.version > VERSION
    {
        findings.push(
            Finding::warning(
                "state-newer",
                format!(
                    "{} has version {}, which this `maint` can read but not change",
                    tick(&files.state),
                    state.version
                ),
            )
            .fixed_by("update `maint` on this host")
            .at(&files.state),
        );
    }
}

pub(super) fn backup(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let backup = &files.backup;
    match load::load(backup) {
        Ok(Some(_)) => {}
        Ok(None) => {
            if patient.state.as_ref().is_some_and(|state| state.revision > 1) {
                findings.push(
                    Finding::note(
                        "backup-missing",
                        format!(
                            "there is no {} for `maint restore`; the next change makes one",
                            tick(backup)
                        ),
                    )
                    .at(backup),
                );
            }
        }
        Err(error) => findings.push(
            Finding::warning("backup-broken", format!("{error}, so `maint restore` cannot use it"))
                .fixed_by("none is needed if the state is good: the next change makes a new one")
                .at(backup),
        ),
    }
}

pub(super) fn clock(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(change) = patient.state.as_ref().and_then(|state| state.last_change.as_ref()) else {
        return;
    };
    let ahead = change.at.duration_since(patient.now);
    if ahead > TOLERANCE {
        findings.push(
            Finding::warning(
                "clock-behind",
                format!(
                    "the last change, on `{}`, is {} in the future of this clock",
                    change.by.host,
                    spell(ahead)
                ),
            )
            .fixed_by(format!(
                "set the clocks, or windows open at the wrong time; here it is {}",
                moment(patient.now)
            )),
        );
    }
}

/// Fields and kinds that a later version wrote, or that somebody misspelt.
pub(super) fn unknown_parts(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let (Some(state), Some(files)) = (&patient.state, &patient.files) else {
        return;
    };
    let places = unknown_fields(state);
    if !places.is_empty() {
        findings.push(
            Finding::note(
                "unknown-fields",
                format!(
                    "{} has unknown fields, newer or misspelt: {}",
                    tick(&files.state),
                    names(places.iter().map(String::as_str))
                ),
            )
            .at(&files.state),
        );
    }
    let rules = state.ignore.iter().filter(|(_, rule)| matches!(rule.matcher(), Ok(None)));
    let ids: Vec<&str> = rules.map(|(id, _)| id.as_str()).collect();
    if !ids.is_empty() {
        findings.push(
            Finding::warning(
                "unknown-rules",
                format!(
                    "ignore rules of an unknown kind, which let nobody through: {}",
                    names(ids)
                ),
            )
            .fixed_by("update `maint` on this host and the library in the app")
            .at(&files.state),
        );
    }
}

fn unknown_fields(state: &State) -> Vec<String> {
    let mut places = Vec::new();
    let mut add = |above: &str, extra: &Map<String, Value>| {
        places.extend(extra.keys().map(|key| format!("{above}/{key}")));
    };
    add("", &state.extra);
    add("/page", &state.page.extra);
    for (name, window) in &state.windows {
        add(&format!("/windows/{name}"), &window.extra);
        add(&format!("/windows/{name}/scope"), &window.scope.extra);
        add(&format!("/windows/{name}/page"), &window.page.extra);
    }
    for (id, rule) in &state.ignore {
        add(&format!("/ignore/{id}"), &rule.extra);
    }
    for (id, token) in &state.bypass {
        add(&format!("/bypass/{id}"), &token.extra);
    }
    if let Some(proxies) = &state.trusted_proxies {
        add("/trusted_proxies", &proxies.extra);
    }
    places
}

pub(super) fn leftovers(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let count = store::leftovers(patient.site, files).len();
    if count > 0 {
        let what = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
        findings.push(
            Finding::note(
                "leftovers",
                format!(
                    "killed writers left {what} in {}; the next change cleans up",
                    tick(files.directory())
                ),
            )
            .at(files.directory()),
        );
    }
    let mut broken = files.state.as_os_str().to_owned();
    broken.push(".broken");
    let broken = Path::new(&broken);
    if broken.exists() {
        findings.push(
            Finding::note(
                "broken-state-kept",
                format!("{} is a broken state that `maint restore` kept", tick(broken)),
            )
            .fixed_by(format!("once it is no longer needed: `rm {}`", word(broken)))
            .at(broken),
        );
    }
}
