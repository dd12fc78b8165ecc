//! One file of a flag: what it should be, what it is, and how it becomes so.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::digest::sha256;
use crate::error::{Error, Result};
use crate::identity::as_owner_of;
use crate::replace::{self, Failure, NEW_FILE, OldFile, Replacement};
use crate::sys;

/// A file of more bytes is not read: it is none of ours.
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// One file of a flag, as it should be.
pub(crate) struct Piece {
    path: PathBuf,
    content: Content,
    /// Whether its directory is ours as well, and is made where it is missing.
    has_directory: bool,
}

enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// It is not to be there.
    Nothing,
    /// It may stay as it is.
    Any,
}

impl Piece {
    /// A file with these bytes, or none at all.
    pub(crate) fn there(path: PathBuf, bytes: Option<Vec<u8>>) -> Self {
        let content = bytes.map_or(Content::Nothing, Content::Bytes);
        Self { path, content, has_directory: false }
    }

    /// A file that may stay as it is until the flag is removed.
    pub(crate) fn kept(path: PathBuf) -> Self {
        Self { path, content: Content::Any, has_directory: false }
    }

    /// Makes the directory as well where it is missing, and the one above.
    pub(crate) fn with_directory(self) -> Self {
        Self { has_directory: true, ..self }
    }

    /// Looks at what is there.
    pub(super) fn look(
        self,
        written: &dyn Fn(&Path) -> BTreeSet<String>,
        is_blank: fn(&[u8]) -> bool,
    ) -> Looked {
        let path = resolved(&self.path);
        let seen = match &path {
            // Whoever may change where the declared path leads has its end in hand as well.
            Ok(path) => as_owner_of(&self.path, || Ok(see(path)))
                .unwrap_or_else(|error| Seen::Failed(io::Error::other(error.to_string()))),
            // Without its directory the file is not there either.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Seen::Missing,
            Err(cause) => Seen::Failed(io::Error::new(cause.kind(), cause.to_string())),
        };
        let path = path.unwrap_or_else(|_| self.path.clone());
        let judgement = judge(&self.content, &seen, &written(&path), is_blank);
        Looked { path, piece: self, seen, judgement }
    }
}

/// A path behind all links of its directory; the file itself is not followed.
pub(super) fn resolved(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    // A directory that is to be made is not there yet; the one above it tells where it will be.
    match fs::canonicalize(directory) {
        Ok(directory) => Ok(directory.join(name)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            Ok(resolved(directory)?.join(name))
        }
        Err(cause) => Err(cause),
    }
}

/// What is at a path.
pub(super) enum Seen {
    Missing,
    File {
        digest: String,
        bytes: Vec<u8>,
        old: OldFile,
    },
    /// What is no plain file, in words.
    Special(&'static str),
    Failed(io::Error),
}

fn see(path: &Path) -> Seen {
    let file = match sys::open_read_here(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Seen::Missing,
        Err(cause) if sys::is_link(&cause) => return Seen::Special("a symbolic link"),
        Err(cause) => return Seen::Failed(cause),
    };
    let read = || {
        let metadata = file.metadata()?;
        if let Some(kind) = sys::special_kind(&metadata) {
            return Ok(Seen::Special(kind));
        }
        let mut bytes = Vec::new();
        (&file).take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SIZE {
            return Ok(Seen::Special("too large"));
        }
        let old = OldFile { key: sys::key(&metadata), ownership: sys::ownership(&metadata) };
        Ok(Seen::File { digest: sha256(&bytes), bytes, old })
    };
    read().unwrap_or_else(Seen::Failed)
}

/// What there is to do about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is as it should be.
    Right,
    /// It has other bytes of ours, which say the same for now.
    Alike,
    /// It is missing.
    Missing,
    /// It is there, and should not be.
    Left,
    /// It has other bytes of ours, or another mode.
    Other,
    /// Somebody else made it.
    Foreign,
    /// It could not be looked at.
    Unknown,
}

fn judge(
    content: &Content,
    seen: &Seen,
    ours: &BTreeSet<String>,
    is_blank: fn(&[u8]) -> bool,
) -> Judgement {
    match (content, seen) {
        (_, Seen::Failed(_)) => Judgement::Unknown,
        (Content::Any, _) | (Content::Nothing, Seen::Missing) => Judgement::Right,
        (Content::Bytes(_), Seen::Missing) => Judgement::Missing,
        (_, Seen::Special(_)) => Judgement::Foreign,
        // The software has its own ways to say off, and what it makes it can read.
        (Content::Bytes(wanted), Seen::File { digest, bytes, old })
            if is_blank(wanted) && is_blank(bytes) && old.ownership.mode & 0o444 == 0o444 =>
        {
            let is_other = wanted != bytes && ours.contains(digest);
            if is_other { Judgement::Alike } else { Judgement::Right }
        }
        (Content::Bytes(wanted), Seen::File { bytes, old, .. }) if wanted == bytes => {
            let is_readable = old.ownership.mode == NEW_FILE || cfg!(not(unix));
            if is_readable { Judgement::Right } else { Judgement::Other }
        }
        (content, Seen::File { digest, bytes, .. }) => {
            let is_ours = ours.contains(digest) || is_blank(bytes);
            match content {
                _ if !is_ours => Judgement::Foreign,
                Content::Nothing => Judgement::Left,
                _ => Judgement::Other,
            }
        }
    }
}

/// A file of a flag, and what was seen of it.
pub(super) struct Looked {
    /// Where it is, behind all links.
    pub(super) path: PathBuf,
    piece: Piece,
    seen: Seen,
    pub(super) judgement: Judgement,
}

impl Looked {
    /// The digest that the file will have, if it is to be there.
    pub(super) fn wanted(&self) -> Option<String> {
        match &self.piece.content {
            Content::Bytes(bytes) => Some(sha256(bytes)),
            Content::Nothing | Content::Any => None,
        }
    }

    /// A file with the same bytes in another place, if it is to be there.
    pub(super) fn elsewhere(&self, path: &Path) -> Option<Piece> {
        match &self.piece.content {
            Content::Bytes(bytes) => Some(Piece::there(path.to_owned(), Some(bytes.clone()))),
            Content::Nothing | Content::Any => None,
        }
    }

    /// The digest that it has.
    pub(super) fn found(&self) -> Option<&String> {
        match &self.seen {
            Seen::File { digest, .. } => Some(digest),
            _ => None,
        }
    }

    /// Whether a plain file is there that maint may call its own.
    pub(super) fn can_be_taken(&self) -> bool {
        matches!(self.seen, Seen::File { .. })
    }

    /// Whether it gets new bytes, or a new mode.
    pub(super) fn is_to_be_written(&self) -> bool {
        matches!(self.judgement, Judgement::Missing | Judgement::Other | Judgement::Alike)
    }

    /// What stands in the way, in words; `None` if nothing does.
    pub(super) fn obstacle(&self) -> Option<Error> {
        let refused = |reason: String, hint: &str| Error::Refused {
            path: self.path.clone(),
            reason,
            hint: Some(hint.to_owned()),
        };
        match (self.judgement, &self.seen) {
            (Judgement::Foreign, Seen::Special(kind)) => {
                Some(refused(format!("somebody else made it: it is {kind}"), "move it away"))
            }
            (Judgement::Foreign, _) => Some(refused(
                "somebody else made it, or changed it since".to_owned(),
                "look at it, and remove it or take it over",
            )),
            (Judgement::Unknown, Seen::Failed(cause)) => {
                let source = io::Error::new(cause.kind(), cause.to_string());
                Some(Error::io("look at", &self.path, source))
            }
            _ => None,
        }
    }

    /// What is not as it should be, in words; `None` if nothing is.
    pub(super) fn complaint(&self) -> Option<String> {
        let path = self.path.display();
        match self.judgement {
            Judgement::Missing => Some(format!("`{path}` is missing")),
            Judgement::Left => Some(format!("`{path}` is still there")),
            Judgement::Other if self.wanted().as_ref() == self.found() => {
                Some(format!("not everyone may read `{path}`"))
            }
            Judgement::Other => Some(format!("`{path}` has what was written before")),
            _ => None,
        }
    }

    /// Makes the directory that is the flag's own, so that software can be pointed at it before
    /// the flag is ever set.
    pub(super) fn furnish(&self) -> Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        if !self.piece.has_directory || directory.is_dir() {
            return Ok(());
        }
        as_owner_of(&self.piece.path, || make_directories(directory))
    }

    /// Makes it so. Call it only if the digest it will have was recorded.
    pub(super) fn settle(&self) -> Result<bool> {
        if let Some(obstacle) = self.obstacle() {
            return Err(obstacle);
        }
        match (&self.piece.content, self.judgement) {
            (_, Judgement::Right) | (Content::Any, _) => Ok(false),
            (Content::Bytes(bytes), _) => {
                as_owner_of(&self.piece.path, || self.write(bytes)).map(|()| true)
            }
            (Content::Nothing, _) => as_owner_of(&self.piece.path, || remove(&self.path)),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        if self.piece.has_directory {
            make_directories(self.path.parent().unwrap_or(Path::new("/")))?;
        }
        let old = match &self.seen {
            Seen::File { old, .. } => Some(*old),
            _ => None,
        };
        let replacement =
            Replacement { path: &self.path, bytes, old, mode: Some(NEW_FILE), backup: None };
        match replace::replace(&replacement) {
            // What a power cut undoes, the next look finds.
            Ok(_) | Err(Failure::Unsynced(..)) => Ok(()),
            Err(Failure::NotApplied(error)) => Err(error),
            Err(Failure::Overtaken) => Err(Error::Refused {
                path: self.path.clone(),
                reason: "somebody else made it meanwhile".to_owned(),
                hint: Some("look at it, and remove it or take it over".to_owned()),
            }),
        }
    }
}

/// Removes what killed writers left of files that are about to be written. Under the lock
/// those writers are dead. Each directory is listed once, however many files it gets.
pub(super) fn sweep(files: &[Looked]) {
    let mut directories: BTreeMap<&Path, (&Path, BTreeSet<&OsStr>)> = BTreeMap::new();
    for file in files.iter().filter(|file| file.is_to_be_written()) {
        let (Some(directory), Some(name)) = (file.path.parent(), file.path.file_name()) else {
            continue;
        };
        let (_, names) =
            directories.entry(directory).or_insert((&file.piece.path, BTreeSet::new()));
        names.insert(name);
    }
    for (directory, (declared, names)) in directories {
        let _ = as_owner_of(declared, || {
            for leftover in replace::leftovers(directory, |of| names.contains(OsStr::new(of))) {
                let _ = sys::unlink(&leftover);
            }
            Ok(())
        });
    }
}

/// Removes a file for good; whether it was there.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match sys::unlink(path) {
        Ok(()) => {
            // What a power cut brings back, the next look finds.
            let _ = sys::sync_dir(path.parent().unwrap_or(Path::new("/")));
            Ok(true)
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::io("remove", path, source)),
    }
}

/// Makes a directory and the one above it, where they are missing.
fn make_directories(directory: &Path) -> Result<()> {
    let above = directory.parent().unwrap_or(Path::new("/"));
    for directory in [above, directory] {
        match sys::create_dir(directory) {
            Err(_) if directory.is_dir() => {}
            other => other.map_err(|source| Error::io("create", directory, source))?,
        }
    }
    Ok(())
}

/// Whether a file that was recorded is still ours and says something, so that it may be removed.
pub(super) fn is_ours(
    path: &Path,
    ours: &BTreeSet<String>,
    is_blank: fn(&[u8]) -> bool,
) -> Result<bool> {
    as_owner_of(path, || match see(path) {
        Seen::File { digest, bytes, .. } => Ok(ours.contains(&digest) && !is_blank(&bytes)),
        Seen::Failed(source) => Err(Error::io("look at", path, source)),
        Seen::Missing | Seen::Special(_) => Ok(false),
    })
}
