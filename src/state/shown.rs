//! How a state reads for programs: shared by the command and the endpoint.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Phase, State, Window};

/// `on`, `scheduled` or `off`.
#[must_use]
pub fn overall(state: &State, now: Timestamp) -> &'static str {
    if state.is_down(now) {
        "on"
    } else if state.windows_in(Phase::Scheduled, now).next().is_some() {
        "scheduled"
    } else {
        "off"
    }
}

/// A window with its name and what follows from the time.
#[must_use]
pub fn window_object(name: &str, window: &Window, now: Timestamp) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(name));
    object.insert("phase".to_owned(), json!(window.phase(now)));
    object.insert("since".to_owned(), json!(window.since()));
    // The file leaves out what is not set; a program wants every field.
    for field in ["reason", "start", "end", "estimate", "lease", "run"] {
        object.insert(field.to_owned(), Value::Null);
    }
    object.insert("late".to_owned(), json!(window.is_late(now)));
    for field in ["reasons", "scope", "page"] {
        object.insert(field.to_owned(), json!({}));
    }
    if let Ok(Value::Object(fields)) = serde_json::to_value(window) {
        object.extend(fields);
    }
    Value::Object(object)
}

/// The window that begins next, whatever it covers, with its name; `None` if none is to come.
#[must_use]
pub fn next_window(state: &State, now: Timestamp) -> Option<(&str, &Window)> {
    state.windows_in(Phase::Scheduled, now).min_by_key(|(_, window)| window.start)
}
