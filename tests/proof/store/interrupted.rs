//! Requirement 5: a signal in the middle of a system call is not a fault, so the call
//! is repeated and the command goes on as if nothing had happened.

use crate::can::can_trace;
use crate::env::on_two_threads;
use crate::faults::{Scene, interfered, model, points};
use crate::say::figure;

#[test]
fn requirement_05_an_interrupted_call_is_made_again() {
    if !can_trace() {
        return;
    }
    let model = model();
    // A process does not sleep in stat(2) or lseek(2), so no signal interrupts them.
    let mut points = points(Scene::InUse, &model);
    points.retain(|point| !point.only_looks() && point.call != "lseek");
    let verdicts = on_two_threads(&points, |point| {
        let site = Scene::InUse.site(&model);
        let inject = format!("error=EINTR:when={}", point.nth);
        let done = interfered(&site, Scene::InUse, point, &inject);
        let is_done = done.code == 0 && site.reason().as_deref() == Some("new");
        // A missing line of the history or a missing backup would be reported too.
        (!is_done || !done.stderr.is_empty()).then(|| format!("{point:?}: {done:?}"))
    });
    let faults: Vec<String> = verdicts.into_iter().flatten().collect();
    figure(&format!(
        "{} of {} interruptions went unnoticed",
        points.len() - faults.len(),
        points.len()
    ));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
