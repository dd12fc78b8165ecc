//! `maint restore`

use anyhow::Result;
use maint::store;
use serde_json::json;

use crate::args::Restore;
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::Text;

pub(crate) fn run(session: &Session, args: &Restore) -> Result<Exit> {
    let site = session.site()?;
    let is_dry = args.dry_run.dry_run;
    let applied = if is_dry {
        store::preview_restore(&site)?
    } else {
        session.write(|options| store::restore(&site, options))?
    };
    let object = report::object(&site, &applied, session.clock.now(), json!({ "dry_run": is_dry }));
    if is_dry {
        session.output.answer(&report::dry_run_text(&applied.changes), &object)?;
        return Ok(Exit::Done);
    }
    let mut text: Text = if applied.before.last_change.is_none() {
        "the backup is in force in place of the broken state\n".into()
    } else if !applied.is_written {
        "unchanged: the state before is the same\n".into()
    } else {
        "the state before the last change is in force again; another `maint restore` undoes this\n"
            .into()
    };
    text += report::changes_text(&applied.changes);
    text += report::holds(&applied.after, &session.clock);
    text += report::written(&applied);
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}
