//! What etcd says instead of doing what it was asked.

use serde::Deserialize;
use serde_json::Value;

use crate::fleet::engine::Failure;

/// What etcd says instead of doing what it was asked.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
}

/// Old gateways say `error` and `message`, new ones `message`, streams `error.message`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Complaint {
    error: Option<Value>,
    message: Option<String>,
}

impl Complaint {
    pub(super) fn text(self) -> Option<String> {
        let inner = self.error.and_then(|error| match error {
            Value::String(text) => Some(text),
            other => other.get("message").and_then(Value::as_str).map(str::to_owned),
        });
        inner.or(self.message).filter(|text| !text.is_empty())
    }
}

impl Refusal {
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let complaint = serde_json::from_slice::<Complaint>(body).ok();
        let message = complaint.and_then(Complaint::text).unwrap_or_else(|| {
            let text = String::from_utf8_lossy(body);
            let line = text.lines().map(str::trim).find(|line| !line.is_empty());
            let line: String = line.unwrap_or("no reason given").chars().take(200).collect();
            format!("HTTP status {status}: {line}")
        });
        Self { status, message }
    }

    pub(super) fn says(&self, part: &str) -> bool {
        self.message.contains(part)
    }

    /// Whether another token may help.
    pub(super) fn is_token(&self) -> bool {
        self.says("invalid auth token") || self.says("revision of auth store is old")
    }

    /// What is known to have done nothing.
    pub(super) fn known(&self, name: &str) -> Option<Failure> {
        let denied = |reason: &str| Failure::denied(format!("{name}: {reason}"));
        let unavailable = |reason: &str| Failure::unavailable(format!("{name}: {reason}"));
        let protocol = |reason: &str| Failure::protocol(format!("{name}: {reason}"));
        Some(if self.says("no leader") {
            unavailable("this member of etcd has no leader")
                .with_hint("more than half of the members must be up and see each other")
        } else if self.says("too many requests") || self.says("not capable") {
            unavailable("etcd cannot take it now")
        } else if self.says("invalid user ID or password") {
            denied("the user or the password is wrong")
        } else if self.says("user name is empty") {
            denied("etcd wants a user")
                .with_hint("name one in the address, as in `etcd://USER@HOST/SITE`")
        } else if self.says("permission denied") {
            denied("this user lacks the right to do it")
                .with_hint("grant the role of this user `readwrite` on what begins with the prefix")
        } else if self.is_token() {
            denied("etcd refuses the token that it gave")
        } else if self.says("CommonName") {
            denied("etcd refuses a client certificate with a common name if users log in")
                .with_hint("make a certificate whose subject has no CN, or turn users off")
        } else if self.says("request is too large")
            || self.says("message larger than max")
            || self.status == 413
        {
            protocol("the document is larger than etcd takes").with_hint(
                "etcd takes 1.5 MiB unless its `max-request-bytes` says otherwise: \
                 take away windows, rules or templates",
            )
        } else if self.says("too many operations") {
            protocol("that many templates at once are more than etcd takes")
                .with_hint("change fewer at once, or raise `max-txn-ops` of etcd")
        } else if self.says("database space exceeded") {
            protocol("the database of etcd is full, so it takes no writes")
                .with_hint("compact and defragment it, then run `etcdctl alarm disarm`")
        } else if self.says("corrupt") {
            protocol("this member of etcd is corrupt")
        } else if self.status == 404 && !self.says("etcdserver") {
            protocol("there is no JSON gateway of etcd here").with_hint(
                "use etcd 3.4 or later, not its `grpc-proxy`; with a configuration file, 3.4 needs \
                 `enable-grpc-gateway: true`",
            )
        } else {
            return None;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_old_and_new_gateways_are_read() {
        let message = |body: &str| Refusal::read(400, body.as_bytes()).message;
        assert_eq!(message(r#"{"error":"a","message":"a","code":3}"#), "a");
        assert_eq!(message(r#"{"code":3,"message":"b","details":[]}"#), "b");
        assert_eq!(message(r#"{"error":{"grpc_code":14,"message":"c"}}"#), "c");
        assert_eq!(message("\n<h1>Oops</h1>\n"), "HTTP status 400: <h1>Oops</h1>");
        assert_eq!(message(""), "HTTP status 400: no reason given");
    }
}
