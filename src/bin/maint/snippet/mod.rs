//! `maint snippet`
//!
//! The texts are configuration files beside this one, which can be read as such.

mod quote;
mod text;

use std::path::PathBuf;

use anyhow::Result;
use maint::Error;
use maint::flags::{self, Flag, Flags, Kind};
use maint::state::DEFAULT_RETRY_AFTER;
use serde_json::json;

use crate::args::Snippet;
use crate::exit::Exit;
use crate::session::Session;
use crate::text::{lossy, say};
use text::{FlagKind, Target};

pub(crate) fn run(session: &Session, args: &Snippet) -> Result<Exit> {
    let site = session.site()?;
    let declared = flags::read(&site.current()?)?;
    let chosen = chosen(&declared, args.flag.as_deref())?;
    let (kind, path) = match chosen {
        Some((id, flag)) => obeyed(id, flag)?,
        None => (FlagKind::Web, site.dir().join("web")),
    };
    let retry_after = site.state()?.page.retry_after.unwrap_or(DEFAULT_RETRY_AFTER);
    let text = text::of(args.software, &Target { kind, path: &path, retry_after })?;
    match chosen {
        None => session.output.note(say!(
            "note: this flag is not declared yet: maint flag add web {}",
            maint::internal::word(&path.to_string_lossy())
        )),
        Some((id, flag)) if !flag.hosts.is_empty() => session.output.note(say!(
            "note: flag `{}` stops {} alone: put this where no other host is served",
            id,
            flag.hosts.join(", ")
        )),
        Some(_) => {}
    }
    if session.output.is_json() {
        let object = json!({
            "software": args.software.name(),
            "flag": chosen.map(|(id, _)| id),
            "path": lossy(&path),
            "text": text,
        });
        session.output.object(&object)?;
    } else {
        session.output.content(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

/// The flag that is meant: the one of this id, or else the only one that a server can obey.
/// `None` if there is none of those.
fn chosen<'f>(flags: &'f Flags, id: Option<&'f str>) -> Result<Option<(&'f str, &'f Flag)>, Error> {
    if let Some(id) = id {
        return Ok(Some((id, flags.get(id)?)));
    }
    let fits = flags.flags.iter().filter(|(_, flag)| kind_of(flag).is_some());
    let fitting: Vec<_> = fits.map(|(id, flag)| (id.as_str(), flag)).collect();
    if fitting.len() > 1 {
        let ids: Vec<String> = fitting.iter().map(|(id, _)| format!("`{id}`")).collect();
        return Err(Error::invalid_with(
            format!("several flags can be obeyed: {}", ids.join(", ")),
            "name one with `--flag`",
        ));
    }
    Ok(fitting.first().copied())
}

/// What there is to look at.
fn obeyed(id: &str, flag: &Flag) -> Result<(FlagKind, PathBuf), Error> {
    let (Some(kind), Some(path)) = (kind_of(flag), &flag.path) else {
        return Err(Error::invalid_with(
            format!("flag `{id}` is of the kind `{}`, which has its own software", flag.kind),
            "a snippet obeys a flag of the kind `web`, `file` or `page`",
        ));
    };
    if !flag.paths.is_empty() {
        return Err(Error::invalid_with(
            format!(
                "flag `{id}` stops {} alone, and a snippet stops a whole host",
                flag.paths.join(", ")
            ),
            "declare a flag without `--path`",
        ));
    }
    Ok((kind, path.clone()))
}

fn kind_of(flag: &Flag) -> Option<FlagKind> {
    match flag.kind {
        Kind::Web => Some(FlagKind::Web),
        Kind::File => Some(FlagKind::File),
        Kind::Page => Some(FlagKind::Page),
        _ => None,
    }
}
