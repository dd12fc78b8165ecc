//! Requirements 2 to 4: a writer dies before each of its system calls in turn.

use crate::can::can_trace;
use crate::env::{TestSite, on_two_threads};
use crate::faults::{Point, Scene, interfered, model, points};
use crate::say::figure;

#[test]
fn requirement_03_a_kill_before_any_system_call_leaves_a_whole_state() {
    if !can_trace() {
        return;
    }
    let model = model();
    let cases: Vec<(Scene, Point)> = Scene::ALL
        .into_iter()
        .flat_map(|scene| points(scene, &model).into_iter().map(move |point| (scene, point)))
        // Calls that only look leave nothing half done.
        .filter(|(_, point)| !point.only_looks())
        .collect();
    let verdicts = on_two_threads(&cases, |(scene, point)| killed(*scene, point, &model));
    let faults: Vec<String> = verdicts.iter().filter_map(|verdict| verdict.clone().err()).collect();
    let done = verdicts.iter().filter(|verdict| **verdict == Ok(true)).count();
    let left = cases.len() - done;
    figure(&format!("{} kills, {left} before the rename, {done} after it", cases.len()));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(done > 0 && left > 0, "all kills came on one side");
}

/// Whether the change was in force; an error if anything else is wrong.
fn killed(scene: Scene, point: &Point, model: &TestSite) -> Result<bool, String> {
    let site = scene.site(model);
    let before = site.state();
    let run = interfered(&site, scene, point, &format!("signal=SIGKILL:when={}", point.nth));
    let wrong = |what: &str| Err(format!("{scene:?} {point:?}: {what}: {run:?}"));
    if run.code != 128 + 9 {
        return wrong("was not killed");
    }
    let Ok(after) = maint::internal::load::read(&site.state_file()) else {
        return wrong("the state is torn");
    };
    let is_done = match scene.is_done(&site, before.revision) {
        Ok(is_done) => is_done,
        Err(why) => return wrong(&why),
    };
    if !is_done && after != before {
        return wrong("the state is neither the old one nor the new one");
    }
    if maint::internal::load::read(&site.file("state.json.bak")).is_err() {
        return wrong("the backup is torn");
    }
    let next = site.run(&["on", "-m", "next"]);
    if next.code != 0 || site.state().revision != after.revision + 1 {
        return Err(format!("{scene:?} {point:?}: the next command: {next:?}"));
    }
    if !site.leftovers().is_empty() {
        return wrong("the next command did not clean up");
    }
    // The next writer wrote the line that the dead one owed.
    if site.recorded() != (1..=after.revision + 1).collect::<Vec<_>>() {
        return wrong("the history has a gap");
    }
    Ok(is_done)
}
