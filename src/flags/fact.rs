//! What a flag can carry.

use std::fmt;

use serde::Serialize;

/// Something of the state that a flag can carry to the software that obeys it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fact {
    /// The start of a scheduled window: the software begins by itself.
    Start,
    /// The end of a window: the software comes back by itself.
    End,
    /// The finished page.
    Page,
    /// The reason alone, on a page of the software's own.
    Reason,
    /// When clients may try again.
    RetryAfter,
    /// The status code.
    Status,
    /// The format of the page for those who name none.
    Format,
    /// A redirect in place of the page.
    Redirect,
    /// Single addresses that get through.
    Addresses,
    /// Networks that get through.
    Networks,
    /// Paths that get through.
    Paths,
    /// Bypass tokens, by their digests.
    Tokens,
    /// It stops writes alone, so it follows read-only windows as well.
    ReadOnly,
}

impl Fact {
    /// The words for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Page => "page",
            Self::Reason => "reason",
            Self::RetryAfter => "Retry-After",
            Self::Status => "status",
            Self::Format => "format",
            Self::Redirect => "redirect",
            Self::Addresses => "addresses",
            Self::Networks => "networks",
            Self::Paths => "paths",
            Self::Tokens => "tokens",
            Self::ReadOnly => "read-only windows",
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
