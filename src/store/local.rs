//! Windows of this host alone, in a site that follows the engine of a fleet.
//!
//! They stand in the same state file, since readers know of nothing else. Each has a mark and a
//! name of its own there, so that no window of the fleet is in its place, and whoever mirrors the
//! fleet keeps them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::history::Record;
use crate::actor::Stamp;
use crate::error::{Error, Result};
use crate::state::{State, Window, diff};

/// What the names of these windows end with in the state.
const MARK: &str = ".local";

/// The name that a window of this host alone has in the state.
#[must_use]
pub fn local_name(name: &str) -> String {
    format!("{name}{MARK}")
}

/// A change that sees the windows of this host alone, and may change nothing else.
pub(super) fn only<T>(
    change: impl Fn(&mut State, Stamp<'_>) -> Result<T>,
) -> impl Fn(&mut State, Stamp<'_>) -> Result<T> {
    move |state, stamp| {
        let (locals, others) = split(std::mem::take(&mut state.windows));
        let bypass = std::mem::take(&mut state.bypass);
        let unmarked = |(name, window): (String, Window)| {
            let name = name.strip_suffix(MARK).unwrap_or(&name).to_owned();
            (name, Window { local: false, ..window })
        };
        state.windows = locals.into_iter().map(unmarked).collect();
        let before = State { windows: BTreeMap::new(), ..state.clone() };
        let value = change(state, stamp)?;
        let windows = std::mem::take(&mut state.windows);
        if !diff(&before, state).is_empty() {
            return Err(Error::invalid_with(
                "on one host of a fleet only windows can be changed",
                "change it for the whole fleet",
            ));
        }
        let marked = windows
            .into_iter()
            .map(|(name, window)| (local_name(&name), Window { local: true, ..window }));
        state.windows = others.into_iter().chain(marked).collect();
        state.bypass = bypass;
        Ok(value)
    }
}

/// Puts the windows of this host alone among those of the fleet.
pub(super) fn keep(state: &mut State, here: &State) {
    let locals = here.windows.iter().filter(|(_, window)| window.local);
    state.windows.extend(locals.map(|(name, window)| (name.clone(), window.clone())));
}

/// The windows of this host alone, as the history knows them.
pub(super) fn known(records: &[Record]) -> BTreeMap<String, Window> {
    let mut windows: BTreeMap<String, Value> = BTreeMap::new();
    for change in records.iter().flat_map(|record| &record.changes) {
        let path = change.path();
        let [part, name, rest @ ..] = &path[..] else { continue };
        if part != "windows" || !name.ends_with(MARK) {
            continue;
        }
        let Some((last, above)) = rest.split_last() else {
            match &change.after {
                Some(window) => windows.insert(name.clone(), window.clone()),
                None => windows.remove(name),
            };
            continue;
        };
        let window = windows.get_mut(name).map(Value::as_object_mut);
        let object = above.iter().fold(window.flatten(), |object, name| {
            object?.entry(name.clone()).or_insert_with(|| json!({})).as_object_mut()
        });
        match (object, &change.after) {
            (Some(object), Some(value)) => drop(object.insert(last.clone(), value.clone())),
            (Some(object), None) => drop(object.remove(last)),
            (None, _) => {}
        }
    }
    let read = windows.into_iter().filter_map(|(name, value)| {
        let window: Window = serde_json::from_value(value).ok()?;
        (window.local && window.validate().is_ok()).then_some((name, window))
    });
    read.collect()
}

/// Makes the windows of this host alone ordinary ones, in a site that follows no engine.
pub(super) fn settle(state: &mut State) {
    let (locals, others) = split(std::mem::take(&mut state.windows));
    state.windows = others;
    for (name, window) in locals {
        let short = name.strip_suffix(MARK).unwrap_or(&name).to_owned();
        let name = if state.windows.contains_key(&short) { name } else { short };
        state.windows.insert(name, Window { local: false, ..window });
    }
}

/// Refuses what cannot be a state of a whole fleet.
pub(super) fn refuse(state: &State) -> Result<()> {
    let marked = |(name, window): &(&String, &Window)| window.local || name.ends_with(MARK);
    match state.windows.iter().find(marked) {
        Some((name, _)) => Err(Error::invalid_with(
            format!("in a fleet, `{name}` is the name of a window of one host"),
            format!("take a name that does not end with `{MARK}`"),
        )),
        None => Ok(()),
    }
}

/// Why nothing can be changed for this host alone.
pub(super) fn refusal() -> Error {
    Error::invalid_with(
        "this site follows no engine, so all of it is of this host alone",
        "change it as ever",
    )
}

fn split(
    windows: BTreeMap<String, Window>,
) -> (BTreeMap<String, Window>, BTreeMap<String, Window>) {
    windows.into_iter().partition(|(_, window)| window.local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;
    use crate::state::WindowSettings;

    fn fleet() -> State {
        let mut state = State { revision: 3, ..State::default() };
        let actor = Actor::default();
        let stamp = Stamp::new(crate::time::now(), &actor);
        state.open_window("default", &WindowSettings::new().reason("all"), stamp).unwrap();
        state
    }

    fn apply<T>(
        state: &mut State,
        change: impl Fn(&mut State, Stamp<'_>) -> Result<T>,
    ) -> Result<T> {
        let actor = Actor::default();
        only(change)(state, Stamp::new(crate::time::now(), &actor))
    }

    #[test]
    fn requirement_94_a_window_of_one_host_stands_beside_that_of_the_fleet() {
        let mut state = fleet();
        apply(&mut state, |state, stamp| {
            assert!(state.windows.is_empty(), "it sees those of this host alone");
            state.open_window("default", &WindowSettings::new().reason("one"), stamp)
        })
        .unwrap();
        let names: Vec<_> = state.windows.keys().map(String::as_str).collect();
        assert_eq!(names, ["default", "default.local"]);
        assert!(state.windows["default.local"].local && !state.windows["default"].local);
        let mut next = fleet();
        next.windows.clear();
        keep(&mut next, &state);
        assert_eq!(next.windows.keys().collect::<Vec<_>>(), ["default.local"]);
        assert!(refuse(&next).is_err());
        let closed = apply(&mut state, |state, stamp| Ok(state.close_all_windows(stamp.now)));
        assert_eq!(closed.unwrap().windows[0].0, "default");
        assert_eq!(state.windows.keys().collect::<Vec<_>>(), ["default"]);
    }

    #[test]
    fn requirement_94_the_history_knows_the_windows_of_one_host() {
        let open = |reason: &'static str| {
            move |state: &mut State, stamp: Stamp<'_>| {
                state.open_window("w", &WindowSettings::new().reason(reason), stamp).map(drop)
            }
        };
        let mut state = fleet();
        let mut records = Vec::new();
        let mut change =
            |state: &mut State, change: &dyn Fn(&mut State, Stamp<'_>) -> Result<()>| {
                let before = state.clone();
                apply(state, change).unwrap();
                records.push(Record::of(Some(3), state, &diff(&before, state), false));
                known(&records)
            };
        assert_eq!(change(&mut state, &open("one")).keys().collect::<Vec<_>>(), ["w.local"]);
        let windows = change(&mut state, &open("two"));
        assert_eq!(windows["w.local"], state.windows["w.local"]);
        let closed =
            change(&mut state, &|state, stamp| state.close_window("w", stamp.now).map(drop));
        assert!(closed.is_empty());
    }

    #[test]
    fn nothing_but_windows_is_changed_for_one_host() {
        let mut state = fleet();
        let refused = apply(&mut state, |state, _| {
            state.name = Some("Shop".to_owned());
            Ok(())
        });
        assert!(refused.unwrap_err().to_string().contains("only windows"));
    }
}
