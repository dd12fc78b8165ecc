//! A relay: a host that follows an engine, and whose web server serves what it mirrors.
//!
//! It serves the `state.json` of its site directory under the address, and the folder `templates`
//! beside it. Hosts behind it read, and never write.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::address::Address;
use super::document::Document;
use super::engine::{Cas, Concern, Engine, Failure, Outcome, Revision, Seen, Snapshot, Write};
use super::http::{Answer, Ask, Http, Limits};
use super::secret::Secret;
use crate::digest::sha256;
use crate::state::page::parse_file_name;
use crate::state::{Malformed, State};

/// How often it is asked unless the address says so.
const POLL: Duration = Duration::from_secs(5);
/// How long a poll may take.
const READ: Duration = Duration::from_secs(5);
/// Each how manyth poll takes nobody's word for it that nothing changed. The tag of nginx is made
/// of the second and the length, which two changes may share.
const WHOLE: u32 = 6;
/// What the names of templates beside a document begin with.
const TEMPLATES: &str = "templates/";

/// The engine behind a relay.
pub(super) struct Relay {
    http: Http,
    site: String,
    /// The path of the state.
    path: String,
    poll: Duration,
    authorization: Option<String>,
    /// What was read last; `None` before the first read and after each failure.
    read: Option<Read>,
    /// How many polls were conditional since the last one that was not.
    polls: u32,
    next: Instant,
}

/// What a relay served.
struct Read {
    tag: Option<String>,
    snapshot: Option<Snapshot>,
    /// The names of templates by their digests.
    templates: BTreeMap<String, String>,
}

impl Relay {
    /// # Errors
    ///
    /// [`FailureKind::Denied`](super::FailureKind::Denied) if a file with a certificate cannot be
    /// used.
    pub(super) fn open(address: &Address, secret: Option<&Secret>) -> Outcome<Self> {
        let authorization = address.user.as_ref().map(|user| {
            let password = secret.map_or("", Secret::reveal);
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        });
        Ok(Self {
            http: Http::open(address)?,
            site: address.site.clone(),
            path: address.path.clone(),
            poll: address.poll.unwrap_or(POLL),
            authorization,
            read: None,
            polls: 0,
            next: Instant::now(),
        })
    }

    /// Asks one relay after the other until one answers.
    fn get(&self, path: &str, tag: Option<&str>, within: Duration) -> Outcome<Answer> {
        let until = Instant::now() + within;
        let mut fields = Vec::new();
        if let Some(authorization) = &self.authorization {
            fields.push(("authorization", authorization.as_str()));
        }
        match tag {
            Some(tag) => fields.push(("if-none-match", tag)),
            // A cache on the way shall not answer in place of the relay.
            None => fields.push(("cache-control", "no-cache")),
        }
        let ask = Ask { path, body: None, fields: &fields };
        let count = self.http.count();
        let mut failed = None;
        for peer in 0..count {
            let left = until.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(count - peer).unwrap_or(1);
            if share.is_zero() {
                break;
            }
            let name = self.http.name(peer);
            let failure = match self.http.ask(peer, &ask, Limits { connect: share, answer: share })
            {
                Ok(answer) => match answer.status {
                    200 | 304 | 404 | 410 => return Ok(answer),
                    401 | 403 => Failure::denied(format!("{name}: the relay does not let us in"))
                        .with_hint("name a user and a password that may read this path"),
                    300..=399 => Failure::protocol(format!("{name}: the relay sends us elsewhere"))
                        .with_hint("write the address that it leads to"),
                    status @ 500.. => {
                        Failure::unavailable(format!("{name}: the relay answers {status}"))
                    }
                    status => Failure::protocol(format!("{name}: the relay answers {status}")),
                },
                Err(broken) => broken.failure,
            };
            failed = failed.or(Some(failure));
        }
        Err(failed.unwrap_or_else(|| Failure::unavailable("no time was left")))
    }

    /// Reads the state, or learns that it is as before.
    fn refresh(&mut self, is_whole: bool, within: Duration) -> Outcome<&Read> {
        let tag = self.read.as_ref().and_then(|read| read.tag.clone()).filter(|_| !is_whole);
        let before = self.read.take();
        let answer = self.get(&self.path, tag.as_deref(), within)?;
        let read = match (answer.status, before) {
            (304, Some(before)) => before,
            (200, _) => self.understood(answer)?,
            _ => Read { tag: None, snapshot: None, templates: BTreeMap::new() },
        };
        self.polls = if tag.is_some() { self.polls + 1 } else { 0 };
        Ok(self.read.insert(read))
    }

    /// The document of which a relay serves the state.
    fn understood(&self, answer: Answer) -> Outcome<Read> {
        let mut state = State::from_json(&answer.body).map_err(|cause| {
            Failure::protocol(match cause {
                Malformed::Newer(version) => {
                    format!("the state of the relay needs version {version}")
                }
                Malformed::Broken(reason) => format!("the relay serves no state: {reason}"),
            })
        })?;
        let mirror = state.mirror.take().ok_or_else(|| {
            Failure::protocol("the relay serves the state of a site that follows no engine")
                .with_hint("let the host of the relay follow the engine of this site")
        })?;
        // They are open on the relay's own host alone.
        state.windows.retain(|_, window| !window.local);
        let templates = state.templates.iter();
        let templates = templates.map(|(name, digest)| (digest.clone(), name.clone())).collect();
        let document = Document {
            site: self.site.clone(),
            lineage: mirror.lineage,
            sequence: mirror.sequence,
            operations: Vec::new(),
            state,
        };
        let document = document.to_json().map_err(|error| Failure::protocol(error.to_string()))?;
        let revision = Revision(sha256(&document));
        let snapshot = Some(Snapshot { revision, document });
        Ok(Read { tag: answer.etag, snapshot, templates })
    }

    /// A poll that is due.
    fn poll(&mut self) -> Outcome<Option<Snapshot>> {
        let is_whole = self.read.is_none() || self.polls + 1 >= WHOLE;
        let snapshot = self.refresh(is_whole, READ)?.snapshot.clone();
        self.next = Instant::now() + jittered(self.poll);
        Ok(snapshot)
    }
}

/// Three to five quarters of it, so that hosts that began at once drift apart.
fn jittered(poll: Duration) -> Duration {
    let mut bits = [0; 2];
    // Without random bits they do not, which is no fault.
    let _ = getrandom::fill(&mut bits);
    poll.mul_f64(0.75 + 0.5 * f64::from(u16::from_ne_bytes(bits)) / f64::from(u16::MAX))
}

fn read_only() -> Failure {
    Failure::denied("a relay is read only").with_hint("change the site where the engine is")
}

impl Engine for Relay {
    fn load(&mut self, within: Duration) -> Outcome<Option<Snapshot>> {
        Ok(self.refresh(true, within)?.snapshot.clone())
    }

    fn cas(&mut self, _: Option<&Revision>, _: &Write<'_>, _: Duration) -> Outcome<Cas> {
        Err(read_only())
    }

    fn wait(&mut self, known: Option<&Revision>, idle: Duration) -> Outcome<Seen> {
        let until = Instant::now() + idle;
        loop {
            let is_due = self.read.is_none() || Instant::now() >= self.next;
            let snapshot = if is_due {
                self.poll()?
            } else {
                self.read.as_ref().and_then(|read| read.snapshot.clone())
            };
            match snapshot {
                Some(snapshot) if Some(&snapshot.revision) != known => {
                    return Ok(Seen::Document(snapshot));
                }
                None if known.is_some() || Instant::now() >= until => return Ok(Seen::Missing),
                _ if Instant::now() >= until => return Ok(Seen::Nothing),
                _ => thread::sleep(self.next.min(until).saturating_duration_since(Instant::now())),
            }
        }
    }

    fn beside(&mut self, name: &str, within: Duration) -> Outcome<Option<Vec<u8>>> {
        let Some(digest) = name.strip_prefix(TEMPLATES) else { return Ok(None) };
        let until = Instant::now() + within;
        let read = match self.read.as_ref() {
            Some(read) => read,
            None => self.refresh(true, within)?,
        };
        let Some(file) = read.templates.get(digest).cloned() else { return Ok(None) };
        if parse_file_name(&file).is_none() {
            return Err(Failure::protocol("the relay names a template that cannot be one"));
        }
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = format!("{folder}/{TEMPLATES}{file}");
        let answer = self.get(&path, None, until.saturating_duration_since(Instant::now()))?;
        if answer.status != 200 {
            return Ok(None);
        }
        let found = sha256(&answer.body);
        if found != digest {
            // Its state and its templates are two files, and this was between them.
            self.read = None;
            return Err(Failure::unavailable(format!(
                "the relay has another `{file}` than its state says"
            )));
        }
        Ok(Some(answer.body))
    }

    fn report(&mut self, _: &str, _: &[u8], _: Duration, _: Duration) -> Outcome<()> {
        Err(read_only())
    }

    fn withdraw(&mut self, _: &str, _: Duration) -> Outcome<()> {
        Err(read_only())
    }

    fn hosts(&mut self, _: Duration) -> Outcome<BTreeMap<String, Vec<u8>>> {
        Ok(BTreeMap::new())
    }

    fn examine(&mut self, within: Duration) -> Outcome<Vec<Concern>> {
        let concern =
            |code, message: String, fix: &str| vec![Concern { code, message, fix: fix.to_owned() }];
        Ok(match self.refresh(true, within)? {
            Read { snapshot: None, .. } => concern(
                "relay-missing",
                format!("the relay serves nothing at `{}`", self.path),
                "let its web server serve the `state.json` of the site there, and `templates/` beside it",
            ),
            Read { tag: None, .. } => concern(
                "relay-no-tag",
                "the relay serves no `ETag`, so each poll fetches the whole state".to_owned(),
                "turn on `etag` in its web server",
            ),
            Read { .. } => Vec::new(),
        })
    }
}
