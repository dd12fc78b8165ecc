//! What a server answers, and what its refusals mean.

use redis::Value;

use crate::fleet::engine::{Failure, FailureKind, Revision, Snapshot};

/// The field of the stream that holds the document.
pub(super) const FIELD: &str = "d";

/// An error that a server answered with: nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its first word.
    pub(super) code: String,
    /// The rest, which may repeat what was sent.
    detail: String,
}

impl Refusal {
    pub(super) fn new(code: &str, detail: Option<&str>) -> Self {
        Self { code: code.to_owned(), detail: detail.unwrap_or_default().to_owned() }
    }

    /// Whether the server keeps its settings or its commands from this user.
    pub(super) fn is_forbidden(&self) -> bool {
        // Providers take commands away by renaming them.
        self.code == "NOPERM" || self.is_unknown()
    }

    /// Whether the server has no such command.
    pub(super) fn is_unknown(&self) -> bool {
        self.detail.starts_with("unknown command")
    }

    /// Whether the server wants a password first.
    pub(super) fn is_locked(&self) -> bool {
        self.code == "NOAUTH"
    }

    /// The same as a failure of an engine.
    pub(super) fn failure(&self, peer: &str) -> Failure {
        let denied = |reason: &str| Failure::denied(format!("{peer}: {reason}"));
        let unavailable = |reason: &str| Failure::unavailable(format!("{peer}: {reason}"));
        let protocol = |reason: &str| Failure::protocol(format!("{peer}: {reason}"));
        match self.code.as_str() {
            "NOAUTH" => denied("it wants a password").with_hint(
                "write it into a file with mode 0600 and add `?password-file=FILE` to the address, \
                 or set `MAINT_STORE_PASSWORD`",
            ),
            "WRONGPASS" => denied("it refuses the user or the password")
                .with_hint("compare the user in the address, and the password, with its ACL"),
            "NOPERM" => self.forbidden(peer),
            // Redis 7.0 does not say which command of a script it was.
            _ if self.detail.starts_with("The user executing the script can't run") => denied(
                "this user may not run all commands that a change needs",
            )
            .with_hint(
                "let it by `ACL SETUSER NAME +xrevrange +xadd +time +hget +hgetall +hset +hdel`",
            ),
            _ if self.detail.starts_with("The user executing the script can't access") => {
                self.forbidden(peer)
            }
            "DENIED" => denied("it is in protected mode, and answers nobody from another machine")
                .with_hint("give its users passwords, and say `protected-mode no` then"),
            "LOADING" => unavailable("it is still loading its data"),
            "MASTERDOWN" => unavailable("it is a replica that has lost its primary"),
            "CLUSTERDOWN" | "TRYAGAIN" => unavailable("its cluster is not complete now"),
            "BUSY" => unavailable("a script of somebody keeps it busy"),
            "UNBLOCKED" => unavailable("it has changed its role"),
            "READONLY" => unavailable("it is a replica, which takes no writes"),
            "NOREPLICAS" => unavailable(
                "it takes no writes, for fewer replicas follow than `min-replicas-to-write` says",
            )
            .with_hint("bring its replicas back"),
            "OOM" => unavailable("it takes no writes, for its memory is full")
                .with_hint("raise its `maxmemory`, or remove what others keep in it"),
            "MISCONF" => unavailable("it takes no writes, for it cannot save to its disk")
                .with_hint("look into its log, and for space on its disk"),
            "WRONGTYPE" => protocol("something of somebody else is there under the site's name")
                .with_hint("name another prefix by `?prefix=PREFIX`"),
            "MOVED" | "ASK" => protocol("it is a node of a cluster, and the site is on another")
                .with_hint("name the node that has the site"),
            _ if self.is_unknown() => protocol("it lacks a command that is needed")
                .with_hint("take Redis 5 or later, or Valkey, with its commands under their names"),
            _ if self.detail.starts_with("max number of clients") => {
                unavailable("it has as many clients as it takes")
                    .with_hint("raise its `maxclients`, or let hosts follow replicas")
            }
            _ => {
                // Of what a server says, no more than fits into a line.
                let text = format!("{} {}", self.code, self.detail);
                let text: String = text.trim().chars().take(120).collect();
                protocol(&format!("it answered `{}`", text.escape_debug()))
            }
        }
    }

    /// What the user may not do, as an ACL of Redis 6 or 7 says it.
    fn forbidden(&self, peer: &str) -> Failure {
        let command = self.detail.split('\'').nth(1).filter(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'|' | b'-'))
        });
        let (reason, hint) = match command {
            Some(name) => (
                format!("this user may not run `{name}`"),
                format!("let it by `ACL SETUSER NAME +{name}`"),
            ),
            None => (
                "this user may not touch the keys of the site".to_owned(),
                "let it by `ACL SETUSER NAME ~PREFIX*`, for `maint:*` unless another prefix is named"
                    .to_owned(),
            ),
        };
        Failure::denied(format!("{peer}: {reason}")).with_hint(hint)
    }
}

/// One failure for those of all endpoints. As long as one of them may come back, trying again may
/// help.
pub(super) fn all_of(failures: &[Failure]) -> Failure {
    let by = |kind| failures.iter().find(|failure| failure.kind == kind);
    let first = by(FailureKind::Unavailable)
        .or_else(|| by(FailureKind::Denied))
        .or_else(|| failures.first());
    let Some(Failure { kind, hint, .. }) = first.cloned() else {
        return Failure::unavailable("no endpoint was asked in time");
    };
    let reasons: Vec<&str> = failures.iter().map(|failure| failure.reason.as_str()).collect();
    Failure { kind, reason: reasons.join("; "), hint }
}

/// What a server says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Primary,
    /// It copies a primary.
    Replica,
    /// It would copy a primary, and does not now: nothing new comes from it.
    Orphan,
}

/// Reads the answer to `ROLE`.
pub(super) fn role(answer: &Value) -> Option<Role> {
    let Value::Array(parts) = answer else { return None };
    match text(parts.first()?)? {
        "master" => Some(Role::Primary),
        "slave" if text(parts.get(3)?)? == "connected" => Some(Role::Replica),
        "slave" => Some(Role::Orphan),
        _ => None,
    }
}

/// A text in an answer.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        Value::Okay => Some("OK"),
        _ => None,
    }
}

/// A number in an answer.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => text(other)?.parse().ok(),
    }
}

/// An answer that is not what `maint` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Odd;

/// Reads an entry of a stream: its id, and fields with values.
fn snapshot(entry: Value) -> Result<Snapshot, Odd> {
    let Value::Array(parts) = entry else { return Err(Odd) };
    let mut parts = parts.into_iter();
    let id = parts.next().ok_or(Odd)?;
    let revision = Revision(text(&id).ok_or(Odd)?.to_owned());
    let Some(Value::Array(fields)) = parts.next() else { return Err(Odd) };
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        if let (Some(FIELD), Value::BulkString(document)) = (text(&name), value) {
            return Ok(Snapshot { revision, document });
        }
    }
    Err(Odd)
}

/// Reads the answer to `XREVRANGE`: the last entry, if there is one.
pub(super) fn last(answer: Value) -> Result<Option<Snapshot>, Odd> {
    match answer {
        Value::Array(mut entries) => entries.pop().map(snapshot).transpose(),
        Value::Nil => Ok(None),
        _ => Err(Odd),
    }
}

/// Reads the answer to `XREAD` of one stream: its newest entry, or none if the time is over.
pub(super) fn newest(answer: Value) -> Result<Option<Snapshot>, Odd> {
    let mut streams = match answer {
        Value::Nil => return Ok(None),
        Value::Array(streams) => streams,
        _ => return Err(Odd),
    };
    let Some(Value::Array(mut parts)) = streams.pop() else { return Err(Odd) };
    let Some(Value::Array(mut entries)) = parts.pop() else { return Err(Odd) };
    entries.pop().ok_or(Odd).and_then(snapshot).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> Refusal {
        let (code, detail) = line.split_once(' ').unwrap_or((line, ""));
        Refusal::new(code, Some(detail))
    }

    #[test]
    fn each_refusal_has_its_kind_and_one_line() {
        use FailureKind::{Denied, Protocol, Unavailable};
        for (line, kind, part) in [
            ("NOAUTH Authentication required.", Denied, "wants a password"),
            ("WRONGPASS invalid username-password pair or user is disabled.", Denied, "refuses"),
            ("DENIED Redis is running in protected mode because\nmore", Denied, "protected mode"),
            ("LOADING Redis is loading the dataset in memory", Unavailable, "loading"),
            ("MASTERDOWN Link with MASTER is down", Unavailable, "lost its primary"),
            ("CLUSTERDOWN Hash slot not served", Unavailable, "not complete"),
            ("UNBLOCKED force unblock from blocking operation", Unavailable, "role"),
            ("NOREPLICAS Not enough good replicas to write.", Unavailable, "fewer replicas"),
            ("OOM command not allowed when used memory > 'maxmemory'.", Unavailable, "memory"),
            ("MISCONF Redis is configured to save RDB snapshots", Unavailable, "disk"),
            ("WRONGTYPE Operation against a key", Protocol, "somebody else"),
            ("MOVED 866 10.0.0.2:6379", Protocol, "cluster"),
            ("ERR unknown command 'XREAD', with args beginning with: 'x'", Protocol, "lacks"),
            ("ERR max number of clients reached", Unavailable, "clients"),
            ("ERR something\nodd", Protocol, "ERR something\\nodd"),
            ("NOPERM this user has no permissions to run the 'xadd' command", Denied, "`xadd`"),
            ("NOPERM this user has no permissions to access one of the keys", Denied, "keys"),
            (
                "NOPERM ACL failure in script: User ann has no permissions to run the 'hset' command",
                Denied,
                "`hset`",
            ),
            (
                "ERR The user executing the script can't run this command or subcommand script: x",
                Denied,
                "commands that a change needs",
            ),
            (
                "ERR The user executing the script can't access at least one of the keys mentioned",
                Denied,
                "keys",
            ),
        ] {
            let failure = refusal(line).failure("h:6379");
            assert_eq!(failure.kind, kind, "{line}");
            assert!(failure.reason.starts_with("h:6379: "), "{failure}");
            assert!(failure.reason.contains(part), "{failure}");
            assert!(!failure.reason.contains('\n'), "{failure}");
        }
    }

    #[test]
    fn what_was_sent_does_not_come_back_in_an_error() {
        let echo = refusal("ERR unknown command 'AUTH', with args beginning with: 'tulip' ");
        let failure = echo.failure("h:6379");
        assert!(!format!("{failure:?}").contains("tulip"));
    }

    #[test]
    fn a_stream_that_holds_something_else_is_no_document() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let entry = |fields: &[&str]| {
            let fields = fields.iter().map(|field| bulk(field)).collect();
            Value::Array(vec![bulk("5-1"), Value::Array(fields)])
        };
        let found = snapshot(entry(&["x", "1", "d", "{}"])).unwrap();
        assert_eq!((found.revision.0.as_str(), found.document.as_slice()), ("5-1", &b"{}"[..]));
        for odd in [entry(&[]), entry(&["x", "1"]), entry(&["d"]), Value::Nil, bulk("d")] {
            assert_eq!(snapshot(odd), Err(Odd));
        }
        assert_eq!(last(Value::Array(vec![])), Ok(None));
        assert_eq!(last(Value::Array(vec![Value::Nil])), Err(Odd));
        assert_eq!(last(Value::Int(1)), Err(Odd));
        assert_eq!(newest(Value::Nil), Ok(None));
        assert_eq!(newest(Value::Array(vec![])), Err(Odd));
    }
}
