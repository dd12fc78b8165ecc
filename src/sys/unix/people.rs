//! Users, processes and the host.

use rustix::io::Errno;

/// Whether a process exists on this host.
pub(crate) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| {
        // EPERM: it exists and belongs to somebody else.
        !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH))
    })
}

/// The effective user id.
pub(crate) fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn is_root() -> bool {
    effective_uid() == 0
}

/// Which start of which machine this is, if the system says so.
pub(crate) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// The name of a user, or `uid N` if the user database does not know it.
pub(crate) fn user_name(uid: u32) -> String {
    nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid))
        .ok()
        .flatten()
        .map_or_else(|| format!("uid {uid}"), |user| user.name)
}

pub(crate) fn current_user() -> String {
    user_name(effective_uid())
}

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A user as access checks need it: its id and all its groups.
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gids: Vec<u32>,
}

/// Looks a user up by name or number; `None` if there is no such name. A number
/// needs no entry in the user database, as is usual in containers.
pub(crate) fn account(name: &str) -> Option<Account> {
    let Some(user) = nix::unistd::User::from_name(name).ok().flatten() else {
        return name.parse().ok().map(|uid| Account { uid, gids: vec![] });
    };
    let gids = groups(name, user.gid).unwrap_or_else(|| vec![user.gid.as_raw()]);
    Some(Account { uid: user.uid.as_raw(), gids })
}

/// Looks a group up by name or number, as [`account`] does a user.
#[cfg(feature = "serve")]
pub(crate) fn group(name: &str) -> Option<u32> {
    let group = nix::unistd::Group::from_name(name).ok().flatten();
    group.map_or_else(|| name.parse().ok(), |group| Some(group.gid.as_raw()))
}

/// A user by its number. The primary group of one without an entry in the user database
/// is `gid`.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn account_of(uid: u32, gid: u32) -> Account {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    let Some(user) = user else { return Account { uid, gids: vec![gid] } };
    let primary = user.gid.as_raw();
    let mut gids = vec![primary];
    gids.extend(groups(&user.name, user.gid).unwrap_or_default());
    gids.dedup();
    Account { uid, gids }
}

#[cfg(not(target_vendor = "apple"))]
fn groups(name: &str, primary: nix::unistd::Gid) -> Option<Vec<u32>> {
    let name = std::ffi::CString::new(name).ok()?;
    let groups = nix::unistd::getgrouplist(&name, primary).ok()?;
    Some(groups.into_iter().map(nix::unistd::Gid::as_raw).collect())
}

/// nix does not offer `getgrouplist(3)` there.
#[cfg(target_vendor = "apple")]
fn groups(_name: &str, _primary: nix::unistd::Gid) -> Option<Vec<u32>> {
    None
}

/// The user that this process acts as.
pub(crate) fn current_account() -> Account {
    let mut gids = vec![rustix::process::getegid().as_raw()];
    if let Ok(groups) = rustix::process::getgroups() {
        gids.extend(groups.into_iter().map(rustix::process::Gid::as_raw));
    }
    Account { uid: effective_uid(), gids }
}
