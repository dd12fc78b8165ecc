//! Host patterns.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::error::{Error, Result};

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
        let lower = text.to_ascii_lowercase();
        let (below, name) = match lower.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, lower.as_str()),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if !below && is_ipv6_literal(name) {
            return Ok(Self::Exact(name.to_owned()));
        }
        if !is_host_name(name) {
            let hint = if text.contains("://") {
                "leave out the scheme and the path"
            } else if text.contains(':') {
                "leave out the port: a rule covers the host on every port"
            } else if !text.is_ascii() {
                "write an international name in its ASCII form, `xn--…`"
            } else {
                "write it like `example.com` or `*.example.com`"
            };
            return Err(Error::invalid_with(
                format!("`{}` is not a host", text.escape_debug()),
                hint,
            ));
        }
        Ok(if below { Self::Below(name.to_owned()) } else { Self::Exact(name.to_owned()) })
    }
}

/// Whether it is a host name (RFC 1123, 2.1). Internal names may have underscores.
fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn is_ipv6_literal(name: &str) -> bool {
    name.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}
