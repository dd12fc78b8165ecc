//! `haproxy`: the runtime API of `HAProxy` on its stats socket.
//!
//! It keeps a map and the state of its servers in memory, and forgets both at a reload. The
//! file of a map is read then, so it is written as well.

mod map;
mod runtime;
#[cfg(all(test, unix))]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use self::map::MapFile;
use self::runtime::Runtime;
use crate::error::{Error, Result};
use crate::flags::definition::{Calls, Definition, Drive, Order};
use crate::flags::fact::Fact;
use crate::flags::flag::{Did, Flag, Kind, Options};
use crate::flags::notice::Notice;
use crate::flags::standing::Found;
use crate::sys;

pub(crate) static DEFINITION: Definition = Definition {
    kind: Kind::Haproxy,
    path: "the stats socket",
    on: "an entry in a map, or servers in `maint`",
    carries: &[Fact::RetryAfter],
    drive: Drive::Calls(&Haproxy),
};

/// How a flag works.
enum Way<'a> {
    /// By an entry of a map.
    Map { path: &'a Path, name: &'a str, key: &'a str },
    /// By servers that are taken out of service, each as backend and name.
    Servers(Vec<(&'a str, &'a str)>),
}

impl<'a> Way<'a> {
    fn of(options: &'a Options) -> Result<Self> {
        let invalid = |message: &str| Err(Error::invalid(message));
        match (&options.map, &options.key, options.servers.as_slice()) {
            (Some(path), Some(key), []) => {
                let name = path.to_str().unwrap_or_default();
                if !path.is_absolute() || !is_word(name) {
                    return Err(Error::invalid_with(
                        format!("`{}` cannot be named to HAProxy as a map", path.display()),
                        "write its absolute path, as in the configuration, without spaces",
                    ));
                }
                if !is_word(key) || key.starts_with('#') {
                    return invalid("the key of a map is one word of printable ASCII");
                }
                Ok(Self::Map { path, name, key })
            }
            (None, None, [_, ..]) => {
                let split = |server: &'a String| {
                    let (backend, name) = server.split_once('/')?;
                    (is_word(backend) && is_word(name) && !name.contains('/'))
                        .then_some((backend, name))
                };
                let servers: Option<Vec<_>> = options.servers.iter().map(split).collect();
                servers.map(Self::Servers).ok_or_else(|| {
                    Error::invalid_with(
                        "that is not a server of HAProxy",
                        "write the names of its backend and its own: `BACKEND/SERVER`",
                    )
                })
            }
            _ => invalid("a flag of kind `haproxy` needs either a map and a key, or servers"),
        }
    }
}

/// Whether a text is one word of a command: `;` ends a command there, and `\` escapes.
fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b';' | b'\\');
    !text.is_empty() && text.len() <= 1024 && text.bytes().all(is_plain) && !text.contains("<<")
}

/// The servers that are out of service by maint.
fn taken(flag: &Flag) -> &BTreeSet<String> {
    static NONE: BTreeSet<String> = BTreeSet::new();
    if flag.did == Some(Did::Off) { &NONE } else { &flag.took }
}

fn spelled((backend, name): &(&str, &str)) -> String {
    format!("{backend}/{name}")
}

struct Haproxy;

impl Calls for Haproxy {
    fn check(&self, flag: &Flag) -> Result<()> {
        let socket = flag.place()?;
        Way::of(&flag.options)?;
        let is_socket = fs::metadata(socket)
            .is_ok_and(|metadata| sys::special_kind(&metadata) == Some("a socket"));
        if is_socket {
            return Ok(());
        }
        Err(Error::Refused {
            path: socket.to_owned(),
            reason: "it is not a socket".to_owned(),
            hint: Some(
                "name the one of `stats socket PATH level admin` in the configuration".to_owned(),
            ),
        })
    }

    fn look(&self, order: &Order<'_>) -> Result<Found> {
        let runtime = Runtime::at(order.flag.place()?);
        match Way::of(&order.flag.options)? {
            Way::Map { path, name, key } => {
                let in_memory = runtime.entries(name, key)?;
                let on_disk = MapFile::read(path)?;
                let on_disk = on_disk.values(key);
                Ok(match order.notice.map(Notice::retry_after) {
                    Some(wanted) if in_memory == [wanted.as_str()] && on_disk == in_memory => {
                        Found::Set
                    }
                    Some(_) if in_memory.is_empty() => Found::Clear,
                    None if !in_memory.is_empty() => Found::Set,
                    None if on_disk.is_empty() => Found::Clear,
                    _ => Found::Stale,
                })
            }
            Way::Servers(servers) => {
                let down = runtime.servers_down(&servers)?;
                let is_whole = down.iter().all(|is_down| *is_down);
                let ours = if order.notice.is_some() { None } else { Some(taken(order.flag)) };
                let is_part = servers.iter().zip(&down).any(|(server, is_down)| {
                    let is_ours = ours.is_none_or(|ours| ours.contains(&spelled(server)));
                    *is_down && is_ours
                });
                // One that somebody else took out for repair does not take the site down.
                Ok(match (is_whole, is_part) {
                    (true, _) => Found::Set,
                    (false, true) => Found::Stale,
                    (false, false) => Found::Clear,
                })
            }
        }
    }

    fn record(&self, order: &Order<'_>, flag: &mut Flag) {
        let Ok(Way::Servers(servers)) = Way::of(&order.flag.options) else { return };
        let Ok(socket) = order.flag.place() else { return };
        if order.notice.is_none() {
            return;
        }
        if order.flag.did == Some(Did::Off) {
            flag.took.clear();
        }
        // If HAProxy does not answer, nothing is taken either.
        let Ok(down) = Runtime::at(socket).servers_down(&servers) else { return };
        let up = servers.iter().zip(down).filter(|(_, is_down)| !is_down);
        flag.took.extend(up.map(|(server, _)| spelled(server)));
    }

    fn set(&self, order: &Order<'_>) -> Result<()> {
        let runtime = Runtime::at(order.flag.place()?);
        match Way::of(&order.flag.options)? {
            Way::Map { path, name, key } => {
                let value = order.notice.map(Notice::retry_after);
                // The file first: a reload in between already finds the new one.
                let written = MapFile::read(path).and_then(|file| file.set(key, value.as_deref()));
                let set = runtime.set_entry(name, key, value.as_deref());
                set.and(written)
            }
            Way::Servers(servers) => {
                let state = if order.notice.is_some() { "maint" } else { "ready" };
                let ours = taken(order.flag);
                let is_meant = |server: &&(&str, &str)| {
                    order.notice.is_some() || ours.is_empty() || ours.contains(&spelled(server))
                };
                let set = |server: &(&str, &str)| {
                    runtime.order(&format!("set server {} state {state}", spelled(server)))
                };
                // As many as can be.
                servers.iter().filter(is_meant).map(set).fold(Ok(()), Result::and)
            }
        }
    }
}
