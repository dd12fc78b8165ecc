//! `maint on`

use std::cell::RefCell;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use maint::internal::history;
use maint::rules::Kind;
use maint::state::{Loss, Opened, WindowSettings};
use maint::store::{Applied, Stamp};
use maint::{Error, Site, State};
use serde_json::json;

use crate::args::On;
use crate::exit::Exit;
use crate::failure;
use crate::report;
use crate::session::Session;
use crate::text::{Text, quoted, say};

pub(crate) fn run(session: &Session, args: &On) -> Result<Exit> {
    session.only_here(args.local.local);
    let site = session.site()?;
    let start = args.at.as_deref().map(|text| session.time(text)).transpose()?;
    let end = session.end(args.end.duration.as_deref(), args.end.until.as_deref(), start)?;
    let estimate = session.estimate(args.estimate.estimate.as_deref(), start)?;
    let settings = args.window.settings()?.start(start).end(end).estimate(estimate);
    let mut applied = open(session, &site, args, &settings)?;
    if !args.dry_run.dry_run {
        session.warn_of_runs(&site, &mut applied);
    }
    let page = args.window.template.as_ref().or(applied.after.page.template.as_ref());
    if let Some(name) = page.cloned() {
        applied.warnings.extend(session.missing(&site, &applied.after, &name));
    }
    applied.warnings.extend(session.doubt(&settings.scope));
    if args.window.status.is_some_and(|status| status < 400) {
        let warning = "caches and search engines will keep a page that is not an error".to_owned();
        session.output.warn(std::slice::from_ref(&warning));
        applied.warnings.push(warning);
    }
    show(session, &site, args, &settings, &applied)?;
    if !args.dry_run.dry_run
        && session.output.is_watched()
        && stops_health_checks(&applied, &settings)
        && is_first(&site)?
    {
        session.output.note(failure::tip(
            "no rule lets a health check through, so a load balancer may take this host out; \
              `maint ignore add path /health` lets one through",
        ));
    }
    Ok(Exit::Done)
}

/// Whether a load balancer that asks for a page of the site would meet an error. A rule for a
/// path or for a header field lets it through, as a rule.
fn stops_health_checks(applied: &Applied<Opened>, settings: &WindowSettings) -> bool {
    let has_rule =
        applied.after.ignore.values().any(|rule| matches!(rule.kind, Kind::Path | Kind::Header));
    let status = settings.page.over(&applied.after.page).status;
    applied.value == Opened::New
        && settings.scope.is_whole()
        && status.is_none_or(|status| status >= 400)
        && !has_rule
}

/// Whether this is the first window of the site that its history knows: later ones are
/// opened by somebody who has seen the hint.
fn is_first(site: &Site) -> Result<bool> {
    let mut opened = 0;
    for record in history::backwards(&site.files()?)?.flatten().flatten() {
        let begins = |verb: &str| record.command.split(' ').next() == Some(verb);
        opened += usize::from(begins("on") || begins("run"));
        if opened > 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens the window. What an open one would lose is asked about first, and what was agreed to is
/// compared with what would be lost under the lock.
fn open(
    session: &Session,
    site: &Site,
    args: &On,
    settings: &WindowSettings,
) -> Result<Applied<Opened>> {
    let mut agreed = None;
    loop {
        let found = RefCell::new(None);
        let change = |state: &mut State, stamp: Stamp<'_>| {
            args.expect.check(state)?;
            refuse_passed_start(state, args, settings, stamp)?;
            let losses = state.losses(&args.name, settings, stamp.now);
            let is_agreed = args.yes || args.dry_run.dry_run || agreed.as_ref() == Some(&losses);
            if !losses.is_empty() && !is_agreed {
                let refusal = refusal(session, args, &losses);
                found.replace(Some(losses));
                return Err(refusal);
            }
            state.open_window(&args.name, settings, stamp)
        };
        let applied = session.apply(site, args.dry_run.dry_run, change);
        match (applied, found.into_inner()) {
            (Err(error), Some(losses)) => {
                let question = say!(
                    "window `{}` is open, and its settings would be replaced:\n{}\
                     `maint set` changes only what is given. Replace them? [y/N] ",
                    args.name,
                    losses_text(session, &losses)
                );
                if !matches!(session.output.ask(&question).as_deref(), Some("y" | "yes")) {
                    return Err(error.into());
                }
                agreed = Some(losses);
            }
            (applied, _) => return Ok(applied?),
        }
    }
}

/// Refuses a start that has passed, by which the window would be open at once: it may be a slip
/// of the pen. The start that the window has already may be said again.
fn refuse_passed_start(
    state: &State,
    args: &On,
    settings: &WindowSettings,
    stamp: Stamp<'_>,
) -> maint::Result<()> {
    // A script takes a moment from asking for the time to giving it.
    const SLACK: SignedDuration = SignedDuration::from_mins(1);
    let has_passed = |start: &Timestamp| stamp.now.duration_since(*start) > SLACK;
    let Some(start) = settings.start.filter(has_passed) else { return Ok(()) };
    let is_known = state.windows.get(&args.name).is_some_and(|one| one.start == Some(start));
    if args.yes || is_known {
        return Ok(());
    }
    Err(Error::invalid_with(
        format!("the start, {start}, has passed"),
        "without `--at` it opens now; `--yes` opens it now, and says since when it is down",
    ))
}

/// Why settings are not replaced, and what to do instead.
fn refusal(session: &Session, args: &On, losses: &[Loss]) -> Error {
    let words: Vec<String> = losses.iter().map(|loss| loss_words(session, loss)).collect();
    let (name, local) = (&args.name, if args.local.local { " --local" } else { "" });
    Error::invalid_with(
        format!("window `{name}` is open, and this would lose its {}", words.join("; its ")),
        format!(
            "`maint set {name}{local}` changes only what is given; `--yes` replaces all settings"
        ),
    )
}

/// What would be lost, a line each.
fn losses_text(session: &Session, losses: &[Loss]) -> Text {
    losses.iter().map(|loss| say!("  {}\n", loss_words(session, loss))).collect()
}

/// `end 04:30 UTC`, `scope (paths /shop/**, and then every request)`
fn loss_words(session: &Session, loss: &Loss) -> String {
    const MAX_SHOWN: usize = 60;
    let shown = |text: &String| {
        if loss.setting.starts_with("message") {
            let mut rest = text.chars();
            let first: String = rest.by_ref().take(MAX_SHOWN).collect();
            return quoted(&(first + if rest.next().is_some() { "…" } else { "" }));
        }
        text.parse().map_or_else(|_| text.clone(), |time| session.clock.time(time))
    };
    let (setting, before) = (&loss.setting, shown(&loss.before));
    match &loss.after {
        Some(after) => format!("{setting} ({before}, and then {})", shown(after)),
        None => format!("{setting} {before}"),
    }
}

fn show(
    session: &Session,
    site: &Site,
    args: &On,
    settings: &WindowSettings,
    applied: &Applied<Opened>,
) -> Result<()> {
    let now = session.clock.now();
    let name = session.name_in_state(&args.name);
    let window = applied.after.windows.get(&name).or_else(|| {
        // Somebody else closed it meanwhile, in a fleet.
        applied.before.windows.get(&name)
    });
    let Some(window) = window else {
        return Err(Error::conflict(format!("window `{name}` was closed again already")).into());
    };
    let losses = applied.before.losses(&name, settings, now);
    let object = report::object(
        site,
        applied,
        now,
        json!({
            "dry_run": args.dry_run.dry_run,
            "opened": applied.value == Opened::New,
            "revoked": applied.revoked(),
            "window": report::window_object(&name, window, now),
            "lost": losses,
            "stays_up": report::stays_up(&window.scope),
        }),
    );
    if args.dry_run.dry_run {
        let mut text = report::dry_run_text(&applied.changes, &session.clock)
            + &report::gaps_text(&window.scope);
        if !losses.is_empty() {
            text += say!("it would lose, and needs `--yes` without a terminal:\n");
            text += losses_text(session, &losses);
        }
        return session.output.answer(&text, &object);
    }
    let (given, place) = (&args.name, session.where_done());
    let phase = window.phase(now);
    let mut text = match (applied.value, phase) {
        _ if applied.changes.is_empty() => {
            say!(
                "unchanged: window `{}` is {}{} with these settings already\n",
                given,
                phase,
                place
            )
        }
        // The mark is that of the site: another window may hold it down.
        (Opened::New, _) => {
            say!("{} window `{}` is {}{}\n", report::mark(&applied.after, now), given, phase, place)
        }
        (Opened::Replaced(before), after) if before == after => {
            say!("window `{}` was {} already{}; its settings are replaced\n", given, before, place)
        }
        (Opened::Replaced(before), after) => {
            say!("window `{}` was {} and is {} now{}\n", given, before, after, place)
        }
    };
    text += report::window_text(&name, window, &session.clock);
    text += report::gaps_text(&window.scope);
    text += report::lacks_of_window(site, &applied.flags, &name);
    let revoked = applied.revoked();
    if !revoked.is_empty() {
        text += report::revoked_text(&revoked);
    }
    if matches!(applied.value, Opened::Replaced(_)) {
        text += report::changes_text(&applied.changes, &session.clock);
    }
    text += report::written(applied);
    session.output.done(&text, &object)
}
