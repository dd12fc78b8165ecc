//! Patterns compiled for lookup, however many there are.
//!
//! Every index returns the number of an entry, and skips those that are not in
//! force according to the caller.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::iter;
use std::net::IpAddr;

use ipnet::IpNet;
use regex::bytes::{RegexSet, RegexSetBuilder};

use crate::error::{Error, Result};
use crate::request::path::segments;
use crate::rules::host::HostPattern;
use crate::rules::path::PathPattern;

/// The largest compiled size of all regular expressions together, in bytes.
const REGEX_SET_SIZE: usize = 256 * 1024 * 1024;

/// Path patterns.
#[derive(Default)]
pub(crate) struct PathIndex {
    /// By the hash of their segments, which several places may share.
    places: Table<u64, (Place, Vec<Place>)>,
    globs: GlobNode,
    regexes: Option<RegexSet>,
    regex_entries: Vec<u32>,
}

/// A path, or one with everything below it.
struct Place {
    /// Without the `/**`, so empty for `/**` itself.
    path: Box<[u8]>,
    is_subtree: bool,
    entry: u32,
}

/// A node of the trie over the segments of globs.
#[derive(Default)]
struct GlobNode {
    children: Table<Box<[u8]>, GlobNode>,
    /// Where `*` leads.
    any: Option<Box<GlobNode>>,
    /// Entries whose pattern ends here.
    ends: Vec<u32>,
    /// Entries whose pattern goes on with `**`.
    subtrees: Vec<u32>,
}

impl PathIndex {
    /// Compiles patterns, each with the number of its entry.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the regular expressions together are too large.
    pub(crate) fn new(patterns: impl IntoIterator<Item = (PathPattern, u32)>) -> Result<Self> {
        let mut index = Self::default();
        let mut sources = Vec::new();
        for (pattern, entry) in patterns {
            match pattern {
                PathPattern::Exact(path) => index.insert(path, false, entry),
                PathPattern::Subtree(above) => index.insert(above, true, entry),
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
        let by_place = || {
            prefixes(path).find_map(|(end, hash)| {
                // `/static/**` is `/static` and whatever follows it after a slash.
                let is_meant = |place: &&Place| {
                    (place.is_subtree || end == path.len())
                        && *place.path == path[..end]
                        && is_live(place.entry)
                };
                let (first, others) = self.places.get(&hash)?;
                Some(iter::once(first).chain(others).find(is_meant)?.entry)
            })
        };
        let by_glob = || self.globs.find(Some(path.strip_prefix(b"/").unwrap_or(path)), is_live);
        let by_regex = || {
            let matches = self.regexes.as_ref()?.matches(path);
            matches.iter().map(|number| self.regex_entries[number]).find(|&entry| is_live(entry))
        };
        let by_place = if self.places.is_empty() { None } else { by_place() };
        by_place.or_else(by_glob).or_else(by_regex)
    }

    fn insert(&mut self, path: String, is_subtree: bool, entry: u32) {
        let path: Box<[u8]> = path.into_bytes().into();
        let hash = prefixes(&path).last().map_or(0, |(_, hash)| hash);
        let place = Place { path, is_subtree, entry };
        match self.places.entry(hash) {
            Entry::Vacant(vacant) => drop(vacant.insert((place, Vec::new()))),
            Entry::Occupied(mut occupied) => occupied.get_mut().1.push(place),
        }
    }
}

/// The end of each segment of a path, with the hash of everything up to it. The
/// first is the empty prefix. A path that begins with anything but `/` has none.
fn prefixes(path: &[u8]) -> impl Iterator<Item = (usize, u64)> {
    let mut hasher = Fold::default();
    let mut next = (path.is_empty() || path.starts_with(b"/")).then_some(0);
    iter::from_fn(move || {
        let end = next?;
        let hash = hasher.finish();
        next = path.get(end + 1..).map(|rest| {
            let length = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            hasher.write(&rest[..length]);
            end + 1 + length
        });
        Some((end, hash))
    })
}

impl GlobNode {
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

    /// Finds an entry for the rest of a path, without its leading `/`. Visits each
    /// node at most once, so the patterns bound its cost.
    fn find(&self, path: Option<&[u8]>, is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        let live = |entries: &[u32]| entries.iter().copied().find(|&entry| is_live(entry));
        if let Some(entry) = live(&self.subtrees) {
            return Some(entry);
        }
        let Some(path) = path else {
            return live(&self.ends);
        };
        if self.children.is_empty() && self.any.is_none() {
            return None;
        }
        let end = path.iter().position(|&byte| byte == b'/');
        let segment = &path[..end.unwrap_or(path.len())];
        let rest = end.map(|end| &path[end + 1..]);
        let named = self.children.get(segment).and_then(|node| node.find(rest, is_live));
        named.or_else(|| {
            let any = self.any.as_deref().filter(|_| !segment.is_empty())?;
            any.find(rest, is_live)
        })
    }
}

/// Networks, in the order of their first addresses.
#[derive(Default)]
pub(crate) struct NetworkIndex {
    v4: Nested<u32>,
    v6: Nested<u128>,
}

impl NetworkIndex {
    pub(crate) fn new(networks: impl IntoIterator<Item = (IpNet, u32)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (network, entry) in networks {
            match network {
                IpNet::V4(net) => v4.push((net.network().into(), net.broadcast().into(), entry)),
                IpNet::V6(net) => v6.push((net.network().into(), net.broadcast().into(), entry)),
            }
        }
        Self { v4: Nested::new(v4), v6: Nested::new(v6) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.v4.starts.is_empty() && self.v6.starts.is_empty()
    }

    /// An entry in force whose network holds the address.
    pub(crate) fn find(&self, address: IpAddr, is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.v4.find(v4.into(), is_live),
            IpAddr::V6(v6) => self.v6.find(v6.into(), is_live),
        }
    }
}

/// Ranges of which any two are disjoint or nested, as networks are.
#[derive(Default)]
struct Nested<A> {
    /// The first start of each block: few enough to stay in the processor's cache.
    blocks: Vec<A>,
    starts: Vec<A>,
    ranges: Vec<Range<A>>,
}

/// How many starts a block has.
const BLOCK: usize = 64;

struct Range<A> {
    end: A,
    entry: u32,
    /// The smallest range around this one.
    around: Option<u32>,
}

impl<A: Copy + Ord> Nested<A> {
    /// Takes the first address, the last address and the entry of each range.
    fn new(mut given: Vec<(A, A, u32)>) -> Self {
        // The larger of two that start together comes first.
        given.sort_unstable_by_key(|&(start, end, entry)| (start, Reverse((end, entry))));
        let mut ranges: Vec<Range<A>> = Vec::with_capacity(given.len());
        let mut innermost = None;
        for (&(start, end, entry), number) in given.iter().zip(0..) {
            // A range that ends before this one starts is not around it.
            while let Some(range) = innermost.map(|range: u32| &ranges[range as usize])
                && range.end < start
            {
                innermost = range.around;
            }
            ranges.push(Range { end, entry, around: innermost });
            innermost = Some(number);
        }
        let starts: Vec<A> = given.into_iter().map(|(start, ..)| start).collect();
        Self { blocks: starts.iter().step_by(BLOCK).copied().collect(), starts, ranges }
    }

    fn find(&self, address: A, is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        // Only the last range that starts at or before the address, and those around
        // that range, can hold it.
        let begins = |start: &A| *start <= address;
        let block = BLOCK * self.blocks.partition_point(begins).checked_sub(1)?;
        let starts = &self.starts[block..self.starts.len().min(block + BLOCK)];
        let last = block + starts.partition_point(begins) - 1;
        let mut possible = iter::successors(self.ranges.get(last), |range| {
            self.ranges.get(range.around? as usize)
        });
        Some(possible.find(|range| address <= range.end && is_live(range.entry))?.entry)
    }
}

/// Host patterns.
#[derive(Default)]
pub(crate) struct HostIndex {
    any: Vec<u32>,
    exact: Table<String, Vec<u32>>,
    below: Table<String, Vec<u32>>,
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

    /// An entry in force that matches a host as [`crate::request::host::read`] returns
    /// it. Only `*` matches what is no host.
    pub(crate) fn find(&self, host: Option<&str>, is_live: &impl Fn(u32) -> bool) -> Option<u32> {
        let live = |entries: &[u32]| entries.iter().copied().find(|&entry| is_live(entry));
        if let Some(entry) = live(&self.any) {
            return Some(entry);
        }
        let host = host?;
        if let Some(entry) = self.exact.get(host).and_then(|entries| live(entries)) {
            return Some(entry);
        }
        let mut rest = host;
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

/// A table with keys of the operator's choice. A request can only look keys up, so
/// the hash need not resist chosen ones.
type Table<K, V> = HashMap<K, V, BuildHasherDefault<Fold>>;

/// Hashes eight bytes with one multiplication, and keeps both halves of the product.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        // The length keeps `/a/b` and `/ab` apart.
        let rest = rest.iter().fold(bytes.len() as u64, |rest, &byte| rest << 8 | u64::from(byte));
        self.write_u64(rest);
    }

    fn write_u64(&mut self, word: u64) {
        // Digits of pi and of the golden ratio: any odd numbers without a pattern would do.
        let product = u128::from(self.0 ^ word ^ 0x243f_6a88_85a3_08d3) * 0x9e37_79b9_7f4a_7c15;
        #[expect(clippy::cast_possible_truncation, reason = "one half and the other")]
        let halves = [product as u64, (product >> 64) as u64];
        self.0 = halves[0] ^ halves[1];
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;
    use proptest::test_runner::{RngAlgorithm, TestRng};

    use super::*;
    use crate::request::path::PathForms;
    use crate::say::figure;

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
    fn the_smallest_network_in_force_is_found_and_those_around_it_after_it() {
        let networks = [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.0.0.0/16",
            "10.0.7.0/24",
            "10.9.0.0/16",
            "11.0.0.0/8",
            "10.0.0.0/32",
        ];
        let index =
            NetworkIndex::new(networks.iter().zip(0..).map(|(text, n)| (text.parse().unwrap(), n)));
        let all = |text: &str| {
            let mut found = Vec::new();
            while let Some(entry) =
                index.find(text.parse().unwrap(), &|entry| !found.contains(&entry))
            {
                found.push(entry);
            }
            found
        };
        assert_eq!(all("10.0.7.1"), [4, 2, 3, 1, 0]);
        assert_eq!(all("10.0.0.0"), [7, 2, 3, 1, 0]);
        assert_eq!(all("10.0.8.0"), [2, 3, 1, 0]);
        assert_eq!(all("10.10.0.0"), [1, 0]);
        assert_eq!(all("255.255.255.255"), [0]);
        assert!(all("::1").is_empty());
    }

    #[test]
    fn of_equal_patterns_the_oldest_is_found() {
        let index = index(&["/a/b", "/a/b", "/a/**", "/a/**", "/**"]);
        for (path, all) in [("/a/b", [4, 2, 3, 0, 1].as_slice()), ("/a", &[4, 2, 3]), ("/", &[4])] {
            let mut found = Vec::new();
            while let Some(entry) = index.find(path.as_bytes(), &|entry| !found.contains(&entry)) {
                found.push(entry);
            }
            assert_eq!(found, all, "{path}");
        }
    }

    #[test]
    fn hosts_are_compared_without_case_port_and_final_dot() {
        let index = HostIndex::new([
            ("example.com".parse().unwrap(), 0),
            ("*.example.com".parse().unwrap(), 1),
            ("[2001:db8::1]".parse().unwrap(), 2),
        ]);
        let find = |sent| index.find(crate::request::host::read(sent).as_deref(), &|_| true);
        assert_eq!(find("Example.COM:8080"), Some(0));
        assert_eq!(find("example.com."), Some(0));
        assert_eq!(find("a.b.example.com"), Some(1));
        assert_eq!(find("[2001:db8::1]:80"), Some(2));
        assert_eq!(find("badexample.com"), None);
        assert_eq!(find(""), None);
        assert_eq!(index.find(None, &|_| true), None);
    }

    #[test]
    fn requirement_42_what_an_unanchored_pattern_would_let_slip_is_caught() {
        for pattern in ["/admin", "/admin/**"] {
            let index = index(&[pattern]);
            for target in
                ["/evil?x=/admin", "/api/admin-x", "/administrator", "/admin/..;/x", "/x/admin"]
            {
                let path = target.split('?').next().unwrap_or_default();
                let forms = PathForms::new(path.as_bytes());
                let found = forms.clear().and_then(|path| index.find(path, &|_| true));
                assert_eq!(found, None, "{pattern} {target}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_network_among_many_is_found_as_if_it_were_alone(
            networks in prop::collection::vec((any::<u8>(), 0u8..=8), 0..300), address in any::<u8>(),
        ) {
            let net = |(bits, length)| IpNet::new(Ipv4Addr::new(10, 0, 0, bits).into(), 24 + length).unwrap();
            let networks: Vec<IpNet> = networks.into_iter().map(net).collect();
            let address = IpAddr::from([10, 0, 0, address]);
            let index = NetworkIndex::new(networks.iter().copied().zip(0..));
            for (network, entry) in networks.iter().zip(0..) {
                let found = index.find(address, &|other| other == entry).is_some();
                prop_assert_eq!(found, network.contains(&address));
            }
        }
    }

    /// How often `grants` is wrong about a rule for a path and all below it, in so
    /// many random cases.
    fn slips(cases: u32, grants: impl Fn(&str, &str) -> bool) -> u32 {
        let mut chance = TestRng::deterministic_rng(RngAlgorithm::XorShift);
        let (mut slips, mut granted) = (0, 0);
        for _ in 0..cases {
            let mut path = |most: u32| {
                let mut path = String::new();
                for _ in 0..chance.random_range(1..=most) {
                    let segments = ["/a", "/b", "/ab", "/ba", "/admin", "/admin-x", "/A"];
                    path += segments[chance.random_range(0..segments.len())];
                }
                path
            };
            let (above, stray) = (path(2), path(3));
            // Half of them are near: `above` and something after it.
            let near = ["", "/", "x", "-x", ".x", "/x", "/x/"];
            let is_near: bool = chance.random();
            let tail = near[chance.random_range(0..near.len())];
            let path = if is_near { format!("{above}{tail}") } else { stray };
            let expected = path == above || path.starts_with(&format!("{above}/"));
            slips += u32::from(grants(&above, &path) != expected);
            granted += u32::from(expected);
        }
        assert!((cases / 5..cases / 5 * 4).contains(&granted), "{granted}: both are tried");
        slips
    }

    #[test]
    fn requirement_42_a_million_subtrees_are_their_path_and_what_follows_a_slash() {
        let grants = |above: &str, path: &str| {
            let forms = PathForms::new(path.as_bytes());
            let index = index(&[&format!("{above}/**")]);
            forms.clear().is_some_and(|path| index.find(path, &|_| true).is_some())
        };
        assert_eq!(slips(1_000_000, grants), 0);
        figure("1 000 000 random rules and paths, 0 disagreements with a naive model");
    }

    #[test]
    fn requirement_57_a_subtree_that_is_a_prefix_is_caught() {
        let caught = slips(10_000, |above, path| path.starts_with(above));
        assert!(caught > 0);
        figure(&format!("caught by {caught} of 10 000 cases"));
    }

    /// How often `holds` is wrong about a network and an address, in so many random
    /// cases.
    fn mistakes(cases: u32, holds: impl Fn(IpNet, IpAddr) -> bool) -> u32 {
        let mut chance = TestRng::deterministic_rng(RngAlgorithm::XorShift);
        let (mut mistakes, mut held) = (0, 0);
        for turn in 0..cases {
            // An IPv4 address is a number of 32 bits, an IPv6 address one of 128.
            let is_v4 = turn % 2 == 0;
            let (bits, all) = if is_v4 { (32, u128::from(u32::MAX)) } else { (128, u128::MAX) };
            let mut number = || chance.random::<u128>() & all;
            let (network, stray) = (number(), number());
            let length: u8 = chance.random_range(0..=bits);
            let mask = all ^ all.checked_shr(length.into()).unwrap_or(0);
            // Half of them are near: they differ only below the mask, or in one bit.
            let address = match chance.random_range(0..4) {
                0 => (network & mask) | (stray & !mask),
                1 => network ^ (1 << chance.random_range(0..bits)),
                _ => stray,
            };
            let ip = |number: u128| match u32::try_from(number) {
                Ok(v4) if is_v4 => IpAddr::V4(v4.into()),
                _ => IpAddr::V6(number.into()),
            };
            let expected = network & mask == address & mask;
            let found = holds(IpNet::new(ip(network), length).unwrap(), ip(address));
            mistakes += u32::from(found != expected);
            held += u32::from(expected);
        }
        assert!((cases / 5..cases / 5 * 4).contains(&held), "{held} say yes: both are tried");
        mistakes
    }

    fn holds(network: IpNet, address: IpAddr) -> bool {
        NetworkIndex::new([(network, 0)]).find(address, &|_| true).is_some()
    }

    #[test]
    fn requirement_40_a_million_networks_hold_what_their_masks_say() {
        assert_eq!(mistakes(1_000_000, holds), 0);
        figure("1 000 000 random networks and addresses, 0 differences from a bit mask");
    }

    #[test]
    fn requirement_57_a_network_that_is_half_as_large_and_one_that_is_text_are_caught() {
        let half = |network: IpNet, address| {
            let length = network.max_prefix_len().min(network.prefix_len() + 1);
            holds(IpNet::new(network.addr(), length).unwrap(), address)
        };
        let text = |network: IpNet, address: IpAddr| {
            address.to_string().starts_with(&network.addr().to_string())
        };
        let caught = [mistakes(10_000, half), mistakes(10_000, text)];
        assert!(caught.iter().all(|&number| number > 0));
        figure(&format!("caught by {} and {} of 10 000 cases", caught[0], caught[1]));
    }
}
