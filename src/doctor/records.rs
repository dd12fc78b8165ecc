//! Checks of the history.

use std::fs;
use std::path::Path;

use super::finding::Finding;
use super::patient::Patient;
use super::words::{tick, word};
use crate::state::State;
use crate::store::history::{self, Record};
use crate::sys;

pub(super) fn history(patient: &Patient<'_>, findings: &mut Vec<Finding>) {
    let Some(files) = &patient.files else {
        return;
    };
    let path = &files.history;
    for path in [path, &files.old_history] {
        let Ok(metadata) = fs::symlink_metadata(path) else {
            continue;
        };
        let kind = if metadata.is_symlink() {
            Some("a symbolic link")
        } else {
            sys::special_kind(&metadata)
        };
        if let Some(kind) = kind {
            findings.push(
                Finding::warning(
                    "history-not-a-file",
                    format!("the history {} is {kind}, so no change is recorded", tick(path)),
                )
                .fixed_by(format!("move it away: `mv {0} {0}.old`", word(path)))
                .at(path),
            );
            // Reading a FIFO would wait for a writer.
            return;
        }
    }
    let (records, broken) = match history::read(files) {
        Ok(read) => read,
        Err(error) => {
            findings.push(Finding::note("history-unreadable", error.to_string()).at(path));
            return;
        }
    };
    if broken > 0 {
        let lines = if broken == 1 { "line" } else { "lines" };
        findings.push(
            Finding::warning(
                "history-broken",
                format!(
                    "{broken} {lines} of {} cannot be read; `maint log` leaves out such lines",
                    tick(path)
                ),
            )
            .at(path),
        );
    }
    if let Some(finding) = about_revisions(&records, patient.state.as_ref(), path) {
        findings.push(finding.at(path));
    }
}

fn about_revisions(records: &[Record], state: Option<&State>, path: &Path) -> Option<Finding> {
    let name = tick(path);
    let last = records.last().map_or(0, |record| record.revision.after);
    if let Some(state) = state.filter(|state| state.last_change.is_some()) {
        let revision = state.revision;
        if last > revision {
            return Some(
                Finding::warning(
                    "history-ahead",
                    format!("{name} ends at revision {last}, but somebody put the state back to {revision}"),
                )
                .fixed_by("`maint log` shows what is lost"),
            );
        }
        if last.checked_add(1) == Some(revision) {
            return Some(Finding::note(
                "history-behind",
                format!("{name} lacks revision {revision}; the next change adds it"),
            ));
        }
        if last < revision {
            return Some(Finding::warning(
                "history-gap",
                format!("{name} ends at revision {last}, but the state is at {revision}"),
            ));
        }
    }
    let gap = records.windows(2).find_map(|pair| {
        let (after, before) = (pair[0].revision.after, pair[1].revision.before?);
        (before != after).then_some((after, before))
    })?;
    let message = match gap {
        (after, before) if before < after => format!(
            "{name} goes back from revision {after} to {before}: the state was lost or put back"
        ),
        (after, before) => {
            format!("{name} lacks the changes from revision {after} to {before}")
        }
    };
    Some(Finding::warning("history-gap", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(before: u64, after: u64) -> Record {
        serde_json::from_value(serde_json::json!({
            "time": "2026-11-22T03:00:00Z",
            "revision": {"before": before, "after": after},
            "actor": {"user": "ann", "host": "web1", "pid": 1},
            "command": "on",
        }))
        .unwrap()
    }

    fn state(revision: u64) -> State {
        serde_json::from_value(serde_json::json!({
            "version": 1,
            "revision": revision,
            "last_change": {"at": "2026-11-22T03:00:00Z"},
        }))
        .unwrap()
    }

    #[test]
    fn a_history_that_does_not_lead_to_the_state_is_found() {
        let code = |records: &[Record], revision| {
            about_revisions(records, Some(&state(revision)), Path::new("h")).map(|f| f.code)
        };
        assert_eq!(code(&[record(0, 1), record(1, 2)], 2), None);
        assert_eq!(code(&[record(7, 8)], 8), None, "an older part was set aside");
        assert_eq!(code(&[record(0, 1)], 2), Some("history-behind"));
        assert_eq!(code(&[record(0, 1)], 5), Some("history-gap"));
        assert_eq!(code(&[record(0, 1), record(3, 4)], 4), Some("history-gap"));
        assert_eq!(code(&[record(0, 1), record(1, 2)], 1), Some("history-ahead"));
        assert_eq!(code(&[], 3), Some("history-gap"));
    }
}
