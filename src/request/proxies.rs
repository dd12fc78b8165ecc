//! The proxies that are trusted for the client's address.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The proxies trusted for the client's address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TrustedProxies {
    /// The one header field that they set.
    pub header: ProxyHeader,
    /// The networks they connect from.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub networks: Vec<IpNet>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

impl TrustedProxies {
    /// Trusts the proxies in these networks, which set this header field.
    #[must_use]
    pub fn new(header: ProxyHeader, networks: impl Into<Vec<IpNet>>) -> Self {
        Self { header, networks: networks.into(), extra: Map::new() }
    }
}

/// The header field in which proxies pass on the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, the usual one.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl ProxyHeader {
    /// The name of the header field, as it is usually written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::Forwarded => "Forwarded",
        }
    }
}

/// Refuses an empty list, and networks that would trust everyone.
pub(crate) fn validate_proxies(networks: &[IpNet]) -> Result<()> {
    if networks.is_empty() {
        return Err(Error::invalid("the list of trusted proxies is empty"));
    }
    // `::ffff:0:0/96` is all of IPv4 where mapped addresses are read as IPv4.
    let is_everybody = |network: &IpNet| match network {
        IpNet::V4(v4) => v4.prefix_len() == 0,
        IpNet::V6(v6) => {
            v6.contains(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped()) && v6.prefix_len() <= 96
        }
    };
    if networks.iter().any(is_everybody) {
        return Err(Error::invalid_with(
            "trusting every address as a proxy lets clients choose their own address",
            "name the network your proxies connect from",
        ));
    }
    Ok(())
}
