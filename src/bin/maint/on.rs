//! `maint on`

use anyhow::Result;
use jiff::Timestamp;
use maint::page::{PageSettings, Templates};
use maint::state::window::{Phase, Scope};
use maint::state::{Opened, WindowSettings};
use maint::store::Applied;
use maint::time::parse_duration;
use maint::{Actor, Error, Site, State};
use serde_json::json;

use crate::args::{ExpectRevision, On, WindowArgs};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{GREEN, RED, paint};

pub(crate) fn run(session: &Session, args: &On) -> Result<Exit> {
    let site = session.site()?;
    let start = args.at.as_deref().map(|text| session.time(text)).transpose()?;
    let from = start.unwrap_or_else(|| session.clock.now());
    let end = session.end(args.duration.as_deref(), args.until.as_deref(), from)?;
    let settings = WindowSettings { start, end, ..settings(&args.window)? };
    let change = |state: &mut State, now: Timestamp, by: &Actor| {
        expect_revision(state, args.expect)?;
        try_template(&site, &settings)?;
        state.open_window(&args.name, &settings, now, by)
    };
    let mut applied = session.apply(&site, args.dry_run.dry_run, change)?;
    if args.window.status.is_some_and(|status| status < 400) {
        let warning = "caches and search engines will keep a page that is not an error".to_owned();
        session.output.warn(std::slice::from_ref(&warning));
        applied.warnings.push(warning);
    }
    show(session, &site, args, &applied)?;
    Ok(Exit::Done)
}

fn show(session: &Session, site: &Site, args: &On, applied: &Applied<Opened>) -> Result<()> {
    let now = session.clock.now();
    let window = &applied.after.windows[&args.name];
    let object = report::object(
        site,
        applied,
        now,
        json!({
            "dry_run": args.dry_run.dry_run,
            "opened": applied.value == Opened::New,
            "window": report::window_object(&args.name, window, now),
        }),
    );
    if args.dry_run.dry_run {
        return session.output.answer(&report::dry_run_text(&applied.changes), &object);
    }
    let name = &args.name;
    let phase = window.phase(now);
    let mut text = match (applied.value, phase) {
        _ if applied.changes.is_empty() => {
            format!("unchanged: window `{name}` is {phase} with just these settings\n")
        }
        (Opened::New, Phase::Scheduled) => {
            format!("{} window `{name}` is scheduled\n", paint(GREEN, "● up"))
        }
        (Opened::New, _) if window.scope.is_everything() => {
            format!("{} window `{name}` is open\n", paint(RED, "● down"))
        }
        (Opened::New, _) => format!("{} window `{name}` is open\n", paint(RED, "● partly down")),
        (Opened::Replaced(before), after) if before == after => {
            format!("window `{name}` was {before} already; its settings are replaced\n")
        }
        (Opened::Replaced(before), after) => {
            format!("window `{name}` was {before} and is {after} now\n")
        }
    };
    text += &report::window_text(name, window, &session.clock);
    let revoked: Vec<&str> =
        applied.changes.iter().filter_map(|change| change.at.strip_prefix("/bypass/")).collect();
    if !revoked.is_empty() {
        text += &format!(
            "  bypass tokens of the maintenance before are revoked: {}\n",
            revoked.join(", ")
        );
    }
    if matches!(applied.value, Opened::Replaced(_)) {
        text += &report::changes_text(&applied.changes);
    }
    text += &report::written(applied);
    session.output.done(&text, &object)
}

/// Fails unless the state still has the revision that the caller saw.
pub(crate) fn expect_revision(state: &State, expect: ExpectRevision) -> Result<(), Error> {
    match expect.if_revision {
        Some(wanted) if wanted != state.revision => Err(Error::Conflict {
            message: format!("the state has revision {}, not {wanted}", state.revision),
        }),
        _ => Ok(()),
    }
}

/// What the options say of a window, apart from its times.
pub(crate) fn settings(args: &WindowArgs) -> Result<WindowSettings> {
    let retry_after = args.retry_after.as_deref().map(parse_duration).transpose()?;
    let retry_after =
        retry_after.map(|duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX));
    let page = PageSettings {
        status: args.status,
        retry_after,
        template: args.template.clone(),
        redirect: args.redirect.clone(),
        ..PageSettings::default()
    };
    let scope = Scope::parse(&args.path, &args.method, &args.host, args.read_only)?;
    Ok(WindowSettings {
        reason: args.message.clone().filter(|message| !message.trim().is_empty()),
        scope,
        page,
        ..WindowSettings::default()
    })
}

/// Tries out the template of a window. Under the lock, or somebody else might remove
/// it before the window is there.
pub(crate) fn try_template(site: &Site, settings: &WindowSettings) -> maint::Result<()> {
    match &settings.page.template {
        Some(name) => Templates::try_all(&site.templates(), name),
        None => Ok(()),
    }
}
