//! Header fields that let a request through.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::request::field::is_token;

/// Fields that carry secrets, which a file that everyone can read must not hold.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// A header field with its exact value.
///
/// Anyone who sends the field gets through, and anyone who can read the state file
/// knows it. For people, use a bypass token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderMatch {
    /// The field name, in lower case.
    pub name: String,
    /// The whole value, compared byte for byte.
    pub value: String,
}

impl HeaderMatch {
    /// Reads a header field of a request. Unlike [`FromStr`], it accepts fields that
    /// carry secrets.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it is not a field name, a colon and a value in printable
    /// ASCII, or if it has more than 1024 bytes.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::invalid_with(
                format!("`{}` is not a header field with a value", text.escape_debug()),
                "write it like `X-Probe: blue`",
            )
        };
        let (name, value) = text.split_once(':').ok_or_else(bad)?;
        let value = value.trim_matches([' ', '\t']);
        let printable = value.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t');
        if !is_token(name) || value.is_empty() || !printable || text.len() > 1024 {
            return Err(bad());
        }
        Ok(Self { name: name.to_ascii_lowercase(), value: value.to_owned() })
    }

    /// Describes which requests match.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "requests with the header `{}: {}`, from anyone who knows it",
            self.name, self.value
        )
    }
}

impl fmt::Display for HeaderMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.value)
    }
}

impl FromStr for HeaderMatch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let header = Self::parse(text)?;
        if SECRET.contains(&header.name.as_str()) {
            return Err(Error::invalid_with(
                format!("`{}` carries a secret, and everyone can read the state file", header.name),
                "use a bypass token: the state holds only its digest",
            ));
        }
        Ok(header)
    }
}
