//! A password, which is never shown.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::engine::{Failure, Outcome};
use crate::error::describe;
use crate::sys;

/// The longest password, in bytes.
const MAX: u64 = 4 * 1024;

/// A password. It is neither printed nor compared.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes a password from where no other user sees it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password itself, for the connection alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads a password from a file, without the end of its line.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Denied`](super::FailureKind::Denied) if it cannot be read, or others can.
    pub fn read(path: &Path) -> Outcome<Self> {
        let name = path.display();
        let file = open_private(path)?;
        let mut text = String::new();
        let read = file.take(MAX + 1).read_to_string(&mut text);
        read.map_err(|cause| Failure::denied(format!("`{name}` {}", describe(&cause))))?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() || text.len() as u64 > MAX || text.contains(['\r', '\n']) {
            return Err(Failure::denied(format!("`{name}` does not hold one password")));
        }
        Ok(Self::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Opens a file that no other user may read: a password, or the key of a certificate.
///
/// # Errors
///
/// [`FailureKind::Denied`](super::FailureKind::Denied) if it cannot be read, or others can.
pub(super) fn open_private(path: &Path) -> Outcome<File> {
    let name = path.display();
    let denied = |reason: String| Failure::denied(format!("`{name}` {reason}"));
    let file = sys::open_read(path).map_err(|cause| denied(describe(&cause)))?;
    let metadata = file.metadata().map_err(|cause| denied(describe(&cause)))?;
    if let Some(kind) = sys::special_kind(&metadata) {
        return Err(denied(format!("is {kind}")));
    }
    let mode = sys::ownership(&metadata).mode & 0o7777;
    if cfg!(unix) && mode & 0o077 != 0 {
        return Err(denied(format!("can be read by others: its mode is {mode:04o}"))
            .with_hint(format!("run `chmod 600 {name}`, and change what it holds")));
    }
    Ok(file)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        sys::write_all(file.as_file(), text.as_bytes()).unwrap();
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(file.path(), permissions).unwrap();
        file
    }

    #[test]
    fn requirement_95_a_file_that_others_can_read_is_no_secret() {
        assert_eq!(Secret::read(file("tulip\n", 0o600).path()).unwrap().reveal(), "tulip");
        assert_eq!(Secret::read(file("tulip", 0o400).path()).unwrap().reveal(), "tulip");
        for mode in [0o640, 0o604, 0o660, 0o601] {
            let failure = Secret::read(file("tulip\n", mode).path()).unwrap_err();
            assert!(failure.reason.contains("can be read by others"), "{failure}");
            assert!(!format!("{failure:?}").contains("tulip"));
        }
        for text in ["", "\n", "one\ntwo\n"] {
            assert!(Secret::read(file(text, 0o600).path()).is_err(), "{text:?}");
        }
        assert_eq!(format!("{:?}", Secret::new("tulip")), "Secret");
    }
}
