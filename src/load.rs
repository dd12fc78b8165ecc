//! Opening a state file safely: bounded, never blocking, never creating anything.

use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

use crate::error::{Error, Result};
use crate::site::Site;
use crate::state::{self, Malformed, State};
use crate::sys::{self, FileKey, Ownership};

/// A state file as it was read.
pub(crate) struct Loaded {
    pub(crate) state: State,
    pub(crate) key: FileKey,
    pub(crate) ownership: Ownership,
    pub(crate) hard_links: u64,
}

/// Reads a state file. A missing file means that nothing is down.
///
/// # Errors
///
/// [`Error::Unreadable`], [`Error::Corrupt`] or [`Error::Newer`], naming the file.
pub fn read(path: &Path) -> Result<State> {
    Ok(load(path)?.map_or_else(State::default, |loaded| loaded.state))
}

impl Site {
    /// The state of this site as it is now. A missing file means that nothing is down.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`], [`Error::Corrupt`] or [`Error::Newer`], naming the file, and
    /// those of [`Site::current`].
    pub fn state(&self) -> Result<State> {
        read(&self.current()?.state_file())
    }
}

/// Reads a state file with what a writer has to know about it.
pub(crate) fn load(path: &Path) -> Result<Option<Loaded>> {
    let Some((metadata, bytes)) = open(path)? else {
        return Ok(None);
    };
    let state = State::from_json(&bytes).map_err(|cause| malformed(path, cause))?;
    Ok(Some(Loaded {
        state,
        key: sys::key(&metadata),
        ownership: sys::ownership(&metadata),
        hard_links: sys::hard_links(&metadata),
    }))
}

/// Reads the bytes of a state file, and the key that it had before they were read.
pub(crate) fn bytes(path: &Path) -> Result<Option<(FileKey, Vec<u8>)>> {
    Ok(open(path)?.map(|(metadata, bytes)| (sys::key(&metadata), bytes)))
}

/// What is wrong with the text of a state file.
pub(crate) fn malformed(path: &Path, cause: Malformed) -> Error {
    match cause {
        Malformed::Newer(version) => {
            Error::Newer { path: path.to_owned(), version, known: state::VERSION }
        }
        Malformed::Broken(reason) => Error::Corrupt { path: path.to_owned(), reason },
    }
}

/// Opens a state file, describes it and reads its bytes, in this order, so that a
/// change made in place meanwhile shows in the next description.
fn open(path: &Path) -> Result<Option<(Metadata, Vec<u8>)>> {
    let file = match sys::open_read(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            // A socket cannot be opened at all; say so rather than "no such device".
            if let Ok(metadata) = fs::metadata(path)
                && let Some(kind) = sys::special_kind(&metadata)
            {
                return Err(Error::Corrupt {
                    path: path.to_owned(),
                    reason: format!("it is {kind}"),
                });
            }
            return Err(unreadable(path, source));
        }
    };
    let metadata = file.metadata().map_err(|source| unreadable(path, source))?;
    if let Some(kind) = sys::special_kind(&metadata) {
        return Err(Error::Corrupt { path: path.to_owned(), reason: format!("it is {kind}") });
    }
    if metadata.len() > state::MAX_SIZE as u64 {
        return Err(Error::Corrupt {
            path: path.to_owned(),
            reason: format!("it has {} bytes; {} are allowed", metadata.len(), state::MAX_SIZE),
        });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    (&file)
        .take(state::MAX_SIZE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| unreadable(path, source))?;
    Ok(Some((metadata, bytes)))
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Unreadable { path: path.to_owned(), source }
}
