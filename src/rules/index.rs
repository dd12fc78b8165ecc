//! Patterns compiled for looking a request up, however many there are.
//!
//! Every index answers with the number of an entry, and passes over those that
//! the caller says are not in force.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use regex::bytes::{RegexSet, RegexSetBuilder};

use super::host::HostPattern;
use super::path::PathPattern;
use crate::error::{Error, Result};
use crate::request::path::segments;

/// The compiled size up to which all regular expressions together are accepted.
const REGEX_SET_SIZE: usize = 256 * 1024 * 1024;

/// Path patterns.
#[derive(Default)]
pub(crate) struct PathIndex {
    exact: HashMap<Box<[u8]>, Vec<u32>>,
    /// By the path above the `**`, which is empty for everything.
    subtree: HashMap<Box<[u8]>, Vec<u32>>,
    globs: GlobNode,
    regexes: Option<RegexSet>,
    regex_entries: Vec<u32>,
}

/// A node of the trie over the segments of globs.
#[derive(Default)]
struct GlobNode {
    children: HashMap<Box<[u8]>, GlobNode>,
    /// Where `*` leads to.
    any: Option<Box<GlobNode>>,
    /// Entries whose pattern ends here.
    ends: Vec<u32>,
    /// Entries whose pattern goes on with `**`.
    subtrees: Vec<u32>,
}

impl PathIndex {
    /// # Errors
    ///
    /// [`Error::Invalid`] if the regular expressions together are too large.
    pub(crate) fn new(patterns: impl IntoIterator<Item = (PathPattern, u32)>) -> Result<Self> {
        let mut index = Self::default();
        let mut sources = Vec::new();
        for (pattern, entry) in patterns {
            match pattern {
                PathPattern::Exact(path) => {
                    index.exact.entry(path.into_bytes().into()).or_default().push(entry);
                }
                PathPattern::Subtree(above) => {
                    index.subtree.entry(above.into_bytes().into()).or_default().push(entry);
                }
                PathPattern::Glob(glob) => index.globs.insert(&glob, entry),
                PathPattern::Regex(source) => {
                    sources.push(format!(r"\A(?:{source})\z"));
                    index.regex_entries.push(entry);
                }
            }
        }
        if !sources.is_empty() {
            let set =
                RegexSetBuilder::new(&sources).unicode(false).size_limit(REGEX_SET_SIZE).build();
            index.regexes =
                Some(set.map_err(|_| {
                    Error::invalid("the regular expressions together are too large")
                })?);
        }
        Ok(index)
    }

    /// An entry in force that matches the whole path.
    pub(crate) fn find(&self, path: &[u8], is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        let live =
            |entries: Option<&Vec<u32>>| entries?.iter().copied().find(|&entry| is_live(entry));
        if let Some(entry) = live(self.exact.get(path)) {
            return Some(entry);
        }
        if !self.subtree.is_empty() {
            // `/static/**` is `/static` and whatever follows a slash after it.
            let ends =
                path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(end, _)| end);
            if let Some(entry) =
                ends.chain([path.len()]).find_map(|end| live(self.subtree.get(&path[..end])))
            {
                return Some(entry);
            }
        }
        let all: Vec<&[u8]>;
        if !self.globs.is_leaf() {
            all = segments(path).collect();
            if let Some(entry) = self.globs.find(&all, is_live) {
                return Some(entry);
            }
        }
        let matches = self.regexes.as_ref()?.matches(path);
        matches.iter().map(|number| self.regex_entries[number]).find(|&entry| is_live(entry))
    }
}

impl GlobNode {
    fn is_leaf(&self) -> bool {
        self.children.is_empty() && self.any.is_none()
    }

    fn insert(&mut self, glob: &str, entry: u32) {
        let mut node = self;
        for segment in segments(glob.as_bytes()) {
            node = match segment {
                b"**" => {
                    node.subtrees.push(entry);
                    return;
                }
                b"*" => node.any.get_or_insert_default(),
                name => node.children.entry(name.into()).or_default(),
            };
        }
        node.ends.push(entry);
    }

    /// Visits each node at most once, so that its cost is bounded by the patterns.
    fn find(&self, path: &[&[u8]], is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        let live = |entries: &[u32]| entries.iter().copied().find(|&entry| is_live(entry));
        if let Some(entry) = live(&self.subtrees) {
            return Some(entry);
        }
        let Some((segment, rest)) = path.split_first() else {
            return live(&self.ends);
        };
        let named = self.children.get(*segment).and_then(|node| node.find(rest, is_live));
        named.or_else(|| {
            let any = self.any.as_deref().filter(|_| !segment.is_empty())?;
            any.find(rest, is_live)
        })
    }
}

/// Networks, one table for each length of prefix that occurs.
#[derive(Default)]
pub(crate) struct NetworkIndex {
    tables: Vec<(u8, bool, HashMap<IpAddr, Vec<u32>>)>,
}

impl NetworkIndex {
    pub(crate) fn new(networks: impl IntoIterator<Item = (IpNet, u32)>) -> Self {
        let mut index = Self::default();
        for (network, entry) in networks {
            let key = (network.prefix_len(), matches!(network, IpNet::V4(_)));
            let position = index.tables.iter().position(|&(length, v4, _)| (length, v4) == key);
            let position = position.unwrap_or_else(|| {
                index.tables.push((key.0, key.1, HashMap::new()));
                index.tables.len() - 1
            });
            index.tables[position].2.entry(network.network()).or_default().push(entry);
        }
        index
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// An entry in force whose network holds the address.
    pub(crate) fn find(&self, address: IpAddr, is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        let address = address.to_canonical();
        self.tables.iter().filter(|(_, v4, _)| *v4 == address.is_ipv4()).find_map(
            |(length, _, table)| {
                let network = IpNet::new(address, *length).ok()?.network();
                table.get(&network)?.iter().copied().find(|&entry| is_live(entry))
            },
        )
    }
}

/// Host patterns.
#[derive(Default)]
pub(crate) struct HostIndex {
    any: Vec<u32>,
    exact: HashMap<String, Vec<u32>>,
    below: HashMap<String, Vec<u32>>,
}

impl HostIndex {
    pub(crate) fn new(patterns: impl IntoIterator<Item = (HostPattern, u32)>) -> Self {
        let mut index = Self::default();
        for (pattern, entry) in patterns {
            match pattern {
                HostPattern::Any => index.any.push(entry),
                HostPattern::Exact(host) => index.exact.entry(host).or_default().push(entry),
                HostPattern::Below(host) => index.below.entry(host).or_default().push(entry),
            }
        }
        index
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.any.is_empty() && self.exact.is_empty() && self.below.is_empty()
    }

    /// An entry in force that matches a host as it was sent.
    pub(crate) fn find(&self, host: Option<&str>, is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        let live = |entries: &[u32]| entries.iter().copied().find(|&entry| is_live(entry));
        if let Some(entry) = live(&self.any) {
            return Some(entry);
        }
        let host = bare_host(host?);
        if let Some(entry) = self.exact.get(&host).and_then(|entries| live(entries)) {
            return Some(entry);
        }
        let mut rest = host.as_str();
        while let Some((label, above)) = rest.split_once('.') {
            if !label.is_empty()
                && let Some(entry) = self.below.get(above).and_then(|entries| live(entries))
            {
                return Some(entry);
            }
            rest = above;
        }
        None
    }
}

/// A host in lower case, without its port and without a final dot.
fn bare_host(host: &str) -> String {
    let host = host.trim();
    let name = match host.rsplit_once(':') {
        Some((name, port))
            if !host.ends_with(']') && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(patterns: &[&str]) -> PathIndex {
        let parsed = patterns.iter().zip(0..).map(|(text, entry)| (text.parse().unwrap(), entry));
        PathIndex::new(parsed).unwrap()
    }

    fn finds(pattern: &str, path: &str) -> bool {
        index(&[pattern]).find(path.as_bytes(), &|_| true).is_some()
    }

    #[test]
    fn requirement_41_patterns_are_anchored_at_both_ends() {
        for (pattern, hits, misses) in [
            ("/", ["/"].as_slice(), ["/a", ""].as_slice()),
            ("/health", &["/health"], &["/health/", "/healthz", "/Health", "/x/health"]),
            (
                "/static/**",
                &["/static", "/static/", "/static/a/b"],
                &["/staticx", "/x/static", "/"],
            ),
            ("/**", &["/", "/a", "/a/b"], &[]),
            (
                "/api/*/status",
                &["/api/7/status"],
                &["/api/status", "/api/7/8/status", "/api//status", "/api/7/status/"],
            ),
            ("/api/*/**", &["/api/7", "/api/7/", "/api/7/a/b"], &["/api", "/api/"]),
            ("/*", &["/a"], &["/", "/a/", "/a/b"]),
            ("re:/v[0-9]+/.*", &["/v2/", "/v10/users"], &["/v2", "/x/v2/", "/v2\n/x"]),
            ("re:/a|/b", &["/a", "/b"], &["/ab", "/b/", "/xa"]),
        ] {
            for path in hits {
                assert!(finds(pattern, path), "{pattern} {path}");
            }
            for path in misses {
                assert!(!finds(pattern, path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn entries_that_are_not_in_force_are_passed_over() {
        let index = index(&["/a", "/**", "/*", "re:/a"]);
        for live in 0..4 {
            assert_eq!(index.find(b"/a", &|entry| entry == live), Some(live));
        }
        assert_eq!(index.find(b"/a", &|_| false), None);
    }

    #[test]
    fn requirement_40_networks_are_bits_and_not_text() {
        let index = NetworkIndex::new([
            ("10.0.0.1/32".parse().unwrap(), 0),
            ("2001:db8::/32".parse().unwrap(), 1),
        ]);
        let find = |text: &str| index.find(text.parse().unwrap(), &|_| true);
        assert_eq!(find("10.0.0.1"), Some(0));
        assert_eq!(find("::ffff:10.0.0.1"), Some(0));
        assert_eq!(find("10.0.0.100"), None);
        assert_eq!(find("2001:db8:1::5"), Some(1));
        assert_eq!(find("2001:db9::"), None);
    }

    #[test]
    fn hosts_are_compared_without_case_port_and_final_dot() {
        let index = HostIndex::new([
            ("example.com".parse().unwrap(), 0),
            ("*.example.com".parse().unwrap(), 1),
            ("[2001:db8::1]".parse().unwrap(), 2),
        ]);
        let find = |host| index.find(Some(host), &|_| true);
        assert_eq!(find("Example.COM:8080"), Some(0));
        assert_eq!(find("example.com."), Some(0));
        assert_eq!(find("a.b.example.com"), Some(1));
        assert_eq!(find("[2001:db8::1]:80"), Some(2));
        assert_eq!(find("badexample.com"), None);
        assert_eq!(find(""), None);
        assert_eq!(index.find(None, &|_| true), None);
    }

    proptest! {
        #[test]
        fn requirement_42_a_subtree_is_its_path_and_what_follows_a_slash(
            above in "(/[a-c]{1,2}){1,3}",
            path in "(/[a-c]{1,2}){1,4}/?",
        ) {
            let expected = path == above || path.starts_with(&format!("{above}/"));
            prop_assert_eq!(finds(&format!("{above}/**"), &path), expected);
        }

        #[test]
        fn requirement_40_a_network_holds_what_its_mask_says(
            network in any::<u32>(), length in 0u8..=32, address in any::<u32>(), near in any::<bool>(),
        ) {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let address = if near { (network & mask) | (address & !mask) } else { address };
            let net = IpNet::new(IpAddr::V4(network.into()), length).unwrap();
            let index = NetworkIndex::new([(net, 0)]);
            let found = index.find(IpAddr::V4(address.into()), &|_| true).is_some();
            prop_assert_eq!(found, network & mask == address & mask);
        }
    }
}
