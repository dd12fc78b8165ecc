//! A disk that promises only what POSIX does: data is there after fsync(2) of the file,
//! names after fsync(2) of the directory. Until then any part of the data and any of
//! the changes of names may be there or not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::env::is_temporary;
use crate::trace::Call;

/// The files of a site by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The number of the file behind each name. A directory is a file too.
type Names = BTreeMap<String, usize>;

/// A change of names.
#[derive(Clone, Debug)]
enum Change {
    Create(String, usize),
    Link(String, String),
    Rename(String, String),
    Exchange(String, String),
    Unlink(String),
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Create(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Link(from, to) => {
                if let Some(&file) = names.get(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Exchange(one, other) => {
                if let (Some(&first), Some(&second)) = (names.get(one), names.get(other)) {
                    names.insert(one.clone(), second);
                    names.insert(other.clone(), first);
                }
            }
            Self::Unlink(name) => drop(names.remove(name)),
        }
    }

    fn directory(&self) -> &str {
        match self {
            Self::Create(name, _) | Self::Unlink(name) => directory(name),
            Self::Link(_, to) | Self::Rename(_, to) | Self::Exchange(_, to) => directory(to),
        }
    }
}

/// The directory of a name, within the site.
fn directory(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// What was written to a file, and how much of that is certain.
#[derive(Clone, Debug, Default)]
struct File {
    written: Vec<u8>,
    certain: usize,
}

/// What a cut leaves of a file: its start, perhaps with zeros for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Left {
    file: usize,
    length: usize,
    zeros: usize,
}

/// What a cut may leave of a site.
pub(crate) type Image = BTreeMap<String, Left>;

/// A site on a disk, as programs see it and as it is certain to be.
pub(crate) struct Disk {
    dir: PathBuf,
    names: Names,
    certain: Names,
    pending: Vec<Change>,
    files: Vec<File>,
}

impl Disk {
    pub(crate) fn new(dir: &Path, existing: &Files) -> Self {
        let mut disk = Self {
            dir: dir.to_owned(),
            names: Names::new(),
            certain: Names::new(),
            pending: Vec::new(),
            files: Vec::new(),
        };
        for (name, bytes) in existing {
            if !directory(name).is_empty() {
                disk.certain.entry(directory(name).to_owned()).or_insert(usize::MAX);
            }
            disk.certain.insert(name.clone(), disk.files.len());
            disk.files.push(File { written: bytes.clone(), certain: bytes.len() });
        }
        disk.names = disk.certain.clone();
        disk
    }

    /// The bytes that a program would read under a name.
    pub(crate) fn read(&self, name: &str) -> Option<&[u8]> {
        Some(&self.files.get(*self.names.get(name)?)?.written)
    }

    /// Whether this call changed what is on the disk, or how certain it is.
    pub(crate) fn run(&mut self, call: &Call) -> bool {
        if !call.succeeded() {
            return false;
        }
        let paths: Vec<Option<String>> =
            call.paths().iter().map(|path| self.name(Path::new(path))).collect();
        let open = call.descriptor().and_then(|path| self.name(Path::new(path)));
        match (call.name.as_str(), paths.as_slice()) {
            ("openat" | "open" | "creat", [Some(name)]) => self.open(name, &call.arguments),
            ("mkdir" | "mkdirat", [Some(name)]) => {
                self.change(Change::Create(name.clone(), usize::MAX))
            }
            ("write" | "writev" | "pwrite64", _) => self.write(open, call),
            ("fsync" | "fdatasync", _) => self.sync(open),
            ("rename" | "renameat" | "renameat2", [Some(from), Some(to)]) => {
                let (from, to) = (from.clone(), to.clone());
                self.change(if call.arguments.contains("RENAME_EXCHANGE") {
                    Change::Exchange(from, to)
                } else {
                    Change::Rename(from, to)
                })
            }
            ("link" | "linkat", [Some(from), Some(to)]) => {
                self.change(Change::Link(from.clone(), to.clone()))
            }
            ("unlink" | "unlinkat", [Some(name)]) => self.change(Change::Unlink(name.clone())),
            _ => false,
        }
    }

    /// The name of a path in the site; that of the site itself is empty.
    pub(crate) fn name(&self, path: &Path) -> Option<String> {
        Some(path.strip_prefix(&self.dir).ok()?.to_str()?.to_owned())
    }

    fn change(&mut self, change: Change) -> bool {
        change.apply(&mut self.names);
        self.pending.push(change);
        true
    }

    fn open(&mut self, name: &str, flags: &str) -> bool {
        match self.names.get(name).copied() {
            Some(old) if flags.contains("O_TRUNC") => {
                // At once and under all its names, however certain those are.
                self.files.push(File::default());
                let new = self.files.len() - 1;
                let all = self.names.values_mut().chain(self.certain.values_mut());
                all.filter(|file| **file == old).for_each(|file| *file = new);
                true
            }
            None if flags.contains("O_CREAT") => {
                self.files.push(File::default());
                self.change(Change::Create(name.to_owned(), self.files.len() - 1))
            }
            _ => false,
        }
    }

    fn write(&mut self, open: Option<String>, call: &Call) -> bool {
        // The text in the lock is advice for people, and overwritten in place.
        let Some(name) = open.filter(|name| name != "lock") else { return false };
        let Some(file) = self.names.get(&name).and_then(|&file| self.files.get_mut(file)) else {
            return false;
        };
        let bytes = call.written();
        assert_eq!(bytes.len().to_string(), call.result, "the trace leaves bytes out: {call:?}");
        file.written.extend(bytes);
        true
    }

    fn sync(&mut self, open: Option<String>) -> bool {
        let Some(name) = open else { return false };
        if let Some(file) = self.names.get(&name).and_then(|&file| self.files.get_mut(file)) {
            file.certain = file.written.len();
            return true;
        }
        self.certain.retain(|other, _| directory(other) != name);
        let here = self.names.iter().filter(|(other, _)| directory(other) == name);
        self.certain.extend(here.map(|(other, &file)| (other.clone(), file)));
        self.pending.retain(|change| change.directory() != name);
        true
    }

    /// Everything that may remain if the power fails now.
    pub(crate) fn after_a_cut(&self) -> BTreeSet<Image> {
        let mut images = BTreeSet::new();
        for chosen in 0..1_usize << self.pending.len() {
            let mut names = self.certain.clone();
            for (number, change) in self.pending.iter().enumerate() {
                if chosen & (1 << number) != 0 {
                    change.apply(&mut names);
                }
            }
            let is_there =
                |name: &str| directory(name).is_empty() || names.contains_key(directory(name));
            let mut some = vec![Image::new()];
            for (name, &file) in names.iter().filter(|(name, _)| is_there(name)) {
                let left = self.left(name, file);
                some = some
                    .iter()
                    .flat_map(|image| left.iter().map(move |&left| (image, left)))
                    .map(|(image, left)| {
                        let mut image = image.clone();
                        image.insert(name.clone(), left);
                        image
                    })
                    .collect();
            }
            images.extend(some);
        }
        images
    }

    fn left(&self, name: &str, file: usize) -> Vec<Left> {
        let whole = |file| Left { file, length: 0, zeros: 0 };
        let Some(File { written, certain }) = self.files.get(file) else {
            return vec![whole(file)];
        };
        let (all, certain) = (written.len(), *certain);
        let whole = Left { length: all, ..whole(file) };
        // Unfinished files of a writer are never read.
        if all == certain || is_temporary(name.rsplit('/').next().unwrap_or(name)) {
            return vec![whole];
        }
        let part = certain + (all - certain) / 2;
        let torn = [(certain, 0), (part, 0), (certain, all - certain), (part, all - part)];
        let torn = torn.map(|(length, zeros)| Left { file, length, zeros });
        torn.into_iter().chain([whole]).collect()
    }

    /// The files of an image with their bytes, without the directories.
    pub(crate) fn files(&self, image: &Image) -> Files {
        image
            .iter()
            .filter_map(|(name, left)| {
                let mut bytes = self.files.get(left.file)?.written[..left.length].to_vec();
                bytes.resize(left.length + left.zeros, 0);
                Some((name.clone(), bytes))
            })
            .collect()
    }
}
