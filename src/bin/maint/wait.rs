//! `maint wait`

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::SignedDuration;
use maint::internal::time::parse_duration;
use maint::site::Found;
use maint::store;
use maint::{Site, State, Watch};
use serde_json::json;

use crate::args::{Switch, Wait};
use crate::exit::Exit;
use crate::failure;
use crate::fleet;
use crate::report;
use crate::session::Session;
use crate::text::say;

/// How often an engine is asked.
const PAUSE: Duration = Duration::from_millis(250);

pub(crate) fn run(session: &Session, args: &Wait) -> Result<Exit> {
    let patience =
        args.timeout.as_deref().map(parse_duration).transpose()?.map(SignedDuration::unsigned_abs);
    if args.all {
        return fleet::wait(session, args, patience);
    }
    let site = session.site()?;
    let begun = Instant::now();
    if site.found() == Found::Store {
        return of_copy(session, args, &site, patience, begun);
    }
    let mut watch = Watch::new(&site);
    let mut state = State::default();
    let mut is_known = false;
    let wanted = args.state == Switch::On;
    let exit = loop {
        let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        match watch.wait_by(left, || session.clock.now()) {
            Ok(Some(new)) => {
                let now = session.clock.now();
                if new.is_down(now) == wanted {
                    state = new;
                    break Exit::Done;
                }
                if !is_known || new.revision != state.revision {
                    session.output.progress(report::holds(&new, &session.clock).trim_end());
                }
                (state, is_known) = (new, true);
            }
            Ok(None) => break Exit::No,
            // At first there is no state to rely on; later the last good one holds.
            Err(error) if !is_known => return Err(error.into()),
            Err(error) => session.output.note(failure::mistake(&error)),
        }
    };
    end(session, &state, begun, exit)
}

/// The same where only the engine knows what changes.
fn of_copy(
    session: &Session,
    args: &Wait,
    site: &Site,
    patience: Option<Duration>,
    begun: Instant,
) -> Result<Exit> {
    loop {
        let state = session.ask(|options| store::refresh(site, options))?.state;
        if state.is_down(session.clock.now()) == (args.state == Switch::On) {
            return end(session, &state, begun, Exit::Done);
        }
        let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return end(session, &state, begun, Exit::No);
        }
        thread::sleep(left.unwrap_or(PAUSE).min(PAUSE));
    }
}

fn end(session: &Session, state: &State, begun: Instant, exit: Exit) -> Result<Exit> {
    let now = session.clock.now();
    let object = json!({
        "state": report::overall(state, now),
        "revision": state.revision,
        "timed_out": exit == Exit::No,
        "waited_ms": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    let mut text = report::headline(state, now) + "\n";
    if exit == Exit::No {
        text = say!("gave up waiting: {}", text);
    }
    session.output.done(&text, &object)?;
    Ok(exit)
}
