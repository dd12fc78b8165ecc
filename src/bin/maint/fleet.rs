//! What the hosts of a fleet say, for `status --fleet` and `wait --all`.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use maint::fleet::{Document, Following, HostReport, HostStanding};
use maint::store::{self, Hosts};
use serde_json::{Value, json};

use crate::args::{Expected, Status, Switch, Wait};
use crate::exit::Exit;
use crate::report;
use crate::session::Session;
use crate::text::{BOLD, GREEN, RED, Text, YELLOW, duration, padded, paint, say};

/// How often it is looked whether the hosts have it, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// `maint status --fleet`
pub(crate) fn status(session: &Session, args: &Status) -> Result<Exit> {
    let engine = session.engine()?;
    let hosts = session.ask(|options| store::hosts(options, &engine))?;
    let now = session.clock.now();
    let is_met = args.expect.is_none_or(|expected| is_met(&hosts.document, expected, now));
    let is_together = hosts.hosts.values().all(|host| is_in_step(host, &hosts.document, now));
    let object = json!({
        "store": engine.address.to_string(),
        "revision": hosts.document.state.revision,
        "seq": hosts.document.sequence,
        "state": report::overall(&hosts.document.state, now),
        "hosts": host_objects(&hosts, now),
        "unread": hosts.unread,
        "in_step": is_together,
        "expected": args.expect.map(|_| is_met),
    });
    if !(args.expect.is_some() && session.output.is_quiet()) {
        let text = text(session, &engine, &hosts, now);
        session.output.answer(&text, &object)?;
    }
    Ok(match args.expect {
        Some(_) if !is_met => Exit::No,
        Some(_) if !is_together => Exit::Behind,
        _ => Exit::Done,
    })
}

fn is_met(document: &Document, expected: Expected, now: Timestamp) -> bool {
    let state = report::overall(&document.state, now);
    match expected {
        Expected::On => state == "on",
        Expected::Off => state != "on",
        Expected::Scheduled => state == "scheduled",
    }
}

fn is_in_step(host: &HostReport, document: &Document, now: Timestamp) -> bool {
    host.standing(document, now) == HostStanding::InStep
}

fn host_objects(hosts: &Hosts, now: Timestamp) -> Vec<Value> {
    let object = |(name, host): (&String, &HostReport)| {
        json!({
            "host": name,
            "standing": host.standing(&hosts.document, now).as_str(),
            "revision": host.revision,
            "seq": host.seq,
            "state": if host.down { "on" } else { "off" },
            "local": host.local,
            "lag_ms": host.lag_ms,
            "behind": host.behind,
            "problem": host.problem,
            "seen": host.at,
            "version": host.version,
        })
    };
    hosts.hosts.iter().map(object).collect()
}

fn text(session: &Session, engine: &Following, hosts: &Hosts, now: Timestamp) -> Text {
    let state = &hosts.document.state;
    let mut text = report::holds(state, &session.clock);
    text += say!("{} {}, revision {}\n", paint(BOLD, "store"), engine.address, state.revision);
    if hosts.hosts.is_empty() {
        return text + "no host follows it: `maint agent` on each host does\n";
    }
    let widest =
        hosts.hosts.keys().map(|name| name.chars().count()).max().unwrap_or(0).clamp(4, 32);
    let heading = [padded("HOST", widest), padded("STANDING", 15), padded("REVISION", 9)];
    text += say!("  {}  {}{}SEEN\n", heading[0], heading[1], heading[2]);
    for (name, host) in &hosts.hosts {
        text += line(name, host, &hosts.document, widest, now);
    }
    for name in &hosts.unread {
        text += say!("  {}  {}\n", padded(name, widest), paint(RED, "● says what cannot be read"));
    }
    text
}

fn line(name: &str, host: &HostReport, document: &Document, widest: usize, now: Timestamp) -> Text {
    let (style, word) = match host.standing(document, now) {
        HostStanding::InStep => (GREEN, "● in step"),
        HostStanding::FlagBehind => (YELLOW, "● flag behind"),
        HostStanding::Lags => (YELLOW, "● lags"),
        HostStanding::Silent => (RED, "● silent"),
    };
    let age = duration(now.duration_since(host.at).max(SignedDuration::ZERO));
    let mut line = say!(
        "  {}  {}{}{} ago",
        padded(name, widest),
        paint(style, padded(word, 15)),
        padded(host.revision, 9),
        age
    );
    if host.local {
        line += ", down on its own account";
    }
    if !host.behind.is_empty() {
        line += say!(", flags: {}", host.behind.join(", "));
    }
    if let Some(problem) = &host.problem {
        line += say!("\n    {}", problem);
    }
    line + "\n"
}

/// `maint wait … --all`
pub(crate) fn wait(session: &Session, args: &Wait, patience: Option<Duration>) -> Result<Exit> {
    let engine = session.engine()?;
    let begun = Instant::now();
    let is_wanted_down = args.state == Switch::On;
    let mut pause = PAUSES.0;
    let (hosts, missing) = loop {
        let hosts = session.ask(|options| store::hosts(options, &engine))?;
        let now = session.clock.now();
        let missing = missing(&hosts, is_wanted_down, now);
        let is_down = hosts.document.state.is_down(now);
        let is_over = patience.is_some_and(|patience| begun.elapsed() >= patience);
        if is_down == is_wanted_down && missing.is_empty() && !hosts.hosts.is_empty() || is_over {
            break (hosts, missing);
        }
        let left = patience.map(|patience| patience.saturating_sub(begun.elapsed()));
        thread::sleep(left.unwrap_or(pause).min(pause));
        pause = (pause * 2).min(PAUSES.1);
    };
    let now = session.clock.now();
    let state = &hosts.document.state;
    let silent: Vec<&String> = silent(&hosts, now).collect();
    let is_there =
        state.is_down(now) == is_wanted_down && missing.is_empty() && !hosts.hosts.is_empty();
    let object = json!({
        "state": report::overall(state, now),
        "revision": state.revision,
        "timed_out": !is_there,
        "waited_ms": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        "hosts": host_objects(&hosts, now),
        "missing": missing.iter().map(|(name, why)| json!({ "host": name, "why": why })).collect::<Vec<_>>(),
        "silent": silent,
    });
    let live = hosts.hosts.len() - silent.len();
    let mut text = report::headline(state, now) + "\n";
    if is_there {
        text += match live {
            1 => "the one live host has it\n".into(),
            many => say!("all {} live hosts have it\n", many),
        };
    } else {
        text = say!("gave up waiting: {}", text);
        if hosts.hosts.is_empty() {
            text += "no host follows the store: `maint agent` on each host does\n";
        }
        for (name, why) in &missing {
            text += say!("  {} {}\n", paint(YELLOW, name), why);
        }
    }
    session.output.done(&text, &object)?;
    if !silent.is_empty() {
        let names: Vec<&str> = silent.iter().map(|name| name.as_str()).collect();
        session.output.warn(&[format!(
            "not waited for, since they have not been heard of for a while: {}",
            names.join(", ")
        )]);
    }
    Ok(if is_there { Exit::Done } else { Exit::No })
}

fn silent(hosts: &Hosts, now: Timestamp) -> impl Iterator<Item = &String> {
    let is_silent =
        move |host: &HostReport| host.standing(&hosts.document, now) == HostStanding::Silent;
    hosts.hosts.iter().filter(move |(_, host)| is_silent(host)).map(|(name, _)| name)
}

/// The live hosts that do not have it, and why.
fn missing(hosts: &Hosts, is_wanted_down: bool, now: Timestamp) -> Vec<(String, String)> {
    let why = |host: &HostReport| match host.standing(&hosts.document, now) {
        HostStanding::Lags => Some(format!("has revision {} still", host.revision)),
        HostStanding::FlagBehind => {
            let problem = || host.problem.clone().unwrap_or_default();
            Some(match &host.behind[..] {
                [] => format!("says: {}", problem()),
                behind => format!("has flags that do not follow: {}", behind.join(", ")),
            })
        }
        HostStanding::InStep if host.down != is_wanted_down => {
            Some(match (host.down, host.local) {
                (true, true) => "has a window of its own that is open".to_owned(),
                (true, false) => "is down".to_owned(),
                (false, _) => "is up".to_owned(),
            })
        }
        HostStanding::InStep | HostStanding::Silent => None,
    };
    let unread =
        hosts.unread.iter().map(|name| (name.clone(), "says what cannot be read".to_owned()));
    hosts
        .hosts
        .iter()
        .filter_map(|(name, host)| Some((name.clone(), why(host)?)))
        .chain(unread)
        .collect()
}
