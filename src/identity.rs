//! As whom root works in a site.
//!
//! Whoever owns a directory can exchange what lies in it at any moment, also between two
//! system calls of root. So root works as root only where every directory and link on the
//! way is root's own. Elsewhere it takes the identity of the owner of the site, who can
//! then be led no further than they could go by themselves.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};

use crate::actor::sudo_name;
use crate::error::{Error, Result, describe};
use crate::site::Site;
use crate::sys::{self, Identity, Ownership, Place, Step};

/// The number of links that a path may lead through, as in the kernel, see `path_resolution(7)`.
const MAX_LINKS: usize = 40;

/// Does something in a site, as its owner if the caller is root and the site is not.
pub(crate) fn as_owner<T>(site: &Site, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let _identity = if sys::is_root() { take(&[site.dir(), &site.state_file()])? } else { None };
    work()
}

/// Does something to a file, as the owner of its directory if the caller is root and the
/// directory is not. Whoever has taken the identity of a site's owner keeps it: that owner
/// decides which files these are.
pub(crate) fn as_owner_of<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let _identity = if sys::is_root() { take(&[path])? } else { None };
    work()
}

/// Does what a file says, as whoever wrote the file if the caller is root: it is they who say
/// where root writes. A group that may write to the directory of the file can exchange it, but
/// not give it away.
///
/// # Errors
///
/// [`Error::Refused`] if others may write to root's file, or root cannot act as its owner.
pub(crate) fn as_author_of<T>(file: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let _identity = match std::fs::symlink_metadata(file) {
        Ok(metadata) if sys::is_root() => {
            let ownership = sys::ownership(&metadata);
            if ownership.uid == 0 && ownership.mode & 0o022 != 0 {
                return Err(Error::Refused {
                    path: file.to_owned(),
                    reason: "others can write to it, and so say where root writes".to_owned(),
                    hint: Some(format!("run `chmod go-w {}`", file.display())),
                });
            }
            if ownership.uid == 0 { None } else { Some(act_as(ownership, file)?) }
        }
        _ => None,
    };
    work()
}

/// Takes the identity of an owner.
fn act_as(owner: Ownership, path: &Path) -> Result<Identity> {
    Identity::take(owner.uid, owner.gid).map_err(|source| Error::Refused {
        path: path.to_owned(),
        reason: format!(
            "it is in the hands of `{}`, as whom root cannot act here: {}",
            sys::user_name(owner.uid),
            describe(&source)
        ),
        hint: Some(format!("run it as that user: `sudo -u {} …`", sudo_name(owner.uid))),
    })
}

/// Takes the identity of whoever has these paths in hand; `None` if that is root.
fn take(paths: &[&Path]) -> Result<Option<Identity>> {
    for path in paths {
        let way =
            Way::to(path).map_err(|source| Error::io("look for the owner of", path, source))?;
        if let Some(owner) = way.owner(path)? {
            return act_as(owner, path).map(Some);
        }
    }
    Ok(None)
}

/// What a path leads through.
#[derive(Debug, Default)]
struct Way {
    /// The last directory.
    end: Option<Ownership>,
    /// The first directory or link that is not root's: its owner decides where the rest
    /// of the path leads.
    first: Option<Ownership>,
    /// The owners of the links, unless they are root.
    links: Vec<u32>,
    /// A directory in which everyone can exchange everything.
    is_open: bool,
}

impl Way {
    /// Walks a path, each directory by its descriptor. What is missing at the end is
    /// passed over: it would be made in the last directory.
    fn to(path: &Path) -> io::Result<Self> {
        let mut way = Self::default();
        let mut place = Place::root()?;
        way.enter(place.ownership()?);
        let mut rest = names(&std::path::absolute(path)?);
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            match place.step(&name) {
                Ok(Step::Directory(next, ownership)) => {
                    place = next;
                    way.enter(ownership);
                }
                Ok(Step::Link(target, ownership)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(io::Error::other("it leads through too many symbolic links"));
                    }
                    way.follow(ownership);
                    if target.is_absolute() {
                        place = Place::root()?;
                    }
                    let target = names(&target);
                    target.into_iter().rev().for_each(|name| rest.push_front(name));
                }
                Ok(Step::Other) => break,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => break,
                Err(cause) => return Err(cause),
            }
        }
        way.end = Some(place.ownership()?);
        Ok(way)
    }

    fn enter(&mut self, directory: Ownership) {
        // In a sticky directory only the owner of a name can exchange it.
        self.is_open |= directory.is_world_writable() && directory.mode & 0o1000 == 0;
        self.note(directory);
    }

    fn follow(&mut self, link: Ownership) {
        if link.uid != 0 {
            self.links.push(link.uid);
        }
        self.note(link);
    }

    fn note(&mut self, ownership: Ownership) {
        if ownership.uid != 0 && self.first.is_none() {
            self.first = Some(ownership);
        }
    }

    /// As whom to work at its end; `None` for root.
    fn owner(&self, path: &Path) -> Result<Option<Ownership>> {
        let refuse = |reason: String, hint: &str| {
            let (path, hint) = (path.to_owned(), Some(hint.to_owned()));
            Err(Error::Refused { path, reason, hint })
        };
        if self.is_open {
            return refuse(
                "everyone can write to a directory on the way to it".to_owned(),
                "take that right away, or set the sticky bit: `chmod o-w DIR`",
            );
        }
        let Some(first) = self.first else { return Ok(None) };
        let end = self.end.filter(|end| end.uid != 0).unwrap_or(first);
        // A user can lay a link to a directory of somebody else, but cannot make one.
        if let Some(stranger) = self.links.iter().find(|&&link| link != end.uid) {
            let (stranger, owner) = (sys::user_name(*stranger), sys::user_name(end.uid));
            return refuse(
                format!("a link of `{stranger}` leads to a directory of `{owner}`"),
                "name the directory itself, without the link",
            );
        }
        Ok(Some(end))
    }
}

/// The names in a path, `..` included.
fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| OsStr::to_owned(part.as_os_str()))
        .collect()
}
