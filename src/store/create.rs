//! Making a site directory.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::identity::as_owner;
use crate::error::{Error, Result};
use crate::site::Site;
use crate::sys;

/// Makes the directory of a site with an empty `templates/`, unless it is there.
/// Everyone may enter and read, whatever the umask. Root makes it as the owner of the
/// directory it is in.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be made, [`Error::Refused`] if root cannot act as the owner.
pub fn create(site: &Site) -> Result<()> {
    as_owner(site, || make(site))
}

/// Makes a site that was not there yet, in an identity that was taken before, and returns it
/// as it is chosen then: another process may have made one at the same time.
pub(super) fn make_awaited(site: &Site) -> Result<Site> {
    make(site).map_err(|error| match error {
        Error::Io { source, .. } => Error::NotMade { path: site.dir().to_owned(), source },
        other => other,
    })?;
    let made = site.current()?;
    if made.is_awaited() {
        let source = io::Error::from(ErrorKind::NotFound);
        return Err(Error::NotMade { path: site.dir().to_owned(), source });
    }
    Ok(made)
}

/// The same, in an identity that was taken before.
pub(super) fn make(site: &Site) -> Result<()> {
    let dir = site.dir();
    if dir.is_dir() {
        return Ok(());
    }
    let above = dir.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(above).map_err(|source| Error::io("create", above, source))?;
    for dir in [dir.to_owned(), site.templates()] {
        make_directory(&dir)?;
    }
    Ok(())
}

/// Makes one directory, unless it is there. If the group of the one above may write, it
/// may write here as well: two operators share what either of them made.
pub(super) fn make_directory(dir: &Path) -> Result<()> {
    let failed = |source| Error::io("create", dir, source);
    match sys::create_dir(dir) {
        // Another process made it at the same time.
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
        other => other.map_err(failed)?,
    }
    let above = dir.parent().unwrap_or(Path::new("/"));
    let above = sys::ownership(&fs::metadata(above).map_err(failed)?);
    if above.mode & 0o020 != 0 {
        let made = sys::open_read(dir).map_err(failed)?;
        // This fails for callers outside that group; the directory is then theirs alone.
        if sys::set_owner(&made, None, Some(above.gid)).is_ok() {
            sys::set_mode(&made, 0o2775).map_err(failed)?;
        }
    }
    Ok(())
}
