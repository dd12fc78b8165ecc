//! The proof that a `maint run` still goes.
//!
//! A run holds a lock on a file of its own, and the command that it runs inherits it. The
//! kernel keeps the lock until the last of them has ended, whatever becomes of the first. So
//! a run that was killed still goes while its command works, a process id that is used again
//! fools nobody, and neither does a container.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::create::make_missing;
use super::custody::Custody;
use super::guard::prepare;
use super::lock;
use super::options::Options;
use crate::digest::hexadecimal;
use crate::error::{Error, Result};
use crate::identity::as_owner;
use crate::site::{Files, Site};
use crate::state::{State, validate_name};
use crate::sys;

/// The most that is read of a note.
const MAX_NOTE: u64 = 4 * 1024;

/// The claim of a running `maint run` on its window.
pub struct Claim {
    site: Site,
    path: PathBuf,
    file: File,
    note: Note,
}

/// What the file says of the run, for other hosts and for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    id: String,
    pid: u32,
    host: String,
    /// Which start of which machine: a lock is certain to be seen within one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    /// Whether there are locks on this file system.
    locked: bool,
    /// The run ended by itself, and left its window open.
    #[serde(default)]
    ended: bool,
}

/// Where the run that holds a window stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It goes, or the command that it began does.
    Going(String),
    /// It has ended.
    Ended,
    /// Nobody can tell from here, for the reason given.
    Unknown(String),
}

impl Claim {
    /// Makes the claim of this process, before the window opens.
    ///
    /// # Errors
    ///
    /// Those of [`update`](super::update()): the file is made where the state is.
    pub fn make(site: &Site, options: &Options<'_>) -> Result<Self> {
        let site = site.current()?;
        as_owner(&site, || {
            let site = if site.is_awaited() { make_missing(&site)? } else { site.clone() };
            let files = site.files()?;
            let custody = Custody(prepare(&files)?);
            let mut random = [0_u8; 8];
            getrandom::fill(&mut random)
                .map_err(|cause| Error::invalid(format!("cannot get random bits: {cause}")))?;
            let mut note = Note {
                id: hexadecimal(&random),
                pid: options.actor.pid,
                host: options.actor.host.clone(),
                boot: sys::boot_id(),
                locked: true,
                ended: false,
            };
            let path = files.claim(&note.id);
            let failed = |source| Error::io("make", &path, source);
            let file = sys::create_new(&path).map_err(failed)?;
            custody.hand_over(&file, 0o600).map_err(failed)?;
            match lock::try_lock(&file) {
                Ok(()) => {}
                Err(source) if sys::is_lock_unsupported(&source) && options.locking => {
                    let _ = sys::unlink(&path);
                    return Err(Error::LockUnsupported { path, source });
                }
                Err(_) => note.locked = false,
            }
            let claim = Self { site, path, file, note };
            claim.write(&claim.note).map_err(|source| {
                let _ = sys::unlink(&claim.path);
                Error::io("write", &claim.path, source)
            })?;
            Ok(claim)
        })
    }

    /// The site, which is there now.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// What the window names its run by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.note.id
    }

    /// Lets the commands that this process starts from now on keep the claim.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2).
    pub fn share(&self) -> io::Result<()> {
        sys::share(&self.file)
    }

    /// The run ended, and its window stays open. If this fails, the lock still says so to
    /// whoever can see it.
    pub fn end(&self) {
        let _ = self.write(&Note { ended: true, ..self.note.clone() });
    }

    /// The run no longer has a window.
    pub fn remove(&self) {
        let _ = as_owner(&self.site, || Ok(sys::unlink(&self.path)));
    }

    fn write(&self, note: &Note) -> io::Result<()> {
        let mut text = serde_json::to_vec(note)?;
        text.push(b'\n');
        sys::overwrite(&self.file, &text)
    }
}

/// Where the run with this id stands. The site's files are read, and nothing is changed.
///
/// # Errors
///
/// Those of finding the files of a site.
pub fn standing(site: &Site, id: &str) -> Result<Standing> {
    as_owner(site, || Ok(look(&site.files()?, id)))
}

fn look(files: &Files, id: &str) -> Standing {
    if validate_name(id).is_err() {
        return Standing::Unknown("the state names it by what is no id".to_owned());
    }
    let path = files.claim(id);
    let unknown = |why: &str| Standing::Unknown(format!("`{}` {why}", path.display()));
    let file = match sys::open_lock(&path) {
        Ok((file, _)) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return unknown("is gone"),
        Err(cause) => return unknown(&format!("is closed: {}", crate::error::describe(&cause))),
    };
    if file.metadata().map_or(true, |metadata| sys::special_kind(&metadata).is_some()) {
        return unknown("is no plain file");
    }
    let is_free = lock::try_lock_shared(&file);
    let note = read(&file).filter(|note| note.id == id);
    let who = note
        .as_ref()
        .map_or_else(String::new, |note| format!("process {} on {}", note.pid, note.host));
    match (is_free, note) {
        (_, Some(note)) if note.ended => Standing::Ended,
        (Ok(false), _) => Standing::Going(who),
        // Whether a lock of another host would be seen here depends on the file system.
        (Ok(true), Some(note)) if note.locked && is_near(&note) => Standing::Ended,
        (_, Some(_)) => Standing::Unknown(format!("it is {who}")),
        (_, None) => unknown("does not say who it is"),
    }
}

fn is_near(note: &Note) -> bool {
    note.host == sys::host_name() || (note.boot.is_some() && note.boot == sys::boot_id())
}

fn read(file: &File) -> Option<Note> {
    let mut text = String::new();
    file.take(MAX_NOTE).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Removes the claims of runs that have ended and whose windows are gone.
pub fn sweep(site: &Site, state: &State) {
    let _ = as_owner(site, || {
        let files = site.files()?;
        for (path, id) in claims(&files) {
            let is_named = state.windows.values().any(|window| window.run.as_ref() == Some(&id));
            if !is_named && look(&files, &id) == Standing::Ended {
                let _ = sys::unlink(&path);
            }
        }
        Ok(())
    });
}

/// The claims beside the state, with their ids.
fn claims(files: &Files) -> Vec<(PathBuf, String)> {
    let names = sys::names(files.directory()).unwrap_or_default();
    names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .filter_map(|name| {
            let id = name.rsplit_once('.')?.1.to_owned();
            let path = files.claim(&id);
            (path.file_name() == Some(Path::new(&name).as_os_str())).then_some((path, id))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> (tempfile::TempDir, Site, Claim) {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path());
        let claim = Claim::make(&site, &Options::new("run")).unwrap();
        (temp, site, claim)
    }

    fn rewrite(claim: &Claim, change: impl Fn(&mut Note)) {
        let mut note = claim.note.clone();
        change(&mut note);
        claim.write(&note).unwrap();
    }

    #[test]
    fn requirement_67_a_run_goes_until_its_last_process_has_ended() {
        let (_temp, site, claim) = claim();
        let id = claim.id().to_owned();
        let who = format!("process {} on {}", std::process::id(), sys::host_name());
        assert_eq!(standing(&site, &id).unwrap(), Standing::Going(who));
        // As the command that inherits it: the same open file.
        let inherited = claim.file.try_clone().unwrap();
        drop(claim);
        assert!(matches!(standing(&site, &id).unwrap(), Standing::Going(_)));
        drop(inherited);
        assert_eq!(standing(&site, &id).unwrap(), Standing::Ended);
    }

    #[test]
    fn requirement_67_nobody_believes_a_run_ended_where_a_lock_could_not_be_seen() {
        let (_temp, site, claim) = claim();
        let id = claim.id().to_owned();
        let rewritten = |change: &dyn Fn(&mut Note)| {
            rewrite(&claim, change);
            lock::unlock(&claim.file);
            standing(&site, &id).unwrap()
        };
        let is_unknown = |standing| matches!(standing, Standing::Unknown(_));
        let elsewhere = |note: &mut Note| {
            note.host = "other".to_owned();
            note.boot = Some("other".to_owned());
        };
        assert!(is_unknown(rewritten(&elsewhere)), "another machine");
        assert!(is_unknown(rewritten(&|note| note.locked = false)), "no locks there");
        assert!(is_unknown(rewritten(&|note| note.id = "x".to_owned())), "another's file");
        let other_name = |note: &mut Note| note.host = "container".to_owned();
        assert_eq!(rewritten(&other_name), Standing::Ended, "the same kernel");
        let said = |note: &mut Note| {
            elsewhere(note);
            note.ended = true;
        };
        assert_eq!(rewritten(&said), Standing::Ended, "it said so");
        assert!(is_unknown(standing(&site, "../x").unwrap()));
        claim.remove();
        assert!(is_unknown(standing(&site, &id).unwrap()), "somebody removed it");
    }

    #[test]
    fn claims_of_ended_runs_are_swept_and_others_stay() {
        let (temp, site, claim) = claim();
        let state = State::default();
        sweep(&site, &state);
        assert!(claim.path.exists(), "it still goes");
        claim.end();
        sweep(&site, &state);
        assert!(!claim.path.exists());
        assert!(std::fs::read_dir(temp.path()).unwrap().next().is_none());
    }
}
