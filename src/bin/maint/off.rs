//! `maint off`

use anyhow::Result;
use jiff::Timestamp;
use maint::state::Closed;
use maint::state::{DEFAULT_WINDOW, Phase};
use maint::store::{Applied, Stamp};
use maint::{Site, State};
use serde_json::json;

use crate::args::Off;
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{Text, say};

pub(crate) fn run(session: &Session, args: &Off) -> Result<Exit> {
    session.only_here(args.local.local);
    let site = session.site()?;
    let change = |state: &mut State, Stamp { now, .. }: Stamp<'_>| {
        args.expect.check(state)?;
        match &args.name {
            _ if args.all => Ok(state.close_all_windows(now)),
            Some(name) if args.if_open && !state.windows.contains_key(name) => {
                Ok(Closed::default())
            }
            Some(name) => state.close_window(name, now),
            // No window was named, so it is fine if there is none at all: nothing is down.
            None if !state.windows.contains_key(DEFAULT_WINDOW)
                && (args.if_open || is_without_windows(state, now)) =>
            {
                Ok(Closed::default())
            }
            None => state.close_window(DEFAULT_WINDOW, now),
        }
    };
    let mut applied = session.apply(&site, args.dry_run.dry_run, change)?;
    if !args.dry_run.dry_run {
        session.warn_of_runs(&site, &mut applied);
    }
    show(session, &site, args, &applied)?;
    Ok(Exit::Done)
}

/// Whether nothing holds the site down, or will.
fn is_without_windows(state: &State, now: Timestamp) -> bool {
    state.windows.values().all(|window| window.phase(now) == Phase::Ended)
}

fn show(session: &Session, site: &Site, args: &Off, applied: &Applied<Closed>) -> Result<()> {
    let now = session.clock.now();
    let Closed { windows, revoked, .. } = &applied.value;
    let object = report::object(
        site,
        applied,
        now,
        json!({
            "dry_run": args.dry_run.dry_run,
            "closed": windows.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "revoked": revoked,
        }),
    );
    if args.dry_run.dry_run {
        return session
            .output
            .answer(&report::dry_run_text(&applied.changes, &session.clock), &object);
    }
    let place = session.where_done();
    let mut text = Text::default();
    for (name, phase) in windows {
        text += match phase {
            Phase::Open => say!("window `{}` is closed{}\n", name, place),
            Phase::Scheduled => {
                say!("window `{}` was scheduled{}, and is cancelled\n", name, place)
            }
            Phase::Ended => {
                say!("window `{}` had ended already{}, and is cleared away\n", name, place)
            }
        };
    }
    if windows.is_empty() {
        text += match args.name.as_deref() {
            _ if args.all => say!("unchanged: there is no window{}\n", place),
            name => {
                say!(
                    "unchanged: there is no window `{}`{}\n",
                    name.unwrap_or(DEFAULT_WINDOW),
                    place
                )
            }
        };
    }
    if !revoked.is_empty() {
        text += say!("bypass tokens revoked with the last window: {}\n", revoked.join(", "));
    }
    text += report::holds(&applied.after, &session.clock);
    text += report::written(applied);
    session.output.done(&text, &object)
}
