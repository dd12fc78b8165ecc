//! `maint serve`

use std::path::Path;

use anyhow::{Context as _, Result};
use maint::internal::serve::{Access, Address, AgentCheck, Endpoint, Listener, Server, Users};
use maint::{Error, Site};

use crate::args::Serve;
use crate::exit::Exit;
use crate::manager::Manager;
use crate::session::Session;
use crate::signals;
use crate::text::say;

/// Where it listens unless it is told.
const DEFAULT: &str = "127.0.0.1:8504";

/// What it tells the service manager.
const ANSWERING: &str = "answering";

pub(crate) fn run(session: &Session, args: &Serve) -> Result<Exit> {
    let users = users(args)?;
    let endpoint = endpoint(session, args, users)?;
    // Whoever is told where it answers may end it at once, and is let go in order.
    let mut ended = signals::stopping().context("could not watch signals")?;
    let listeners = listeners(session, args)?;
    let agent_checks = agent_checks(session, args, &endpoint)?;
    let mut manager = Manager::new();
    manager.tell(ANSWERING);
    let mut server =
        Server::new(endpoint, listeners).agent_checks(agent_checks).workers(args.workers.into());
    if let Some(interval) = manager.interval() {
        // Its thirds are hit as well where a call comes a little late.
        server = server.while_alive(interval / 2, move || manager.tell(ANSWERING));
    }
    server
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
    if session.given_site().is_some() {
        let hint = "give it as `NAME=DIR` as well, or leave out the others";
        return Err(Error::invalid_with("`--site` and NAME=DIR both say which sites", hint).into());
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

/// Nothing is bound before every address is known to be meant.
fn listeners(session: &Session, args: &Serve) -> Result<Vec<Listener>> {
    let access = Access::parse(&args.mode, args.owner.as_deref())?;
    let mut wanted = args.listen.iter().map(|text| Address::parse(text)).collect::<Vec<_>>();
    let mut listeners = Vec::new();
    if wanted.is_empty() {
        listeners = Listener::inherited()?;
        if listeners.is_empty() {
            wanted.push(Address::parse(DEFAULT));
        }
    }
    let wanted = wanted.into_iter().collect::<maint::Result<Vec<_>>>()?;
    for address in wanted.iter().cloned().chain(listeners.iter().map(Listener::place)) {
        refuse_public(&address, args)?;
    }
    for address in &wanted {
        listeners.push(Listener::bind_for(address, access)?);
    }
    for listener in &listeners {
        session.output.note(say!("answers at {}", listener.place().to_string()));
    }
    Ok(listeners)
}

/// Who reaches the endpoint is believed. So only this machine may, unless it is said.
fn refuse_public(address: &Address, args: &Serve) -> Result<()> {
    if args.yes_public || address.is_private() {
        return Ok(());
    }
    Err(Error::invalid_with(
        format!("other machines reach {address}, and could ask as anybody"),
        "listen at 127.0.0.1 or a Unix socket; `--yes-public` says that it is meant",
    )
    .into())
}

fn agent_checks(session: &Session, args: &Serve, endpoint: &Endpoint) -> Result<Vec<AgentCheck>> {
    let mut checks = Vec::new();
    for text in &args.agent_check {
        let (name, address) = match text.split_once('=') {
            Some((name, address)) => (Some(name.to_owned()), address),
            None => (None, text.as_str()),
        };
        let address = Address::parse(address)?;
        refuse_public(&address, args)?;
        let listener = Listener::bind(&address)?;
        let place = listener.place();
        let check = AgentCheck::new(listener, name, args.drain);
        check.validate(endpoint)?;
        session.output.note(say!("answers agent-checks at {}", place.to_string()));
        checks.push(check);
    }
    Ok(checks)
}
