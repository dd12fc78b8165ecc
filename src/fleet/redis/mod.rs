//! Redis or Valkey: one stream a site, with the document as its only entry.
//!
//! A Lua script compares the id of the last entry and adds the next; the id is the revision.
//! Hosts wait by `XREAD BLOCK` from the id that they have. All keys of a site have its name in
//! braces, so that Redis Cluster keeps them together.

mod answer;
mod examine;
mod sentinel;
mod wire;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::{Cmd, Script, Value, cmd};

use self::answer::{Role, all_of};
use self::wire::{Access, Endpoint, Trouble, Wire};
use super::address::{Address, Scheme};
use super::engine::{
    Cas, Concern, Engine, Failure, FailureKind, Outcome, Revision, Seen, Snapshot, Write,
};
use super::secret::Secret;

/// What stands before the names of keys unless the address says otherwise.
const PREFIX: &str = "maint:";

/// How long one `XREAD` blocks. Its answer, even an empty one, shows that the server is alive.
const BLOCK: Duration = Duration::from_secs(3);

/// How long any answer may take while hosts wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a waiter reads again although nothing came, since a stream that is deleted, or is
/// replaced by an older one, wakes nobody. Sentinel is asked as often who the primary is.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long a writer takes the word of Sentinel on who is the primary.
const TRUST: Duration = Duration::from_secs(5);

/// The engine in Redis or Valkey.
pub(super) struct Redis {
    address: Address,
    access: Access,
    keys: Keys,
    scripts: Scripts,
    /// The connection to the primary, on which hosts wait, too.
    primary: Option<Link>,
    /// The connection on which this host waits if its endpoint is a replica.
    replica: Option<Link>,
    /// The endpoint that the next connection for waiting tries first.
    first: usize,
}

/// The names of the keys of a site.
struct Keys {
    document: String,
    beside: String,
    hosts: String,
}

struct Scripts {
    replace: Text,
    report: Text,
}

/// A script, and the name under which a server keeps it.
struct Text {
    code: &'static str,
    hash: String,
}

impl Text {
    fn new(code: &'static str) -> Self {
        Self { code, hash: Script::new(code).get_hash().to_owned() }
    }
}

/// A connection, and what is known of the server.
struct Link {
    wire: Wire,
    endpoint: Endpoint,
    /// When the document was last read over this connection.
    looked: Option<Instant>,
    /// The revision that was there then, or came since.
    seen: Option<Revision>,
    /// When Sentinel last named this server.
    named: Instant,
}

impl Redis {
    /// # Errors
    ///
    /// [`FailureKind::Denied`] if a file that the address names cannot be used.
    pub(super) fn open(address: &Address, secret: Option<Secret>) -> Outcome<Self> {
        let prefix = address.prefix.as_deref().unwrap_or(PREFIX);
        let document = format!("{prefix}{{{}}}", address.site);
        let keys = Keys {
            beside: format!("{document}:beside"),
            hosts: format!("{document}:hosts"),
            document,
        };
        let scripts = Scripts {
            replace: Text::new(include_str!("replace.lua")),
            report: Text::new(include_str!("report.lua")),
        };
        Ok(Self {
            address: address.clone(),
            access: Access::read(address, secret)?,
            keys,
            scripts,
            primary: None,
            replica: None,
            first: 0,
        })
    }

    fn has_sentinels(&self) -> bool {
        self.address.scheme == Scheme::Sentinel
    }

    /// The primary, as most sentinels name it.
    fn named(&self, until: Instant) -> Outcome<Endpoint> {
        let name = self.address.master.as_deref().unwrap_or_default();
        sentinel::primary(&self.access, &self.address.endpoints, name, until)
    }

    /// Connects to the first endpoint whose role fits, each within its share of the time.
    fn connect(&self, first: usize, wants_primary: bool, until: Instant) -> Outcome<(Link, Role)> {
        let endpoints = if self.has_sentinels() {
            vec![self.named(share(until, 2))?]
        } else {
            let mut endpoints = self.address.endpoints.clone();
            let first = first % endpoints.len().max(1);
            endpoints.rotate_left(first);
            endpoints
        };
        let mut failures = Vec::new();
        let mut others = Vec::new();
        let count = endpoints.len();
        for (at, endpoint) in endpoints.into_iter().enumerate() {
            let until = share(until, count - at);
            let peer = wire::shown(&endpoint);
            match self.link(endpoint, until) {
                Ok((link, Role::Primary)) => return Ok((link, Role::Primary)),
                Ok((link, Role::Replica)) if !wants_primary => return Ok((link, Role::Replica)),
                Ok((_, Role::Replica)) => {
                    others.push(Failure::unavailable(format!("{peer}: it is a replica")));
                }
                Ok((_, Role::Orphan)) => others.push(orphaned(&peer)),
                Err(failure) => failures.push(failure),
            }
        }
        // That a replica is none to write to says less than why the primary does not answer.
        if failures.is_empty() {
            let hint = "name the primary in the address, too";
            return Err(all_of(&others).with_hint(hint));
        }
        Err(all_of(&failures))
    }

    fn link(&self, endpoint: Endpoint, until: Instant) -> Outcome<(Link, Role)> {
        let mut wire = self.access.open(&endpoint, until)?;
        let role = role(&mut wire, until)?;
        let now = Instant::now();
        Ok((Link { wire, endpoint, looked: None, seen: None, named: now }, role))
    }

    /// A connection to the primary, which has just answered. Nothing that is written is on the
    /// way before that is known.
    fn primary(&mut self, until: Instant) -> Outcome<Link> {
        if let Some(mut link) = self.primary.take() {
            let soon = share(until, self.address.endpoints.len() + 1);
            if self.is_primary(&mut link, soon) {
                return Ok(link);
            }
        }
        self.connect(0, true, until).map(|(link, _)| link)
    }

    /// Whether a connection from before still leads to the primary.
    fn is_primary(&self, link: &mut Link, until: Instant) -> bool {
        if self.has_sentinels() && link.named.elapsed() > TRUST {
            match self.named(until) {
                Ok(named) if named == link.endpoint => link.named = Instant::now(),
                Ok(_) => return false,
                // While no sentinel answers, the server itself is asked.
                Err(_) => {}
            }
        }
        matches!(role(&mut link.wire, until), Ok(Role::Primary))
    }

    /// Asks the primary something that changes nothing, or for which it does not matter whether
    /// it was done.
    fn ask(&mut self, command: &Cmd, within: Duration) -> Outcome<Value> {
        let until = Instant::now() + within;
        let mut link = self.primary(until)?;
        let answer = link.wire.ask(command, until);
        let is_lost = matches!(answer, Err(Trouble::Lost(_)));
        let answer = link.wire.settle(answer);
        if !is_lost {
            self.primary = Some(link);
        }
        answer
    }

    /// Runs a script on the primary. A script that the server does not have yet is sent to it.
    fn run(
        script: &Text,
        wire: &mut Wire,
        keys: &[&str],
        arguments: &[&[u8]],
        until: Instant,
    ) -> Result<Value, Trouble> {
        let call = |verb: &str, script: &str| {
            let mut call = cmd(verb);
            call.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            call
        };
        match wire.ask(&call("EVALSHA", &script.hash), until) {
            Err(Trouble::Refused(refusal)) if refusal.code == "NOSCRIPT" => {
                wire.ask(&call("EVAL", script.code), until)
            }
            other => other,
        }
    }

    /// Waits on one connection.
    fn watch(&self, link: &mut Link, known: Option<&Revision>, end: Instant) -> Outcome<Seen> {
        loop {
            let is_fresh = link.looked.is_some_and(|looked| looked.elapsed() < LOOK_AGAIN);
            if !is_fresh || link.seen.as_ref() != known {
                match self.look(link)? {
                    Some(snapshot) if Some(&snapshot.revision) != known => {
                        return Ok(Seen::Document(snapshot));
                    }
                    None if known.is_some() => return Ok(Seen::Missing),
                    _ => {}
                }
            }
            let block = end.saturating_duration_since(Instant::now());
            // A block of zero would never end.
            let block = block.clamp(Duration::from_millis(1), BLOCK);
            let from = known.map_or("0-0", |known| known.0.as_str());
            let mut read = cmd("XREAD");
            read.arg("COUNT").arg(100).arg("BLOCK").arg(millis(block));
            read.arg("STREAMS").arg(&self.keys.document).arg(from);
            let answer = link.wire.follow(&read, Instant::now() + silence(block), PATIENCE);
            let answer = link.wire.settle(answer)?;
            let newest = answer::newest(answer).map_err(|_| odd_document(&link.wire));
            if let Some(snapshot) = newest? {
                link.seen = Some(snapshot.revision.clone());
                return Ok(Seen::Document(snapshot));
            }
            self.reassure(link)?;
            if Instant::now() >= end {
                return Ok(if known.is_some() { Seen::Nothing } else { Seen::Missing });
            }
        }
    }

    /// Reads the document where this host waits.
    fn look(&self, link: &mut Link) -> Outcome<Option<Snapshot>> {
        let answer = link.wire.follow(&self.last(), Instant::now() + PATIENCE, PATIENCE);
        let answer = link.wire.settle(answer)?;
        let last = answer::last(answer).map_err(|_| odd_document(&link.wire))?;
        link.seen = last.as_ref().map(|snapshot| snapshot.revision.clone());
        link.looked = Some(Instant::now());
        Ok(last)
    }

    /// Makes sure, after silence, that news would come.
    fn reassure(&self, link: &mut Link) -> Outcome<()> {
        let role = role(&mut link.wire, Instant::now() + PATIENCE)?;
        if role == Role::Orphan {
            return Err(orphaned(&link.wire.peer));
        }
        if !self.has_sentinels() {
            return Ok(());
        }
        let peer = &link.wire.peer;
        if role == Role::Replica {
            return Err(Failure::unavailable(format!("{peer}: it is not the primary any more")));
        }
        if link.named.elapsed() >= LOOK_AGAIN {
            // If all sentinels are silent, the primary is not, and stays it for this host.
            let named = self.named(Instant::now() + PATIENCE);
            if let Ok(named) = named.as_ref()
                && *named != link.endpoint
            {
                let other = wire::shown(named);
                let reason = format!("{peer}: Sentinel names another primary, {other}");
                return Err(Failure::unavailable(reason));
            }
            link.named = Instant::now();
        }
        Ok(())
    }

    /// The command that reads the document.
    fn last(&self) -> Cmd {
        let mut read = cmd("XREVRANGE");
        read.arg(&self.keys.document).arg("+").arg("-").arg("COUNT").arg(1);
        read
    }
}

impl Engine for Redis {
    fn load(&mut self, within: Duration) -> Outcome<Option<Snapshot>> {
        let read = self.last();
        let answer = self.ask(&read, within)?;
        answer::last(answer).map_err(|_| self.odd())
    }

    fn cas(
        &mut self,
        expected: Option<&Revision>,
        write: &Write<'_>,
        within: Duration,
    ) -> Outcome<Cas> {
        let until = Instant::now() + within;
        let count = write.put.len().to_string();
        let expected = expected.map_or("", |revision| revision.0.as_str());
        let mut arguments = vec![expected.as_bytes(), write.document, count.as_bytes()];
        for (name, bytes) in write.put {
            arguments.extend([name.as_bytes(), bytes.as_slice()]);
        }
        arguments.extend(write.remove.iter().map(String::as_bytes));
        let mut link = self.primary(until)?;
        let keys = [self.keys.document.as_str(), self.keys.beside.as_str()];
        let answer = Self::run(&self.scripts.replace, &mut link.wire, &keys, &arguments, until);
        let answer = match answer {
            Ok(answer) => answer,
            Err(Trouble::Refused(refusal)) => {
                let failure = refusal.failure(&link.wire.peer);
                self.primary = Some(link);
                return Err(failure);
            }
            Err(Trouble::Lost(Failure { reason, .. })) => return Err(Failure::ambiguous(reason)),
        };
        let outcome = match (&answer, answer::text(&answer)) {
            (Value::Nil, _) => Ok(Cas::Conflict),
            (_, Some(id)) => Ok(Cas::Committed(Revision(id.to_owned()))),
            _ => Err(Failure::ambiguous(format!("{}: its answer makes no sense", link.wire.peer))),
        };
        self.primary = Some(link);
        outcome
    }

    fn wait(&mut self, known: Option<&Revision>, idle: Duration) -> Outcome<Seen> {
        let end = Instant::now() + idle;
        let (mut link, role) = match (self.replica.take(), self.primary.take()) {
            (Some(link), primary) => {
                self.primary = primary;
                (link, Role::Replica)
            }
            (None, Some(link)) => (link, Role::Primary),
            (None, None) => {
                let until = Instant::now() + silence(BLOCK);
                self.connect(self.first, self.has_sentinels(), until)?
            }
        };
        let seen = self.watch(&mut link, known, end);
        match (&seen, role) {
            (Ok(_), Role::Primary) => self.primary = Some(link),
            (Ok(_), _) => self.replica = Some(link),
            // The next call connects anew, elsewhere if it can, and reads first.
            (Err(_), _) => self.first = self.first.wrapping_add(1),
        }
        seen
    }

    fn beside(&mut self, name: &str, within: Duration) -> Outcome<Option<Vec<u8>>> {
        let mut read = cmd("HGET");
        read.arg(&self.keys.beside).arg(name);
        // It came to a replica before the document that names it.
        if let Some(mut link) = self.replica.take() {
            let answer = link.wire.ask(&read, share(Instant::now() + within, 2));
            if let Ok(answer) = answer {
                self.replica = Some(link);
                if let Value::BulkString(bytes) = answer {
                    return Ok(Some(bytes));
                }
            }
        }
        match self.ask(&read, within)? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            _ => Err(self.odd()),
        }
    }

    fn report(
        &mut self,
        host: &str,
        report: &[u8],
        keep: Duration,
        within: Duration,
    ) -> Outcome<()> {
        let until = Instant::now() + within;
        let keep = millis(keep).to_string();
        let mut link = self.primary(until)?;
        let arguments = [host.as_bytes(), report, keep.as_bytes()];
        let keys = [self.keys.hosts.as_str()];
        let answer = Self::run(&self.scripts.report, &mut link.wire, &keys, &arguments, until);
        let is_lost = matches!(answer, Err(Trouble::Lost(_)));
        let answer = link.wire.settle(answer);
        if !is_lost {
            self.primary = Some(link);
        }
        answer.map(drop)
    }

    fn withdraw(&mut self, host: &str, within: Duration) -> Outcome<()> {
        let mut remove = cmd("HDEL");
        remove.arg(&self.keys.hosts).arg(host);
        self.ask(&remove, within).map(drop)
    }

    fn hosts(&mut self, within: Duration) -> Outcome<BTreeMap<String, Vec<u8>>> {
        let end = Instant::now() + within;
        let now = self.ask(&cmd("TIME"), within)?;
        let now = server_millis(&now).ok_or_else(|| self.odd())?;
        let mut read = cmd("HGETALL");
        read.arg(&self.keys.hosts);
        let all = self.ask(&read, end.saturating_duration_since(Instant::now()))?;
        let Value::Array(all) = all else { return Err(self.odd()) };
        let mut hosts = BTreeMap::new();
        let mut all = all.into_iter();
        while let (Some(host), Some(value)) = (all.next(), all.next()) {
            let (Some(host), Value::BulkString(value)) = (answer::text(&host), value) else {
                continue;
            };
            if let Some(report) = current(&value, now).filter(|_| !host.is_empty()) {
                hosts.insert(host.to_owned(), report.to_vec());
            }
        }
        Ok(hosts)
    }

    fn examine(&mut self, within: Duration) -> Outcome<Vec<Concern>> {
        let until = Instant::now() + within;
        let endpoints = if self.has_sentinels() {
            vec![self.named(share(until, 2))?]
        } else {
            self.address.endpoints.clone()
        };
        // What Sentinel names may be far away although the sentinels are here.
        let mut reached = self.address.clone();
        reached.endpoints.extend_from_slice(&endpoints);
        let mut concerns = examine::address(&reached, self.access.is_proved());
        let mut failures = Vec::new();
        let mut has_primary = false;
        let count = endpoints.len();
        for (at, endpoint) in endpoints.into_iter().enumerate() {
            let until = share(until, count - at);
            let examined = self.link(endpoint, until).and_then(|(mut link, role)| {
                has_primary |= role == Role::Primary;
                examine::server(&mut link.wire, role, self.has_sentinels(), until)
            });
            match examined {
                Ok(found) => concerns.extend(found),
                Err(failure) => failures.push(failure),
            }
        }
        if failures.len() == count {
            return Err(all_of(&failures));
        }
        concerns.extend(failures.iter().map(examine::unreachable));
        if !has_primary && failures.is_empty() {
            concerns.push(examine::no_primary());
        }
        Ok(concerns)
    }
}

impl Redis {
    /// Something under the keys of the site that `maint` did not write.
    fn odd(&self) -> Failure {
        let reason = format!("what is under `{}` is not a site", self.keys.document);
        Failure::protocol(reason).with_hint("name another prefix by `?prefix=PREFIX`")
    }
}

/// The end of a fair share of the time for one of so many.
fn share(until: Instant, of: usize) -> Instant {
    let now = Instant::now();
    let left = until.saturating_duration_since(now);
    now + left / u32::try_from(of.max(1)).unwrap_or(u32::MAX)
}

/// Whole milliseconds, and one at least.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 50)
}

/// How long a server may be silent that was asked to wait for as long as `block`.
const fn silence(block: Duration) -> Duration {
    block.saturating_add(PATIENCE)
}

/// Asks a server what it is.
fn role(wire: &mut Wire, until: Instant) -> Outcome<Role> {
    let answer = wire.ask(&cmd("ROLE"), until);
    let answer = wire.settle(answer)?;
    answer::role(&answer).ok_or_else(|| wire.odd("it does not say whether it is a primary"))
}

fn orphaned(peer: &str) -> Failure {
    Failure::new(
        FailureKind::Unavailable,
        format!("{peer}: it is a replica that has lost its primary"),
    )
}

fn odd_document(wire: &Wire) -> Failure {
    wire.odd("the stream of the site holds no document")
}

/// The server's clock in milliseconds, from the answer to `TIME`.
fn server_millis(answer: &Value) -> Option<i64> {
    let Value::Array(parts) = answer else { return None };
    let [seconds, micros] = parts.as_slice() else { return None };
    Some(answer::number(seconds)? * 1000 + answer::number(micros)? / 1000)
}

/// What a host said, if it still counts.
fn current(value: &[u8], now: i64) -> Option<&[u8]> {
    let space = value.iter().position(|&byte| byte == b' ')?;
    let until: i64 = std::str::from_utf8(&value[..space]).ok()?.parse().ok()?;
    (until >= now).then(|| &value[space + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_said_counts_for_a_while() {
        assert_eq!(current(b"1000 {\"a\": 1}", 1000), Some(&b"{\"a\": 1}"[..]));
        assert_eq!(current(b"1000 x", 1001), None);
        for odd in [&b"x"[..], b"", b" x", b"x y"] {
            assert_eq!(current(odd, 0), None);
        }
    }

    #[test]
    fn requirement_93_a_silent_server_is_given_up_after_five_seconds() {
        assert_eq!(silence(BLOCK), Duration::from_secs(5));
    }

    #[test]
    fn the_keys_of_a_site_stay_together_in_a_cluster() {
        let address = Address::parse("redis://localhost/shop?prefix=a:").unwrap();
        let keys = Redis::open(&address, None).map(|redis| redis.keys).ok().unwrap();
        let names = [keys.document, keys.beside, keys.hosts];
        assert_eq!(names, ["a:{shop}", "a:{shop}:beside", "a:{shop}:hosts"]);
    }
}
