//! Ignore rules: which requests get through every window.

pub(crate) mod header;
pub(crate) mod host;
pub(crate) mod method;
pub(crate) mod network;
pub(crate) mod path;
mod read;
pub(crate) mod user;

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::time::has_come;
use ipnet::IpNet;

pub use header::HeaderMatch;
pub use host::HostPattern;
pub use path::PathPattern;
pub use user::UserClass;

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// The path of the request target: [`PathPattern`].
    Path,
    /// The client's address: an address or a network in CIDR notation (RFC 4632).
    Ip,
    /// The request method.
    Method,
    /// The requested host: [`HostPattern`].
    Host,
    /// The class of the user: [`UserClass`].
    User,
    /// A header field with its value: [`HeaderMatch`].
    Header,
    /// A kind of a later version. It is kept and lets nobody through.
    #[serde(untagged)]
    Unknown(String),
}

impl Kind {
    /// The kinds that this version can act on.
    pub const KNOWN: [Self; 6] =
        [Self::Path, Self::Ip, Self::Method, Self::Host, Self::User, Self::Header];

    /// The word used on the command line and in the state file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Path => "path",
            Self::Ip => "ip",
            Self::Method => "method",
            Self::Host => "host",
            Self::User => "user",
            Self::Header => "header",
            Self::Unknown(word) => word,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One ignore rule as the state file holds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Rule {
    /// What the rule looks at.
    pub kind: Kind,
    /// What it looks for, in the notation of its kind.
    pub value: String,
    /// Why the rule exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// From this moment on the rule has no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::state::schema_test::Time>"))]
    pub expires_at: Option<Timestamp>,
    /// When the rule was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<crate::state::schema_test::Time>"))]
    pub added_at: Option<Timestamp>,
    /// Who added it, as `user@host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_by: Option<String>,
    /// Fields of later versions, kept as they are.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub extra: Map<String, Value>,
}

impl Rule {
    /// Makes a rule with nothing else set, and does not check it.
    #[must_use]
    pub fn new(kind: Kind, value: impl Into<String>) -> Self {
        Self {
            kind,
            value: value.into(),
            note: None,
            expires_at: None,
            added_at: None,
            added_by: None,
            extra: Map::new(),
        }
    }

    /// Whether the rule has expired; at `expires_at` it has.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        has_come(self.expires_at, now)
    }

    /// Parses what the rule matches; `None` for a kind of a later version.
    ///
    /// # Errors
    ///
    /// As [`Matcher::parse`].
    pub fn matcher(&self) -> Result<Option<Matcher>> {
        match self.kind {
            Kind::Unknown(_) => Ok(None),
            ref kind => Matcher::parse(kind, &self.value).map(Some),
        }
    }
}

/// A rule's value, parsed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Matcher {
    /// Requests whose path matches.
    Path(PathPattern),
    /// Clients within a network.
    Ip(IpNet),
    /// Requests with this method.
    Method(String),
    /// Requests for a host.
    Host(HostPattern),
    /// Users of a class.
    User(UserClass),
    /// Requests that carry a header field.
    Header(HeaderMatch),
}

impl Matcher {
    /// Reads a value in the notation of its kind.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] names what is wrong and, where possible, the fix.
    pub fn parse(kind: &Kind, value: &str) -> Result<Self> {
        Ok(match kind {
            Kind::Path => Self::Path(value.parse()?),
            Kind::Ip => Self::Ip(network::parse(value)?),
            Kind::Method => Self::Method(method::parse(value)?),
            Kind::Host => Self::Host(value.parse()?),
            Kind::User => Self::User(value.parse()?),
            Kind::Header => Self::Header(value.parse()?),
            Kind::Unknown(word) => {
                return Err(Error::Unknown {
                    kind: "kind of rule",
                    name: word.clone(),
                    known: Kind::KNOWN.iter().map(ToString::to_string).collect(),
                });
            }
        })
    }

    /// What the rule looks at.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Path(_) => Kind::Path,
            Self::Ip(_) => Kind::Ip,
            Self::Method(_) => Kind::Method,
            Self::Host(_) => Kind::Host,
            Self::User(_) => Kind::User,
            Self::Header(_) => Kind::Header,
        }
    }

    /// Whether the rule would let everyone in, and so needs a confirmation.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        match self {
            Self::Path(pattern) => pattern.is_everything(),
            Self::Ip(network) => network.prefix_len() == 0,
            Self::Host(pattern) => *pattern == HostPattern::Any,
            Self::Method(_) | Self::User(_) | Self::Header(_) => false,
        }
    }

    /// Refuses a rule that would let everyone in.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it would. It cannot be confirmed here.
    pub fn refuse_everything(&self) -> Result<()> {
        if self.is_everything() {
            return Err(Error::invalid(format!(
                "`{self}` would let everyone through every window"
            )));
        }
        Ok(())
    }

    /// Whether this is the path `/` alone, often written where every path is meant.
    #[must_use]
    pub fn is_root_path(&self) -> bool {
        matches!(self, Self::Path(PathPattern::Exact(path)) if path == "/")
    }

    /// What is odd about the rule, though it is none that cannot be.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        match self {
            Self::Path(pattern) => pattern.doubt(),
            Self::Method(method) => method::doubt(method),
            _ => None,
        }
    }

    /// Describes whom the rule lets in.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Path(pattern) => pattern.describe(),
            Self::Ip(network) => network::describe(network),
            Self::Method(method) => format!("every `{method}` request"),
            Self::Host(pattern) => pattern.describe(),
            Self::User(class) => class.describe().to_owned(),
            Self::Header(header) => header.describe(),
        }
    }
}

impl fmt::Display for Matcher {
    /// Writes the normalised notation, as the state file holds it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(pattern) => pattern.fmt(f),
            Self::Ip(network) => f.write_str(&network::normalised(network)),
            Self::Method(method) => f.write_str(method),
            Self::Host(pattern) => pattern.fmt(f),
            Self::User(class) => class.fmt(f),
            Self::Header(header) => header.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn requirement_27_no_value_makes_a_reader_panic(
            kind in proptest::sample::select(Kind::KNOWN.to_vec()),
            value in "\\PC*|/[a-z*/.%;]{0,20}|re:[a-z()|*+?\\[\\]\\\\{}^$0-9]{0,20}|[0-9a-f:./]{0,30}",
        ) {
            if let Ok(matcher) = Matcher::parse(&kind, &value) {
                let _ = (matcher.is_everything(), matcher.describe());
                let again = Matcher::parse(&kind, &matcher.to_string()).unwrap();
                proptest::prop_assert_eq!(again, matcher, "what is kept reads back");
            }
        }
    }

    #[test]
    fn requirement_43_rule_mistakes_are_refused() {
        let bad = [
            (Kind::Ip, ""),
            (Kind::Ip, "10.0.0"),
            (Kind::Ip, "10.0.0.1/8"),
            (Kind::Ip, "10.0.0.0/33"),
            (Kind::Ip, "10.0.0.*"),
            (Kind::Ip, "example.com"),
            (Kind::Ip, "fe80::1%eth0"),
            (Kind::Path, ""),
            (Kind::Path, "health"),
            (Kind::Path, "**"),
            (Kind::Path, "/a//b"),
            (Kind::Path, "/a/../b"),
            (Kind::Path, "/a?x=1"),
            (Kind::Path, "/a%2fb"),
            (Kind::Path, "/a;b"),
            (Kind::Path, "/a\\b"),
            (Kind::Path, "/v*/x"),
            (Kind::Path, "/a/**/b"),
            (Kind::Path, "re:"),
            (Kind::Path, "re:("),
            (Kind::Path, "re:/a)|(?:.*"),
            (Kind::Path, "/a\nb"),
            (Kind::Method, "GET POST"),
            (Kind::Method, ""),
            (Kind::Host, "https://example.com"),
            (Kind::Host, "a..b"),
            (Kind::Host, "münchen.example"),
            (Kind::User, "admin"),
            (Kind::Header, "X-Probe"),
            (Kind::Header, "X Probe: 1"),
            (Kind::Header, "X-Probe: a\r\nb"),
            (Kind::Header, "Cookie: session=1"),
        ];
        for (kind, value) in bad {
            assert!(Matcher::parse(&kind, value).is_err(), "{kind} {value:?}");
        }
    }

    #[test]
    fn what_is_odd_about_a_path_or_a_method_is_told_and_of_other_kinds_nothing_is_odd() {
        let doubt = |kind, value| Matcher::parse(&kind, value).unwrap().doubt();
        for (kind, value, told) in [
            (Kind::Path, "/shop/{id}", "`{id}` stands for itself"),
            (Kind::Method, "PSOT", "did you mean `POST`?"),
        ] {
            let doubt = doubt(kind, value).unwrap();
            assert!(doubt.contains(told), "{doubt}");
        }
        for (kind, value) in [
            (Kind::Path, "/shop/*"),
            (Kind::Method, "POST"),
            (Kind::Host, "shop.example"),
            (Kind::Ip, "10.0.0.0/8"),
        ] {
            assert_eq!(doubt(kind, value), None, "{value}");
        }
    }

    #[test]
    fn requirement_43_rules_for_everyone_are_recognised() {
        for (kind, value) in [
            (Kind::Path, "/**"),
            (Kind::Path, "/*/**"),
            (Kind::Path, "re:.*"),
            (Kind::Path, "re:/.*"),
            (Kind::Path, "re:/(?:[^x]|x)*"),
            (Kind::Ip, "0.0.0.0/0"),
            (Kind::Ip, "::/0"),
            (Kind::Ip, "::ffff:0.0.0.0/96"),
            (Kind::Host, "*"),
        ] {
            let matcher = Matcher::parse(&kind, value).unwrap();
            assert!(matcher.is_everything(), "{kind} {value}");
        }
        for (kind, value) in [
            (Kind::Path, "/static/**"),
            (Kind::Path, "/*"),
            (Kind::Path, "re:/api/.*"),
            (Kind::Ip, "10.0.0.0/8"),
            (Kind::Host, "*.example.com"),
        ] {
            let matcher = Matcher::parse(&kind, value).unwrap();
            assert!(!matcher.is_everything(), "{kind} {value}");
        }
    }

    #[test]
    fn values_are_kept_in_one_spelling() {
        for (kind, given, kept) in [
            (Kind::Ip, "10.1.2.3", "10.1.2.3"),
            (Kind::Ip, "10.1.2.3/32", "10.1.2.3"),
            (Kind::Ip, "::ffff:10.0.0.0/104", "10.0.0.0/8"),
            (Kind::Ip, "2001:DB8:0:0::/32", "2001:db8::/32"),
            (Kind::Method, "get", "GET"),
            (Kind::Host, "Example.COM.", "example.com"),
            (Kind::Header, "X-Probe:blue ", "x-probe: blue"),
            (Kind::Path, "/static/**", "/static/**"),
        ] {
            let matcher = Matcher::parse(&kind, given).unwrap();
            assert_eq!(matcher.to_string(), kept);
            assert_eq!(Matcher::parse(&kind, kept).unwrap(), matcher, "{kept} reads back");
        }
    }

    #[test]
    fn a_kind_of_a_later_version_is_kept_and_matches_nothing() {
        let text =
            r#"{"kind":"asn","value":"AS64496","added_at":"2026-11-22T03:00:00Z","later":true}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.kind, Kind::Unknown("asn".to_owned()));
        assert_eq!(rule.matcher().unwrap(), None);
        let again = serde_json::to_value(&rule).unwrap();
        assert_eq!(again["kind"], "asn");
        assert_eq!(again["later"], true);
    }
}
