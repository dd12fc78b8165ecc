//! `maint agent`

use anyhow::{Context as _, Result};
use maint::Error;
use maint::internal::agent::{Agent, Duty, FleetNote, Note, duty};
use serde_json::{Value, json};

use crate::args::{Agent as Args, AgentCommand};
use crate::exit::Exit;
use crate::manager::Manager;
use crate::session::Session;
use crate::signals;
use crate::text::{GREEN, RED, Text, YELLOW, duration, paint, say};

/// The longest name of a host, in bytes: more than any system has.
const MAX_HOST: usize = 255;

pub(crate) fn run(session: &Session, args: &Args) -> Result<Exit> {
    match args.command {
        None => stay(session, args.host.as_deref()),
        Some(AgentCommand::Status) => status(session),
    }
}

/// Refuses what hosts of a fleet could not be told apart by.
fn validate_host(name: &str) -> Result<()> {
    let is_name = !name.trim().is_empty()
        && name.len() <= MAX_HOST
        && !name.chars().any(|character| character.is_control() || character == '/');
    if is_name {
        return Ok(());
    }
    let reason =
        format!("a host has a name of 1 to {MAX_HOST} bytes, without control characters and `/`");
    Err(Error::invalid(reason).into())
}

/// Stays until a signal ends it.
fn stay(session: &Session, host: Option<&str>) -> Result<Exit> {
    host.map(validate_host).transpose()?;
    let site = session.site_here()?;
    let has_ended = signals::ended().context("could not watch signals")?;
    let mut agent = Agent::start(&site, session.agent_options())?;
    if let Some(host) = host {
        agent = agent.host(host);
    }
    session.output.note(say!("the agent of {} is at work", site.dir().display()));
    let mut manager = Manager::new();
    while !has_ended() {
        let (said, pause) = agent.turn(session.clock.now());
        for line in said {
            session.output.note(say!("{}", line));
        }
        let (following, behind) = agent.tally();
        manager.tell(&format!("{following} flags follow, {behind} do not"));
        agent.rest(pause);
    }
    Manager::leave();
    agent.leave();
    Ok(Exit::Done)
}

fn status(session: &Session) -> Result<Exit> {
    let site = session.site_here()?;
    let (is_running, note) = match duty(&site)? {
        Duty::Runs(note) => (true, note),
        Duty::Absent(note) => (false, note),
    };
    let now = session.clock.now();
    let mut object = json!({ "running": is_running, "last": Value::Null });
    if let Some(note) = &note {
        object["last"] = json!(note);
    }
    let mut text = if is_running {
        say!("{} an agent runs\n", paint(GREEN, "●"))
    } else {
        say!("{} no agent runs\n", paint(RED, "●"))
    };
    if let Some(note) = &note {
        text += note_text(session, note);
    }
    if is_running && let Some(note) = &note {
        let lag = now.duration_since(note.looked_at);
        object["seconds_since_look"] = json!(lag.as_secs());
    }
    session.output.answer(&text, &object)?;
    Ok(if is_running { Exit::Done } else { Exit::No })
}

fn note_text(session: &Session, note: &Note) -> Text {
    let clock = &session.clock;
    let ago = duration(clock.now().duration_since(note.looked_at).abs());
    let holder = &note.holder;
    let mut text = say!(
        "  process {} on {}, since {}\n  looked {} ago, at revision {}\n",
        holder.pid,
        holder.host,
        clock.time(holder.since),
        ago,
        note.revision
    );
    if let Some(at) = note.synced_at {
        text += say!("  changed a flag last {}\n", clock.relative(at));
    }
    if let Some(fleet) = &note.fleet {
        text += fleet_text(session, fleet);
    }
    if !note.behind.is_empty() {
        let behind = note.behind.join(", ");
        text += say!("  {}: {}\n", paint(YELLOW, "does not follow"), behind);
    }
    if let Some(problem) = &note.problem {
        text += say!("  {}: {}\n", paint(YELLOW, "problem"), problem);
    }
    text
}

fn fleet_text(session: &Session, fleet: &FleetNote) -> Text {
    let now = session.clock.now();
    let contact = fleet.contact_at.map_or_else(
        || "no contact yet".to_owned(),
        |at| format!("last contact {} ago", duration(now.duration_since(at).abs())),
    );
    let lag =
        fleet.lag_ms.map_or_else(String::new, |lag| format!(", the last change took {lag} ms"));
    let mut text = say!("  follows {}, {}{}\n", fleet.store, contact, lag);
    if let Some(problem) = &fleet.problem {
        text += say!("  {}: {}\n", paint(YELLOW, "keeps what it has"), problem);
    }
    text
}
