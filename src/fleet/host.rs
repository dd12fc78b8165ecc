//! What the hosts of a fleet say of themselves.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::document::Document;

/// How often a host says that it is there.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// After so long without a word a host is silent: it is gone, or cut off.
pub const SILENT_AFTER: SignedDuration = SignedDuration::from_secs(35);

/// After so long without a word a host is forgotten.
pub const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// What the agent of a host says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// When, on the clock of that host.
    pub at: Timestamp,
    /// The number of the document that it has.
    pub seq: u64,
    /// The revision of the state that it has.
    pub revision: u64,
    /// Whether a window is open there, its own ones included.
    pub down: bool,
    /// Whether a window is there that is of this host alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// How long the last change took to come, in milliseconds, by the clocks of writer and host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<i64>,
    /// The flags that do not follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<String>,
    /// What keeps the agent from its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The version of maint there.
    pub version: String,
}

/// Where a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostStanding {
    /// It has what is in force, and all its flags follow.
    InStep,
    /// It has what is in force, and a flag there does not follow, or nobody can tell.
    FlagBehind,
    /// It does not have what is in force yet.
    Lags,
    /// It has not been heard of for a while.
    Silent,
}

impl HostReport {
    /// Where the host stands towards a document.
    #[must_use]
    pub fn standing(&self, document: &Document, now: Timestamp) -> HostStanding {
        if now.duration_since(self.at) > SILENT_AFTER {
            HostStanding::Silent
        } else if self.seq < document.sequence {
            HostStanding::Lags
        } else if !self.behind.is_empty() || self.problem.is_some() {
            HostStanding::FlagBehind
        } else {
            HostStanding::InStep
        }
    }
}

impl HostStanding {
    /// The standing as a stable word, for JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InStep => "in-step",
            Self::FlagBehind => "flag-behind",
            Self::Lags => "lags",
            Self::Silent => "silent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn a_host_is_in_step_if_it_spoke_lately_has_the_document_and_all_flags_follow() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let document = Document::first("shop", State::default(), now).unwrap();
        let report = HostReport {
            at: now,
            seq: document.sequence,
            revision: 0,
            down: false,
            local: false,
            lag_ms: None,
            behind: Vec::new(),
            problem: None,
            version: "0".to_owned(),
        };
        let standing = |change: &dyn Fn(&mut HostReport)| {
            let mut changed = report.clone();
            change(&mut changed);
            changed.standing(&document, now)
        };
        let seconds = |count| {
            move |report: &mut HostReport| {
                report.at = now - SignedDuration::from_secs(count);
            }
        };
        assert_eq!(standing(&|_| ()), HostStanding::InStep);
        assert_eq!(standing(&seconds(35)), HostStanding::InStep);
        assert_eq!(standing(&seconds(36)), HostStanding::Silent);
        assert_eq!(standing(&|report| report.seq -= 1), HostStanding::Lags);
        assert_eq!(
            standing(&|report| report.behind.push("wp".to_owned())),
            HostStanding::FlagBehind
        );
        assert_eq!(
            standing(&|report| report.problem = Some("`flags.json` is broken".to_owned())),
            HostStanding::FlagBehind
        );
    }
}
