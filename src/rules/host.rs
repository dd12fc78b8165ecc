//! Host patterns.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::request::host;

/// A pattern over the host of a request, without its port, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostPattern {
    /// `*`: every host.
    Any,
    /// `example.com`: that host and no other.
    Exact(String),
    /// `*.example.com`: every host below `example.com`, at any depth, but not itself.
    Below(String),
}

impl HostPattern {
    /// Whether every host that the other matches is matched by this as well.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Below(above), Self::Exact(host) | Self::Below(host)) => {
                let rest = host.strip_suffix(above.as_str());
                let is_same = matches!(other, Self::Below(_)) && host == above;
                is_same || rest.is_some_and(|rest| rest.ends_with('.'))
            }
            (Self::Exact(_), _) => self == other,
            (Self::Below(_), Self::Any) => false,
        }
    }

    /// Describes which requests match.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Any => "every host".to_owned(),
            Self::Exact(host) => format!("requests for the host `{host}`, on any port"),
            Self::Below(host) => {
                format!("requests for any host below `{host}`, but not `{host}` itself")
            }
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(host) => f.write_str(host),
            Self::Below(host) => write!(f, "*.{host}"),
        }
    }
}

impl FromStr for HostPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let below = text.strip_prefix("*.");
        let name = host::normal(below.unwrap_or(text));
        // Nothing is below an address.
        let name = name.filter(|name| below.is_none() || !is_address(name));
        let Some(name) = name else {
            let hint = if text.contains("://") {
                "leave out the scheme and the path"
            } else if text.contains(':') {
                "leave out the port: a rule covers the host on every port"
            } else if text.contains('@') {
                "leave out the user name"
            } else if !text.is_ascii() {
                "write an international name in its ASCII form, `xn--…`"
            } else {
                "write it like `example.com` or `*.example.com`"
            };
            return Err(Error::invalid_with(
                format!("`{}` is not a host", text.escape_debug()),
                hint,
            ));
        };
        Ok(if below.is_some() { Self::Below(name) } else { Self::Exact(name) })
    }
}

fn is_address(name: &str) -> bool {
    name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok()
}
