//! What an engine holds of a site, for a command on a host that has no such site.

use std::env;
use std::fs;
use std::path::PathBuf;

use super::asking::{Asking, LEAST};
use super::mirror::mirror;
use super::options::Options;
use crate::error::{Error, Result};
use crate::fleet::{Failure, Following};
use crate::replace::{self, Failure as NotReplaced, Replacement};
use crate::site::Site;
use crate::sys;

/// A copy of a site in a private directory, which is removed when it is dropped. Whatever is
/// changed in it is changed in the engine.
#[derive(Debug)]
pub struct Visit {
    site: Site,
    dir: PathBuf,
}

impl Visit {
    /// Makes the copy.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], and those of making a directory.
    pub fn begin(options: &Options<'_>, following: &Following) -> Result<Self> {
        let (mut asking, document) = following.as_its_owner(|| {
            let mut asking = Asking::begin(options, following)?;
            let (_, document) = asking.known_document()?;
            Ok((asking, document))
        })?;
        let dir = private_directory()?;
        let visit = Self { site: Site::copy(dir.join("site")), dir };
        let site = &visit.site;
        for dir in [site.dir().to_owned(), site.templates()] {
            sys::create_dir(&dir).map_err(|source| Error::io("create", &dir, source))?;
        }
        let path = site.store_file();
        let text = format!("{}\n", following.address);
        let file = Replacement {
            path: &path,
            bytes: text.as_bytes(),
            old: None,
            mode: None,
            backup: None,
        };
        match replace::replace(&file) {
            Ok(_) | Err(NotReplaced::Unsynced(..)) => {}
            Err(NotReplaced::NotApplied(error)) => return Err(error),
            Err(NotReplaced::Overtaken) => {
                return Err(Error::conflict(format!("`{}` is there already", path.display())));
            }
        }
        let mut fetch = |name: &str| {
            let mut found = Ok(None);
            let asked = following.as_its_owner(|| {
                found = asking.engine.beside(name, LEAST);
                Ok(())
            });
            asked.map_err(|error| Failure::denied(error.to_string()))?;
            found
        };
        mirror(site, options, following, &document, &mut fetch)?;
        Ok(visit)
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A new directory that only this user can look into, where it is forgotten at the latest when the
/// machine starts anew.
fn private_directory() -> Result<PathBuf> {
    let above = env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute() && dir.is_dir())
        .unwrap_or_else(env::temp_dir);
    let name = format!("maint-store-{}", crate::fleet::random()?);
    let dir = above.join(name);
    sys::create_private_dir(&dir).map_err(|source| Error::io("create", &dir, source))?;
    Ok(dir)
}
