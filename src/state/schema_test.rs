//! Compares `docs/state.schema.json` with the Rust types.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::State;

/// A time in a schema; the types themselves hold a `jiff::Timestamp`.
pub(crate) struct Time;

impl schemars::JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A time in UTC (RFC 3339).",
            "type": "string",
            "format": "date-time",
            "pattern": "Z$"
        })
    }
}

fn schema() -> Value {
    let mut schema = schemars::schema_for!(State).to_value();
    schema["title"] = json!("The state file of maint");
    schema
}

#[test]
#[expect(clippy::disallowed_methods, reason = "rewrites a file of the repository, not a state")]
fn the_committed_schema_is_the_one_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/state.schema.json");
    let fresh = format!("{:#}\n", schema());
    if std::env::var_os("MAINT_REGENERATE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "docs/state.schema.json is stale; run `make generate`");
}

/// A state with every field set.
pub(crate) fn full() -> Value {
    json!({
        "version": 1, "min_reader": 1, "revision": 7, "last_id": 9, "later": true,
        "last_change": {"at": "2026-11-22T03:00:00Z", "by": {"user": "a", "host": "h", "pid": 1}, "command": "on"},
        "windows": {"default": {
            "reason": "Back at noon", "opened_at": "2026-11-22T03:00:00Z",
            "opened_by": {"user": "root", "sudo_user": "ann", "host": "h", "pid": 1},
            "start": "2026-11-22T03:00:00Z", "end": "2026-11-22T04:00:00Z", "lease": 60, "local": true,
            "estimate": "2026-11-22T03:30:00Z", "reasons": {"de": "Zurück um zwölf"},
            "scope": {"paths": ["/a/**"], "methods": ["POST"], "hosts": ["*.example.com"]},
            "page": {"status": 503, "retry_after": 30, "template": "sorry", "redirect": "/sorry"}}},
        "ignore": {"r1": {"kind": "path", "value": "/health", "note": "probe",
            "expires_at": "2026-11-22T04:00:00Z", "added_at": "2026-11-22T03:00:00Z", "added_by": "ann@h"},
            "r2": {"kind": "later", "value": "x"}},
        "bypass": {"b1": {"sha256": "0".repeat(64), "keep": true}},
        "page": {"template": "sorry", "format": "json", "title": "Back soon", "contact": "help@example.com",
            "status_url": "https://status.example.com/", "language": "de"},
        "trusted_proxies": {"header": "x-forwarded-for", "networks": ["10.0.0.0/8"]},
        "templates": {"sorry.html": "0".repeat(64)},
        "web_user": "www-data",
        "mirror": {"lineage": "0".repeat(32), "seq": 1_795_000_000_000_u64},
        "name": "Example Shop"
    })
}

/// States that the schema and the reader have to agree on.
#[test]
fn the_schema_accepts_and_refuses_what_the_reader_does() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let full = full();
    let both = |value: &Value| {
        let bytes = value.to_string();
        (validator.is_valid(value), State::from_json(bytes.as_bytes()).is_ok())
    };
    assert_eq!(both(&full), (true, true));
    assert_eq!(both(&json!({"version": 1, "revision": 0})), (true, true));

    for (pointer, wrong) in [
        ("/version", json!("1")),
        ("/revision", json!(-1)),
        ("/windows", json!([])),
        ("/windows/default/opened_at", Value::Null),
        ("/windows/default/end", json!(5)),
        ("/windows/default/scope/paths", json!("/a")),
        ("/windows/default/page/status", json!(700)),
        ("/windows/default/page/retry_after", json!(0)),
        ("/ignore/r1/kind", json!(1)),
        ("/ignore/r1/value", Value::Null),
        ("/bypass/b1/sha256", json!("xyz")),
        ("/trusted_proxies/header", json!("x-real-ip")),
        ("/templates", json!({"a.html": 1})),
        ("/mirror/seq", json!(-1)),
        ("/windows/default/local", json!("yes")),
        ("/windows/default/estimate", json!(5)),
        ("/windows/default/reasons", json!([])),
        ("/windows/default/reasons/de", Value::Null),
        ("/page/format", json!("pdf")),
        ("/page/title", json!(1)),
        ("/page/language", json!(1)),
    ] {
        let mut state = full.clone();
        *state.pointer_mut(pointer).unwrap() = wrong;
        assert_eq!(both(&state), (false, false), "{pointer}");
    }
}
