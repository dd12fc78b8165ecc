//! Header fields that let a request through.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::request::field::is_token;

/// Fields that carry secrets. The state file can be read by everyone.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// A header field with its exact value.
///
/// Whoever can send the field gets through, and whoever can read the state file
/// knows it. A bypass token is the tool for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderMatch {
    /// The field name, in lower case.
    pub name: String,
    /// The whole value, compared byte for byte.
    pub value: String,
}

impl HeaderMatch {
    /// Reads a header field without looking for secrets, as it is in a request.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it is not a field name, a colon and a value.
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

    /// Which requests are meant, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "whoever sends the header `{}: {}`, which anyone can who knows it",
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
                format!(
                    "`{}` carries a secret, and the state file can be read by everyone",
                    header.name
                ),
                "make a bypass token, of which the state holds only a digest",
            ));
        }
        Ok(header)
    }
}
