//! Who shares the files of a site.

use std::fs::File;
use std::io;

use crate::sys::{self, Ownership};

/// Who shares new files: the group of the directory they are made in, if it may write there.
#[derive(Clone, Copy)]
pub(crate) struct Custody(pub(crate) Ownership);

impl Custody {
    /// Whether the group of the directory may write to the site.
    fn is_shared(self) -> bool {
        self.0.mode & 0o020 != 0
    }

    /// Hands over a new file that only writers need: the lock, the history. It
    /// gets `mode`; a group that may write to the site may read and write it too.
    pub(crate) fn hand_over(self, file: &File, mode: u32) -> io::Result<()> {
        if self.is_shared() {
            // This fails for callers outside that group; the file is then theirs alone.
            let _ = sys::set_owner(file, None, Some(self.0.gid));
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
            let custody = Custody(Ownership { mode: directory, ..own });
            custody.hand_over(&file, mode).unwrap();
            assert_eq!(sys::ownership(&file.metadata().unwrap()).mode, expected, "{name}");
        }
    }
}
