//! `maint snippet`
//!
//! The texts are configuration files beside this one, which can be read as such.

mod endpoint;
mod quote;
mod text;

use std::path::{Path, PathBuf};

use anyhow::Result;
use maint::Error;
use maint::flags::{self, Flag, Flags, Kind};
use maint::state::DEFAULT_RETRY_AFTER;
use serde_json::json;

use crate::args::{Snippet, Software};
use crate::exit::Exit;
use crate::session::Session;
use crate::text::{lossy, say};
use endpoint::Asked;
use text::{FlagKind, Target};

pub(crate) fn run(session: &Session, args: &Snippet) -> Result<Exit> {
    if let Some(address) = &args.endpoint {
        return asks(session, args, address);
    }
    let site = session.site_here()?;
    let declared = flags::read(&site.current()?)?;
    let chosen = chosen(&declared, args)?;
    let (kind, path) = match chosen {
        Some((id, flag)) => obeyed(id, flag, args.software)?,
        None => (FlagKind::Web, site.dir().join("web")),
    };
    let retry_after = site.state()?.page.retry_after.unwrap_or(DEFAULT_RETRY_AFTER);
    let key = chosen.and_then(|(_, flag)| flag.options.key.as_deref());
    let text = text::of(args.software, &Target { kind, path: &path, retry_after, key })?;
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

/// Prints what asks an endpoint, which needs no site.
fn asks(session: &Session, args: &Snippet, address: &str) -> Result<Exit> {
    let (user, groups) = (args.user_field.as_deref(), args.groups_field.as_deref());
    let text = endpoint::of(args.software, &Asked { address, user, groups })?;
    if session.output.is_json() {
        let object = json!({
            "software": args.software.name(),
            "endpoint": address,
            "text": text,
        });
        session.output.object(&object)?;
    } else {
        session.output.content(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

/// The flag that is meant: the one of this id, or else the only one that the software can
/// obey. `None` if there is none of those.
fn chosen<'f>(flags: &'f Flags, args: &'f Snippet) -> Result<Option<(&'f str, &'f Flag)>, Error> {
    if let Some(id) = &args.flag {
        return Ok(Some((id, flags.get(id)?)));
    }
    let fits = flags.flags.iter().filter(|(_, flag)| place_of(flag, args.software).is_some());
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
fn obeyed(id: &str, flag: &Flag, software: Software) -> Result<(FlagKind, PathBuf), Error> {
    let Some((kind, path)) = place_of(flag, software) else {
        return Err(Error::invalid_with(
            format!(
                "flag `{id}` is of the kind `{}`, which {} does not obey",
                flag.kind,
                software.name()
            ),
            "a snippet obeys a flag of the kind `web`, `file` or `page`, and HAProxy an entry in a map",
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
    Ok((kind, path.to_owned()))
}

/// The kind and the place of a flag that this software can obey.
fn place_of(flag: &Flag, software: Software) -> Option<(FlagKind, &Path)> {
    let kind = match flag.kind {
        Kind::Web => FlagKind::Web,
        Kind::File => FlagKind::File,
        Kind::Page => FlagKind::Page,
        Kind::Haproxy if software == Software::Haproxy => {
            return Some((FlagKind::Map, flag.options.map.as_deref()?));
        }
        _ => return None,
    };
    Some((kind, flag.path.as_deref()?))
}
