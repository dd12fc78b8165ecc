//! The formats of a page.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The format of a page and of the template that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// A page for browsers.
    Html,
    /// JSON for API clients: the built-in page is a problem (RFC 9457).
    Json,
    /// Plain text.
    Txt,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Html, Self::Json, Self::Txt];

    /// The media type that requests it (RFC 9110, 8.3.1).
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html",
            Self::Json => "application/json",
            Self::Txt => "text/plain",
        }
    }

    /// The file name extension, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Txt => "txt",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == text).ok_or_else(|| {
            Error::invalid(format!(
                "`{}` is not a format: write html, json or txt",
                text.escape_debug()
            ))
        })
    }
}
