//! Where a flag stands: what is wanted, what was found.

use std::path::PathBuf;

use serde::Serialize;

use super::flag::Kind;
use super::lack::Lack;
use crate::error::Error;

/// What was found of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Found {
    /// It is set, and says what it should.
    Set,
    /// It is clear.
    Clear,
    /// It is set, and says something else than it should.
    Stale,
    /// There is something that maint did not write, or that was changed since.
    SomebodyElses,
    /// It could not be looked at.
    Unknown,
}

impl Found {
    /// The words for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Clear => "clear",
            Self::Stale => "out of date",
            Self::SomebodyElses => "somebody else's",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a flag stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Standing {
    /// The flag.
    pub id: String,
    /// Its kind.
    pub kind: Kind,
    /// Where it is, as it was declared.
    pub path: Option<PathBuf>,
    /// The window that sets it; `None` if it is to be clear.
    pub wanted: Option<String>,
    /// What was found, or is there now.
    pub found: Found,
    /// Whether the two agree; `None` if that cannot be told from here.
    pub in_step: Option<bool>,
    /// Whether this change changed it.
    #[serde(rename = "changed")]
    pub is_changed: bool,
    /// What stands in the way, if it is not in step.
    pub problem: Option<String>,
    /// What to do about that.
    pub hint: Option<String>,
    /// What it cannot carry.
    pub lacks: Vec<Lack>,
}

/// Where the flags of a site stand after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Each flag, by its id.
    pub flags: Vec<Standing>,
    /// Why nothing is known of them: `flags.json` could not be used.
    pub problem: Option<String>,
}

impl Report {
    /// What was found of each flag.
    #[must_use]
    pub fn new(flags: Vec<Standing>) -> Self {
        Self { flags, problem: None }
    }

    /// Nothing is known, since the file that declares them could not be used.
    #[must_use]
    pub fn unknown(error: &Error) -> Self {
        let problem = Some(format!("the flags do not follow: {error}"));
        Self { flags: Vec::new(), problem }
    }

    /// This host does not have what is in force in the fleet, so nothing follows it.
    pub(crate) fn behind(problem: String) -> Self {
        Self { flags: Vec::new(), problem: Some(problem) }
    }

    /// Whether all flags follow the state.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        self.problem.is_none() && self.flags.iter().all(|flag| flag.in_step == Some(true))
    }

    /// What does not follow, a line each.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let behind = self.flags.iter().filter(|flag| flag.in_step != Some(true));
        let line = |flag: &Standing| {
            let why = flag.problem.as_deref().unwrap_or("its software does not show it");
            format!("flag `{}` does not follow: {why}", flag.id)
        };
        self.problem.iter().cloned().chain(behind.map(line)).collect()
    }
}
