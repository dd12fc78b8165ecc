//! Asking Sentinel which server is the primary now.

use std::time::{Duration, Instant};

use redis::{Value, cmd};

use super::answer::{all_of, text};
use super::wire::{Access, Endpoint, Trouble, Wire};
use crate::fleet::engine::{Failure, Outcome};

/// How long one of several sentinels is waited for. They answer from memory.
const PATIENCE: Duration = Duration::from_secs(1);

/// The primary that most sentinels name. They are asked until more than half of them agree, so
/// that one that was cut off with the old primary is outvoted.
pub(super) fn primary(
    access: &Access,
    sentinels: &[Endpoint],
    name: &str,
    until: Instant,
) -> Outcome<Endpoint> {
    let mut votes: Vec<(Endpoint, usize)> = Vec::new();
    let mut failures = Vec::new();
    for (at, sentinel) in sentinels.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let rest = u32::try_from(sentinels.len() - at).unwrap_or(u32::MAX);
        let share = if rest == 1 { left } else { PATIENCE.min(left / rest) };
        let named = match ask(access, sentinel, name, Instant::now() + share) {
            Ok(named) => named,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        let at = votes.iter().position(|(endpoint, _)| *endpoint == named).unwrap_or_else(|| {
            votes.push((named.clone(), 0));
            votes.len() - 1
        });
        votes[at].1 += 1;
        if votes[at].1 * 2 > sentinels.len() {
            return Ok(named);
        }
    }
    // The first among equals is the one that the first sentinel named.
    let most = votes.into_iter().rev().max_by_key(|(_, count)| *count);
    match most {
        Some((endpoint, _)) => Ok(endpoint),
        None => Err(all_of(&failures)),
    }
}

fn ask(access: &Access, sentinel: &Endpoint, name: &str, until: Instant) -> Outcome<Endpoint> {
    let mut wire = access.connect(sentinel, until)?;
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let mut answer = wire.ask(&question, until);
    // Many a Sentinel has no password although the servers that it watches have one.
    let is_locked = matches!(&answer, Err(Trouble::Refused(refusal)) if refusal.is_locked());
    if is_locked && access.has_credentials() {
        access.log_in(&mut wire, until)?;
        answer = wire.ask(&question, until);
    }
    if matches!(&answer, Err(Trouble::Refused(refusal)) if refusal.is_unknown()) {
        let failure = Failure::protocol(format!("{}: it is no Sentinel", wire.peer));
        return Err(failure.with_hint("for a server of data write `redis://`"));
    }
    let answer = wire.settle(answer)?;
    read(&wire, name, &answer)
}

fn read(wire: &Wire, name: &str, answer: &Value) -> Outcome<Endpoint> {
    match answer {
        Value::Nil => {
            let name = name.escape_debug();
            let reason = format!("{}: it watches no primary `{name}`", wire.peer);
            Err(Failure::protocol(reason)
                .with_hint("compare `master=` with its `sentinel monitor`"))
        }
        Value::Array(parts) => match parts.as_slice() {
            [host, port] => {
                let host = text(host).filter(|host| !host.is_empty());
                let port = text(port).and_then(|port| port.parse().ok());
                match (host, port) {
                    (Some(host), Some(port)) => Ok((host.to_owned(), port)),
                    _ => Err(wire.odd("it names a primary that makes no sense")),
                }
            }
            _ => Err(wire.odd("it names a primary that makes no sense")),
        },
        _ => Err(wire.odd("it names a primary that makes no sense")),
    }
}
