//! etcd, version 3, through its JSON gateway.
//!
//! Source: `Documentation/dev-guide/api_grpc_gateway.md` and `api/etcdserverpb/rpc.proto` of etcd. In
//! that JSON keys and values are base64, 64-bit numbers are strings, and what is false or 0 is left out.

mod examine;
mod number;
mod refusal;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::Address;
use super::engine::{
    Cas, Concern, Engine, Failure, FailureKind, Outcome, Revision, Seen, Snapshot, Write,
};
use super::http::{Answer, Ask, Broken, Brought, Http, Limits, Stream};
use super::secret::Secret;
use examine::{Facts, MAX_REQUEST, Members, Status};
use number::Number;
use refusal::{Complaint, Refusal};

/// How long a watch may be silent before the engine is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(3);
/// How long that answer may take. Together with the silence this is how a frozen engine is found.
const PROBE: Duration = Duration::from_secs(2);
/// How long the read may take with which a wait begins, and the start of its watch.
const READ: Duration = Duration::from_secs(5);
/// After how long a watch begins anew, with a read: something on the way may have dropped it.
const RENEW: Duration = Duration::from_secs(60);
/// How often a document is read again because its history was compacted away under the watch.
const MAX_COMPACTED: u32 = 5;

/// What goes before the names of sites.
const PREFIX: &str = "/maint/";
/// How many things one transaction of etcd may do unless it is told otherwise.
const MAX_OPERATIONS: usize = 128;

/// The engine in etcd.
pub(super) struct Etcd {
    http: Http,
    /// The endpoint that is asked first: the last one that answered.
    peer: usize,
    is_plain: bool,
    user: Option<(String, Secret)>,
    session: Session,
    /// The key of the document, and what the keys of other things begin with.
    key: String,
    watch: Watch,
    lease: Option<(String, u64)>,
}

/// Whether there is a token to show.
#[derive(Debug, Default)]
enum Session {
    #[default]
    None,
    Token(String),
    /// The engine wants none.
    Open,
}

/// Where a watch is.
#[derive(Default)]
struct Watch {
    /// The document that was seen last, if `next` is known.
    seen: Option<Revision>,
    /// The first revision of the engine that was not seen yet.
    next: Option<u64>,
    stream: Option<Stream>,
    /// When the document was read.
    read: Option<Instant>,
    /// When the engine was heard of.
    heard: Option<Instant>,
}

/// Whether a request changes anything, and thus must not be sent twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Read,
    Write,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Header {
    revision: Number,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KeyValue {
    key: String,
    value: String,
    mod_revision: Number,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Range {
    header: Header,
    kvs: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct Txn {
    header: Header,
    #[serde(default)]
    succeeded: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Watched {
    result: Option<Events>,
    error: Option<Complaint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Events {
    canceled: bool,
    cancel_reason: String,
    compact_revision: Option<Number>,
    #[serde(rename = "events")]
    all: Vec<Event>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type")]
    kind: Option<String>,
    kv: KeyValue,
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

fn decoded(text: &str) -> Outcome<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| Failure::protocol("etcd answered what is no base64"))
}

/// The first key beyond all that begin with this.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // No key ends with 0xff: they are UTF-8.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Outcome<T> {
    serde_json::from_slice(body)
        .map_err(|cause| Failure::protocol(format!("etcd answered what is no answer: {cause}")))
}

impl Etcd {
    /// # Errors
    ///
    /// [`FailureKind::Denied`] if a user has no password, or a file cannot be used.
    pub(super) fn open(address: &Address, secret: Option<Secret>) -> Outcome<Self> {
        let user = match (&address.user, secret) {
            (Some(user), Some(secret)) => Some((user.clone(), secret)),
            (Some(user), None) => {
                return Err(Failure::denied(format!(
                    "there is no password for the user `{}`",
                    user.escape_debug()
                ))
                .with_hint(
                    "write it into a file with mode 0600 and add `?password-file=FILE`, or set \
                     `MAINT_STORE_PASSWORD`",
                ));
            }
            (None, _) => None,
        };
        let http = Http::open(address)?;
        let prefix = address.prefix.as_deref().unwrap_or(PREFIX);
        Ok(Self {
            peer: any(http.count()),
            http,
            is_plain: !address.is_tls && !address.is_local(),
            user,
            session: Session::None,
            key: format!("{prefix}{}", address.site),
            watch: Watch::default(),
            lease: None,
        })
    }

    fn beside_key(&self, name: &str) -> String {
        format!("{}/beside/{name}", self.key)
    }

    fn host_key(&self, host: &str) -> String {
        format!("{}/hosts/{host}", self.key)
    }

    /// Asks one endpoint after the other until one answers. A write is sent on only if it certainly
    /// was not received by the one before.
    fn ask(
        &mut self,
        path: &str,
        body: &Value,
        within: Duration,
        effect: Effect,
    ) -> Outcome<Vec<u8>> {
        let until = Instant::now() + within;
        let count = self.http.count();
        let mut failures: Vec<Failure> = Vec::new();
        for tried in 0..count {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // No endpoint may use up the time of those after it. One that received a write has all
            // of it, since nobody else may be asked any more.
            let share = left / u32::try_from(count - tried).unwrap_or(1);
            let answer = match effect {
                Effect::Read => share,
                Effect::Write => left,
            };
            match self.ask_peer(path, body, Limits { connect: share, answer }, effect) {
                Ok(answer) => return Ok(answer),
                Err(Missed { failure, may_go_on: false }) => return Err(failure),
                Err(Missed { failure, .. }) => {
                    failures.push(failure);
                    self.peer = (self.peer + 1) % count;
                }
            }
        }
        Err(joined(failures))
    }

    /// Asks the endpoint whose turn it is, with a new token if the old one is no longer known.
    fn ask_peer(
        &mut self,
        path: &str,
        body: &Value,
        limits: Limits,
        effect: Effect,
    ) -> Result<Vec<u8>, Missed> {
        for is_second in [false, true] {
            self.log_in(limits)?;
            let answer = self.post(path, body, limits).map_err(|broken| {
                let Broken { failure, is_sent } = broken;
                let may_go_on = effect == Effect::Read || !is_sent;
                Missed { failure: after(effect, is_sent, failure), may_go_on }
            })?;
            match Self::checked(answer) {
                Ok(body) => return Ok(body),
                Err(refusal) if refusal.is_token() && !is_second && self.user.is_some() => {
                    self.session = Session::None;
                }
                Err(refusal) => return Err(self.refused(&refusal, effect)),
            }
        }
        unreachable!("the second round returns")
    }

    fn post(&self, path: &str, body: &Value, limits: Limits) -> Result<Answer, Broken> {
        let body = body.to_string();
        let fields: &[(&str, &str)] = match &self.session {
            Session::Token(token) => &[("authorization", token)],
            _ => &[],
        };
        self.http.ask(self.peer, &Ask { path, body: Some(body.as_bytes()), fields }, limits)
    }

    /// Gets a token if there is a user and no token.
    fn log_in(&mut self, limits: Limits) -> Result<(), Missed> {
        let (Some((name, password)), Session::None) = (&self.user, &self.session) else {
            return Ok(());
        };
        let body = json!({ "name": name, "password": password.reveal() });
        let answer = self
            .post("/v3/auth/authenticate", &body, limits)
            // A login changes nothing, so it is no write.
            .map_err(|broken| Missed { failure: broken.failure, may_go_on: true })?;
        match Self::checked(answer) {
            Ok(body) => {
                #[derive(Deserialize)]
                struct Login {
                    token: String,
                }
                let login: Login = parsed(&body)?;
                self.session = Session::Token(login.token);
                Ok(())
            }
            Err(refusal) if refusal.message.contains("authentication is not enabled") => {
                self.session = Session::Open;
                Ok(())
            }
            Err(refusal) => Err(self.refused(&refusal, Effect::Read)),
        }
    }

    /// The body of an answer, unless it is a refusal.
    fn checked(answer: Answer) -> Result<Vec<u8>, Refusal> {
        match answer.status {
            200 => Ok(answer.body),
            status => Err(Refusal::read(status, &answer.body)),
        }
    }

    fn refused(&self, refusal: &Refusal, effect: Effect) -> Missed {
        let name = self.http.name(self.peer);
        let known = refusal.known(name);
        let is_maybe_done = known.is_none() && effect == Effect::Write && refusal.status >= 500;
        let failure = known.unwrap_or_else(|| {
            let message = refusal.message.escape_debug();
            match refusal.status {
                500.. => Failure::unavailable(format!("{name}: {message}")),
                _ => Failure::protocol(format!("{name}: {message}")),
            }
        });
        let may_go_on = failure.kind == FailureKind::Unavailable && !is_maybe_done;
        Missed { failure: after(effect, is_maybe_done, failure), may_go_on }
    }

    /// Reads keys; linearizable, as is every read that does not ask to be less.
    fn range(&mut self, key: &str, end: Option<&[u8]>, within: Duration) -> Outcome<Range> {
        let mut body = json!({ "key": encoded(key) });
        if let Some(end) = end {
            body["range_end"] = encoded(end).into();
        }
        let answer = self.ask("/v3/kv/range", &body, within, Effect::Read)?;
        parsed(&answer)
    }

    /// The document, and the revision of the whole engine at which it was read.
    fn read(&mut self, within: Duration) -> Outcome<(Option<Snapshot>, u64)> {
        let key = self.key.clone();
        let range = self.range(&key, None, within)?;
        let snapshot = range.kvs.first().map(snapshot).transpose()?;
        Ok((snapshot, range.header.revision.0))
    }

    /// Reads for a wait, which goes on watching from here.
    fn read_for_wait(&mut self) -> Outcome<Option<Snapshot>> {
        let (snapshot, revision) = self.read(READ)?;
        let now = Some(Instant::now());
        self.watch = Watch {
            seen: snapshot.as_ref().map(|snapshot| snapshot.revision.clone()),
            next: Some(revision + 1),
            stream: None,
            read: now,
            heard: now,
        };
        Ok(snapshot)
    }

    fn start_watch(&mut self, next: u64) -> Outcome<Stream> {
        let limits = Limits { connect: READ, answer: READ };
        self.log_in(limits).map_err(|missed| missed.failure)?;
        let body = json!({
            "create_request": { "key": encoded(&self.key), "start_revision": next.to_string() }
        })
        .to_string();
        // Without this a member that lost its leader keeps the watch open, and silent.
        let mut fields = vec![("Grpc-Metadata-hasleader", "true")];
        if let Session::Token(token) = &self.session {
            fields.push(("authorization", token));
        }
        let ask = Ask { path: "/v3/watch", body: Some(body.as_bytes()), fields: &fields };
        let stream = self.http.stream(self.peer, &ask, limits)?;
        if stream.status != 200 {
            let status = stream.status;
            let refusal = Refusal::read(status, &stream.rest(PROBE));
            if refusal.is_token() {
                self.session = Session::None;
            }
            return Err(self.refused(&refusal, Effect::Read).failure);
        }
        Ok(stream)
    }

    /// Waits on a watch that is open or can be; `None` if the document has to be read again.
    fn watched(&mut self, known: Option<&Revision>, until: Instant) -> Outcome<Option<Seen>> {
        let Some(next) = self.watch.next else { return Ok(None) };
        let mut stream = match self.watch.stream.take() {
            Some(stream) => stream,
            None => self.start_watch(next)?,
        };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let heard = self.watch.heard.map_or(SILENCE, |heard| heard.elapsed());
            let patience = left.min(SILENCE.saturating_sub(heard)).max(Duration::from_millis(1));
            let brought = stream.next(patience);
            let brought = brought.map_err(|error| self.http.failed(self.peer, error, patience))?;
            match brought {
                Brought::Silence => {
                    if self.watch.heard.is_none_or(|heard| heard.elapsed() >= SILENCE) {
                        self.probe()?;
                    }
                    if self.watch.read.is_none_or(|read| read.elapsed() >= RENEW) {
                        return Ok(None);
                    }
                    if Instant::now() < until {
                        continue;
                    }
                    self.watch.stream = Some(stream);
                    let seen = if known.is_some() { Seen::Nothing } else { Seen::Missing };
                    return Ok(Some(seen));
                }
                Brought::End => {
                    let name = self.http.name(self.peer);
                    return Err(Failure::unavailable(format!(
                        "{name}: it ended the watch, as does a member that stops or has no leader"
                    )));
                }
                Brought::Line(line) => {
                    self.watch.heard = Some(Instant::now());
                    match self.event(&line)? {
                        Happened::Nothing => {}
                        Happened::Compacted => return Ok(None),
                        Happened::Gone => {
                            self.watch.seen = None;
                            self.watch.stream = Some(stream);
                            return Ok(Some(Seen::Missing));
                        }
                        Happened::Changed(snapshot) => {
                            self.watch.seen = Some(snapshot.revision.clone());
                            if Some(&snapshot.revision) != known {
                                self.watch.stream = Some(stream);
                                return Ok(Some(Seen::Document(snapshot)));
                            }
                        }
                    }
                }
            }
        }
    }

    /// What a line of a watch says. Of several changes, the last one counts.
    fn event(&mut self, line: &[u8]) -> Outcome<Happened> {
        let watched: Watched = parsed(line)?;
        if let Some(message) = watched.error.and_then(Complaint::text) {
            return Err(self.canceled(message));
        }
        let events = watched.result.unwrap_or_default();
        if events.canceled {
            return match events.compact_revision {
                Some(Number(revision)) if revision > 0 => Ok(Happened::Compacted),
                _ => Err(self.canceled(events.cancel_reason)),
            };
        }
        let Some(last) = events.all.last() else { return Ok(Happened::Nothing) };
        self.watch.next = Some(last.kv.mod_revision.0 + 1);
        if last.kind.as_deref() == Some("DELETE") {
            return Ok(Happened::Gone);
        }
        Ok(Happened::Changed(snapshot(&last.kv)?))
    }

    /// Why a watch was canceled. A token that is no longer known counts as a missing right there.
    fn canceled(&mut self, message: String) -> Failure {
        let message =
            if message.is_empty() { "the watch was canceled".to_owned() } else { message };
        self.session = Session::None;
        let refusal = Refusal { status: 503, message };
        self.refused(&refusal, Effect::Read).failure
    }

    /// Finds out whether the endpoint of the watch is alive.
    fn probe(&mut self) -> Outcome<()> {
        let ask = Ask { path: "/version", body: None, fields: &[] };
        let limits = Limits { connect: PROBE, answer: PROBE };
        self.http.ask(self.peer, &ask, limits).map_err(|broken| broken.failure)?;
        self.watch.heard = Some(Instant::now());
        Ok(())
    }

    fn wait_once(&mut self, known: Option<&Revision>, until: Instant) -> Outcome<Seen> {
        let mut compacted = 0;
        loop {
            if self.watch.next.is_none() || self.watch.seen.as_ref() != known {
                match self.read_for_wait()? {
                    Some(snapshot) if Some(&snapshot.revision) != known => {
                        return Ok(Seen::Document(snapshot));
                    }
                    None if known.is_some() => return Ok(Seen::Missing),
                    _ => {}
                }
            }
            if let Some(seen) = self.watched(known, until)? {
                return Ok(seen);
            }
            let is_renewed = self.watch.read.is_some_and(|read| read.elapsed() >= RENEW);
            self.watch = Watch::default();
            compacted += u32::from(!is_renewed);
            if compacted > MAX_COMPACTED {
                return Err(Failure::unavailable(
                    "the history is compacted faster than it is read",
                ));
            }
        }
    }

    /// The lease of this host's report, alive for as long as it is kept.
    fn lease(&mut self, seconds: u64, within: Duration) -> Outcome<String> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Kept {
            result: Granted,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Granted {
            #[serde(rename = "ID")]
            id: String,
            #[serde(rename = "TTL")]
            seconds: Number,
        }
        if let Some((id, _)) = self.lease.take().filter(|(_, kept)| *kept == seconds) {
            let body = json!({ "ID": id });
            let answer = self.ask("/v3/lease/keepalive", &body, within, Effect::Read)?;
            let kept: Kept = parsed(&answer)?;
            if kept.result.seconds.0 > 0 {
                self.lease = Some((id.clone(), seconds));
                return Ok(id);
            }
        }
        let body = json!({ "TTL": seconds.to_string() });
        let answer = self.ask("/v3/lease/grant", &body, within, Effect::Read)?;
        let granted: Granted = parsed(&answer)?;
        self.lease = Some((granted.id.clone(), seconds));
        Ok(granted.id)
    }

    /// What each endpoint says of itself, or why it does not.
    fn statuses(&mut self, within: Duration) -> Vec<(String, Outcome<Status>)> {
        let (first, count) = (self.peer, self.http.count());
        let share = within / u32::try_from(count).unwrap_or(1);
        let limits = Limits { connect: share, answer: share };
        let found = (0..count).map(|peer| {
            self.peer = peer;
            let answer = self.ask_peer("/v3/maintenance/status", &json!({}), limits, Effect::Read);
            let status = answer.map_err(|missed| missed.failure);
            (self.http.name(peer).to_owned(), status.and_then(|answer| parsed(&answer)))
        });
        let found = found.collect();
        self.peer = first;
        found
    }
}

/// A write whose answer is missing may be in force.
fn after(effect: Effect, is_maybe_done: bool, failure: Failure) -> Failure {
    // Whoever is not let in has done nothing.
    if effect == Effect::Write && is_maybe_done && failure.kind != FailureKind::Denied {
        return Failure { kind: FailureKind::Ambiguous, ..failure };
    }
    failure
}

/// An endpoint that did not do it, and whether to ask the next.
struct Missed {
    failure: Failure,
    may_go_on: bool,
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self { failure, may_go_on: false }
    }
}

/// What a line of a watch says.
enum Happened {
    Nothing,
    Compacted,
    Gone,
    Changed(Snapshot),
}

fn snapshot(found: &KeyValue) -> Outcome<Snapshot> {
    let revision = Revision(found.mod_revision.0.to_string());
    Ok(Snapshot { revision, document: decoded(&found.value)? })
}

/// One failure of all endpoints.
fn joined(mut failures: Vec<Failure>) -> Failure {
    if failures.len() < 2 {
        return failures.pop().unwrap_or_else(|| Failure::unavailable("no time was left"));
    }
    let kind = failures[0].kind;
    let is_same = failures.iter().all(|failure| failure.kind == kind);
    let reasons: Vec<&str> = failures.iter().map(|failure| failure.reason.as_str()).collect();
    Failure {
        kind: if is_same { kind } else { FailureKind::Unavailable },
        reason: reasons.join("; "),
        hint: failures.iter().find_map(|failure| failure.hint.clone()),
    }
}

/// Any of so many, so that not all hosts watch through the same member.
fn any(count: usize) -> usize {
    let mut bits = [0; 4];
    // Without random bits they do, which is no fault.
    let _ = getrandom::fill(&mut bits);
    u32::from_ne_bytes(bits) as usize % count.max(1)
}

impl Engine for Etcd {
    fn load(&mut self, within: Duration) -> Outcome<Option<Snapshot>> {
        self.read(within).map(|(snapshot, _)| snapshot)
    }

    fn cas(
        &mut self,
        expected: Option<&Revision>,
        write: &Write<'_>,
        within: Duration,
    ) -> Outcome<Cas> {
        let revision = match expected {
            None => 0,
            Some(Revision(text)) => match text.parse::<u64>() {
                Ok(revision) => revision,
                // A revision of another engine is nowhere here.
                Err(_) => return Ok(Cas::Conflict),
            },
        };
        let mut puts = BTreeMap::from([(self.key.clone(), write.document)]);
        for (name, bytes) in write.put {
            puts.insert(self.beside_key(name), bytes);
        }
        // A transaction must not name a key twice.
        let mut gone: Vec<String> = write.remove.iter().map(|name| self.beside_key(name)).collect();
        gone.retain(|key| !puts.contains_key(key));
        gone.sort_unstable();
        gone.dedup();
        let size: usize = puts.values().map(|bytes| bytes.len()).sum();
        let count = puts.len() + gone.len();
        let mut steps: Vec<Value> = Vec::with_capacity(count);
        for (key, bytes) in &puts {
            steps.push(json!({
                "request_put": { "key": encoded(key), "value": encoded(bytes) }
            }));
        }
        for key in &gone {
            steps.push(json!({ "request_delete_range": { "key": encoded(key) } }));
        }
        let body = json!({
            "compare": [{
                "key": encoded(&self.key),
                "target": "MOD",
                "result": "EQUAL",
                "mod_revision": revision.to_string(),
            }],
            "success": steps,
        });
        let answer = self.ask("/v3/kv/txn", &body, within, Effect::Write).map_err(|failure| {
            let is_size = failure.kind == FailureKind::Protocol && size > MAX_REQUEST / 2;
            let is_count = failure.kind == FailureKind::Protocol && count > MAX_OPERATIONS;
            match (is_size, is_count) {
                (true, _) => {
                    Failure { reason: format!("{} ({size} bytes)", failure.reason), ..failure }
                }
                (_, true) => {
                    Failure { reason: format!("{} ({count} keys)", failure.reason), ..failure }
                }
                _ => failure,
            }
        })?;
        // Half an answer does not say what became of the write.
        let txn: Txn = parsed(&answer).map_err(|failure| after(Effect::Write, true, failure))?;
        Ok(if txn.succeeded {
            Cas::Committed(Revision(txn.header.revision.0.to_string()))
        } else {
            Cas::Conflict
        })
    }

    fn wait(&mut self, known: Option<&Revision>, idle: Duration) -> Outcome<Seen> {
        let waited = self.wait_once(known, Instant::now() + idle);
        if waited.is_err() {
            // The next wait begins with a read, and with another member.
            self.watch = Watch::default();
            self.peer = (self.peer + 1) % self.http.count();
        }
        waited
    }

    fn beside(&mut self, name: &str, within: Duration) -> Outcome<Option<Vec<u8>>> {
        let key = self.beside_key(name);
        let range = self.range(&key, None, within)?;
        range.kvs.first().map(|found| decoded(&found.value)).transpose()
    }

    fn report(
        &mut self,
        host: &str,
        report: &[u8],
        keep: Duration,
        within: Duration,
    ) -> Outcome<()> {
        let until = Instant::now() + within;
        let left = || until.saturating_duration_since(Instant::now());
        let seconds = keep.as_secs().max(1);
        let lease = self.lease(seconds, left())?;
        let key = encoded(self.host_key(host));
        let mut body = json!({ "key": key, "value": encoded(report), "lease": lease });
        // Said twice it is the same, so it counts as a read.
        let said = self.ask("/v3/kv/put", &body, left(), Effect::Read);
        let is_lost = |failure: &Failure| failure.reason.contains("lease not found");
        if said.as_ref().is_err_and(is_lost) {
            self.lease = None;
            body["lease"] = self.lease(seconds, left())?.into();
            return self.ask("/v3/kv/put", &body, left(), Effect::Read).map(drop);
        }
        said.map(drop)
    }

    fn withdraw(&mut self, host: &str, within: Duration) -> Outcome<()> {
        self.lease = None;
        let body = json!({ "key": encoded(self.host_key(host)) });
        self.ask("/v3/kv/deleterange", &body, within, Effect::Read).map(drop)
    }

    fn hosts(&mut self, within: Duration) -> Outcome<BTreeMap<String, Vec<u8>>> {
        let prefix = self.host_key("");
        let range = self.range(&prefix, Some(&end_of(&prefix)), within)?;
        let mut hosts = BTreeMap::new();
        for found in &range.kvs {
            let key = String::from_utf8_lossy(&decoded(&found.key)?).into_owned();
            if let Some(host) = key.strip_prefix(&prefix) {
                hosts.insert(host.to_owned(), decoded(&found.value)?);
            }
        }
        Ok(hosts)
    }

    fn examine(&mut self, within: Duration) -> Outcome<Vec<Concern>> {
        let share = within / 3;
        let statuses = self.statuses(share);
        if let Some((_, Err(failure))) =
            statuses.first().filter(|_| statuses.iter().all(|(_, status)| status.is_err()))
        {
            return Err(failure.clone());
        }
        let members = self.ask("/v3/cluster/member/list", &json!({}), share, Effect::Read);
        let document = self.load(share);
        Ok(examine::concerns(&Facts {
            statuses: &statuses,
            members: members.and_then(|answer| parsed::<Members>(&answer)),
            document: document.map(|found| found.map_or(0, |found| found.document.len())),
            endpoints: self.http.count(),
            is_plain: self.is_plain,
            has_token: matches!(self.session, Session::Token(_)),
            is_open: matches!((&self.user, &self.session), (Some(_), Session::Open)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_96_plain_text_beyond_loopback_is_known() {
        for (address, is_plain) in [
            ("etcd://10.0.0.1/shop", true),
            ("etcd://localhost,h2/shop", true),
            ("etcd://localhost,[::1],127.0.0.2/shop", false),
        ] {
            let etcd = Etcd::open(&Address::parse(address).unwrap(), None).unwrap();
            assert_eq!(etcd.is_plain, is_plain, "{address}");
        }
    }

    #[test]
    fn requirement_91_what_etcd_refuses_is_known_to_be_undone_or_ambiguous() {
        let address = Address::parse("etcd://localhost:1/shop").unwrap();
        let etcd = Etcd::open(&address, None).unwrap();
        for (status, message, kind) in [
            (503, "etcdserver: no leader", FailureKind::Unavailable),
            (503, "etcdserver: request timed out", FailureKind::Ambiguous),
            (503, "etcdserver: leader changed", FailureKind::Ambiguous),
            (500, "something new", FailureKind::Ambiguous),
            (504, "context deadline exceeded", FailureKind::Ambiguous),
            (400, "etcdserver: request is too large", FailureKind::Protocol),
            (403, "etcdserver: permission denied", FailureKind::Denied),
            (401, "etcdserver: invalid auth token", FailureKind::Denied),
            (500, "etcdserver: mvcc: database space exceeded", FailureKind::Protocol),
            (400, "something new", FailureKind::Protocol),
        ] {
            let refusal = Refusal { status, message: message.to_owned() };
            assert_eq!(etcd.refused(&refusal, Effect::Write).failure.kind, kind, "{message}");
            let read = etcd.refused(&refusal, Effect::Read).failure.kind;
            assert_ne!(read, FailureKind::Ambiguous, "{message}");
        }
    }
}
