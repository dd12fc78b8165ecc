//! What a kind of flag is, and how it does its work.

use std::path::Path;

use super::fact::Fact;
use super::flag::{Flag, Kind};
use super::notice::Notice;
use super::piece::Piece;
use super::standing::Found;
use crate::error::Result;
use crate::site::Site;

/// A kind of flag: what it is, and what it carries.
#[non_exhaustive]
pub struct Definition {
    /// The kind.
    pub kind: Kind,
    /// What its path names; empty if it has none.
    pub path: &'static str,
    /// What is there while it is set.
    pub on: &'static str,
    /// What it carries. A network carries addresses as well.
    pub carries: &'static [Fact],
    pub(crate) drive: Drive,
}

impl Definition {
    /// Refuses a flag that cannot be, or whose software is not there.
    pub(crate) fn check(&self, flag: &Flag) -> Result<()> {
        match &self.drive {
            Drive::Files { check, .. } => check(flag.place()?),
            Drive::Calls(calls) => calls.check(flag),
        }
    }

    /// Whether it carries this.
    #[must_use]
    pub fn carries(&self, fact: Fact) -> bool {
        self.carries.contains(&fact)
    }
}

/// How a kind does its work.
pub(crate) enum Drive {
    /// By files, which are compared and replaced here.
    Files {
        /// Refuses a path that is not that of the software.
        check: fn(&Path) -> Result<()>,
        /// The files in the order in which they are set, the flag itself last.
        pieces: fn(&Order<'_>) -> Result<Vec<Piece>>,
        /// Whether bytes that somebody else wrote say no more than a missing file.
        is_blank: fn(&[u8]) -> bool,
    },
    /// By asking the software, or a command.
    Calls(&'static dyn Calls),
}

/// What a kind that works by calls can do.
pub(crate) trait Calls: Sync {
    /// Refuses what cannot work.
    fn check(&self, flag: &Flag) -> Result<()>;

    /// Looks at what is so now, compared with what is wanted.
    fn look(&self, order: &Order<'_>) -> Result<Found>;

    /// Brings about what is wanted. What has to be remembered is put into the flag.
    fn set(&self, order: &Order<'_>) -> Result<()>;

    /// Whether looking costs so much that nobody should do it every few seconds.
    fn is_costly(&self) -> bool {
        false
    }

    /// Puts into the flag what has to be known later of what is there before a change.
    fn record(&self, _order: &Order<'_>, _flag: &mut Flag) {}

    /// Whether nobody can look, so that only what was done last is known.
    fn is_blind(&self, _flag: &Flag) -> bool {
        false
    }
}

/// What a flag is told to be.
pub(crate) struct Order<'a> {
    pub(crate) id: &'a str,
    pub(crate) flag: &'a Flag,
    pub(crate) site: &'a Site,
    /// What it has to say while it is set; `None` if it is to be clear.
    pub(crate) notice: Option<&'a Notice<'a>>,
}
