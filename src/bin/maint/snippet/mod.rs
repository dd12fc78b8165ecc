//! `maint snippet`
//!
//! The texts are configuration files beside this one, which can be read as such.

mod quote;
mod text;

use anyhow::Result;
use serde_json::json;

use crate::args::Snippet;
use crate::exit::Exit;
use crate::session::Session;
use crate::text::{lossy, say};
use text::{FlagKind, Target};

pub(crate) fn run(session: &Session, args: &Snippet) -> Result<Exit> {
    let site = session.site()?;
    let path = site.dir().join("web");
    let target = Target { kind: FlagKind::Web, path: &path, retry_after: 120 };
    let text = text::of(args.software, &target)?;
    session
        .output
        .note(say!("note: no flag is declared; first: maint flag add web {}", path.display()));
    if session.output.is_json() {
        let object = json!({
            "software": args.software.name(),
            "flag": null,
            "path": lossy(&path),
            "text": text,
        });
        session.output.object(&object)?;
    } else {
        session.output.content(text.as_bytes())?;
    }
    Ok(Exit::Done)
}
