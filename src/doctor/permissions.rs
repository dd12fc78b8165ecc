//! Checks of owners and modes: who can read and who can write.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::finding::{Finding, Level};
use super::patient::{Patient, ownership};
use super::words::{tick, word};
use crate::access::{self, ACCESS_LIST, READ, SEARCH, WRITE};
use crate::actor::sudo_name;
use crate::page::template;
use crate::sys::{self, Account, Ownership};

/// A user who owns nothing and is in no group.
const ANYBODY: u32 = u32::MAX;

const STICKY: u32 = 0o1000;

pub(super) fn writable(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let mut directories = patient.directories();
    directories.push(patient.site.templates());
    let is_open = |path: &PathBuf| ownership(path).is_some_and(Ownership::is_world_writable);
    for directory in directories.iter().filter(|directory| is_open(directory)) {
        findings.push(
            Finding::problem(
                "directory-writable",
                format!(
                    "everyone can write to {}, and so switch the site or change its page",
                    tick(directory)
                ),
            )
            .fixed_by(format!("`chmod o-w {}`", word(directory)))
            .at(directory),
        );
    }
    let mut paths = template_files(patient);
    if let Some(files) = &patient.files {
        paths.extend(
            [&files.state, &files.backup, &files.history, &files.old_history].map(Clone::clone),
        );
    }
    for path in paths.iter().filter(|path| is_open(path)) {
        findings.push(
            Finding::problem("file-writable", format!("everyone can write to {}", tick(path)))
                .fixed_by(format!("`chmod o-w {}`", word(path)))
                .at(path),
        );
    }
}

/// Anyone who can write to a directory above can put another site in its place.
pub(super) fn replaceable(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let mut above = BTreeSet::new();
    for directory in patient.directories() {
        if let Ok(directory) = fs::canonicalize(directory) {
            above.extend(directory.ancestors().skip(1).map(Path::to_owned));
        }
    }
    for directory in above {
        let is_open = ownership(&directory)
            .is_some_and(|owner| owner.is_world_writable() && owner.mode & STICKY == 0);
        if is_open && !patient.directories().contains(&directory) {
            findings.push(
                Finding::problem(
                    "parent-writable",
                    format!(
                        "everyone can write to {}, and so replace the whole site",
                        tick(&directory)
                    ),
                )
                .fixed_by(format!("`chmod o-w {}`", word(&directory)))
                .at(&directory),
            );
        }
    }
}

pub(super) fn sticky(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    for directory in patient.directories() {
        let Some(owner) = ownership(&directory).filter(|owner| owner.mode & STICKY != 0) else {
            continue;
        };
        // In a sticky directory its owner may replace every file, others only their own.
        let level = if owner.mode & 0o022 == 0 { Level::Warning } else { Level::Problem };
        findings.push(
            Finding::new(
                level,
                "directory-sticky",
                format!(
                    "{} is sticky: only `{}` can change a state that others changed last",
                    tick(&directory),
                    sys::user_name(owner.uid)
                ),
            )
            .fixed_by(format!("`chmod -t {}`", word(&directory)))
            .at(&directory),
        );
    }
}

pub(super) fn special_bits(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let state = &files.state;
    if state.is_file() && ownership(state).is_some_and(|owner| owner.mode & 0o6000 != 0) {
        findings.push(
            Finding::problem(
                "state-setuid",
                format!("{} is setuid or setgid, and `maint` refuses to change it", tick(state)),
            )
            .fixed_by(format!("`chmod ug-s {}`", word(state)))
            .at(state),
        );
    }
}

/// Whether the web server can reach what it has to read.
pub(super) fn readers(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    if !cfg!(unix) || patient.files.is_none() {
        return;
    }
    let user = patient.web_user();
    let anybody = Account { uid: ANYBODY, gids: Vec::new() };
    let Some(account) = user.map_or(Some(anybody), sys::account) else {
        findings.push(
            Finding::problem(
                "web-user-unknown",
                format!(
                    "there is no user `{}` on this host, so the web server's access is unknown",
                    user.unwrap_or_default()
                ),
            )
            .fixed_by("name the user that the web server runs as: `maint doctor --web-user USER`"),
        );
        return;
    };
    let mut seen = BTreeSet::new();
    for path in [patient.site.state_file()].into_iter().chain(template_files(patient)) {
        // Other checks find what cannot be followed at all.
        if let Ok(Some(door)) = access::closed_door(&path, &account)
            && let Some(owner) = ownership(&door)
            && seen.insert(door.clone())
        {
            findings.push(about_door(&door, owner, user, &account));
        }
    }
}

fn about_door(door: &Path, owner: Ownership, user: Option<&str>, account: &Account) -> Finding {
    let is_dir = door.is_dir();
    let (enter, bit) = if is_dir { ("enter", 'x') } else { ("read", 'r') };
    let (door_name, owner_name) = (tick(door), sys::user_name(owner.uid));
    let has_list = sys::attribute(door, ACCESS_LIST).is_some();
    let open = match user {
        _ if door == Path::new("/root") => format!("move the site out of {door_name}"),
        Some(user) if has_list => format!("`setfacl -m u:{user}:{bit} {}`", word(door)),
        _ => format!("`chmod {}+{bit} {}`", access::class(owner, account), word(door)),
    };
    let Some(user) = user else {
        let group = if owner.mode & 0o050 == 0 { "" } else { " and its group" };
        return Finding::warning(
            "others-locked-out",
            format!(
                "only `{owner_name}`{group} can {enter} {door_name}: a web server of another user cannot"
            ),
        )
        .fixed_by(format!("if the web server runs as another user: {open}"))
        .at(door);
    };
    Finding::problem(
        "web-user-locked-out",
        format!("`{user}`, the web server's user, cannot {enter} {door_name}"),
    )
    .fixed_by(open)
    .at(door)
}

/// What `sudo` and the like left behind: files that those who may write to the
/// directory cannot use.
pub(super) fn writers(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let directory = files.directory();
    let Some(owner) = ownership(directory).filter(|_| cfg!(unix)) else {
        return;
    };
    let mut needs = vec![
        (files.state.clone(), READ, Level::Problem),
        (files.lock.clone(), READ, Level::Problem),
        (files.backup.clone(), READ, Level::Warning),
        (files.history.clone(), READ | WRITE, Level::Warning),
        (patient.site.templates(), READ | WRITE | SEARCH, Level::Warning),
    ];
    needs.extend(template_files(patient).into_iter().map(|path| (path, READ, Level::Warning)));

    let group = if owner.mode & 0o020 == 0 {
        Vec::new()
    } else {
        lacking(&needs, &Account { uid: ANYBODY, gids: vec![owner.gid] })
    };
    if let Some(level) = group.iter().map(|&(_, level)| level).min() {
        let words: Vec<String> = group.iter().map(|(path, _)| word(path)).collect();
        findings.push(
            Finding::new(
                level,
                "group-locked-out",
                format!(
                    "the group of {} may write there, but has no access to {}",
                    tick(directory),
                    listed(&group)
                ),
            )
            .fixed_by(format!("`chgrp {0} {1} && chmod g+rwX {1}`", owner.gid, words.join(" ")))
            .at(group[0].0),
        );
    }
    let name = sys::user_name(owner.uid);
    let account = sys::account(&name);
    let login = if account.is_some() { name.clone() } else { owner.uid.to_string() };
    let account = account.unwrap_or(Account { uid: owner.uid, gids: vec![owner.gid] });
    // What is opened for the group is open for an owner in it.
    let is_member = account.gids.contains(&owner.gid);
    let mut missing = lacking(&needs, &account);
    missing.retain(|(path, _)| !is_member || group.iter().all(|(other, _)| other != path));
    if let Some(level) = missing.iter().map(|&(_, level)| level).min() {
        let words: Vec<String> = missing.iter().map(|(path, _)| word(path)).collect();
        findings.push(
            Finding::new(
                level,
                "owner-locked-out",
                format!(
                    "`{name}`, the owner of {}, has no access to {}; was `maint` run as root?",
                    tick(directory),
                    listed(&missing)
                ),
            )
            .fixed_by(format!("`sudo chown {login} {}`", words.join(" ")))
            .at(missing[0].0),
        );
    }
}

/// The paths that an account cannot use as it needs to.
fn lacking<'p>(needs: &'p [(PathBuf, u32, Level)], account: &Account) -> Vec<(&'p Path, Level)> {
    needs
        .iter()
        .filter(|(path, bits, _)| access::allows(path, account, *bits) == Some(false))
        .map(|(path, _, level)| (path.as_path(), *level))
        .collect()
}

fn listed(missing: &[(&Path, Level)]) -> String {
    let paths: Vec<String> = missing.iter().map(|(path, _)| path.display().to_string()).collect();
    super::words::names(paths.iter().map(String::as_str))
}

/// Whether the caller could make a change.
pub(super) fn caller(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let me = sys::current_account();
    let denied = |path: &Path, bits| access::allows(path, &me, bits) == Some(false);
    let (directory, lock) = (files.directory(), files.lock.as_path());
    let (what, path) = if denied(directory, WRITE | SEARCH) {
        ("write to", directory)
    } else if denied(lock, READ) {
        ("open the lock", lock)
    } else {
        return;
    };
    let Some(owner) = ownership(directory) else {
        return;
    };
    let owner = sudo_name(owner.uid);
    findings.push(
        Finding::warning(
            "caller-locked-out",
            format!("`{}` cannot {what} {}, so changes will fail", sys::current_user(), tick(path)),
        )
        .fixed_by(format!("make changes as its owner: `sudo -u {owner} maint …`"))
        .at(path),
    );
}

pub(super) fn lock(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let path = &files.lock;
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return;
    };
    let kind =
        if metadata.is_symlink() { Some("a symbolic link") } else { sys::special_kind(&metadata) };
    if let Some(kind) = kind {
        findings.push(
            Finding::problem(
                "lock-not-a-file",
                format!("the lock {} is {kind}, so changes will fail", tick(path)),
            )
            .fixed_by(format!(
                "move it away: `mv {0} {0}.old`; `maint` makes a new one",
                word(path)
            ))
            .at(path),
        );
    } else if cfg!(unix) && sys::ownership(&metadata).mode & 0o006 != 0 {
        findings.push(
            Finding::problem(
                "lock-open",
                format!("everyone can open the lock {}, and so block every change", tick(path)),
            )
            .fixed_by(format!("`chmod o-rwx {}`", word(path)))
            .at(path),
        );
    }
}

pub(super) fn template_files(patient: &Patient<'_>) -> Vec<PathBuf> {
    let templates = template::list(&patient.site.templates()).unwrap_or_default();
    templates.into_iter().map(|template| template.path).collect()
}
