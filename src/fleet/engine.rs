//! What an engine can do, and how it fails.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The result of every call to an engine.
pub type Outcome<T> = Result<T, Failure>;

/// The engine's own name for what is in it: a revision of etcd, an id in a stream, an `ETag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(pub String);

/// The document as an engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What to expect when it is replaced.
    pub revision: Revision,
    /// Its bytes, as they were written.
    pub document: Vec<u8>,
}

/// What is written at once, or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The document.
    pub document: &'a [u8],
    /// What to put beside it: names and bytes.
    pub put: &'a [(String, Vec<u8>)],
    /// The names to remove beside it.
    pub remove: &'a [String],
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cas {
    /// It is in force, and the document has this revision.
    Committed(Revision),
    /// Another document is there than the expected one; nothing was written.
    Conflict,
}

/// What a wait brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The document is another one than the known one.
    Document(Snapshot),
    /// The engine answers, and there is no document.
    Missing,
    /// Nothing came; the engine was there all the time, or was asked again.
    Nothing,
}

/// What about the settings of an engine puts a fleet at risk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// A stable word for programs, as `redis-no-aof`.
    pub code: &'static str,
    /// What is so, and what may come of it.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// An engine, for one site. Each call but [`wait`](Self::wait) ends within the time that it is given.
///
/// A connection is made when it is needed and made anew after a failure, on the next endpoint if
/// there are several.
pub trait Engine: Send {
    /// The document, so that no write that was acknowledged before is missing from it (a quorum
    /// read, or the primary); `None` if the engine has none.
    ///
    /// # Errors
    ///
    /// Any but [`FailureKind::Ambiguous`].
    fn load(&mut self, within: Duration) -> Outcome<Option<Snapshot>>;

    /// Replaces the document if the expected one is there, or none if none is expected, together
    /// with what is beside it.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Ambiguous`] whenever it may have been written although no answer came;
    /// [`FailureKind::Unavailable`] only if it certainly was not.
    fn cas(
        &mut self,
        expected: Option<&Revision>,
        write: &Write<'_>,
        within: Duration,
    ) -> Outcome<Cas>;

    /// Waits until the document is another than the known one, for about `idle`. Changes may
    /// coalesce. The first call, and each after a failure, reads before it waits, so that no
    /// change is slept over, and no loss either. It fails if the engine falls silent.
    ///
    /// # Errors
    ///
    /// Any but [`FailureKind::Ambiguous`].
    fn wait(&mut self, known: Option<&Revision>, idle: Duration) -> Outcome<Seen>;

    /// What is beside the document under this name.
    ///
    /// # Errors
    ///
    /// Any but [`FailureKind::Ambiguous`].
    fn beside(&mut self, name: &str, within: Duration) -> Outcome<Option<Vec<u8>>>;

    /// Leaves what a host says of itself, to be forgotten after `keep` unless it is said again.
    ///
    /// # Errors
    ///
    /// Any; that it may have been left is no reason for [`FailureKind::Ambiguous`].
    fn report(
        &mut self,
        host: &str,
        report: &[u8],
        keep: Duration,
        within: Duration,
    ) -> Outcome<()>;

    /// Forgets what a host said of itself.
    ///
    /// # Errors
    ///
    /// As [`report`](Self::report).
    fn withdraw(&mut self, host: &str, within: Duration) -> Outcome<()>;

    /// What the hosts say of themselves.
    ///
    /// # Errors
    ///
    /// Any but [`FailureKind::Ambiguous`].
    fn hosts(&mut self, within: Duration) -> Outcome<BTreeMap<String, Vec<u8>>>;

    /// What about its settings puts the fleet at risk. What it does not let this user see is a
    /// concern of its own, with the code `…-unseen`.
    ///
    /// # Errors
    ///
    /// Any but [`FailureKind::Ambiguous`].
    fn examine(&mut self, within: Duration) -> Outcome<Vec<Concern>>;
}

/// Why an engine did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What follows from it.
    pub kind: FailureKind,
    /// What happened, in one line, without any secret.
    pub reason: String,
    /// One thing to do about it.
    pub hint: Option<String>,
}

/// The kinds of failure of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It could not be reached, or did not answer. Nothing was written. Trying again may help.
    Unavailable,
    /// The answer to a write is missing: it may be in force.
    Ambiguous,
    /// It refused the user, the password, the certificate or the right. Trying again does not help.
    Denied,
    /// It answered what cannot be understood, or cannot do what is asked.
    Protocol,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), hint: None }
    }

    /// The engine could not be reached, or did not answer.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, reason)
    }

    /// The answer to a write is missing.
    pub fn ambiguous(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::Ambiguous, reason)
    }

    /// It refused.
    pub fn denied(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::Denied, reason)
    }

    /// It answered what cannot be understood.
    pub fn protocol(reason: impl Into<String>) -> Self {
        Self::new(FailureKind::Protocol, reason)
    }

    /// The same with one thing to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
