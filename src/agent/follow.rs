//! The thread that brings each document of the fleet to this host.
//!
//! It holds what is here on anything odd, and never takes what is missing for *off*. After any
//! failure it opens the engine anew, so that a password or a certificate that was put right is
//! taken, and reads before it waits.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::Error;
use crate::flags::Standing;
use crate::fleet::{Document, Engine, Failure, Following, Revision, Seen, Snapshot};
use crate::identity::as_owner;
use crate::site::Site;
use crate::store::{self, Options};

/// How long the engine is waited for without a change, before it is asked whether it is there.
const IDLE: Duration = Duration::from_secs(20);

/// The same for the first time, when it is read anyway.
const FIRST: Duration = Duration::from_millis(100);

/// How long what is beside a document is waited for.
const FETCH: Duration = Duration::from_secs(5);

/// How long to wait after the first failure, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// At most this long once an engine has been away for a while: a large fleet comes back slowly.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// From so many failures on an engine has been away for a while.
const A_WHILE: u32 = 60;

/// What the thread has to tell.
#[derive(Debug)]
pub(super) enum Event {
    /// The engine answered; nothing is new.
    Contact,
    /// This host has this document now.
    Here {
        sequence: u64,
        /// How old the document was by the clock of its writer, if this host had to be told.
        lag: Option<i64>,
        warnings: Vec<String>,
        /// Where the flags are since, if they were looked at.
        standings: Vec<Standing>,
    },
    /// The engine answers, and what it holds is not followed.
    Odd(String),
    /// The engine cannot be asked, or this host cannot take what it says.
    Trouble(String),
}

/// Begins to follow an engine. The thread ends when nobody listens any more.
pub(super) fn follow(
    site: &Site,
    options: &Options<'static>,
    engine: &Following,
) -> Receiver<Event> {
    let (sender, events) = mpsc::channel();
    let (site, following) = (site.clone(), engine.clone());
    // What is called back belongs to the other thread.
    let Options { command, actor, patience, locking, .. } = options.clone();
    thread::spawn(move || {
        let options = Options::new(command).actor(actor).patience(patience).locking(locking);
        Follower { site, options, following, sender }.stay();
    });
    events
}

struct Follower {
    site: Site,
    options: Options<'static>,
    following: Following,
    sender: Sender<Event>,
}

impl Follower {
    fn stay(&self) {
        let mut failures = 0;
        loop {
            let event = match self.open() {
                Ok(engine) => self.watch(engine, &mut failures),
                Err(error) => Event::Trouble(error.to_string()),
            };
            if self.sender.send(event).is_err() {
                return;
            }
            thread::sleep(pause(failures));
            failures += 1;
        }
    }

    fn open(&self) -> crate::Result<Box<dyn Engine>> {
        as_owner(&self.site, || {
            self.following.open().map_err(|failure| self.following.failed(failure))
        })
    }

    /// Follows until something fails, and returns that.
    fn watch(&self, mut engine: Box<dyn Engine>, failures: &mut u32) -> Event {
        let mut known: Option<Revision> = None;
        // What is there, or that nothing is, is told at once.
        let mut seen = engine.wait(None, FIRST);
        loop {
            let event = match seen {
                Ok(Seen::Nothing) if known.is_some() => Event::Contact,
                Ok(Seen::Missing | Seen::Nothing) => {
                    known = None;
                    let failure = Failure::protocol("there is no document of this site");
                    Event::Odd(self.following.failed(failure).to_string())
                }
                Ok(Seen::Document(snapshot)) => match self.bring(&mut *engine, &snapshot) {
                    Ok(event) => {
                        known = Some(snapshot.revision);
                        event
                    }
                    Err(error) => return Event::Trouble(error.to_string()),
                },
                Err(failure) => return Event::Trouble(self.following.failed(failure).to_string()),
            };
            *failures = 0;
            if self.sender.send(event).is_err() {
                return Event::Contact;
            }
            seen = engine.wait(known.as_ref(), IDLE);
        }
    }

    /// Brings a document here; an error if it could not be, though it should.
    fn bring(&self, engine: &mut dyn Engine, snapshot: &Snapshot) -> crate::Result<Event> {
        let odd = |error: Error| Event::Odd(error.to_string());
        let document = match Document::from_json(&snapshot.document) {
            Ok(document) => document,
            Err(reason) => {
                let failure = Failure::protocol(reason.to_string());
                return Ok(odd(self.following.failed(failure)));
            }
        };
        let mut is_engine_away = false;
        let mut fetch = |name: &str| {
            let found = engine.beside(name, FETCH);
            is_engine_away |= found.is_err();
            found
        };
        let brought =
            store::mirror(&self.site, &self.options, &self.following, &document, &mut fetch);
        match brought {
            Ok(mirrored) => {
                let written = i64::try_from(document.sequence).unwrap_or(i64::MAX);
                let lag = Timestamp::now().as_millisecond().saturating_sub(written);
                Ok(Event::Here {
                    sequence: document.sequence,
                    lag: mirrored.is_written.then_some(lag),
                    warnings: mirrored.warnings,
                    standings: mirrored.flags.flags,
                })
            }
            // The document is the fault, so only another one helps. It may be there already, and
            // a command may have brought it here.
            Err(error @ Error::Store { .. }) if !is_engine_away => match engine.load(FETCH) {
                Ok(Some(now)) if now.revision != snapshot.revision => Ok(Event::Contact),
                _ => Ok(odd(error)),
            },
            Err(error) => Err(error),
        }
    }
}

/// How long to wait after so many failures. Hosts of a fleet do not all come back at once.
fn pause(failures: u32) -> Duration {
    let most = if failures < A_WHILE { PAUSES.1 } else { LONG_PAUSE };
    let longest = PAUSES.0.saturating_mul(1 << failures.min(16)).min(most);
    let mut random = [0_u8; 1];
    // Without random bits all come back at once, which is slow and not wrong.
    let _ = getrandom::fill(&mut random);
    longest / 2 + longest / 2 * u32::from(random[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Address;
    use crate::state::WindowSettings;
    use crate::sys;

    #[test]
    fn requirement_90_a_missing_document_is_not_off() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path().join(".maint"));
        let address = format!("file://{}/shop", temp.path().display());
        let address = Address::parse(&address).unwrap();
        let options = Options::new("agent");
        store::join(&site, &options, &address, None).unwrap();
        let settings = WindowSettings::new();
        store::update(&site, &options, |state, stamp| state.open_window("w", &settings, stamp))
            .unwrap();
        let before = site.state().unwrap();
        let events = follow(&site, &options, &Following::named(address.clone()));
        let next = || events.recv_timeout(Duration::from_secs(60)).unwrap();
        let here = next();
        assert!(matches!(here, Event::Here { lag: None, .. }), "{here:?}");
        let content = std::fs::read(address.file()).unwrap();
        std::fs::remove_file(address.file()).unwrap();
        let odd = next();
        assert!(matches!(&odd, Event::Odd(why) if why.contains("no document")), "{odd:?}");
        assert_eq!(site.state().unwrap(), before);
        sys::write_all(&sys::create_new(address.file()).unwrap(), &content).unwrap();
        let here = next();
        assert!(matches!(here, Event::Here { .. }), "{here:?}");
        assert_eq!(site.state().unwrap(), before);
    }

    #[test]
    fn pauses_grow_to_a_second_and_later_to_five_and_are_not_all_the_same() {
        assert!((25..=50).contains(&pause(0).as_millis()));
        assert!((500..=1_000).contains(&pause(20).as_millis()));
        assert!((2_500..=5_000).contains(&pause(500).as_millis()));
        let all: std::collections::BTreeSet<_> = (0..50).map(|_| pause(20)).collect();
        assert!(all.len() > 5, "{all:?}");
    }
}
