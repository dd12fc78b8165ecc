//! Checks of the place where a site is.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::finding::{Finding, Level};
use super::patient::{Patient, ownership, same};
use super::words::{tick, word};
use crate::error::describe;
use crate::site::{DIRECTORY, Found, VARIABLE};
use crate::state;
use crate::sys;

/// Directories whose files web servers commonly hand out as they are.
const PUBLIC: [&str; 6] = ["public", "public_html", "htdocs", "wwwroot", "webroot", "html"];

pub(super) fn directory(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let dir = patient.site.dir();
    let finding = match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => return,
        Ok(_) => Finding::problem("directory-missing", format!("{} is not a directory", tick(dir)))
            .fixed_by("move it away, then make a site there: `maint init`"),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => match fs::read_link(dir) {
            Ok(target) => Finding::problem(
                "directory-missing",
                format!("{} is a link to {}, which does not exist", tick(dir), tick(&target)),
            )
            .fixed_by(format!("point it at the site: `ln -sfn DIR {}`", word(dir))),
            Err(_) if patient.site.is_awaited() => Finding::note(
                "directory-missing",
                format!("{} does not exist yet; the first change makes it", tick(dir)),
            ),
            Err(_) => {
                Finding::problem("directory-missing", format!("{} does not exist", tick(dir)))
                    .fixed_by(patient.maint("init"))
            }
        },
        Err(cause) => Finding::problem(
            "directory-missing",
            format!("cannot look at {}: {}", tick(dir), describe(&cause)),
        )
        .fixed_by("run `maint doctor` as the owner of the site or as root"),
    };
    findings.push(finding.at(dir));
}

pub(super) fn file_system(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    for dir in patient.directories() {
        let Some(name) = sys::file_system(&dir) else {
            continue;
        };
        if let Some(finding) = about_file_system(name, &dir) {
            findings.push(finding.at(&dir));
        }
    }
}

fn about_file_system(name: &str, dir: &Path) -> Option<Finding> {
    let dir_name = tick(dir);
    Some(match name {
        "tmpfs" | "ramfs" => Finding::warning(
            "memory-file-system",
            format!("{dir_name} is in memory ({name}): a reboot ends every maintenance"),
        )
        .fixed_by("move the site to a disk"),
        "nfs" | "smb" | "afs" | "ceph" => Finding::warning(
            "network-file-system",
            format!("{dir_name} is on {name}: locks may fail, and other hosts may notice late"),
        )
        .fixed_by("move the site to a local disk, one on each host, and change it there"),
        "fuse" | "9p" => Finding::note(
            "unusual-file-system",
            format!("{dir_name} is on {name}: what is behind it decides if locks and renames hold"),
        ),
        "overlay" => Finding::note(
            "container-layer",
            format!(
                "{dir_name} is on an overlay: unseen by other containers, and gone with this one"
            ),
        )
        .fixed_by(format!("in a container, mount a volume at {dir_name}")),
        _ => return None,
    })
}

/// On a full disk `on` fails, just when the full disk is the reason for it.
pub(super) fn room(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let dir = files.directory();
    let Some(room) = sys::room(dir) else {
        return;
    };
    if room.is_read_only {
        findings.push(
            Finding::warning(
                "read-only",
                format!("{} is mounted read-only, so changes will fail", tick(dir)),
            )
            .fixed_by("make changes where it is mounted for writing")
            .at(dir),
        );
        return;
    }
    let size = fs::metadata(&files.state).map_or(0, |metadata| metadata.len());
    // The new version, and as much again for the history and the lock.
    let needed = size.min(state::MAX_SIZE as u64) * 2 + 64 * 1024;
    let what = if room.bytes < needed {
        format!("only {} KiB are free", room.bytes / 1024)
    } else if room.files == Some(0) {
        "no more files can be made".to_owned()
    } else {
        return;
    };
    findings.push(
        Finding::problem(
            "disk-full",
            format!("the file system of {} is full: {what}, so changes will fail", tick(dir)),
        )
        .fixed_by(format!("make room: `df -h {0}; df -i {0}` shows where", word(dir)))
        .at(dir),
    );
}

pub(super) fn temporary_directory(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let dir = patient.site.dir();
    let Ok(absolute) = fs::canonicalize(dir) else {
        return;
    };
    let is_temporary = |above: &&Path| {
        ownership(above).is_some_and(|owner| owner.is_world_writable() && owner.mode & 0o1000 != 0)
    };
    if let Some(above) = absolute.ancestors().skip(1).find(is_temporary) {
        findings.push(
            Finding::warning(
                "temporary-directory",
                format!(
                    "{} is in {}, which is cleaned up and which `PrivateTmp=` hides",
                    tick(dir),
                    tick(above)
                ),
            )
            .fixed_by("move the site to the project that it belongs to")
            .at(dir),
        );
    }
}

pub(super) fn user_directory(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let dir = patient.site.dir();
    let is_inside = patient
        .around
        .user_state
        .as_ref()
        .is_some_and(|state| dir.starts_with(state.join("maint")));
    if patient.site.found() == Found::User || is_inside {
        findings.push(
            Finding::warning(
                "user-directory",
                format!(
                    "{} is for `{}` alone: servers of others and `sudo maint` look elsewhere",
                    tick(dir),
                    sys::current_user()
                ),
            )
            .fixed_by("make a site in the project: `maint init`")
            .at(dir),
        );
    }
}

/// What is passed over may be a trap, or a site whose owner was changed by mistake.
pub(super) fn passed_over(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    for passed in patient.site.passed_over() {
        let path = &passed.path;
        findings.push(
            Finding::warning(
                "site-passed-over",
                format!("{} is not obeyed below it: {}", tick(path), passed.reason),
            )
            .fixed_by(format!("remove it, or if it is meant name it: `{VARIABLE}={}`", word(path)))
            .at(path),
        );
    }
}

/// A site in a release stays behind when the next release is put in place.
pub(super) fn release_directory(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let dir = files.directory();
    // A site that is not there yet will be in the project.
    let real = fs::canonicalize(dir).or_else(|_| {
        let project = dir.parent().unwrap_or(dir);
        fs::canonicalize(project).map(|project| project.join(DIRECTORY))
    });
    let Ok(real) = real else {
        return;
    };
    if let Some(app) = app_of_release(&real) {
        let shared = app.join("shared").join(DIRECTORY);
        findings.push(
            Finding::warning(
                "release-directory",
                format!(
                    "{} is part of one release, and the next one starts without it",
                    tick(&real)
                ),
            )
            .fixed_by(format!("move it to {} and link to that from each release", tick(&shared)))
            .at(&real),
        );
    }
}

/// The directory above `releases/NAME`, if a path has that.
fn app_of_release(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .skip(1)
        .find(|above| above.file_name() == Some(OsStr::new("releases")))
        .and_then(|releases| releases.parent())
        .map(Path::to_owned)
}

/// Whether a site is in one release of several. Its links may then lead out of it.
pub(super) fn is_in_release(patient: &Patient<'_>) -> bool {
    fs::canonicalize(patient.site.dir()).is_ok_and(|dir| app_of_release(&dir).is_some())
}

pub(super) fn public_directory(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let dir = patient.site.dir();
    let public = dir.ancestors().skip(1).find(|above| {
        above.components().next_back().is_some_and(|last| match last {
            Component::Normal(name) => PUBLIC.iter().any(|public| name == *public),
            _ => false,
        })
    });
    if let Some(public) = public {
        findings.push(
            Finding::warning(
                "public-directory",
                format!(
                    "{} is in {}, so the web server may show its rules to anybody",
                    tick(dir),
                    tick(public)
                ),
            )
            .fixed_by(format!(
                "deny `/{DIRECTORY}` in the server, or move the site above {}",
                tick(public)
            ))
            .at(dir),
        );
    }
}

pub(super) fn variable(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(value) = patient.around.variable.as_deref().filter(|value| !value.is_empty()) else {
        return;
    };
    let path = Path::new(value);
    if path.is_relative() {
        findings.push(
            Finding::warning(
                "relative-variable",
                format!("`{VARIABLE}` is {}, which depends on where a program starts", tick(path)),
            )
            .fixed_by(format!("give an absolute path: `{VARIABLE}={}`", word(patient.site.dir()))),
        );
    }
}

/// How a site is switched while the server looks at another one.
pub(super) fn other_sites(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let dir = patient.site.dir();
    let found = patient.site.found();
    if found == Found::Given
        && let Some(value) = patient.around.variable.as_deref().filter(|value| !value.is_empty())
    {
        let other = match &patient.around.directory {
            Some(directory) => directory.join(value),
            None => PathBuf::from(value),
        };
        if !same(&other, dir) {
            findings.push(about_other_site(
                Level::Note,
                dir,
                &other,
                &format!("`{VARIABLE}` names another site"),
            ));
        }
    }
    if matches!(found, Found::Given | Found::Environment)
        && let Some(directory) = &patient.around.directory
        && let Some(other) = directory
            .ancestors()
            .map(|above| above.join(DIRECTORY))
            .find(|other| fs::symlink_metadata(other).is_ok())
        && !same(&other, dir)
    {
        // `--site` was just typed; a variable is easily forgotten.
        let level = if found == Found::Environment { Level::Warning } else { Level::Note };
        let why = format!("the nearest `{DIRECTORY}` is another site");
        findings.push(about_other_site(level, dir, &other, &why));
    }
}

fn about_other_site(level: Level, dir: &Path, other: &Path, why: &str) -> Finding {
    let message = format!("{why}, {}: a server may look there, not at {}", tick(other), tick(dir));
    Finding::new(level, "other-site", message)
        .fixed_by(format!(
            "if they belong to one app, give its server `{VARIABLE}={}` too",
            word(dir)
        ))
        .at(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_30_file_systems_that_forget_or_cannot_lock_are_found() {
        let code = |name| about_file_system(name, Path::new("/x")).map(|finding| finding.code);
        assert_eq!(code("tmpfs"), Some("memory-file-system"));
        assert_eq!(code("ramfs"), Some("memory-file-system"));
        assert_eq!(code("nfs"), Some("network-file-system"));
        assert_eq!(code("smb"), Some("network-file-system"));
        assert_eq!(code("ext4"), None);
    }

    #[test]
    fn requirement_35_a_release_is_known_by_its_directory() {
        let app = |path| app_of_release(Path::new(path));
        assert_eq!(app("/srv/app/releases/7/.maint"), Some("/srv/app".into()));
        assert_eq!(app("/srv/app/releases/7/web/.maint"), Some("/srv/app".into()));
        assert_eq!(app("/srv/app/shared/.maint"), None);
        assert_eq!(app("/srv/releases"), None);
    }
}
