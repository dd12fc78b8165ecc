//! Numbers as etcd writes them.

use serde::Deserialize;
use serde_json::Value;

/// A 64-bit number, which is a string in JSON.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(try_from = "Value")]
pub(super) struct Number(pub(super) u64);

impl TryFrom<Value> for Number {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let number = match &value {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        number.map(Self).ok_or_else(|| format!("{value} is no number"))
    }
}
