//! What this host lets a test do. Each check prints what is missing.
#![allow(dead_code, reason = "shared by several test targets, and no one of them needs all")]

use std::process::Command;

use crate::say::skip;

fn works(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

/// Whether this runs as root and can become another user.
pub(crate) fn can_be_others() -> bool {
    let can = works("setpriv", &["--reuid", "65534", "--regid", "65534", "--clear-groups", "true"]);
    if !can {
        skip("needs root and setpriv(1)");
    }
    can
}

/// Whether strace(1) may trace here.
pub(crate) fn can_trace() -> bool {
    let can = works("strace", &["-f", "-o", "/dev/null", "true"]);
    if !can {
        skip("needs strace(1), and permission to trace");
    }
    can
}

/// Whether mounts can be made in a separate namespace.
pub(crate) fn can_mount() -> bool {
    let can = works("unshare", &["-m", "sh", "-c", "mount -t tmpfs none /mnt"]);
    if !can {
        skip("needs root, unshare(1) and permission to mount");
    }
    can
}

/// The mount point of [`ON_AN_OVERLAY`].
pub(crate) const OVERLAY: &str = "/mnt/all";

/// A script that runs its arguments where a directory in memory lies over another,
/// as in a container; 77 if this kernel cannot mount an overlay.
pub(crate) const ON_AN_OVERLAY: &str = r#"set -e
    mount -t tmpfs none /mnt
    mkdir /mnt/lower /mnt/upper /mnt/work /mnt/all
    mount -t overlay overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work /mnt/all || exit 77
    exec "$@""#;
