//! Rules that cannot match.

use super::State;
use crate::rules::{Kind, Matcher};

/// The `ip` rules inside a network of trusted proxies: their ids, and that network. A proxy is
/// never the client, so such a rule matches only where the app itself says who the client is.
#[must_use]
pub fn behind_proxies(state: &State) -> Vec<(&str, String)> {
    let Some(proxies) = &state.trusted_proxies else {
        return Vec::new();
    };
    let inside = |value: &str| {
        let Ok(Matcher::Ip(network)) = Matcher::parse(&Kind::Ip, value) else { return None };
        proxies.networks.iter().find(|trusted| trusted.contains(&network))
    };
    let rules = state.ignore.iter().filter(|(_, rule)| rule.kind == Kind::Ip);
    rules.filter_map(|(id, rule)| Some((id.as_str(), inside(&rule.value)?.to_string()))).collect()
}
