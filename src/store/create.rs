//! Making a site directory.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::{Error, Result};
use crate::identity::as_owner;
use crate::replace::{self, Failure, Replacement};
use crate::site::Site;
use crate::sys;

/// Keeps a site out of version control, see gitignore(5).
pub(super) const IGNORE_FILE: &str = ".gitignore";

/// What the file says: everything in the directory is left out, itself included.
const IGNORED: &str = "# Made by maint. A site belongs to its host, not to the project.\n*\n";

/// How often a new `.gitignore` is written again because another process removed it.
const RERUNS: usize = 100;

/// Makes the directory of a site with an empty `templates/`, unless it is there, and a
/// `.gitignore` that keeps all of it out of version control, until the site has a state.
/// Everyone may enter and read, whatever the umask. Root makes it as the owner of the
/// directory it is in.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be made, [`Error::Refused`] if root cannot act as the owner.
pub fn create(site: &Site) -> Result<()> {
    as_owner(site, || make(site))
}

/// Makes a site that is not there yet, in an identity that was taken before, and returns it
/// as it is chosen then: another process may have made one at the same time.
pub(super) fn make_missing(site: &Site) -> Result<Site> {
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

/// The same as [`create`], in an identity that was taken before. The one function that makes a site.
pub(super) fn make(site: &Site) -> Result<()> {
    let dir = site.dir();
    // Later its owner may have removed the file, in order to keep templates in git.
    if fs::symlink_metadata(site.state_file()).is_ok() {
        return Ok(());
    }
    if !dir.is_dir() {
        let above = dir.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(above).map_err(|source| Error::io("create", above, source))?;
        for dir in [dir.to_owned(), site.templates()] {
            make_directory(&dir)?;
        }
    }
    ignore(&dir.join(IGNORE_FILE))
}

/// Writes the file, unless there is one or whatever else of its name.
fn ignore(path: &Path) -> Result<()> {
    let new = Replacement { path, bytes: IGNORED.as_bytes(), old: None, mode: None, backup: None };
    for _ in 0..RERUNS {
        if fs::symlink_metadata(path).is_ok() {
            break;
        }
        match replace::replace(&new) {
            // A writer may have taken the new file for a leftover, since no lock is held here.
            Err(Failure::Overtaken) => {}
            Err(Failure::NotApplied(error)) => return Err(error),
            // The state that follows is synced in the same directory.
            Ok(_) | Err(Failure::Unsynced(..)) => break,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{State, WindowSettings};
    use crate::store::{Options, Stamp, update};

    #[test]
    fn the_first_change_makes_a_site_that_is_missing_if_it_is_told_to() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path().join("shop/.maint"));
        let open = |state: &mut State, stamp: Stamp<'_>| {
            state.open_window("w", &WindowSettings::new(), stamp).map(drop)
        };
        assert!(update(&site, &Options::new("test"), open).is_err(), "it is not told to");
        let options = Options::new("test").make_site(true);
        assert!(!update(&site, &options, |_, _| Ok(())).unwrap().is_written);
        let refused = update(&site, &options, |_, _| Err::<(), _>(Error::invalid("no")));
        assert!(refused.is_err() && !temp.path().join("shop").exists(), "nothing is made for it");
        let applied = update(&site, &options, open).unwrap();
        assert_eq!((applied.made.as_deref(), applied.after.revision), (Some(site.dir()), 1));
        assert!(site.dir().join(IGNORE_FILE).is_file());
        let again = update(&site, &options, |state, stamp| state.close_window("w", stamp.now));
        assert_eq!(again.unwrap().made, None);
    }
}
