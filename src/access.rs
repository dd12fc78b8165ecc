//! Whether another user could read a file, judged from mode bits.
//!
//! Access lists (acl(5)) and security modules can say otherwise in either
//! direction; `doctor` tells when there are any.

use std::fs;
use std::path::Path;

use crate::sys::{self, Account, Ownership};

/// Permission bits as one class of users has them.
const READ: u32 = 4;
const SEARCH: u32 = 1;

/// Why a user cannot read a file, or `None` if they can.
///
/// Looks at every directory on the way, since one closed door is enough.
pub(crate) fn obstacle(path: &Path, name: &str) -> Option<String> {
    let Some(account) = sys::account(name) else {
        return Some(format!("there is no user `{name}` on this host"));
    };
    let path = match fs::canonicalize(path) {
        Ok(path) => path,
        Err(cause) => {
            return Some(format!("`{}`: {}", path.display(), crate::error::describe(&cause)));
        }
    };
    for directory in path.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
        if !allows(directory, &account, SEARCH) {
            return Some(format!("`{}` cannot be entered by `{name}`", directory.display()));
        }
    }
    (!allows(&path, &account, READ))
        .then(|| format!("`{}` cannot be read by `{name}`", path.display()))
}

fn allows(path: &Path, account: &Account, bit: u32) -> bool {
    fs::metadata(path).is_ok_and(|metadata| permits(sys::ownership(&metadata), account, bit))
}

fn permits(file: Ownership, account: &Account, bit: u32) -> bool {
    // The first class that fits decides, even if a later one is more generous.
    let shift = if account.uid == 0 {
        return true;
    } else if account.uid == file.uid {
        6
    } else if account.gids.contains(&file.gid) {
        3
    } else {
        0
    };
    (file.mode >> shift) & bit != 0
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
}
