//! The proof that an agent runs, and what it says of itself.
//!
//! The agent holds a lock for as long as it lives, so that a second one, and whoever asks,
//! learns from the kernel whether there is one. What else it says is for people.

use std::io::{self, Read as _};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::custody::Custody;
use super::guard::prepare;
use super::lock::{self, Lock};
use super::options::Options;
use crate::actor::Holder;
use crate::error::{Error, Result};
use crate::identity::as_owner;
use crate::site::Site;
use crate::sys;

/// The most that is read of a note.
const MAX_NOTE: u64 = 64 * 1024;

/// How long a new agent waits for its post. Whoever asks whether an agent runs has the lock
/// for a moment, too.
const MOMENT: Duration = Duration::from_secs(1);

/// What an agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its process, and since when it runs.
    #[serde(flatten)]
    pub holder: Holder,
    /// When it looked last, within half a minute.
    pub looked_at: Timestamp,
    /// When it changed a flag last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_at: Option<Timestamp>,
    /// The revision that the flags follow.
    pub revision: u64,
    /// The flags that do not follow.
    #[serde(default)]
    pub behind: Vec<String>,
    /// What keeps it from its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How it follows the engine of a fleet, if the site does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetNote>,
}

/// How an agent follows the engine of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetNote {
    /// The address of the engine.
    pub store: String,
    /// The number of the document that this host has.
    pub seq: u64,
    /// When the engine answered last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_at: Option<Timestamp>,
    /// How long the last change took to come, in milliseconds, by the clocks of writer and host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<i64>,
    /// Why what the engine says is not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The post of the one agent of a site, held until it is dropped.
pub(crate) struct Post {
    site: Site,
    lock: Lock,
    pub(crate) holder: Holder,
}

impl Post {
    /// Takes the post.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if another agent has it, and those of locking.
    pub(crate) fn take(site: &Site, options: &Options<'_>) -> Result<Self> {
        as_owner(site, || {
            let path = site.agent_file();
            let holder = Holder {
                pid: options.actor.pid,
                host: options.actor.host.clone(),
                command: options.command.clone(),
                since: options.stamp().now,
            };
            let custody = Custody(prepare(&site.files()?)?);
            let request = lock::Request {
                path: &path,
                patience: MOMENT,
                holder: holder.clone(),
                custody,
                on_wait: None,
            };
            match lock::acquire(&request) {
                Ok(lock) => Ok(Self { site: site.clone(), lock, holder }),
                Err(Error::Busy { holder, .. }) => {
                    let who = holder.map_or_else(String::new, |holder| format!(": {holder}"));
                    Err(Error::conflict_with(
                        format!("an agent of this site runs already{who}"),
                        "end that one first; one is enough",
                    ))
                }
                Err(other) => Err(other),
            }
        })
    }

    /// Says how it goes. If that fails, those who ask miss it and nothing else.
    pub(crate) fn say(&self, note: &Note) {
        let _ = as_owner(&self.site, || {
            if let Ok(mut text) = serde_json::to_vec(note).map(crate::visible::json) {
                text.push(b'\n');
                let _ = self.lock.note(&text);
            }
            Ok(())
        });
    }
}

/// Whether an agent of a site runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// One runs, and says this of itself, if that can be read.
    Runs(Option<Box<Note>>),
    /// None does; this is what the last one said.
    Absent(Option<Box<Note>>),
}

/// Looks whether an agent runs.
///
/// # Errors
///
/// [`Error::Unreadable`] if that cannot be told, as where only others may read its note.
pub fn duty(site: &Site) -> Result<Duty> {
    let site = site.current()?;
    as_owner(&site, || {
        let path = site.agent_file();
        let unreadable = |source| Error::Unreadable { path: path.clone(), source };
        let file = match sys::open_read_here(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Duty::Absent(None)),
            Err(source) => return Err(unreadable(source)),
        };
        let is_free = lock::try_lock_shared(&file).map_err(unreadable)?;
        let mut text = String::new();
        let note = match (&file).take(MAX_NOTE).read_to_string(&mut text) {
            Ok(_) => serde_json::from_str(&text).ok().map(Box::new),
            Err(_) => None,
        };
        Ok(if is_free { Duty::Absent(note) } else { Duty::Runs(note) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_agent_learns_who_runs_and_takes_over_from_a_dead_one() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path());
        let options = Options::new("agent");
        assert_eq!(duty(&site).unwrap(), Duty::Absent(None));
        let post = Post::take(&site, &options).unwrap();
        let second = Post::take(&site, &options).err().unwrap().to_string();
        assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
        let note = Note {
            holder: post.holder.clone(),
            looked_at: Timestamp::UNIX_EPOCH,
            synced_at: None,
            revision: 7,
            behind: vec!["wp".to_owned()],
            problem: None,
            fleet: None,
        };
        post.say(&note);
        assert_eq!(duty(&site).unwrap(), Duty::Runs(Some(Box::new(note.clone()))));
        drop(post);
        assert_eq!(duty(&site).unwrap(), Duty::Absent(Some(Box::new(note))));
        assert!(Post::take(&site, &options).is_ok());
    }

    #[test]
    fn whoever_asks_whether_an_agent_runs_keeps_none_from_its_post() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path());
        let options = Options::new("agent");
        drop(Post::take(&site, &options).unwrap());
        let asking = sys::open_read_here(&site.agent_file()).unwrap();
        assert!(lock::try_lock_shared(&asking).unwrap());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(MOMENT / 10);
                drop(asking);
            });
            Post::take(&site, &options).unwrap();
        });
    }
}
