//! What others attached to a file, and what its new version keeps of it: owner, group,
//! mode, access list, labels, and attributes (acl(5), xattr(7)).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::access::ACCESS_LIST;
use crate::sys::{self, Ownership};

/// The access list of NFS, version 4, as its clients show it.
const NFS_ACCESS_LIST: &str = "system.nfs4_acl";

/// Attributes that say something about the bytes of one file, or that give it power.
const OF_ONE_FILE: [&str; 3] = ["security.capability", "security.evm", "security.ima"];

/// Gives a new version of a file what is attached to the old one. A list that the
/// directory hands down (acl(5)) holds where the old file has none.
///
/// Returns in words what could not be kept.
///
/// # Errors
///
/// Fails if the mode cannot be set.
pub(crate) fn carry_over(from: &Path, old: Ownership, to: &File) -> io::Result<Vec<String>> {
    let mut unkept = Vec::new();
    if !keep_owner(old, to)? {
        unkept.push(format!("could not keep the owner and the group of `{}`", from.display()));
    }
    let attributes = sys::attributes(from);
    sys::set_mode(to, old.mode & 0o777)?;
    for name in attributes.iter().filter(|name| is_kept(name)) {
        let Some(value) = sys::attribute(from, name) else {
            continue;
        };
        let is_there = sys::attribute_of(to, name).is_some_and(|there| there == value);
        if !is_there && sys::set_attribute(to, name, &value).is_err() {
            unkept.push(format!("could not keep {} of `{}`", described(name), from.display()));
        }
    }
    Ok(unkept)
}

/// Carries over owner and group; false if that is not possible and makes a difference.
fn keep_owner(old: Ownership, to: &File) -> io::Result<bool> {
    let new = sys::ownership(&to.metadata()?);
    let uid = (sys::is_root() && old.uid != new.uid).then_some(old.uid);
    let gid = (old.gid != new.gid).then_some(old.gid);
    // The group matters only if it may do more than others may.
    let group_counts = (old.mode >> 3) & !old.mode & 0o7 != 0;
    let is_lost = (uid.is_some() || gid.is_some()) && sys::set_owner(to, uid, gid).is_err();
    Ok(!(is_lost && (uid.is_some() || group_counts)))
}

fn is_kept(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return true;
    };
    match name.strip_prefix("system.") {
        // The others show what these, the mode or the file system say.
        Some(_) => [ACCESS_LIST, NFS_ACCESS_LIST].contains(&name),
        None => !OF_ONE_FILE.contains(&name),
    }
}

fn described(name: &OsStr) -> String {
    if name == ACCESS_LIST || name == NFS_ACCESS_LIST {
        return "the access list".to_owned();
    }
    match name.to_str() {
        Some("security.selinux") => "the SELinux label".to_owned(),
        _ => format!("the attribute `{}`", name.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_bytes_of_one_file_is_not_given_to_others() {
        for name in ["user.note", "security.selinux", "security.SMACK64", ACCESS_LIST] {
            assert!(is_kept(name.as_ref()), "{name}");
        }
        for name in ["security.capability", "security.ima", "system.nfs4_dacl"] {
            assert!(!is_kept(name.as_ref()), "{name}");
        }
    }
}
