//! `maint serve`

use std::path::Path;

use anyhow::{Context as _, Result};
use maint::internal::serve::{Address, AgentCheck, Endpoint, Listener, Server, Users};
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
    let agent_checks = agent_checks(session, args, &endpoint)?;
    let ended = signals::ending().context("could not watch signals")?;
    let mut manager = Manager::new();
    manager.tell("answering");
    Server::new(endpoint, listeners)
        .agent_checks(agent_checks)
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
        let listener = bind(args, text)?;
        session.output.note(say!("answers at {}", listener.1));
        listeners.push(listener.0);
    }
    Ok(listeners)
}

/// Listens, and says where.
fn bind(args: &Serve, text: &str) -> Result<(Listener, String)> {
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
    Ok((listener, place))
}

fn agent_checks(session: &Session, args: &Serve, endpoint: &Endpoint) -> Result<Vec<AgentCheck>> {
    let mut checks = Vec::new();
    for text in &args.agent_check {
        let (name, address) = match text.split_once('=') {
            Some((name, address)) => (Some(name.to_owned()), address),
            None => (None, text.as_str()),
        };
        let (listener, place) = bind(args, address)?;
        let check = AgentCheck::new(listener, name, args.drain);
        check.validate(endpoint)?;
        session.output.note(say!("answers agent-checks at {}", place));
        checks.push(check);
    }
    Ok(checks)
}
