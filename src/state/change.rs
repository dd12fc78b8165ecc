//! What differs between two states.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::State;

/// One difference, for `--dry-run` and the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// The place in the state file as a JSON pointer (RFC 6901).
    pub at: String,
    /// The value before; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl Change {
    /// The names on the way to the place, without the escapes of the pointer.
    #[must_use]
    pub fn path(&self) -> Vec<String> {
        self.at.split('/').skip(1).map(unescape).collect()
    }
}

/// Lists what differs, apart from the revision and the last change.
#[must_use]
pub fn diff(before: &State, after: &State) -> Vec<Change> {
    let mut changes = Vec::new();
    diff_items("/windows", &before.windows, &after.windows, &mut changes);
    diff_items("/ignore", &before.ignore, &after.ignore, &mut changes);
    diff_items("/bypass", &before.bypass, &after.bypass, &mut changes);
    // The rest is small, so comparing it as JSON is cheap.
    let rest =
        |state: &State| serde_json::to_value(state.clone_without_items()).unwrap_or_default();
    diff_values("", Some(&rest(before)), Some(&rest(after)), &mut changes);
    changes
}

impl State {
    /// A copy without the parts that can be large or differ at every change.
    fn clone_without_items(&self) -> Self {
        Self {
            version: self.version,
            min_reader: self.min_reader,
            name: self.name.clone(),
            page: self.page.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            templates: self.templates.clone(),
            web_user: self.web_user.clone(),
            extra: self.extra.clone(),
            ..Self::default()
        }
    }
}

fn diff_items<T: PartialEq + Serialize>(
    place: &str,
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
    changes: &mut Vec<Change>,
) {
    let value = |item: Option<&T>| item.and_then(|item| serde_json::to_value(item).ok());
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        if old != new {
            let place = format!("{place}/{}", escape(key));
            diff_values(&place, value(old).as_ref(), value(new).as_ref(), changes);
        }
    }
}

fn diff_values(
    place: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    changes: &mut Vec<Change>,
) {
    if before == after {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            diff_values(&format!("{place}/{}", escape(key)), old.get(key), new.get(key), changes);
        }
        return;
    }
    changes.push(Change { at: place.to_owned(), before: before.cloned(), after: after.cloned() });
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> State {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_smallest_differing_parts_are_named() {
        let before = state(
            r#"{"version":1,"revision":1,"page":{"status":503},
            "windows":{"a":{"opened_at":"2026-11-22T03:00:00Z","reason":"x"},
                       "b":{"opened_at":"2026-11-22T03:00:00Z"}}}"#,
        );
        let after = state(
            r#"{"version":1,"revision":9,"page":{"status":500},"x/y":1,
            "windows":{"a":{"opened_at":"2026-11-22T03:00:00Z","reason":"y"}}}"#,
        );
        let changes = diff(&before, &after);
        let places: Vec<&str> = changes.iter().map(|change| change.at.as_str()).collect();
        assert_eq!(places, ["/windows/a/reason", "/windows/b", "/page/status", "/x~1y"]);
        assert_eq!(changes[1].after, None);
        assert_eq!(changes[3].before, None);
    }

    #[test]
    fn the_revision_alone_is_no_difference() {
        let after = State { revision: 7, ..State::default() };
        assert_eq!(diff(&State::default(), &after), []);
    }
}
