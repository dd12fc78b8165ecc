//! Networks: addresses and CIDR blocks (RFC 4632), never patterns over text.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::error::{Error, Result};

/// Reads an address or a network. IPv4-mapped IPv6 becomes IPv4.
///
/// # Errors
///
/// [`Error::Invalid`] if it is neither, or if bits beyond the prefix are set:
/// `10.0.0.1/8` might mean the address or the network.
pub fn parse(text: &str) -> Result<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| {
        Error::invalid_with(
            format!("`{}` is not an address or network", text.escape_debug()),
            "write it like `203.0.113.7`, `10.0.0.0/8` or `2001:db8::/32`",
        )
    })?;
    if network.trunc() != network {
        return Err(Error::invalid_with(
            format!("`{text}` has bits set beyond its prefix"),
            format!(
                "write `{}` for the network or `{}` for the address",
                network.trunc(),
                network.addr()
            ),
        ));
    }
    Ok(unmap(network))
}

/// Turns a network of IPv4-mapped addresses (RFC 4291, 2.5.5.2) into the IPv4 network.
fn unmap(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = Ipv4Net::new(v4, prefix)
    {
        return IpNet::V4(v4);
    }
    network
}

/// Writes a network in its one spelling: a single address without its prefix.
#[must_use]
pub fn normalised(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// Describes which clients are meant, and how many.
#[must_use]
pub(crate) fn describe(network: &IpNet) -> String {
    if network.prefix_len() == 0 {
        let family = if matches!(network, IpNet::V4(_)) { "IPv4" } else { "IPv6" };
        return format!("every {family} client");
    }
    let free_bits = network.max_prefix_len() - network.prefix_len();
    let clients = match free_bits {
        0 => format!("the client {} alone", network.addr()),
        1..=32 => format!(
            "{} addresses, {} to {}",
            thousands(1 << free_bits),
            network.network(),
            network.broadcast()
        ),
        _ => format!("2^{free_bits} addresses, {} to {}", network.network(), network.broadcast()),
    };
    let loopback = network.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST))
        || network.contains(&IpAddr::V6(std::net::Ipv6Addr::LOCALHOST));
    if loopback { format!("{clients}; behind an untrusted local proxy, everyone") } else { clients }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_says_how_many_it_lets_in() {
        let say = |text| describe(&parse(text).unwrap());
        assert_eq!(say("203.0.113.7"), "the client 203.0.113.7 alone");
        assert_eq!(say("10.0.0.0/8"), "16 777 216 addresses, 10.0.0.0 to 10.255.255.255");
        assert_eq!(
            say("2001:db8::/32"),
            "2^96 addresses, 2001:db8:: to 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
        );
        assert!(say("127.0.0.1").contains("behind an untrusted local proxy"));
    }
}
