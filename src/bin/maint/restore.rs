//! `maint restore`

use anyhow::Result;
use maint::store::{self, Restored};
use serde_json::json;

use crate::args::Restore;
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{Text, say};

pub(crate) fn run(session: &Session, args: &Restore) -> Result<Exit> {
    let site = session.site()?;
    let is_dry = args.dry_run.dry_run;
    let applied = session.write(|options| {
        let options = options.clone().confirmed(args.yes);
        if is_dry {
            store::preview_restore(&site, &options)
        } else {
            store::restore(&site, &options)
        }
    })?;
    let what = match applied.value {
        Restored::LastKnown(_) => "last_known",
        Restored::Backup(_) => "backup",
        _ => "before",
    };
    let more = json!({ "dry_run": is_dry, "restored": what });
    let object = report::object(&site, &applied, session.clock.now(), more);
    if is_dry {
        session.output.answer(&report::dry_run_text(&applied.changes, &session.clock), &object)?;
        return Ok(Exit::Done);
    }
    let mut text: Text = match applied.value {
        Restored::LastKnown(revision) => say!(
            "the last known state, of revision {}, is in force in place of the broken one\n",
            revision
        ),
        Restored::Backup(revision) => {
            say!("the backup, of revision {}, is in force in place of the broken state\n", revision)
        }
        _ if !applied.is_written => "unchanged: the state before is the same\n".into(),
        _ => "the state before the last change is in force again; another `maint restore` \
              undoes this\n"
            .into(),
    };
    text += report::changes_text(&applied.changes, &session.clock);
    text += report::holds(&applied.after, &session.clock);
    text += report::written(&applied);
    session.output.done(&text, &object)?;
    Ok(Exit::Done)
}
