//! Who owns the files of a site, and who shares them.

use std::fs::File;
use std::io;

use crate::sys::{self, Ownership};

/// Who gets new files: the owner and the group of the directory they are made in.
#[derive(Clone, Copy)]
pub(crate) struct Custody {
    directory: Ownership,
    keep_root: bool,
}

impl Custody {
    /// `keep_root`: as root, leave new files to root.
    pub(crate) fn new(directory: Ownership, keep_root: bool) -> Self {
        Self { directory, keep_root }
    }

    /// The owner of a new file if root makes it, so that the site's own user can
    /// replace what `sudo maint` leaves behind.
    pub(crate) fn owner(self) -> Option<Ownership> {
        (sys::is_root() && !self.keep_root).then_some(self.directory)
    }

    /// Whether the group of the directory may write to the site.
    fn is_shared(self) -> bool {
        self.directory.mode & 0o020 != 0
    }

    /// Hands over a new file that only writers need: the lock, the history. It
    /// gets `mode`; a group that may write to the site may read and write it too.
    pub(crate) fn hand_over(self, file: &File, mode: u32) -> io::Result<()> {
        if let Some(owner) = self.owner() {
            sys::set_owner(file, Some(owner.uid), Some(owner.gid))?;
        } else if self.is_shared() {
            // This fails for callers outside that group; the file is then theirs alone.
            let _ = sys::set_owner(file, None, Some(self.directory.gid));
        }
        sys::set_mode(file, if self.is_shared() { mode | 0o060 } else { mode })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn requirement_18_the_group_may_write_to_a_file_if_it_may_write_to_the_site() {
        let temp = tempfile::tempdir().unwrap();
        let own = sys::ownership(&std::fs::metadata(temp.path()).unwrap());
        for (directory, mode, expected) in [
            (0o755, 0o600, 0o600),
            (0o755, 0o640, 0o640),
            (0o757, 0o640, 0o640),
            (0o775, 0o600, 0o660),
            (0o775, 0o640, 0o660),
        ] {
            let name = format!("{directory:o}-{mode:o}");
            let file = sys::create_new(&temp.path().join(&name)).unwrap();
            let custody = Custody::new(Ownership { mode: directory, ..own }, false);
            custody.hand_over(&file, mode).unwrap();
            assert_eq!(sys::ownership(&file.metadata().unwrap()).mode, expected, "{name}");
        }
    }
}
