//! What about the settings of a server puts a fleet at risk.

use std::collections::HashMap;
use std::time::Instant;

use redis::{Cmd, Value, cmd};

use super::answer::{Role, text};
use super::wire::{Trouble, Wire};
use crate::fleet::address::Address;
use crate::fleet::engine::{Concern, Failure, Outcome};

/// What the address itself gives away.
pub(super) fn address(address: &Address, is_proved: bool) -> Vec<Concern> {
    let mut concerns = Vec::new();
    if address.is_local() {
        return concerns;
    }
    if !address.is_tls {
        concerns.push(Concern {
            code: "redis-plain-text",
            message:
                "the connection to Redis is not encrypted, and leaves this machine: whoever is \
                      on the way reads the password, and can switch the site"
                    .to_owned(),
            fix: "let Redis listen with `tls-port`, and write `rediss://`".to_owned(),
        });
    }
    if !is_proved {
        concerns.push(Concern {
            code: "redis-no-password",
            message: "Redis lets in whoever reaches its port, and this one is reached from other \
                      machines: anybody there can switch the site"
                .to_owned(),
            fix: "give maint a user with a password, or a certificate, and switch the user `default` \
                  off"
                .to_owned(),
        });
    }
    concerns
}

/// An endpoint that did not answer while another one did.
pub(super) fn unreachable(failure: &Failure) -> Concern {
    Concern {
        code: "redis-unreachable",
        message: failure.reason.clone(),
        fix: failure.hint.clone().unwrap_or_else(|| "bring it back".to_owned()),
    }
}

/// Only replicas are named.
pub(super) fn no_primary() -> Concern {
    Concern {
        code: "redis-replica",
        message:
            "every endpoint of the address is a replica: hosts can follow it, but nothing can \
                  be changed through it, and hosts cannot say which revision they have"
                .to_owned(),
        fix: "name the primary in the address, too".to_owned(),
    }
}

/// What a server says of its settings.
pub(super) fn server(
    wire: &mut Wire,
    role: Role,
    has_sentinels: bool,
    until: Instant,
) -> Outcome<Vec<Concern>> {
    let mut unseen = Vec::new();
    let info = visible(wire, &cmd("INFO"), until)?;
    if info.is_none() {
        unseen.push("INFO");
    }
    let info = info.as_ref().and_then(text).map(facts).unwrap_or_default();
    let mut setting = |name: &str| -> Outcome<Option<String>> {
        let mut read = cmd("CONFIG");
        read.arg("GET").arg(name);
        let Some(answer) = visible(wire, &read, until)? else {
            if !unseen.contains(&"CONFIG GET") {
                unseen.push("CONFIG GET");
            }
            return Ok(None);
        };
        let Value::Array(pair) = answer else { return Ok(None) };
        Ok(pair.get(1).and_then(text).map(str::to_owned))
    };
    let fsync = setting("appendfsync")?;
    let replicas = setting("min-replicas-to-write")?;
    let settings = Settings { info, fsync, replicas, role, has_sentinels };
    let mut concerns = settings.concerns(&wire.peer);
    if !unseen.is_empty() {
        let unseen = unseen.join("` and `");
        concerns.push(Concern {
            code: "redis-unseen",
            message: format!(
                "{}: it does not let this user run `{unseen}`, so not all of its settings are known: \
                 it may forget what it acknowledged",
                wire.peer
            ),
            fix: "let the user run `INFO` and `CONFIG GET` by `ACL SETUSER NAME +info +config|get`, \
                  or ask who runs the server for `appendonly`, `appendfsync`, `maxmemory-policy` and \
                  `min-replicas-to-write`"
                .to_owned(),
        });
    }
    Ok(concerns)
}

/// The answer to a command, unless it is kept from this user.
fn visible(wire: &mut Wire, command: &Cmd, until: Instant) -> Outcome<Option<Value>> {
    match wire.ask(command, until) {
        Err(Trouble::Refused(refusal)) if refusal.is_forbidden() => Ok(None),
        answer => wire.settle(answer).map(Some),
    }
}

/// The lines of `INFO`: names and values.
fn facts(info: &str) -> HashMap<String, String> {
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
}

/// What is known of the settings of a server.
struct Settings {
    info: HashMap<String, String>,
    fsync: Option<String>,
    replicas: Option<String>,
    role: Role,
    has_sentinels: bool,
}

impl Settings {
    fn fact(&self, name: &str) -> Option<&str> {
        self.info.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> u64 {
        self.fact(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    fn concerns(&self, peer: &str) -> Vec<Concern> {
        let mut concerns = Vec::new();
        let mut concern = |code, message: String, fix: &str| {
            let message = format!("{peer}: {message}");
            concerns.push(Concern { code, message, fix: fix.to_owned() });
        };
        if let Some(version) = self.fact("redis_version") {
            let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
            if major.is_some_and(|major| major < 5) {
                concern(
                    "redis-old",
                    format!("it is Redis {version}, which has no streams: nothing works with it"),
                    "take Redis 5 or later, or Valkey",
                );
            }
        }
        let keeps_log = self.fact("aof_enabled") == Some("1");
        if self.fact("aof_enabled") == Some("0") {
            concern(
                "redis-no-aof",
                "it keeps no append-only file, as Debian installs it: when it dies, all that it \
                 acknowledged since its last snapshot is lost (302 of 600 changes in a test), and \
                 the site steps back"
                    .to_owned(),
                "set `appendonly yes` in redis.conf, and run `CONFIG SET appendonly yes` now: a \
                 restart alone would begin with an empty file",
            );
        }
        match self.fsync.as_deref().filter(|_| keeps_log) {
            Some("everysec") => concern(
                "redis-fsync",
                "it syncs its append-only file once a second: a power cut loses what it \
                 acknowledged in the last second or two (the death of the process alone loses \
                 nothing)"
                    .to_owned(),
                "set `appendfsync always` if a change must survive a power cut",
            ),
            Some("no") => concern(
                "redis-fsync",
                "it leaves it to the system when its append-only file is synced: a power cut loses \
                 what it acknowledged in half a minute or so"
                    .to_owned(),
                "set `appendfsync always`, or `everysec`",
            ),
            _ => {}
        }
        // The keys of a site never expire, and the policies `volatile-…` drop none but those that
        // do. Without a limit nothing is dropped at all.
        let policy = self.fact("maxmemory_policy").filter(|name| name.starts_with("allkeys"));
        if let Some(policy) = policy.filter(|_| self.number("maxmemory") > 0) {
            concern(
                "redis-eviction",
                format!(
                    "its memory is limited, and `maxmemory-policy {policy}` drops any key when \
                         it is full: also the site, which hosts would hold as it is while nothing \
                         can be changed"
                ),
                "set `maxmemory-policy noeviction`, or `volatile-lru` as harmless as that (the \
                     keys of maint never expire), or take a Redis of its own",
            );
        }
        let is_followed = self.has_sentinels || self.number("connected_slaves") > 0;
        if self.role == Role::Primary && is_followed && self.replicas.as_deref() == Some("0") {
            concern(
                "redis-failover",
                "it acknowledges a change before any replica has it: what it acknowledged just \
                 before it dies, or while it is cut off, is lost if a replica takes over"
                    .to_owned(),
                "set `min-replicas-to-write 1` and `min-replicas-max-lag 10`: the loss is limited \
                 to that many seconds, and a primary that is cut off stops taking changes",
            );
        }
        if self.role == Role::Orphan {
            concern(
                "redis-orphan",
                "it is a replica that has lost its primary: hosts that follow it hear of nothing"
                    .to_owned(),
                "bring the primary back, or look into the log of the replica",
            );
        }
        concerns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(info: &str, fsync: &str, replicas: &str, role: Role) -> Vec<&'static str> {
        let settings = Settings {
            info: facts(info),
            fsync: Some(fsync.to_owned()),
            replicas: Some(replicas.to_owned()),
            role,
            has_sentinels: false,
        };
        settings.concerns("h:6379").iter().map(|concern| concern.code).collect()
    }

    #[test]
    fn each_setting_that_may_lose_the_site_is_named() {
        let good = "redis_version:7.0.15\r\naof_enabled:1\r\nmaxmemory:0\r\n\
                    maxmemory_policy:noeviction\r\nconnected_slaves:0\r\n";
        let none: [&str; 0] = [];
        let primary = Role::Primary;
        assert_eq!(codes(good, "always", "0", primary), none);
        assert_eq!(codes(good, "everysec", "0", primary), ["redis-fsync"]);
        assert_eq!(codes(good, "no", "0", primary), ["redis-fsync"]);
        let with = |from: &str, to: &str| good.replace(from, to);
        let debian = with("aof_enabled:1", "aof_enabled:0");
        assert_eq!(codes(&debian, "everysec", "0", primary), ["redis-no-aof"]);
        let old = with("7.0.15", "4.0.9");
        assert_eq!(codes(&old, "always", "0", primary), ["redis-old"]);
        let followed = with("connected_slaves:0", "connected_slaves:2");
        assert_eq!(codes(&followed, "always", "0", primary), ["redis-failover"]);
        assert_eq!(codes(&followed, "always", "1", primary), none);
        assert_eq!(codes(&followed, "always", "0", Role::Replica), none);
        assert_eq!(codes(good, "always", "0", Role::Orphan), ["redis-orphan"]);
        let limited = with("maxmemory:0", "maxmemory:1000");
        for (policy, found) in [
            ("allkeys-lru", &["redis-eviction"][..]),
            ("allkeys-random", &["redis-eviction"]),
            ("volatile-lru", &[]),
            ("volatile-ttl", &[]),
            ("noeviction", &[]),
        ] {
            let info = limited.replace("noeviction", policy);
            assert_eq!(codes(&info, "always", "0", primary), found, "{policy}");
            let unlimited = with("noeviction", policy);
            assert_eq!(codes(&unlimited, "always", "0", primary), none, "{policy}");
        }
        // What is not said is not claimed.
        assert_eq!(codes("", "always", "0", primary), none);
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_and_has_a_password() {
        let codes = |text: &str, is_proved| {
            let found = address(&Address::parse(text).unwrap(), is_proved);
            found.iter().map(|concern| concern.code).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(codes("redis://127.0.0.1,[::1]/shop", false), none);
        assert_eq!(
            codes("redis://10.0.0.3/shop", false),
            ["redis-plain-text", "redis-no-password"]
        );
        assert_eq!(codes("redis://localhost,h2/shop", true), ["redis-plain-text"]);
        assert_eq!(codes("rediss://h2/shop", true), none);
    }
}
