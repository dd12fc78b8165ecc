//! Chains of proxies, honest and hostile.

use proptest::prelude::*;
use serde_json::Map;

use super::super::User;
use super::*;
use crate::say::figure;

/// A request that consists of its peer and header fields.
struct Fake {
    peer: Option<IpAddr>,
    fields: Vec<(&'static str, Vec<u8>)>,
}

impl Request for Fake {
    fn path(&self) -> &[u8] {
        unreachable!("the address does not depend on the path")
    }

    fn method(&self) -> &str {
        unreachable!("the address does not depend on the method")
    }

    fn host(&self) -> Option<&str> {
        unreachable!("the address does not depend on the host")
    }

    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        let named = |field: &&(&str, Vec<u8>)| field.0.eq_ignore_ascii_case(name);
        self.fields.iter().filter(named).for_each(|(_, value)| each(value));
    }

    fn user(&self) -> Option<User> {
        unreachable!("the address does not depend on the user")
    }
}

fn proxies(header: ProxyHeader, networks: &[&str]) -> TrustedProxies {
    let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
    TrustedProxies { header, networks, extra: Map::new() }
}

const NETWORKS: [&str; 3] = ["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"];

/// The client's address if the peer passes these lines on.
fn passed_on<L: AsRef<[u8]>>(
    peer: &str,
    header: ProxyHeader,
    lines: impl IntoIterator<Item = L>,
) -> Option<IpAddr> {
    let name = match header {
        ProxyHeader::XForwardedFor => "X-Forwarded-For",
        ProxyHeader::Forwarded => "Forwarded",
    };
    let fields = lines.into_iter().map(|line| (name, line.as_ref().to_vec())).collect();
    let request = Fake { peer: Some(peer.parse().unwrap()), fields };
    address(&request, Some(&proxies(header, &NETWORKS)))
}

/// Peer, lines and the client's address, which is empty if it is unknown.
type Case = (&'static str, &'static [&'static str], &'static str);

fn check(header: ProxyHeader, cases: &[Case]) {
    figure(&format!(
        "{0} of {0} chains of {header:?} give the client that they should",
        cases.len()
    ));
    for (peer, lines, client) in cases {
        let expected = (!client.is_empty()).then(|| client.parse().unwrap());
        assert_eq!(passed_on(peer, header, *lines), expected, "{header:?} {peer} {lines:?}");
    }
}

#[test]
fn requirement_39_x_forwarded_for() {
    let cases: &[Case] = &[
        // One honest hop.
        ("10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
        ("fd00::1", &["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", &["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
        // What the client sent stands on the left.
        ("10.0.0.1", &["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["10.0.0.9, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["6.6.6.6, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", &["6.6.6.6, 203.0.113.7, 10.0.0.3, fd00::2"], "203.0.113.7"),
        ("10.0.0.1", &["6.6.6.6, 10.0.0.9, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", &["\", 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["\"6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["\u{fc}\u{1}, 203.0.113.7"], "203.0.113.7"),
        // Several lines are one list, in order.
        ("10.0.0.1", &["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["203.0.113.7", "10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", &["6.6.6.6, 203.0.113.7", "10.0.0.3", "10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", &["203.0.113.7", "unknown"], ""),
        ("10.0.0.1", &["unknown", "203.0.113.7"], "203.0.113.7"),
        // Ports and brackets.
        ("10.0.0.1", &["203.0.113.7:80"], "203.0.113.7"),
        ("10.0.0.1", &["203.0.113.7:65535, 10.0.0.2:1"], "203.0.113.7"),
        ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", &["[2001:db8::7]:443"], "2001:db8::7"),
        ("10.0.0.1", &["2001:DB8:0:0::7"], "2001:db8::7"),
        ("10.0.0.1", &["203.0.113.7:"], ""),
        ("10.0.0.1", &["203.0.113.7:65536"], ""),
        ("10.0.0.1", &["203.0.113.7:000080"], ""),
        ("10.0.0.1", &["203.0.113.7:+80"], ""),
        ("10.0.0.1", &["203.0.113.7:http"], ""),
        ("10.0.0.1", &["203.0.113.7:_port"], ""),
        ("10.0.0.1", &["203.0.113.7:80:80"], ""),
        ("10.0.0.1", &["[2001:db8::7"], ""),
        ("10.0.0.1", &["2001:db8::7]"], ""),
        ("10.0.0.1", &["[2001:db8::7]80"], ""),
        ("10.0.0.1", &["[2001:db8::7]:"], ""),
        ("10.0.0.1", &["[[2001:db8::7]]"], ""),
        ("10.0.0.1", &["[203.0.113.7]"], ""),
        ("10.0.0.1", &["[]"], ""),
        // IPv4-mapped IPv6 is IPv4, as client and as proxy.
        ("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["[::ffff:cb00:7107]:80"], "203.0.113.7"),
        ("10.0.0.1", &["203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", &["::203.0.113.7"], "::203.0.113.7"),
        // Zones mean something on one host only.
        ("10.0.0.1", &["fe80::1%eth0"], ""),
        ("10.0.0.1", &["[fe80::1%25eth0]:80"], ""),
        ("10.0.0.1", &["6.6.6.6, fd00::2%1"], ""),
        ("10.0.0.1", &["203.0.113.7%1"], ""),
        // The walk ends at anything that is not an address, also behind a proxy.
        ("10.0.0.1", &["unknown"], ""),
        ("10.0.0.1", &["_hidden"], ""),
        ("10.0.0.1", &["6.6.6.6, unknown"], ""),
        ("10.0.0.1", &["6.6.6.6, _hidden, 10.0.0.2"], ""),
        ("10.0.0.1", &["6.6.6.6, unix:, 10.0.0.2"], ""),
        ("10.0.0.1", &["localhost"], ""),
        ("10.0.0.1", &["203.0.113.0/24"], ""),
        ("10.0.0.1", &["203.0.113.07"], ""),
        ("10.0.0.1", &["203.0.113"], ""),
        ("10.0.0.1", &["0xcb.0.113.7"], ""),
        ("10.0.0.1", &["3405803783"], ""),
        ("10.0.0.1", &["\"203.0.113.7\""], ""),
        ("10.0.0.1", &["for=203.0.113.7"], ""),
        ("10.0.0.1", &["6.6.6.6 203.0.113.7"], ""),
        ("10.0.0.1", &["6.6.6.6; 203.0.113.7"], ""),
        ("10.0.0.1", &["203.0.113.7\u{a0}"], ""),
        ("10.0.0.1", &["203.0.113.7\0"], ""),
        ("10.0.0.1", &["203.0.113.7\u{b}"], ""),
        ("10.0.0.1", &["\u{663}.0.113.7"], ""),
        // Blanks and empty elements are ignored.
        ("10.0.0.1", &["203.0.113.7,"], "203.0.113.7"),
        ("10.0.0.1", &[",,6.6.6.6,, 203.0.113.7 , ,\t,"], "203.0.113.7"),
        ("10.0.0.1", &["6.6.6.6,\t203.0.113.7\t,\t10.0.0.2\t"], "203.0.113.7"),
        ("10.0.0.1", &["6.6.6.6,203.0.113.7,10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", &["", "203.0.113.7", ""], "203.0.113.7"),
        ("10.0.0.1", &[], ""),
        ("10.0.0.1", &[""], ""),
        ("10.0.0.1", &[" , ,"], ""),
        // A chain of proxies alone has no client.
        ("10.0.0.1", &["10.0.0.1"], ""),
        ("10.0.0.1", &["10.0.0.3, 127.0.0.1, fd00::2"], ""),
        // The edges of what is trusted.
        ("10.0.0.1", &["6.6.6.6, 11.0.0.0"], "11.0.0.0"),
        ("10.0.0.1", &["6.6.6.6, 10.255.255.255"], "6.6.6.6"),
        ("10.0.0.1", &["6.6.6.6, 127.0.0.2"], "127.0.0.2"),
        ("10.0.0.1", &["6.6.6.6, fe00::1"], "fe00::1"),
        // A peer that is not a proxy is the client, whatever it sends.
        ("203.0.113.7", &["6.6.6.6"], "203.0.113.7"),
        ("203.0.113.7", &["10.0.0.1"], "203.0.113.7"),
        ("203.0.113.7", &["unknown"], "203.0.113.7"),
        ("203.0.113.7", &[], "203.0.113.7"),
        ("::ffff:203.0.113.7", &["6.6.6.6"], "203.0.113.7"),
        ("::1", &["6.6.6.6"], "::1"),
    ];
    check(ProxyHeader::XForwardedFor, cases);
}

#[test]
fn requirement_39_forwarded() {
    let cases: &[Case] = &[
        ("10.0.0.1", &["for=203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["For=203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["FOR=\"203.0.113.7\""], "203.0.113.7"),
        ("10.0.0.1", &["for=\"203.0.113.7:80\""], "203.0.113.7"),
        ("10.0.0.1", &["for=\"203.0.113.7:_p.o-r_t\""], "203.0.113.7"),
        ("10.0.0.1", &["for=\"[2001:db8::7]\""], "2001:db8::7"),
        ("10.0.0.1", &["for=\"[2001:DB8::7]:443\""], "2001:db8::7"),
        ("10.0.0.1", &["for=\"[::ffff:203.0.113.7]\""], "203.0.113.7"),
        ("10.0.0.1", &["for=\"\\2\\03.0.113.7\""], "203.0.113.7"),
        // Several parameters, in any order.
        ("10.0.0.1", &["for=203.0.113.7;proto=https;by=10.0.0.1"], "203.0.113.7"),
        ("10.0.0.1", &["proto=https;host=\"a,b;for=6.6.6.6\";for=203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["by=6.6.6.6 ; for=203.0.113.7\t;"], "203.0.113.7"),
        ("10.0.0.1", &["secret=_x;for=203.0.113.7;later=\"a\\\"b\u{fc}\""], "203.0.113.7"),
        ("10.0.0.1", &["for=203.0.113.7;host=\"\""], "203.0.113.7"),
        // What the client sent stands on the left.
        ("10.0.0.1", &["for=6.6.6.6, for=203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &["for=6.6.6.6,for=203.0.113.7,for=\"[fd00::2]:1\""], "203.0.113.7"),
        ("10.0.0.1", &["6.6.6.6;;=\u{1}, for=203.0.113.7;by=_a, for=10.0.0.2"], "203.0.113.7"),
        (
            "10.0.0.1",
            &["for=6.6.6.6", "for=203.0.113.7, for=10.0.0.3", "for=10.0.0.2"],
            "203.0.113.7",
        ),
        ("10.0.0.1", &["for=\"6.6.6.6, for=1.1.1.1\", for=203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", &[", for=203.0.113.7, ,\t,"], "203.0.113.7"),
        // A quote that the client left open.
        ("10.0.0.1", &["for=6.6.6.6;x=\", for=203.0.113.7"], ""),
        ("10.0.0.1", &["for=6.6.6.6;x=\"", "for=203.0.113.7"], ""),
        ("10.0.0.1", &["for=6.6.6.6;x=\"\\, for=\"[2001:db8::7]\""], ""),
        ("10.0.0.1", &["for=6.6.6.6;x=\", for=203.0.113.7;host=\"\\\"\", for=10.0.0.2"], ""),
        ("10.0.0.1", &["for=6.6.6.6;x=\", for=203.0.113.7;host=\",for=6.6.6.6;x=\\\"\""], ""),
        ("10.0.0.1", &["x=\\\", for=203.0.113.7"], ""),
        ("10.0.0.1", &["for=6.6.6.6;x=\", for=203.0.113.7;y=\"\\\\\", for=\"[fd00::2]"], ""),
        // Not the grammar of RFC 7239.
        ("10.0.0.1", &["203.0.113.7"], ""),
        ("10.0.0.1", &["for=203.0.113.7:80"], ""),
        ("10.0.0.1", &["for=[2001:db8::7]"], ""),
        ("10.0.0.1", &["for=2001:db8::7"], ""),
        ("10.0.0.1", &["for=\"2001:db8::7\""], ""),
        ("10.0.0.1", &["for=\"[2001:db8::7%25eth0]\""], ""),
        ("10.0.0.1", &["for=\"[203.0.113.7]\""], ""),
        ("10.0.0.1", &["for=\" 203.0.113.7\""], ""),
        ("10.0.0.1", &["for = 203.0.113.7"], ""),
        ("10.0.0.1", &["for=\"203.0.113.7\"x"], ""),
        ("10.0.0.1", &["for=203.0.113.7\"\""], ""),
        ("10.0.0.1", &["for=\"203.0.113.7:_\""], ""),
        ("10.0.0.1", &["for=\"203.0.113.7:_a b\""], ""),
        ("10.0.0.1", &["for=\"203.0.113.7:99999\""], ""),
        ("10.0.0.1", &["for=203.0.113.7;proto"], ""),
        ("10.0.0.1", &["for=203.0.113.7;proto="], ""),
        ("10.0.0.1", &["for=203.0.113.7;a b=c"], ""),
        ("10.0.0.1", &["for=203.0.113.7;x=\"\u{1}\""], ""),
        ("10.0.0.1", &["for=203.0.113.7;for=6.6.6.6"], ""),
        ("10.0.0.1", &["for=203.0.113.7;FOR=203.0.113.7"], ""),
        ("10.0.0.1", &["for="], ""),
        ("10.0.0.1", &["for=\"\""], ""),
        ("10.0.0.1", &["for=\""], ""),
        // Hops without a readable address.
        ("10.0.0.1", &["for=unknown"], ""),
        ("10.0.0.1", &["for=Unknown, for=10.0.0.2"], ""),
        ("10.0.0.1", &["for=_hidden"], ""),
        ("10.0.0.1", &["for=6.6.6.6, for=\"_hidden:80\""], ""),
        ("10.0.0.1", &["for=6.6.6.6, by=10.0.0.1;proto=https"], ""),
        ("10.0.0.1", &["for=6.6.6.6, ;"], ""),
        ("10.0.0.1", &["for=10.0.0.3, for=\"[fd00::2]\""], ""),
        ("10.0.0.1", &[], ""),
        ("10.0.0.1", &[""], ""),
        ("203.0.113.7", &["for=6.6.6.6"], "203.0.113.7"),
        ("203.0.113.7", &["for=\""], "203.0.113.7"),
    ];
    check(ProxyHeader::Forwarded, cases);
}

#[test]
fn requirement_39_only_the_one_configured_field_counts() {
    for (header, name, value) in [
        (ProxyHeader::XForwardedFor, "x-FORWARDED-for", "203.0.113.7"),
        (ProxyHeader::Forwarded, "FORWARDED", "for=203.0.113.7"),
    ] {
        let mut others: Vec<(&str, Vec<u8>)> = [
            ("X-Forwarded-For", "6.6.6.6"),
            ("Forwarded", "for=6.6.6.6"),
            ("X_Forwarded_For", "6.6.6.6"),
            ("X-Forwarded_For", "6.6.6.6"),
            ("X-Real-IP", "6.6.6.6"),
            ("X-Client-IP", "6.6.6.6"),
            ("X-Cluster-Client-IP", "6.6.6.6"),
            ("CF-Connecting-IP", "6.6.6.6"),
            ("True-Client-IP", "6.6.6.6"),
            ("Client-IP", "6.6.6.6"),
            ("X-Forwarded", "for=6.6.6.6"),
            ("Forwarded-For", "6.6.6.6"),
            ("Via", "6.6.6.6"),
        ]
        .map(|(name, value)| (name, value.as_bytes().to_vec()))
        .into();
        others.retain(|field| !field.0.eq_ignore_ascii_case(name));
        let mut request = Fake { peer: Some([10, 0, 0, 1].into()), fields: others };
        let proxies = proxies(header, &NETWORKS);
        assert_eq!(address(&request, Some(&proxies)), None, "{header:?}");
        request.fields.insert(3, (name, value.as_bytes().to_vec()));
        let client = Some([203, 0, 113, 7].into());
        assert_eq!(address(&request, Some(&proxies)), client, "{header:?}");
    }
}

#[test]
fn requirement_39_nobody_is_trusted_by_default() {
    for (peer, client) in [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("10.0.0.1", "10.0.0.1"),
    ] {
        let fields = vec![("X-Forwarded-For", b"6.6.6.6".to_vec())];
        let request = Fake { peer: Some(peer.parse().unwrap()), fields };
        assert_eq!(address(&request, None), Some(client.parse().unwrap()));
    }
}

#[test]
fn requirement_39_a_unix_socket_has_no_address() {
    let fields = vec![("X-Forwarded-For", b"6.6.6.6".to_vec())];
    let request = Fake { peer: None, fields };
    let proxies = proxies(ProxyHeader::XForwardedFor, &NETWORKS);
    assert_eq!(address(&request, None), None);
    assert_eq!(address(&request, Some(&proxies)), None);
}

#[test]
fn requirement_39_networks_may_be_ipv4_mapped_but_ipv6_ones_hold_no_ipv4() {
    for (network, client) in [
        ("::ffff:10.0.0.0/104", "203.0.113.7"),
        ("::ffff:10.0.0.1/128", "203.0.113.7"),
        ("::ffff:0:0/96", "10.0.0.1"),
        ("::/8", "10.0.0.1"),
    ] {
        let fields = vec![("X-Forwarded-For", b"203.0.113.7".to_vec())];
        let request = Fake { peer: Some([10, 0, 0, 1].into()), fields };
        let proxies = proxies(ProxyHeader::XForwardedFor, &[network]);
        let client = Some(client.parse().unwrap());
        assert_eq!(address(&request, Some(&proxies)), client, "{network}");
    }
}

#[test]
fn requirement_39_the_work_is_bounded() {
    let xff = |lines: &[String]| passed_on("10.0.0.1", ProxyHeader::XForwardedFor, lines);
    let client = Some([203, 0, 113, 7].into());
    for (garbage, expected) in [(10_000, client), (65_000, client), (MAX_SIZE, None)] {
        let garbage = "x".repeat(garbage);
        assert_eq!(xff(&[format!("{garbage}, 203.0.113.7")]), expected);
        assert_eq!(xff(&[garbage.clone(), "203.0.113.7".to_owned()]), expected);
        let forwarded = [format!("for={garbage}, for=203.0.113.7")];
        assert_eq!(passed_on("10.0.0.1", ProxyHeader::Forwarded, forwarded), expected);
    }
    for (proxies, expected) in [(MAX_HOPS - 1, client), (MAX_HOPS, None)] {
        let hops = ",10.0.0.2".repeat(proxies);
        assert_eq!(xff(&[format!("203.0.113.7{hops}")]), expected);
        let lines = vec!["10.0.0.2".to_owned(); proxies];
        assert_eq!(xff(&[vec!["203.0.113.7".to_owned()], lines].concat()), expected);
    }
    assert_eq!(xff(&[",".repeat(MAX_HOPS) + "203.0.113.7"]), None);
    // One line that does not fit spoils the whole field.
    assert_eq!(xff(&["x".repeat(MAX_SIZE), "203.0.113.7".to_owned()]), None);
    assert_eq!(xff(&["203.0.113.7".to_owned(), "x".repeat(MAX_SIZE)]), None);
}

/// What a client may write: noise, and what might be taken for a hop.
fn garbage() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~\t\u{e4}]{0,6}",
        prop::sample::select(vec![
            "6.6.6.6",
            "2001:db8::6",
            "[2001:db8::6]:80",
            "10.0.0.9",
            "for=6.6.6.6",
            "for=\"6.6.6.6\"",
            ", for=6.6.6.6",
            ";for=6.6.6.6",
            "for=",
            ";x=",
            ";x=\"",
            "\"",
            "\\",
            "\\\"",
            "\\\\",
            ",",
            ", ",
            ";",
            "=",
            "unknown",
            "_x",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A hop as a proxy saw it, the name of the host that the client asked for,
/// and whether the proxy begins a line of its own.
type Hop = (&'static str, Option<String>, bool);

/// The client's lines and what the proxies append to them: first the client, or a
/// word that hides it, then each other.
fn chain() -> impl Strategy<Value = (Vec<String>, Vec<Hop>)> {
    let hop = |seen: &[&'static str]| {
        let host = prop::option::of(garbage());
        (prop::sample::select(seen.to_vec()), host, any::<bool>())
    };
    let client = hop(&["203.0.113.7", "2001:db8::7", "::ffff:203.0.113.8", "unknown", "_x"]);
    let proxy = hop(&["10.0.0.2", "fd00::2", "::ffff:10.0.0.3", "127.0.0.1"]);
    (
        prop::collection::vec(garbage(), 0..3),
        (client, prop::collection::vec(proxy, 0..4))
            .prop_map(|(client, proxies)| [vec![client], proxies].concat()),
    )
}

fn pass_on(mut lines: Vec<String>, hops: &[Hop], element: fn(&Hop) -> String) -> Vec<String> {
    for hop in hops {
        match lines.last_mut().filter(|_| !hop.2) {
            Some(line) => *line = format!("{line}, {}", element(hop)),
            None => lines.push(element(hop)),
        }
    }
    lines
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn requirement_39_a_client_never_chooses_its_address((lines, hops) in chain()) {
        let lines = pass_on(lines, &hops, |hop| hop.0.to_owned());
        let seen = hops[0].0.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        prop_assert_eq!(passed_on("10.0.0.1", ProxyHeader::XForwardedFor, &lines), seen);
    }

    #[test]
    fn requirement_39_a_client_never_chooses_its_address_in_forwarded((lines, hops) in chain()) {
        let quotes = lines.iter().any(|line| line.contains('"'));
        let lines = pass_on(lines, &hops, |(seen, host, first)| {
            let node = if seen.contains(':') { quoted(&format!("[{seen}]")) } else { (*seen).to_owned() };
            match host {
                None => format!("for={node}"),
                Some(host) if *first => format!("host={};for={node}", quoted(host)),
                Some(host) => format!("for={node};host={};proto=https", quoted(host)),
            }
        });
        let seen = hops[0].0.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let client = passed_on("10.0.0.1", ProxyHeader::Forwarded, &lines);
        // An open quote makes the client unknown, and that is all it does.
        prop_assert!(client == seen || quotes && client.is_none(), "{client:?}: {lines:?}");
    }
}
