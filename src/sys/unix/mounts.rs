//! What a path is on: file systems and mount points.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::is_root;

/// The file system a path is on, where its name matters: `nfs`, `tmpfs`, ….
pub(crate) fn file_system(path: &Path) -> Option<&'static str> {
    #[cfg(target_os = "linux")]
    {
        let statfs = rustix::fs::statfs(path).ok()?;
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation)]
        file_system_name(statfs.f_type as u32)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// The name of a file system by its number in linux/magic.h.
#[cfg(target_os = "linux")]
fn file_system_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "nfs",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "smb",
        0x5346_414f => "afs",
        0x00c3_6400 => "ceph",
        0x0102_1997 => "9p",
        0x6573_5546 => "fuse",
        0x0102_1994 => "tmpfs",
        0x8584_58f6 => "ramfs",
        0x794c_7630 => "overlay",
        _ => return None,
    })
}

/// What a file system has left for this process.
pub(crate) struct Room {
    pub(crate) bytes: u64,
    /// Absent where the file system does not count them.
    pub(crate) files: Option<u64>,
    pub(crate) is_read_only: bool,
}

/// The room on the file system of a path, if known.
pub(crate) fn room(path: &Path) -> Option<Room> {
    let vfs = rustix::fs::statvfs(path).ok()?;
    // Root may use the blocks that are reserved for it.
    let (blocks, files) =
        if is_root() { (vfs.f_bfree, vfs.f_ffree) } else { (vfs.f_bavail, vfs.f_favail) };
    Some(Room {
        bytes: blocks.saturating_mul(vfs.f_frsize),
        files: (vfs.f_files > 0).then_some(files),
        is_read_only: vfs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// Whether a path is itself a mount point; on older kernels according to
/// `proc_pid_mountinfo(5)`.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    // Since Linux 5.8 statx(2) shows it, without reading a table that may be long.
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        if let Ok(found) = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
            && found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        {
            return found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        }
    }
    let Ok(table) = fs::read("/proc/self/mountinfo") else {
        return false;
    };
    table.split(|&byte| byte == b'\n').any(|line| {
        line.split(|&byte| byte == b' ').nth(4).is_some_and(|field| {
            use std::os::unix::ffi::OsStrExt;
            OsStr::from_bytes(&unescape(field)) == path.as_os_str()
        })
    })
}

/// Undoes the octal escapes of `proc_pid_mountinfo(5)`: `\040` is a space.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let code = (byte == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(code) = code {
            plain.push(code);
            rest = &tail[3..];
        } else {
            plain.push(byte);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_point_escapes_are_undone() {
        assert_eq!(unescape(br"/srv/my\040app/x\134y"), br"/srv/my app/x\y");
        assert_eq!(unescape(br"/a\04"), br"/a\04", "a cut escape is left alone");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn requirement_30_file_systems_are_known_by_their_numbers() {
        // As statfs(2) lists them.
        for (magic, name) in [
            (0x6969, "nfs"),
            (0xff53_4d42, "smb"),
            (0xfe53_4d42, "smb"),
            (0x0102_1994, "tmpfs"),
            (0x8584_58f6, "ramfs"),
        ] {
            assert_eq!(file_system_name(magic), Some(name));
        }
        assert_eq!(file_system_name(0xef53), None, "ext4");
    }

    #[test]
    fn the_root_is_a_mount_point_and_this_directory_is_not() {
        assert!(is_mount_point(Path::new("/")));
        assert!(!is_mount_point(Path::new("/no/such/place")));
    }
}
