//! The file of a map, which `HAProxy` reads when it starts and at a reload.
//!
//! An entry is a line: a key, spaces, and a value to the end of the line. The lines of other
//! keys, comments and empty lines stay as they are.

use std::io::{self, Read as _};
use std::path::Path;

use crate::error::{Error, Result};
use crate::identity::as_owner_of;
use crate::replace::{self, Failure, OldFile, Replacement};
use crate::sys;

/// The largest file that is changed, in bytes.
const MAX_SIZE: u64 = 8 * 1024 * 1024;

pub(super) struct MapFile<'a> {
    path: &'a Path,
    /// `None` if there is no file.
    text: Option<(Vec<u8>, OldFile)>,
}

impl<'a> MapFile<'a> {
    pub(super) fn read(path: &'a Path) -> Result<Self> {
        as_owner_of(path, || {
            read(path).map(|text| Self { path, text }).map_err(|cause| match cause.kind() {
                io::ErrorKind::InvalidData => Error::Refused {
                    path: path.to_owned(),
                    reason: cause.to_string(),
                    hint: Some("name the map itself".to_owned()),
                },
                _ => Error::io("read", path, cause),
            })
        })
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = self.text.as_ref().map_or(&[][..], |(bytes, _)| bytes);
        bytes.split_inclusive(|&byte| byte == b'\n')
    }

    /// The values of a key.
    pub(super) fn values(&self, key: &str) -> Vec<String> {
        let of_key = self.lines().filter_map(entry).filter(|(found, _)| *found == key.as_bytes());
        of_key.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// Writes it with this one value for a key, or none.
    pub(super) fn set(&self, key: &str, value: Option<&str>) -> Result<()> {
        let wanted: Vec<String> = value.map(str::to_owned).into_iter().collect();
        if self.text.is_some() && self.values(key) == wanted {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let mut line = value.map(|value| format!("{key} {value}\n").into_bytes());
        for other in self.lines() {
            if entry(other).is_some_and(|(found, _)| found == key.as_bytes()) {
                // The entry keeps its place.
                bytes.extend(line.take().unwrap_or_default());
            } else {
                bytes.extend_from_slice(other);
            }
        }
        if let Some(line) = line {
            if bytes.last().is_some_and(|&last| last != b'\n') {
                bytes.push(b'\n');
            }
            bytes.extend(line);
        }
        let old = self.text.as_ref().map(|(_, old)| *old);
        as_owner_of(self.path, || {
            let replacement =
                Replacement { path: self.path, bytes: &bytes, old, mode: None, backup: None };
            match replace::replace(&replacement) {
                // What a power cut undoes, the next look finds.
                Ok(_) | Err(Failure::Unsynced(..)) => Ok(()),
                Err(Failure::NotApplied(error)) => Err(error),
                Err(Failure::Overtaken) => {
                    Err(Error::conflict(format!("`{}` appeared meanwhile", self.path.display())))
                }
            }
        })
    }
}

fn read(path: &Path) -> io::Result<Option<(Vec<u8>, OldFile)>> {
    let odd = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is {what}")));
    let file = match sys::open_read_here(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) if sys::is_link(&cause) => return odd("a symbolic link"),
        Err(cause) => return Err(cause),
    };
    let metadata = file.metadata()?;
    if let Some(kind) = sys::special_kind(&metadata) {
        return odd(kind);
    }
    let mut bytes = Vec::new();
    (&file).take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return odd("too large");
    }
    let old = OldFile { key: sys::key(&metadata), ownership: sys::ownership(&metadata) };
    Ok(Some((bytes, old)))
}

/// The key and the value of a line, if it has an entry.
fn entry(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return None;
    }
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (key, value) = line.split_at(end);
    Some((key, value.trim_ascii_start()))
}
