//! Whether another user could read a file, judged from mode bits and access lists
//! (acl(5)).
//!
//! Security modules can still say no; `doctor` reports where that is likely.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::sys::{self, Account, Ownership};

/// Permission bits as one class of users has them.
pub(crate) const READ: u32 = 4;
pub(crate) const WRITE: u32 = 2;
pub(crate) const SEARCH: u32 = 1;

/// The attribute in which Linux keeps a POSIX access list (acl(5)).
pub(crate) const ACCESS_LIST: &str = "system.posix_acl_access";

/// As many links as Linux follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Why a user cannot read a file, or `None` if they can.
///
/// Looks at every directory on the way, since one closed door is enough.
pub(crate) fn obstacle(path: &Path, name: &str) -> Option<String> {
    let Some(account) = sys::account(name) else {
        return Some(format!("there is no user `{name}` on this host"));
    };
    match closed_door(path, &account) {
        Ok(door) => door.map(|door| {
            let what = if door.is_dir() { "entered" } else { "read" };
            format!("`{}` cannot be {what} by `{name}`", door.display())
        }),
        Err(cause) => Some(format!("`{}`: {}", path.display(), crate::error::describe(&cause))),
    }
}

/// The first directory on the way to a file that a user cannot enter, or else the
/// file if they cannot read it. A file that does not exist yet closes nothing.
pub(crate) fn closed_door(path: &Path, account: &Account) -> io::Result<Option<PathBuf>> {
    let mut way = way(path)?;
    let last = way.pop();
    let closed = |path: &PathBuf, bit| allows(path, account, bit) == Some(false);
    if let Some(directory) = way.into_iter().find(|directory| closed(directory, SEARCH)) {
        return Ok(Some(directory));
    }
    let needed = |path: &PathBuf| if path.is_dir() { SEARCH } else { READ };
    Ok(last.filter(|last| closed(last, needed(last))))
}

/// Everything that the kernel looks into on the way to a file, the file last. With
/// links on the way, that includes the directories that hold the links.
fn way(path: &Path) -> io::Result<Vec<PathBuf>> {
    let parts = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut left = parts(&std::path::absolute(path)?);
    let mut at = PathBuf::new();
    let mut way = Vec::new();
    let mut links = 0;
    while let Some(part) = left.pop() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => {
                at.pop();
            }
            Some(Component::Normal(_)) => {
                let next = at.join(&part);
                if let Ok(target) = fs::read_link(&next) {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(io::Error::other("too many symbolic links"));
                    }
                    left.extend(parts(&target));
                    continue;
                }
                at = next;
            }
            Some(Component::CurDir) | None => {}
            // A root, or a prefix on Windows.
            Some(_) => at.push(&part),
        }
        way.push(at.clone());
    }
    Ok(way)
}

/// Whether a user has all of `bits` on a file; `None` if the file is missing or
/// cannot be looked at.
pub(crate) fn allows(path: &Path, account: &Account, bits: u32) -> Option<bool> {
    let file = sys::ownership(&fs::metadata(path).ok()?);
    if !cfg!(unix) || account.uid == 0 {
        return Some(true);
    }
    let listed = sys::attribute(path, ACCESS_LIST).and_then(|list| {
        let entries = entries(&list)?;
        Some(listed(file, &entries, account, bits))
    });
    Some(listed.unwrap_or_else(|| permits(file, account, bits)))
}

/// Which class of users an account belongs to, as chmod(1) calls it.
pub(crate) fn class(file: Ownership, account: &Account) -> char {
    if account.uid == file.uid {
        'u'
    } else if account.gids.contains(&file.gid) {
        'g'
    } else {
        'o'
    }
}

fn permits(file: Ownership, account: &Account, bits: u32) -> bool {
    // The first class that fits decides, even if a later one is more generous.
    let shift = match class(file, account) {
        'u' => 6,
        'g' => 3,
        _ => 0,
    };
    (file.mode >> shift) & bits == bits
}

/// One entry of an access list: its tag, what it allows, and whom.
type Entry = (u16, u32, u32);

/// The tags of `linux/posix_acl.h`.
const USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;

/// Parses an access list (`linux/posix_acl_xattr.h`).
fn entries(list: &[u8]) -> Option<Vec<Entry>> {
    let (version, rest) = list.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != 2 || rest.len() % 8 != 0 {
        return None;
    }
    Some(
        rest.chunks_exact(8)
            .map(|entry| {
                (
                    u16::from_le_bytes([entry[0], entry[1]]),
                    u32::from(u16::from_le_bytes([entry[2], entry[3]])),
                    u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]),
                )
            })
            .collect(),
    )
}

/// The access check of acl(5).
fn listed(file: Ownership, entries: &[Entry], account: &Account, bits: u32) -> bool {
    if account.uid == file.uid {
        return permits(file, account, bits);
    }
    let mask =
        entries.iter().find(|&&(tag, ..)| tag == MASK).map_or(!0, |&(_, allowed, _)| allowed);
    if let Some((_, allowed, _)) =
        entries.iter().find(|&&(tag, _, id)| tag == USER && id == account.uid)
    {
        return allowed & mask & bits == bits;
    }
    let mut groups = entries
        .iter()
        .filter(|&&(tag, _, id)| match tag {
            OWNING_GROUP => account.gids.contains(&file.gid),
            GROUP => account.gids.contains(&id),
            _ => false,
        })
        .peekable();
    if groups.peek().is_some() {
        return groups.any(|&(_, allowed, _)| allowed & mask & bits == bits);
    }
    file.mode & bits == bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_30_the_first_class_that_fits_decides() {
        let account = Account { uid: 33, gids: vec![33] };
        let may_read = |uid, gid, mode| permits(Ownership { uid, gid, mode }, &account, READ);
        assert!(may_read(0, 0, 0o644));
        assert!(!may_read(0, 0, 0o640));
        assert!(may_read(0, 33, 0o640));
        assert!(!may_read(0, 33, 0o604), "the group is shut out");
        assert!(!may_read(33, 0, 0o044), "the owner is shut out");
    }

    #[test]
    fn requirement_33_an_access_list_decides_before_the_mode_does() {
        let file = Ownership { uid: 0, gid: 0, mode: 0o640 };
        let list = |user_allowed: u16, mask: u16| {
            let mut bytes = 2_u32.to_le_bytes().to_vec();
            for (tag, allowed, id) in [
                (1_u16, 6_u16, u32::MAX),
                (USER, user_allowed, 33),
                (OWNING_GROUP, 4, u32::MAX),
                (GROUP, 4, 50),
                (MASK, mask, u32::MAX),
                (0x20, 0, u32::MAX),
            ] {
                bytes.extend(tag.to_le_bytes());
                bytes.extend(allowed.to_le_bytes());
                bytes.extend(id.to_le_bytes());
            }
            entries(&bytes).unwrap()
        };
        let may = |entries: &[Entry], uid, gid| {
            listed(file, entries, &Account { uid, gids: vec![gid] }, READ)
        };
        assert!(may(&list(4, 4), 33, 33), "the named user");
        assert!(!may(&list(4, 0), 33, 33), "the mask takes it away");
        assert!(!may(&list(0, 4), 33, 50), "a named user's entry ends the search");
        assert!(may(&list(4, 4), 34, 50), "the named group");
        assert!(!may(&list(4, 4), 35, 35), "others");
        assert_eq!(entries(b"junk"), None);
    }

    #[cfg(unix)]
    #[test]
    fn requirement_30_the_directories_that_hold_links_are_doors_too() {
        let temp = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        fs::create_dir_all(root.join("app/current")).unwrap();
        fs::create_dir_all(root.join("shared")).unwrap();
        std::os::unix::fs::symlink("../../shared/s.json", root.join("app/current/s.json")).unwrap();
        let way = way(&root.join("app/current/s.json")).unwrap();
        for door in ["app", "app/current", "shared"] {
            assert!(way.contains(&root.join(door)), "{door}: {way:?}");
        }
        assert_eq!(way.last(), Some(&root.join("shared/s.json")));
    }
}
