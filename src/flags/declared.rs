//! `flags.json`: the flags that a site declares.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::flag::{Flag, Kind};
use crate::error::{Error, Result};
use crate::identity::{as_author_of, as_owner};
use crate::replace::{self, Failure, OldFile, Replacement};
use crate::site::Site;
use crate::sys;

/// The version of the file that is written, and the newest that is read.
const VERSION: u64 = 1;

/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 8 * 1024 * 1024;

/// How many flags a site may have.
const MAX_FLAGS: usize = 100;

/// The mode of the file: commands may hold what is not for everyone.
const MODE: u32 = 0o640;

/// The flags of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Flags {
    /// The version of the file.
    version: u64,
    /// Each flag, by its id.
    #[serde(default)]
    pub flags: BTreeMap<String, Flag>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl Default for Flags {
    fn default() -> Self {
        Self { version: VERSION, flags: BTreeMap::new(), extra: Map::new() }
    }
}

/// Reads the flags of a site; none where there is no file.
///
/// # Errors
///
/// [`Error::Unreadable`], [`Error::Corrupt`] or [`Error::Newer`], naming the file.
pub fn read(site: &Site) -> Result<Flags> {
    as_owner(site, || as_author_of(&site.flags_file(), || Flags::load(site)))
}

impl Flags {
    /// The same, in an identity that was taken before.
    pub(crate) fn load(site: &Site) -> Result<Self> {
        let path = site.flags_file();
        let file = match sys::open_read_here(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(Error::Unreadable { path, source }),
        };
        let corrupt = |reason: String| Error::Corrupt { path: path.clone(), reason };
        let unreadable = |source| Error::Unreadable { path: path.clone(), source };
        let metadata = file.metadata().map_err(unreadable)?;
        if let Some(kind) = sys::special_kind(&metadata) {
            return Err(corrupt(format!("it is {kind}")));
        }
        let mut text = Vec::new();
        (&file).take(MAX_SIZE + 1).read_to_end(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_SIZE {
            return Err(corrupt(format!("it has more than {MAX_SIZE} bytes")));
        }
        let flags: Self =
            serde_json::from_slice(&text).map_err(|cause| corrupt(cause.to_string()))?;
        if flags.version > VERSION {
            return Err(Error::Newer { path, version: flags.version, known: VERSION });
        }
        flags.validate().map_err(|error| corrupt(error.to_string()))?;
        Ok(flags)
    }

    fn validate(&self) -> Result<()> {
        if self.flags.len() > MAX_FLAGS {
            return Err(Error::invalid(format!("a site has at most {MAX_FLAGS} flags")));
        }
        for (id, flag) in &self.flags {
            validate_id(id)?;
            let is_known = !matches!(flag.kind, Kind::Unknown(_));
            if is_known && flag.path.as_ref().is_some_and(|path| !path.is_absolute()) {
                return Err(Error::invalid(format!("the path of flag `{id}` is not absolute")));
            }
            Flag::new(flag.kind.clone()).stops(&flag.hosts, &flag.paths)?;
        }
        Ok(())
    }

    /// Writes them, under the lock of the site.
    pub(crate) fn save(&self, site: &Site) -> Result<()> {
        self.validate()?;
        let path = site.flags_file();
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::invalid(format!("the flags cannot be written: {cause}")))?;
        text.push(b'\n');
        let old = match fs::symlink_metadata(&path) {
            Ok(metadata) => {
                Some(OldFile { key: sys::key(&metadata), ownership: sys::ownership(&metadata) })
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(Error::io("look at", &path, source)),
        };
        // Never for the group: who writes it next is to be seen from its owner.
        let mode = Some(MODE);
        let replacement = Replacement { path: &path, bytes: &text, old, mode, backup: None };
        match replace::replace(&replacement) {
            Ok(_) => Ok(()),
            Err(Failure::Unsynced(path, source)) => Err(Error::io("sync", &path, source)),
            Err(Failure::NotApplied(error)) => Err(error),
            Err(Failure::Overtaken) => {
                Err(Error::conflict(format!("`{}` appeared meanwhile", path.display())))
            }
        }
    }

    /// The flag of an id.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] if there is none.
    pub fn get(&self, id: &str) -> Result<&Flag> {
        self.flags.get(id).ok_or_else(|| self.unknown(id))
    }

    /// The error for an id that no flag has.
    pub(crate) fn unknown(&self, id: &str) -> Error {
        let known = self.flags.keys().cloned().collect();
        Error::Unknown { kind: "flag", name: id.to_owned(), known }
    }
}

/// Refuses an id that cannot be: it follows the rules for the names of windows.
pub(crate) fn validate_id(id: &str) -> Result<()> {
    crate::state::validate_name(id).map_err(|error| {
        let message = format!("`{}` cannot be the id of a flag", id.escape_debug());
        Error::invalid_with(message, error.hint().unwrap_or_default())
    })
}
