//! A file that all hosts see, for tests: on one machine, or where locks work on the shared one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::engine::{Cas, Concern, Engine, Failure, Outcome, Revision, Seen, Snapshot, Write};
use crate::error::describe;
use crate::replace::{self, Failure as NotReplaced, OldFile, Replacement};
use crate::sys;

/// How often a waiter looks.
const LOOK: Duration = Duration::from_millis(10);

/// The engine in a file.
pub(super) struct File {
    path: PathBuf,
}

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    revision: u64,
    #[serde(default)]
    document: Option<String>,
    #[serde(default)]
    beside: BTreeMap<String, String>,
    #[serde(default)]
    hosts: BTreeMap<String, String>,
}

impl Content {
    fn snapshot(&self) -> Option<Snapshot> {
        let document = self.document.clone()?.into_bytes();
        Some(Snapshot { revision: Revision(self.revision.to_string()), document })
    }
}

impl File {
    pub(super) fn open(address: &Address) -> Self {
        Self { path: address.file().to_owned() }
    }

    fn failed(&self, cause: &io::Error) -> Failure {
        Failure::unavailable(format!("`{}`: {}", self.path.display(), describe(cause)))
    }

    fn read(&self) -> Outcome<Content> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|cause| {
                Failure::protocol(format!("`{}` is broken: {cause}", self.path.display()))
            }),
            // A directory that is gone is a share that is not mounted.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                let above = self.path.parent().unwrap_or(Path::new("/"));
                match fs::metadata(above) {
                    Ok(_) => Ok(Content::default()),
                    Err(cause) => Err(self.failed(&cause)),
                }
            }
            Err(cause) => Err(self.failed(&cause)),
        }
    }

    /// Changes the file under a lock beside it; nothing is written if the change says so.
    fn change(
        &self,
        within: Duration,
        change: impl FnOnce(&mut Content) -> bool,
    ) -> Outcome<Content> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".lock");
        let name = PathBuf::from(name);
        let until = Instant::now() + within;
        let lock = match sys::create_new(&name) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                sys::open_lock(&name).map(|(file, _)| file)
            }
            made => made,
        };
        let lock = lock.map_err(|cause| self.failed(&cause))?;
        while let Err(cause) = fs2::FileExt::try_lock_exclusive(&lock) {
            if Instant::now() >= until {
                return Err(Failure::unavailable(format!(
                    "`{}`: {}",
                    name.display(),
                    describe(&cause)
                )));
            }
            thread::sleep(LOOK);
        }
        let mut content = self.read()?;
        if !change(&mut content) {
            return Ok(content);
        }
        let bytes = serde_json::to_vec(&content)
            .map_err(|cause| Failure::protocol(format!("cannot be written: {cause}")))?;
        let old = fs::symlink_metadata(&self.path).ok();
        let replaced = replace::replace(&Replacement {
            path: &self.path,
            bytes: &bytes,
            old: old.map(|metadata| OldFile {
                key: sys::key(&metadata),
                ownership: sys::ownership(&metadata),
            }),
            mode: None,
            backup: None,
        });
        match replaced {
            Ok(_) => Ok(content),
            Err(NotReplaced::Unsynced(_, cause)) => Err(Failure::ambiguous(describe(&cause))),
            Err(NotReplaced::NotApplied(error)) => Err(Failure::unavailable(error.to_string())),
            Err(NotReplaced::Overtaken) => {
                Err(Failure::unavailable("somebody else replaced the file meanwhile"))
            }
        }
    }
}

impl Engine for File {
    fn load(&mut self, _within: Duration) -> Outcome<Option<Snapshot>> {
        Ok(self.read()?.snapshot())
    }

    fn cas(
        &mut self,
        expected: Option<&Revision>,
        write: &Write<'_>,
        within: Duration,
    ) -> Outcome<Cas> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut is_written = false;
        #[cfg(test)]
        if silence::is_due(&self.path, silence::BEFORE) {
            return Err(Failure::ambiguous("no answer came"));
        }
        let content = self.change(within, |content| {
            let there = content.snapshot().map(|snapshot| snapshot.revision);
            if there.as_ref() != expected {
                return false;
            }
            content.revision += 1;
            content.document = Some(text(write.document));
            for name in write.remove {
                content.beside.remove(name);
            }
            for (name, bytes) in write.put {
                content.beside.insert(name.clone(), text(bytes));
            }
            is_written = true;
            true
        })?;
        #[cfg(test)]
        if silence::is_due(&self.path, silence::AFTER) {
            return Err(Failure::ambiguous("no answer came"));
        }
        let revision = Revision(content.revision.to_string());
        Ok(if is_written { Cas::Committed(revision) } else { Cas::Conflict })
    }

    fn wait(&mut self, known: Option<&Revision>, idle: Duration) -> Outcome<Seen> {
        let until = Instant::now() + idle;
        loop {
            match self.read()?.snapshot() {
                Some(snapshot) if Some(&snapshot.revision) != known => {
                    return Ok(Seen::Document(snapshot));
                }
                None if known.is_some() || Instant::now() >= until => return Ok(Seen::Missing),
                _ if Instant::now() >= until => return Ok(Seen::Nothing),
                _ => thread::sleep(LOOK),
            }
        }
    }

    fn beside(&mut self, name: &str, _within: Duration) -> Outcome<Option<Vec<u8>>> {
        Ok(self.read()?.beside.remove(name).map(String::into_bytes))
    }

    fn report(
        &mut self,
        host: &str,
        report: &[u8],
        _keep: Duration,
        within: Duration,
    ) -> Outcome<()> {
        let report = String::from_utf8_lossy(report).into_owned();
        let set = |content: &mut Content| {
            content.hosts.insert(host.to_owned(), report);
            true
        };
        self.change(within, set).map(drop)
    }

    fn withdraw(&mut self, host: &str, within: Duration) -> Outcome<()> {
        self.change(within, |content| content.hosts.remove(host).is_some()).map(drop)
    }

    fn hosts(&mut self, _within: Duration) -> Outcome<BTreeMap<String, Vec<u8>>> {
        let hosts = self.read()?.hosts;
        Ok(hosts.into_iter().map(|(host, report)| (host, report.into_bytes())).collect())
    }

    fn examine(&mut self, _within: Duration) -> Outcome<Vec<Concern>> {
        Ok(vec![Concern {
            code: "file-engine",
            message: "a file is an engine for tests: what every host sees of it, and when, is the \
                      affair of the file system"
                .to_owned(),
            fix: "take etcd, Redis or Valkey".to_owned(),
        }])
    }
}

/// Writes that get no answer, for the tests of writers.
#[cfg(test)]
pub(crate) mod silence {
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::sys;

    /// The write does not come to the engine.
    pub(crate) const BEFORE: &str = "before";
    /// It does, and only its answer is lost.
    pub(crate) const AFTER: &str = "after";

    fn mark(path: &Path, when: &str) -> PathBuf {
        path.with_extension(when)
    }

    /// Lets the next write to the engine in this file go without an answer.
    pub(crate) fn fall(path: &Path, when: &str) {
        sys::create_new(&mark(path, when)).unwrap();
    }

    pub(super) fn is_due(path: &Path, when: &str) -> bool {
        fs::remove_file(mark(path, when)).is_ok()
    }
}
