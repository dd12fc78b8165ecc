//! The last known state, from the backup and the changes that the history has since.

use serde_json::{Map, Value};

use super::history::{self, Record};
use crate::site::Files;
use crate::state::{Change, State};

/// Makes every change again that was made since the backup. Says why not if the history
/// does not have them all.
pub(super) fn last_known(files: &Files, backup: &State) -> Result<State, String> {
    let (records, _) = history::read(files).map_err(|error| error.to_string())?;
    rebuild(&records, backup)
}

fn rebuild(records: &[Record], backup: &State) -> Result<State, String> {
    let mut revision = backup.revision;
    let mut state = value_of(backup);
    let is_later = |record: &&Record| record.revision.after > backup.revision;
    for record in records.iter().filter(is_later) {
        let after = record.revision.after;
        // What is changed on one host of a fleet keeps the revision.
        let is_local = record.revision.before == Some(after);
        if after < revision || after == revision && !is_local {
            // The same line twice says nothing new.
            continue;
        }
        if record.revision.before.is_none() {
            // A broken state was mended: this is the whole of what came in its place.
            state = value_of(&State::default());
        } else if record.revision.before != Some(revision) {
            state = Err(format!("the history lacks the change before revision {after}"));
        }
        if record.left_out > 0 || record.recovered {
            state = Err(format!("the history has only a part of the change to revision {after}"));
        }
        if let Ok(value) = &mut state
            && record.changes.iter().any(|change| make(value, change).is_none())
        {
            state = Err(format!("the change to revision {after} in the history does not fit"));
        }
        revision = after;
    }
    if revision == backup.revision {
        return Err(format!("the history ends at or before revision {revision}"));
    }
    let state = state?;
    let state: State = serde_json::from_value(state).map_err(|cause| cause.to_string())?;
    let state = State { revision, ..state };
    state.validate().map_err(|error| error.to_string())?;
    Ok(state)
}

fn value_of(state: &State) -> Result<Value, String> {
    serde_json::to_value(state).map_err(|cause| cause.to_string())
}

/// Makes one change; `None` if what it changes is not as it was then.
fn make(state: &mut Value, change: &Change) -> Option<()> {
    let mut above = change.path();
    let key = above.pop()?;
    let mut object = state.as_object_mut()?;
    for name in above {
        let empty = || Value::Object(Map::new());
        object = object.entry(name).or_insert_with(empty).as_object_mut()?;
    }
    if object.get(&key) != change.before.as_ref() {
        return None;
    }
    match &change.after {
        Some(value) => drop(object.insert(key, value.clone())),
        None => drop(object.remove(&key)),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::diff;

    fn state(text: &str) -> State {
        serde_json::from_str(text).unwrap()
    }

    fn record(before: &State, after: &State) -> Record {
        serde_json::from_value(serde_json::json!({
            "time": "2026-11-22T03:00:00Z", "actor": {"user": "ann"}, "command": "on",
            "revision": {"before": before.revision, "after": after.revision},
            "changes": diff(before, after),
        }))
        .unwrap()
    }

    fn three() -> [State; 3] {
        [
            r#"{"version":1,"revision":1,"page":{"status":500}}"#,
            r#"{"version":1,"revision":2,"web_user":"www","x/y":1,
                "windows":{"a":{"opened_at":"2026-11-22T03:00:00Z","scope":{"paths":["/a"]}}}}"#,
            r#"{"version":1,"revision":3,"x/y":1,"ignore":{"r3":{"kind":"path","value":"/h"}},
                "windows":{"a":{"opened_at":"2026-11-22T03:00:00Z","reason":"b"}}}"#,
        ]
        .map(state)
    }

    #[test]
    fn requirement_70_the_history_leads_from_the_backup_to_the_last_state() {
        let [one, two, three] = three();
        let records = [record(&one, &two), record(&two, &three)];
        assert_eq!(rebuild(&records, &one).unwrap(), three);
        assert_eq!(rebuild(&records, &two).unwrap(), three);
        let twice = [records[0].clone(), records[0].clone(), records[1].clone()];
        assert_eq!(rebuild(&twice, &one).unwrap(), three, "a line that was written twice");
    }

    #[test]
    fn requirement_70_a_mended_state_is_known_whole() {
        let [one, two, three] = three();
        let gone = State { revision: 1, ..State::default() };
        let mut mended = record(&gone, &two);
        mended.revision.before = None;
        assert_eq!(rebuild(&[mended.clone(), record(&two, &three)], &one).unwrap(), three);
        let part = Record { left_out: 1, ..mended };
        assert!(rebuild(&[part, record(&two, &three)], &one).is_err());
    }

    #[test]
    fn requirement_70_a_history_that_does_not_lead_there_is_not_believed() {
        let [one, two, three] = three();
        let (first, second) = (record(&one, &two), record(&two, &three));
        let short = Record { left_out: 1, ..first.clone() };
        let recovered = Record { recovered: true, changes: Vec::new(), ..first.clone() };
        for (what, records) in [
            ("no line", &[][..]),
            ("one is missing", std::slice::from_ref(&second)),
            ("a part is missing", &[short, second.clone()]),
            ("its changes are missing", &[recovered, second.clone()]),
            ("another state", &[Record { changes: second.changes.clone(), ..first }]),
        ] {
            assert!(rebuild(records, &one).is_err(), "{what}");
        }
        assert!(rebuild(&[record(&one, &two)], &two).is_err(), "nothing is known after it");
    }
}
