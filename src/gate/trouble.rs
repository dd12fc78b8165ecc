//! Trouble with the files of a site: what it means for requests, and when it is reported.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Error;

/// The same trouble is reported at most once in this time.
pub(super) const TOLD_EVERY: Duration = Duration::from_secs(60);

/// How many kinds of trouble with pages are remembered as reported.
const MAX_TOLD: usize = 100;

/// Called about trouble with the files of a site, while requests are still
/// answered. It may ask the gate itself.
pub type OnProblem = Arc<dyn Fn(&Problem) + Send + Sync>;

/// Trouble with the files of a site, and what is done about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Problem {
    /// What is wrong; absent on recovery.
    pub error: Option<Error>,
    /// What is done about it.
    pub consequence: Consequence,
}

/// What requests get while something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consequence {
    /// The state of this revision is in force: the last good one, or the new one
    /// if nothing is wrong any more.
    Revision(u64),
    /// There never was a good state, and every request passes.
    Open,
    /// There never was a good state, and every request is blocked.
    Closed,
    /// The page is the built-in one.
    BuiltinPage,
    /// Rules of this kind, `ip` or `user`, match nobody.
    NoMatch(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{error}; ")?,
            None => f.write_str("the state can be read again; ")?,
        }
        match self.consequence {
            Consequence::Revision(revision) if self.error.is_some() => {
                write!(f, "the last good state, revision {revision}, stays in force")
            }
            Consequence::Revision(revision) => write!(f, "revision {revision} is in force"),
            Consequence::Open => f.write_str("until it can be read, every request passes"),
            Consequence::Closed => f.write_str("until it can be read, every request is blocked"),
            Consequence::BuiltinPage => f.write_str("visitors get the built-in page"),
            Consequence::NoMatch(kind) => write!(f, "`{kind}` rules match nobody here"),
        }
    }
}

/// A state that cannot be read, for as long as it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    /// When to read and report again, although the file looks the same.
    pub(crate) again_at: Instant,
    /// It was reported, so recovery has to be reported too.
    pub(crate) is_told: bool,
}

/// What was reported, and when.
#[derive(Default)]
pub(super) struct Trouble {
    state_told_at: Option<Instant>,
    pages_told: Vec<(Instant, String)>,
}

impl Trouble {
    /// Notes that the state cannot be read, and returns whether to report it now:
    /// once a minute, even if it could be read in between.
    pub(super) fn of_state(&mut self, before: Option<Failing>, now: Instant) -> (Failing, bool) {
        let told_at = self.state_told_at.filter(|&at| !is_past(at, now));
        let is_due = told_at.is_none();
        let told_at = told_at.unwrap_or(now);
        self.state_told_at = Some(told_at);
        let is_told = is_due || before.is_some_and(|before| before.is_told);
        (Failing { again_at: told_at + TOLD_EVERY, is_told }, is_due)
    }

    /// Picks the trouble with pages that was not reported in the last minute. If
    /// another page fails, that is reported at once.
    pub(super) fn of_pages(&mut self, errors: Vec<Error>, now: Instant) -> Vec<Problem> {
        self.pages_told.retain(|&(at, _)| !is_past(at, now));
        let mut problems = Vec::new();
        for error in errors {
            let text = error.to_string();
            let is_known = self.pages_told.iter().any(|(_, told)| *told == text);
            if !is_known && self.pages_told.len() < MAX_TOLD {
                self.pages_told.push((now, text));
                let consequence = Consequence::BuiltinPage;
                problems.push(Problem { error: Some(error), consequence });
            }
        }
        problems
    }
}

/// A fact that rules ask for and the app does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untold {
    Client,
    User,
}

impl Untold {
    /// That rules of its kind cannot match.
    pub(super) fn problem(self) -> Problem {
        let (kind, why) = match self {
            Self::Client => (
                "ip",
                "the app does not say which address connects: in Rust by `peer_from`, with axum also by \
                 `into_make_service_with_connect_info`; at a Unix socket there is none",
            ),
            Self::User => (
                "user",
                "the app does not say who is logged in: in Rust by `user_from`, in Python by `user=`",
            ),
        };
        Problem { error: Some(Error::invalid(why)), consequence: Consequence::NoMatch(kind) }
    }
}

fn is_past(told_at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(told_at) >= TOLD_EVERY
}
