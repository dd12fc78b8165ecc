//! What about the settings of etcd puts a fleet at risk.

use serde::Deserialize;
use serde_json::Value;

use super::number::Number;
use crate::fleet::engine::{Concern, FailureKind, Outcome};

/// How much etcd takes at once unless it is told otherwise, in bytes.
pub(super) const MAX_REQUEST: usize = 1_572_864;
/// The first versions that are not open to <https://github.com/advisories/GHSA-xg4h-6gfc-h4m8>.
const WATCH_RIGHTS: [(u64, u64, u64); 3] = [(3, 5, 33), (3, 6, 14), (3, 7, 1)];

/// What was found out.
pub(super) struct Facts<'a> {
    /// What each endpoint says of itself, or why it does not.
    pub(super) statuses: &'a [(String, Outcome<Status>)],
    pub(super) members: Outcome<Members>,
    /// How long the document is, in bytes.
    pub(super) document: Outcome<usize>,
    /// How many endpoints the address names.
    pub(super) endpoints: usize,
    /// Whether what is sent leaves this machine in plain text.
    pub(super) is_plain: bool,
    /// Whether a user logged in.
    pub(super) has_token: bool,
    /// Whether one is named, and was not asked for.
    pub(super) is_open: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    version: String,
    leader: Option<Number>,
    errors: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Members {
    members: Vec<Value>,
}

/// What of it puts a fleet at risk.
pub(super) fn concerns(facts: &Facts<'_>) -> Vec<Concern> {
    let mut concerns: Vec<Concern> =
        facts.statuses.iter().flat_map(|(name, status)| of_member(name, status, facts)).collect();
    let mut add = |code, message: String, fix| concerns.push(concern(code, message, fix));
    if facts.is_plain {
        add(
            "etcd-plain-text",
            "what is sent to etcd is not encrypted, and anybody on the way can change it"
                .to_owned(),
            "turn on TLS in etcd, and write `etcds://`",
        );
    }
    if facts.is_open {
        add(
            "etcd-no-users",
            "a user is named, but etcd lets everybody in".to_owned(),
            "run `etcdctl auth enable`",
        );
    }
    match facts.members.as_ref().map(|members| members.members.len()) {
        Err(failure) => add(
            "etcd-members-unseen",
            format!("it cannot be seen how many members there are: {failure}"),
            "look with a user that may",
        ),
        Ok(1) => add(
            "etcd-one-member",
            "etcd has one member: while it is down, nothing can be changed".to_owned(),
            "run three members",
        ),
        Ok(count) => {
            if count == 2 {
                add(
                    "etcd-two-members",
                    "etcd has two members: while either is down, nothing can be changed".to_owned(),
                    "run three members",
                );
            }
            if facts.endpoints == 1 {
                add(
                    "etcd-one-endpoint",
                    format!(
                        "the address names one endpoint of {count}: while it is down, this host \
                         cannot reach the others, unless it stands for all of them"
                    ),
                    "name each member in the address, with commas between them",
                );
            }
        }
    }
    match &facts.document {
        Ok(length) if *length > MAX_REQUEST / 2 => add(
            "etcd-large-document",
            format!(
                "the document has {length} bytes, and etcd takes {MAX_REQUEST} at once unless its \
                 `max-request-bytes` says otherwise"
            ),
            "take away windows or rules that are over, or raise that limit",
        ),
        Err(failure) if failure.kind == FailureKind::Denied => add(
            "etcd-document-unseen",
            format!("this user may not read the document: {failure}"),
            "grant the role of this user `readwrite` on what begins with the prefix",
        ),
        _ => {}
    }
    concerns
}

fn concern(code: &'static str, message: String, fix: &str) -> Concern {
    Concern { code, message, fix: fix.to_owned() }
}

fn of_member(name: &str, status: &Outcome<Status>, facts: &Facts<'_>) -> Vec<Concern> {
    let status = match status {
        Ok(status) => status,
        Err(failure) if failure.kind == FailureKind::Denied => {
            return vec![concern(
                "etcd-status-unseen",
                format!("this user may not see how {name} is: {failure}"),
                "grant the right, or look with a user that has it",
            )];
        }
        Err(failure) => {
            return vec![concern(
                "etcd-member-down",
                format!("a member does not answer: {failure}"),
                "start it, or take it out of the address",
            )];
        }
    };
    let mut concerns = Vec::new();
    if status.leader.is_none_or(|leader| leader == Number(0)) {
        concerns.push(concern(
            "etcd-no-quorum",
            format!("{name} has no leader, so nothing can be changed"),
            "start members until more than half are up and see each other",
        ));
    }
    if status.errors.iter().any(|error| error.contains("NOSPACE")) {
        concerns.push(concern(
            "etcd-no-space",
            format!("the database of {name} is full, so it takes no writes"),
            "compact and defragment it, then run `etcdctl alarm disarm`",
        ));
    }
    if status.errors.iter().any(|error| error.contains("CORRUPT")) {
        concerns.push(concern(
            "etcd-corrupt",
            format!("{name} says that its data is corrupt"),
            "replace that member",
        ));
    }
    let version = version_concern(name, &status.version);
    // Rights do not matter where everybody has all.
    let version = version.filter(|(_, code)| *code == "etcd-too-old" || facts.has_token);
    concerns.extend(version.map(|(message, code)| concern(code, message, "update etcd")));
    concerns
}

/// What is wrong with a version of etcd.
fn version_concern(name: &str, version: &str) -> Option<(String, &'static str)> {
    let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let version_numbers: (u64, u64, u64) = (next(), next(), next());
    if version_numbers < (3, 4, 0) {
        let message = format!("{name} is etcd {version}; maint needs 3.4 or later");
        return Some((message, "etcd-too-old"));
    }
    let (major, minor, _) = version_numbers;
    let fixed = WATCH_RIGHTS.iter().find(|fixed| (fixed.0, fixed.1) == (major, minor));
    let first = fixed.copied().unwrap_or(WATCH_RIGHTS[0]);
    let is_open = version_numbers < first;
    is_open.then(|| {
        let message = format!(
            "{name} is etcd {version}, in which a user with the right to read one key can watch \
             every later one (GHSA-xg4h-6gfc-h4m8; fixed in 3.5.33, 3.6.14 and 3.7.1)"
        );
        (message, "etcd-watch-rights")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::engine::Failure;

    #[test]
    fn requirement_96_what_puts_a_fleet_at_risk_has_a_code() {
        let status = |leader, error: &str| Status {
            version: "3.4.23".to_owned(),
            leader: Some(Number(leader)),
            errors: [error]
                .iter()
                .filter(|error| !error.is_empty())
                .map(ToString::to_string)
                .collect(),
        };
        let down = Failure::unavailable("connection refused");
        let codes = |status: Outcome<Status>, count, change: fn(&mut Facts<'_>)| {
            let statuses = [("h1:2379".to_owned(), status)];
            let members = Members { members: vec![Value::Null; count] };
            let mut facts = Facts {
                statuses: &statuses,
                members: Ok(members),
                document: Ok(100),
                endpoints: 3,
                is_plain: false,
                has_token: false,
                is_open: false,
            };
            change(&mut facts);
            concerns(&facts).iter().map(|concern| concern.code).collect::<Vec<_>>().join(" ")
        };
        let as_it_is = |_: &mut Facts<'_>| {};
        assert_eq!(codes(Ok(status(1, "")), 3, as_it_is), "");
        assert_eq!(codes(Ok(status(0, "")), 3, as_it_is), "etcd-no-quorum");
        assert_eq!(codes(Ok(status(1, "memberID:1 alarm:NOSPACE ")), 3, as_it_is), "etcd-no-space");
        assert_eq!(codes(Ok(status(1, "memberID:1 alarm:CORRUPT ")), 3, as_it_is), "etcd-corrupt");
        assert_eq!(codes(Err(down), 3, as_it_is), "etcd-member-down");
        assert_eq!(codes(Ok(status(1, "")), 1, as_it_is), "etcd-one-member");
        assert_eq!(codes(Ok(status(1, "")), 2, as_it_is), "etcd-two-members");
        let seen = |change| codes(Ok(status(1, "")), 3, change);
        assert_eq!(seen(|facts| facts.endpoints = 1), "etcd-one-endpoint");
        assert_eq!(seen(|facts| facts.is_plain = true), "etcd-plain-text");
        assert_eq!(seen(|facts| facts.is_open = true), "etcd-no-users");
        assert_eq!(seen(|facts| facts.has_token = true), "etcd-watch-rights");
        assert_eq!(seen(|facts| facts.document = Ok(1_000_000)), "etcd-large-document");
        let denied = || Failure::denied("no");
        assert_eq!(seen(|facts| facts.members = Err(Failure::denied("no"))), "etcd-members-unseen");
        assert_eq!(
            seen(|facts| facts.document = Err(Failure::denied("no"))),
            "etcd-document-unseen"
        );
        assert_eq!(codes(Err(denied()), 3, as_it_is), "etcd-status-unseen");
    }

    #[test]
    fn versions_are_compared_by_their_own_line() {
        let code = |version| version_concern("h", version).map(|(_, code)| code);
        for (version, expected) in [
            ("3.3.25", Some("etcd-too-old")),
            ("3.4.23", Some("etcd-watch-rights")),
            ("3.5.32", Some("etcd-watch-rights")),
            ("3.5.33", None),
            ("3.6.0-rc.1", Some("etcd-watch-rights")),
            ("3.6.14", None),
            ("3.7.0", Some("etcd-watch-rights")),
            ("3.7.1", None),
            ("3.8.0", None),
            ("", Some("etcd-too-old")),
        ] {
            assert_eq!(code(version), expected, "{version}");
        }
    }
}
