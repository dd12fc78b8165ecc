//! Which proxy a request goes through, by the variables that curl reads.

use std::net::IpAddr;

/// The proxy for a URL, as a URL itself; `None` for a direct connection.
///
/// `http_proxy` counts in lower case alone, since CGI sets the other one from a field of a
/// request. `read` returns a variable.
pub(super) fn of(
    scheme: &str,
    host: &str,
    read: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let first = |names: &[&str]| {
        names.iter().find_map(|name| read(name)).filter(|value| !value.trim().is_empty())
    };
    let own: &[&str] =
        if scheme == "https" { &["https_proxy", "HTTPS_PROXY"] } else { &["http_proxy"] };
    let proxy = first(own).or_else(|| first(&["all_proxy", "ALL_PROXY"]))?;
    let exceptions = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
    (!exceptions.split([',', ' ']).any(|entry| is_excepted(host, entry))).then_some(proxy)
}

/// A name stands for itself and all below it; `*` for every host.
fn is_excepted(host: &str, entry: &str) -> bool {
    let entry = entry.trim().trim_start_matches('.').to_ascii_lowercase();
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    if let (Ok(network), Ok(address)) = (entry.parse::<ipnet::IpNet>(), host.parse::<IpAddr>()) {
        return network.contains(&address);
    }
    entry == "*"
        || !entry.is_empty()
            && (host == entry.trim_matches(['[', ']'])
                || host.strip_suffix(&entry).is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_curl_choose_the_proxy() {
        let table = [
            ("https", "shop.example", "HTTPS_PROXY=http://p:1", Some("http://p:1")),
            (
                "https",
                "shop.example",
                "https_proxy=http://l:1 HTTPS_PROXY=http://p:1",
                Some("http://l:1"),
            ),
            ("http", "shop.example", "HTTPS_PROXY=http://p:1", None),
            ("http", "shop.example", "HTTP_PROXY=http://p:1", None),
            ("http", "shop.example", "http_proxy=http://p:1", Some("http://p:1")),
            ("http", "shop.example", "ALL_PROXY=http://p:1", Some("http://p:1")),
            ("https", "shop.example", "https_proxy= ALL_PROXY=http://p:1", Some("http://p:1")),
            ("https", "shop.example", "https_proxy=p no_proxy=shop.example", None),
            ("https", "a.shop.example", "https_proxy=p NO_PROXY=x,.shop.example", None),
            ("https", "workshop.example", "https_proxy=p NO_PROXY=shop.example", Some("p")),
            ("https", "shop.example", "https_proxy=p NO_PROXY=*", None),
            ("https", "10.1.2.3", "https_proxy=p NO_PROXY=10.0.0.0/8", None),
            ("https", "[::1]", "https_proxy=p NO_PROXY=::1", None),
            ("https", "shop.example", "https_proxy=p NO_PROXY=,", Some("p")),
        ];
        for (scheme, host, variables, expected) in table {
            let read = |name: &str| {
                let mut pairs = variables.split(' ').filter_map(|pair| pair.split_once('='));
                pairs.find(|(given, _)| *given == name).map(|(_, value)| value.to_owned())
            };
            assert_eq!(of(scheme, host, read).as_deref(), expected, "{host} {variables}");
        }
    }
}
