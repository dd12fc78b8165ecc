//! `maint path`

use anyhow::Result;
use maint::Site;
use maint::site::Found;
use serde_json::json;

use crate::exit::Exit;
use crate::session::Session;
use crate::text::{lossy, say};

/// Which rule chose a site, in words.
fn why(found: Found) -> &'static str {
    match found {
        Found::Given => "it was given with `--site`",
        Found::Environment => "`MAINT_SITE` names it",
        Found::Nearest => "it is the nearest `.maint` from the working directory up",
        Found::Project => "it is the one of this project, which the first change makes",
        Found::User => "nothing else names a site, so it is the one of this user",
        _ => found.as_str(),
    }
}

pub(crate) fn run(session: &Session) -> Result<Exit> {
    let site = Site::discover(session.given_site())?;
    let files = site.files()?;
    let exists = site.state_file().exists();
    let object = json!({
        "site": lossy(site.dir()),
        "chosen_by": site.found().as_str(),
        "file": lossy(&files.state),
        "links": files.links.iter().map(|link| lossy(link)).collect::<Vec<_>>(),
        "exists": exists,
        "backup": lossy(&files.backup),
        "lock": lossy(&files.lock),
        "history": lossy(&files.history),
        "templates": lossy(&site.templates()),
    });
    if session.output.is_json() {
        session.output.object(&object)?;
        return Ok(Exit::Done);
    }
    session.output.note(say!("chosen because {}", why(site.found())));
    let state = if exists { "state" } else { "no state yet, which means up" };
    session.output.note(say!("{}: {}", state, files.state.display()));
    // The directory alone on standard output, so that a script can take it.
    let mut line = site.dir().as_os_str().as_encoded_bytes().to_vec();
    line.push(b'\n');
    session.output.content(&line)?;
    Ok(Exit::Done)
}
