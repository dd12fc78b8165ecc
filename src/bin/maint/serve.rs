//! `maint serve`

use std::path::Path;

use anyhow::{Context as _, Result};
use maint::internal::serve::{Address, Endpoint, Listener, Server, Users};
use maint::{Error, Site};

use crate::args::Serve;
use crate::exit::Exit;
use crate::manager::Manager;
use crate::session::Session;
use crate::signals;
use crate::text::say;

/// Where it listens unless it is told.
const DEFAULT: &str = "127.0.0.1:8504";

pub(crate) fn run(session: &Session, args: &Serve) -> Result<Exit> {
    let users = users(args)?;
    let endpoint = endpoint(session, args, users)?;
    let listeners = listeners(session, args)?;
    let ended = signals::ending().context("could not watch signals")?;
    let mut manager = Manager::new();
    manager.tell("answering");
    Server::new(endpoint, listeners)
        .workers(args.workers.into())
        .run(move || {
            ended();
            Manager::leave();
        })
        .context("could not serve")?;
    Ok(Exit::Done)
}

fn users(args: &Serve) -> Result<Option<Users>> {
    let Some(user) = &args.user_field else { return Ok(None) };
    let users = Users::by_field(user)?;
    let Some(groups) = &args.groups_field else { return Ok(Some(users)) };
    Ok(Some(users.groups(groups, args.staff_group.clone(), args.superuser_group.clone())?))
}

fn endpoint(session: &Session, args: &Serve, users: Option<Users>) -> Result<Endpoint> {
    if args.sites.is_empty() {
        return Ok(Endpoint::of(&session.site_here()?, users)?);
    }
    let sites = args.sites.iter().map(|site| {
        let (name, place) = split(site).ok_or_else(|| {
            Error::invalid_with(
                format!("`{}` has no name", site.display()),
                "write `NAME=DIR`; a site without a name is that of `--site DIR`",
            )
        })?;
        Ok((name, Site::discover(Some(place))?))
    });
    Ok(Endpoint::of_named(sites.collect::<Result<_>>()?, users)?)
}

/// Splits `NAME=DIR`.
fn split(site: &Path) -> Option<(String, &Path)> {
    let (name, place) = site.to_str()?.split_once('=')?;
    Some((name.to_owned(), Path::new(place)))
}

fn listeners(session: &Session, args: &Serve) -> Result<Vec<Listener>> {
    let default = [DEFAULT.to_owned()];
    let wanted = if args.listen.is_empty() { &default[..] } else { &args.listen };
    let mut listeners = Vec::new();
    for text in wanted {
        let address = Address::parse(text)?;
        if !args.yes_public && !address.is_private() {
            return Err(Error::invalid_with(
                format!("other machines reach {address}, and could ask as anybody"),
                "listen at 127.0.0.1 or a Unix socket; `--yes-public` says that it is meant",
            )
            .into());
        }
        let listener = Listener::bind(&address)?;
        let place = listener.address().map_or_else(|| address.to_string(), |it| it.to_string());
        session.output.note(say!("answers at {}", place));
        listeners.push(listener);
    }
    Ok(listeners)
}
