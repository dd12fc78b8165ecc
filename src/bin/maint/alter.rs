//! `maint set` and `maint extend`

use anyhow::Result;
use maint::internal::state::validate_order;
use maint::state::{DEFAULT_WINDOW, WindowSettings};
use maint::store::{Applied, Stamp};
use maint::{Error, Site, State};
use serde_json::json;

use crate::args::{Extend, Set};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::say;

pub(crate) fn set(session: &Session, args: &Set) -> Result<Exit> {
    session.only_here(args.local.local);
    if args.is_empty() {
        return Err(Error::invalid_with(
            "nothing is given to change",
            "for example `maint set -m 'Back at noon'`; `maint help set` lists what there is",
        )
        .into());
    }
    let site = session.site()?;
    let start = args.at.as_deref().map(|text| session.time(text)).transpose()?;
    let change = |state: &mut State, stamp: Stamp<'_>| {
        args.expect.check(state)?;
        let change = |settings: &mut WindowSettings| {
            let is_to_come = settings.start.is_some_and(|start| stamp.now < start);
            args.without.change(settings);
            args.window.change(settings)?;
            settings.start = start.or(settings.start);
            // What has begun lasts so long from now on.
            let from = settings.start.filter(|&start| stamp.now < start);
            let end = session.end(args.end.duration.as_deref(), args.end.until.as_deref(), from)?;
            let estimate = session.estimate(args.estimate.estimate.as_deref(), from)?;
            settings.end = end.or(settings.end);
            settings.estimate = estimate.or(settings.estimate);
            if is_to_come {
                validate_order(settings.start, settings.end).map_err(|error| {
                    let hint =
                        "give the end as well: `--for DURATION`, `--until TIME` or `--no-end`";
                    Error::invalid_with(error.to_string(), hint)
                })?;
            }
            if settings.scope.read_only && !settings.scope.methods.is_empty() {
                return Err(Error::invalid_with(
                    "a read-only window already says which methods it covers",
                    "add `--no-method` or `--no-read-only`",
                ));
            }
            Ok(())
        };
        state.change_window(&args.name, change, stamp)
    };
    let mut applied = session.apply(&site, args.dry_run.dry_run, change)?;
    let name = session.name_in_state(&args.name);
    if let Some(template) = &args.window.template {
        applied.warnings.extend(session.missing(&site, &applied.after, template));
    }
    if let Some(window) = applied.after.windows.get(&name) {
        applied.warnings.extend(session.doubt(&window.scope));
    }
    show(session, &site, &args.name, args.dry_run.dry_run, &applied)?;
    Ok(Exit::Done)
}

pub(crate) fn extend(session: &Session, args: &Extend) -> Result<Exit> {
    session.only_here(args.local.local);
    let site = session.site()?;
    let name = args.name.as_deref().unwrap_or(DEFAULT_WINDOW);
    let extension = session.extension(&args.when).map_err(|error| {
        let when = &args.when;
        let is_window = |state: State| state.windows.contains_key(when);
        if args.name.is_some() || !site.state().is_ok_and(is_window) {
            return error;
        }
        Error::invalid_with(
            format!("how much longer `{when}` stays is not given"),
            format!("for example `maint extend {when} 30m`"),
        )
    })?;
    let change = |state: &mut State, stamp: Stamp<'_>| {
        args.expect.check(state)?;
        let is_endless = state
            .windows
            .get(name)
            .is_some_and(|window| window.end.is_none() && window.estimate.is_none());
        state.extend_window(name, extension, stamp).map_err(|error| match error {
            Error::Conflict { message, hint: None } if is_endless => {
                let local = if args.local.local { " --local" } else { "" };
                let hint = "gives it an end, and `--estimate 30m` an estimate";
                Error::conflict_with(message, format!("`maint set {name}{local} --for 30m` {hint}"))
            }
            error => error,
        })
    };
    let applied = session.apply(&site, args.dry_run.dry_run, change)?;
    show(session, &site, name, args.dry_run.dry_run, &applied)?;
    Ok(Exit::Done)
}

fn show(
    session: &Session,
    site: &Site,
    given: &str,
    is_dry: bool,
    applied: &Applied<()>,
) -> Result<()> {
    let now = session.clock.now();
    let name = session.name_in_state(given);
    let Some(window) = applied.after.windows.get(&name) else {
        // Somebody else closed it meanwhile, in a fleet.
        return Err(Error::conflict(format!("window `{name}` was closed again already")).into());
    };
    let object = report::object(
        site,
        applied,
        now,
        json!({
            "dry_run": is_dry,
            "window": report::window_object(&name, window, now),
            "stays_up": report::stays_up(&window.scope),
        }),
    );
    if is_dry {
        let text = report::dry_run_text(&applied.changes, &session.clock)
            + &report::gaps_text(&window.scope);
        return session.output.answer(&text, &object);
    }
    let (phase, place) = (window.phase(now), session.where_done());
    let mut text = if applied.changes.is_empty() {
        say!("unchanged: window `{}` is {}{} with these settings already\n", given, phase, place)
    } else {
        say!("window `{}` is {}{}, and changed\n", given, phase, place)
    };
    text += report::window_text(&name, window, &session.clock);
    text += report::gaps_text(&window.scope);
    text += report::lacks_of_window(site, &applied.flags, &name);
    text += report::changes_text(&applied.changes, &session.clock);
    text += report::written(applied);
    session.output.done(&text, &object)
}
