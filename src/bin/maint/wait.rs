//! `maint wait`

use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use maint::State;
use maint::internal::Watch;
use maint::internal::time::parse_duration;
use serde_json::json;

use crate::args::{Switch, Wait};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::say;

/// How often the state file is checked: one stat(2), some 0.2 % of a core, and
/// it works where no file watcher does (network file systems, containers).
pub(crate) const LOOK: Duration = Duration::from_millis(40);

pub(crate) fn run(session: &Session, args: &Wait) -> Result<Exit> {
    let mut site = session.site()?;
    let patience =
        args.timeout.as_deref().map(parse_duration).transpose()?.map(SignedDuration::unsigned_abs);
    let begun = Instant::now();
    let mut watch = Watch::new(&site.state_file());
    let mut state = State::default();
    let mut is_known = false;
    let wanted = args.state == Switch::On;
    let exit = loop {
        if site.is_awaited() {
            let now = site.current()?;
            if now.dir() != site.dir() {
                watch = Watch::new(&now.state_file());
            }
            site = now;
        }
        match watch.changed() {
            Some(Ok(new)) => {
                if new.is_down(session.clock.now()) != wanted {
                    session.output.progress(report::holds(&new, &session.clock).trim_end());
                }
                (state, is_known) = (new, true);
            }
            // At first there is no state to rely on; later the last good one holds.
            Some(Err(error)) if !is_known => return Err(error.into()),
            Some(Err(error)) => {
                session.output.note(say!("maint: {}", error));
            }
            None => {}
        }
        let now = session.clock.now();
        if state.is_down(now) == wanted {
            break Exit::Done;
        }
        let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            break Exit::No;
        }
        std::thread::sleep(pause(&state, now).min(left.unwrap_or(LOOK)));
    };
    let now = session.clock.now();
    let object = json!({
        "state": report::overall(&state, now),
        "revision": state.revision,
        "timed_out": exit == Exit::No,
        "waited_ms": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    let mut text = report::headline(&state, now) + "\n";
    if exit == Exit::No {
        text = say!("gave up waiting: {}", text);
    }
    session.output.done(&text, &object)?;
    Ok(exit)
}

/// Until the next look, or until the clock opens or closes a window.
pub(crate) fn pause(state: &State, now: Timestamp) -> Duration {
    let edge = state.next_edge(now).map(|edge| edge.duration_since(now).unsigned_abs());
    edge.unwrap_or(LOOK).min(LOOK)
}
