//! `maint path`

use anyhow::Result;
use maint::Site;
use serde_json::json;

use crate::exit::Exit;
use crate::session::Session;
use crate::text::{lossy, printable};

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
    // The directory alone on standard output, so that a script can take it.
    if !session.output.is_json() {
        session.output.note(&format!("chosen because {}", site.found()));
        let state = if exists { "state" } else { "no state yet, which means up" };
        session.output.note(&printable(&format!("{state}: {}", files.state.display())));
    }
    session.output.answer(&format!("{}\n", site.dir().display()), &object)?;
    Ok(Exit::Done)
}
