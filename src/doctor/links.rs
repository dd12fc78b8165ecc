//! Checks of links and mounts: one file under several names, or a file other than the one meant.

use std::fs;
use std::path::Path;

use super::finding::{Finding, Level};
use super::patient::{Patient, ownership};
use super::place;
use super::words::{tick, word};
use crate::sys;

pub(super) fn target(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let link = patient.site.state_file();
    let Some(files) = &patient.files else {
        findings.push(
            Finding::problem(
                "link-loop",
                format!("{} is behind a loop or too many symbolic links", tick(&link)),
            )
            .fixed_by(format!("point it at the file itself: `ln -sfn FILE {}`", word(&link)))
            .at(&link),
        );
        return;
    };
    if files.links.is_empty() {
        return;
    }
    let (from, to) = (tick(&link), tick(&files.state));
    if !files.directory().is_dir() {
        findings.push(
            Finding::problem(
                "link-dangling",
                format!("{from} leads to {to}, in a missing directory: nothing can be changed"),
            )
            .fixed_by(format!("make it: `mkdir -p {}`", word(files.directory())))
            .at(&link),
        );
        return;
    }
    if fs::symlink_metadata(&files.state).is_err() {
        findings.push(
            Finding::warning(
                "link-dangling",
                format!("{from} leads to {to}, which does not exist, so nothing is down"),
            )
            .fixed_by(format!(
                "if the state was moved, point the link at it: `ln -sfn FILE {}`",
                word(&link)
            ))
            .at(&link),
        );
    }
    let is_inside =
        match (fs::canonicalize(files.directory()), fs::canonicalize(patient.site.dir())) {
            (Ok(target), Ok(site)) => target.starts_with(site),
            _ => false,
        };
    if is_inside {
        findings.push(
            Finding::note("state-linked", format!("{from} is a link; the state is {to}")).at(&link),
        );
        return;
    }
    // From a release into `shared/` is how it should be.
    let level = if place::is_in_release(patient) { Level::Note } else { Level::Warning };
    let finding = Finding::new(
        level,
        "link-leaves-site",
        format!(
            "{from} leads out of the site to {to}: lock, backup and history are there, templates not"
        ),
    )
    .at(&link);
    findings.push(if level == Level::Warning {
        finding.fixed_by(format!(
            "if that is not intended, put the state back: `mv {} {}`",
            word(&files.state),
            word(&link)
        ))
    } else {
        finding
    });
}

/// A link that somebody else put there decides what the server reads.
pub(super) fn planted(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let site = ownership(patient.site.dir()).map(|owner| owner.uid);
    for link in &files.links {
        let Ok(owner) = fs::symlink_metadata(link).map(|metadata| sys::ownership(&metadata)) else {
            continue;
        };
        let parent = link.parent().and_then(ownership).map(|owner| owner.uid);
        if owner.uid != 0 && ![site, parent].contains(&Some(owner.uid)) {
            findings.push(
                Finding::warning(
                    "link-of-stranger",
                    format!(
                        "the link {} belongs to `{}`, who can point it elsewhere",
                        tick(link),
                        sys::user_name(owner.uid)
                    ),
                )
                .fixed_by(format!("make it again as the owner of {}", tick(patient.site.dir())))
                .at(link),
            );
        }
    }
}

pub(super) fn mount_point(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let Ok(state) = fs::canonicalize(&files.state) else {
        return;
    };
    if sys::is_mount_point(&state) {
        findings.push(
            Finding::problem(
                "state-mounted",
                format!(
                    "{} is a mount point: changes fail here, and those made outside do not show",
                    tick(&state)
                ),
            )
            .fixed_by("mount the directory it is in, not the file")
            .at(&state),
        );
    }
}

pub(super) fn names(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let state = &files.state;
    let Ok(metadata) = fs::metadata(state) else {
        return;
    };
    if !metadata.is_file() {
        return;
    }
    match sys::hard_links(&metadata) {
        0 => findings.push(
            Finding::problem(
                "state-deleted",
                format!(
                    "{} was replaced outside; the one mounted here never changes again",
                    tick(state)
                ),
            )
            .fixed_by("mount the directory it is in, not the file, and restart the container")
            .at(state),
        ),
        links => {
            let is_backup =
                fs::metadata(&files.backup).is_ok_and(|backup| sys::same_file(&metadata, &backup));
            let others = links - 1 - u64::from(is_backup && links > 1);
            if others > 0 {
                findings.push(about_names(state, others));
            }
        }
    }
}

fn about_names(state: &Path, others: u64) -> Finding {
    let (names, keep) = if others == 1 { ("name", "keeps") } else { ("names", "keep") };
    Finding::warning(
        "state-hard-linked",
        format!(
            "{} has {others} more {names}, which {keep} the old state at the next change",
            tick(state)
        ),
    )
    .fixed_by(format!(
        "make them symbolic links: `find / -xdev -samefile {}` lists them",
        word(state)
    ))
    .at(state)
}
