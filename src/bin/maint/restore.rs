//! `maint restore`

use anyhow::Result;
use maint::store;
use serde_json::json;

use crate::args::Restore;
use crate::exit::Exit;
use crate::report;
use crate::session::Session;

pub(crate) fn run(session: &Session, args: &Restore) -> Result<Exit> {
    let site = session.site()?;
    let on_wait = |path: &_, holder: Option<&_>| session.tell_waiting(path, holder);
    let is_dry = args.dry_run.dry_run;
    let applied = if is_dry {
        store::preview_restore(&site)?
    } else {
        store::restore(&site, &session.options(&on_wait)?)?
    };
    let object = report::object(&site, &applied, session.clock.now(), json!({ "dry_run": is_dry }));
    if is_dry {
        session.output.answer(&report::dry_run_text(&applied.changes), &object)?;
        return Ok(Exit::Done);
    }
    session.output.warn(&applied.warnings);
    let mut text = match applied.changes.is_empty() {
        true if applied.warnings.is_empty() => "unchanged: the state before says the same\n".to_owned(),
        _ => "the state before the last change is in force again; `maint restore` once more undoes this\n".to_owned(),
    };
    text += &report::changes_text(&applied.changes);
    text += &report::holds(&applied.after, &session.clock);
    text += &report::written(&applied);
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}
