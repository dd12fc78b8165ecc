//! Requirement 20 with the real writer: its changes are seen, each and every one.

use std::path::Path;

use crate::env::TestSite;
use crate::say::{figure, skip};

/// How many times two changes are made between two looks.
fn rounds(place: &Path) -> u32 {
    // Each change waits for the disk where there is one.
    if place.starts_with("/dev/shm") { 500 } else { 100 }
}

#[test]
fn requirement_20_no_change_of_the_store_is_missed() {
    let mut places = vec![std::env::temp_dir()];
    match Path::new("/dev/shm") {
        memory if memory.is_dir() => places.push(memory.to_owned()),
        _ => skip("there is no /dev/shm"),
    }
    for place in places {
        let site = TestSite::under(&place);
        let reason = |number: u32| Some(format!("{number:06}"));
        site.update(|state, now| {
            let settings = maint::state::WindowSettings { reason: reason(0), ..Default::default() };
            state.open_window("w", &settings, now, &maint::Actor::default()).unwrap();
        });
        let gate = site.gate();
        let mut missed = 0;
        for round in 1..=rounds(&place) {
            for half in [2 * round - 1, 2 * round] {
                site.update(|state, _| {
                    state.windows.get_mut("w").unwrap().reason = reason(half);
                });
            }
            missed += u64::from(gate.revision() != u64::from(2 * round + 1));
        }
        figure(&format!(
            "{} x two changes of one size by the store in `{}`: {missed} missed",
            rounds(&place),
            place.display()
        ));
        assert_eq!(missed, 0);
        assert_eq!(site.told(), [""; 0]);
    }
}
