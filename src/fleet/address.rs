//! The address of a site in an engine, as people write it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::time::parse_duration;

/// Which engine an address is of, and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `etcd://`, `etcds://`
    Etcd,
    /// `redis://`, `rediss://`: Redis or Valkey
    Redis,
    /// `redis+sentinel://`, `rediss+sentinel://`
    Sentinel,
    /// `https://`, and `http://` on loopback: a file of a web server, which is read only
    Relay,
    /// `file://`, for tests: all hosts see the same file
    File,
}

/// The address of a site in an engine: `etcds://ann@h1:2379,h2:2379/shop?ca=/etc/ca.pem`.
///
/// It holds no secret, so it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    /// Which engine.
    pub scheme: Scheme,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// The user, if one is named.
    pub user: Option<String>,
    /// The endpoints: names or addresses, IPv6 without its brackets, and ports.
    pub endpoints: Vec<(String, u16)>,
    /// The name of the site, which is the last part of the path.
    pub site: String,
    /// The whole path, for a relay and a file.
    pub path: String,
    /// What stands before the names of keys.
    pub prefix: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The file with the certificates of authorities that are trusted, in PEM.
    pub ca: Option<PathBuf>,
    /// The file with the certificate of this client, in PEM.
    pub certificate: Option<PathBuf>,
    /// The file with the key of that certificate, in PEM.
    pub key: Option<PathBuf>,
    /// The number of the database in Redis.
    pub database: u32,
    /// The name of the primary that Sentinel watches.
    pub master: Option<String>,
    /// How often a relay is asked.
    pub poll: Option<Duration>,
}

/// The names of the parameters, and which schemes take them.
const PARAMETERS: [(&str, &[Scheme]); 8] = [
    ("prefix", &[Scheme::Etcd, Scheme::Redis, Scheme::Sentinel]),
    ("password-file", &[Scheme::Etcd, Scheme::Redis, Scheme::Sentinel, Scheme::Relay]),
    ("ca", &[Scheme::Etcd, Scheme::Redis, Scheme::Sentinel, Scheme::Relay]),
    ("cert", &[Scheme::Etcd, Scheme::Redis, Scheme::Sentinel, Scheme::Relay]),
    ("key", &[Scheme::Etcd, Scheme::Redis, Scheme::Sentinel, Scheme::Relay]),
    ("db", &[Scheme::Redis, Scheme::Sentinel]),
    ("master", &[Scheme::Sentinel]),
    ("poll", &[Scheme::Relay]),
];

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] says what is wrong. It repeats no password.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            // What has no scheme may be a password that was pasted here.
            Error::invalid_with(
                "the store is not named by a URL",
                "write `etcd://HOST:2379/SITE`, or `redis://HOST:6379/SITE`",
            )
        })?;
        let (scheme, is_tls) = match scheme {
            "etcd" => (Scheme::Etcd, false),
            "etcds" => (Scheme::Etcd, true),
            "redis" | "valkey" => (Scheme::Redis, false),
            "rediss" | "valkeys" => (Scheme::Redis, true),
            "redis+sentinel" => (Scheme::Sentinel, false),
            "rediss+sentinel" => (Scheme::Sentinel, true),
            "https" => (Scheme::Relay, true),
            "http" => (Scheme::Relay, false),
            "file" => (Scheme::File, false),
            other => {
                return Err(Error::invalid_with(
                    format!("there is no engine `{}`", other.escape_debug()),
                    "there are: etcd, etcds, redis, rediss, redis+sentinel, rediss+sentinel, https, file",
                ));
            }
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(Error::invalid_with(
                "the address of a store holds a password, which others can see",
                "write it into a file with mode 0600 and add `?password-file=FILE`, or set \
                 `MAINT_STORE_PASSWORD`",
            ));
        }
        let site = path.rsplit('/').next().unwrap_or_default();
        let site = if scheme == Scheme::Relay { stem(site) } else { site };
        validate_site(site)?;
        let mut address = Self {
            text: text.to_owned(),
            scheme,
            is_tls,
            user: user.map(unescaped).transpose()?.filter(|user| !user.is_empty()),
            endpoints: Vec::new(),
            site: site.to_owned(),
            path: format!("/{path}"),
            prefix: None,
            password_file: None,
            ca: None,
            certificate: None,
            key: None,
            database: 0,
            master: None,
            poll: None,
        };
        address.read_hosts(hosts)?;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            address.read_parameter(parameter)?;
        }
        address.check()?;
        Ok(address)
    }

    /// The port that an endpoint has if none is named.
    fn default_port(&self) -> u16 {
        match (self.scheme, self.is_tls) {
            (Scheme::Etcd, _) => 2379,
            (Scheme::Redis, _) => 6379,
            (Scheme::Sentinel, _) => 26379,
            (_, true) => 443,
            (_, false) => 80,
        }
    }

    fn read_hosts(&mut self, hosts: &str) -> Result<()> {
        if self.scheme == Scheme::File {
            if hosts.is_empty() {
                return Ok(());
            }
            return Err(Error::invalid_with(
                "a file is on no host",
                "write three slashes: `file:///srv/shared/shop`",
            ));
        }
        for host in hosts.split(',') {
            let (name, port) = crate::request::url::host_and_port(host);
            let name = name.trim_start_matches('[').trim_end_matches(']');
            let port = port.map_or(Ok(self.default_port()), str::parse);
            let port = port.ok().filter(|&port| port != 0);
            let is_name = !name.is_empty()
                && name.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'%')
                });
            match port {
                Some(port) if is_name => self.endpoints.push((name.to_owned(), port)),
                _ => {
                    return Err(Error::invalid(format!(
                        "`{}` is not a host with a port",
                        host.escape_debug()
                    )));
                }
            }
        }
        Ok(())
    }

    fn read_parameter(&mut self, parameter: &str) -> Result<()> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let Some((_, schemes)) = PARAMETERS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = PARAMETERS.iter().map(|(name, _)| *name).collect();
            let hint = format!("there are: {}", known.join(", "));
            let message = format!("a store takes no parameter `{}`", name.escape_debug());
            return Err(Error::invalid_with(message, hint));
        };
        if !schemes.contains(&self.scheme) {
            return Err(Error::invalid(format!("this kind of store takes no parameter `{name}`")));
        }
        let value = unescaped(value)?;
        let bad = || Error::invalid(format!("`{}` is no {name}", value.escape_debug()));
        if value.is_empty() {
            return Err(bad());
        }
        let path = || {
            let path = PathBuf::from(&value);
            // The agent and the command work in other directories.
            if path.is_absolute() { Ok(Some(path)) } else { Err(bad()) }
        };
        match name {
            "password-file" => self.password_file = path()?,
            "ca" => self.ca = path()?,
            "cert" => self.certificate = path()?,
            "key" => self.key = path()?,
            "db" => self.database = value.parse().map_err(|_| bad())?,
            "poll" => {
                let poll = parse_duration(&value)?.unsigned_abs();
                self.poll = Some(poll).filter(|poll| !poll.is_zero());
            }
            "master" => self.master = Some(value),
            _ => self.prefix = Some(value),
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let is_number = self.site.bytes().all(|byte| byte.is_ascii_digit());
        if matches!(self.scheme, Scheme::Redis | Scheme::Sentinel) && is_number {
            return Err(Error::invalid_with(
                format!("`{}` looks like the number of a database, and not like a site", self.site),
                "name the site, and the database by `?db=N`",
            ));
        }
        if self.scheme == Scheme::Sentinel && self.master.is_none() {
            return Err(Error::invalid_with(
                "Sentinel watches primaries by name, and none is named",
                "add `?master=NAME`",
            ));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err(Error::invalid("`cert` and `key` need each other"));
        }
        if !self.is_tls && (self.ca.is_some() || self.certificate.is_some()) {
            return Err(Error::invalid_with(
                "certificates are of no use without TLS",
                "write `etcds://`, `rediss://` or `https://`",
            ));
        }
        if self.scheme == Scheme::Relay && !self.is_tls && !self.is_local() {
            return Err(Error::invalid_with(
                "a relay beyond this machine that is not encrypted could be anybody",
                "write `https://`",
            ));
        }
        Ok(())
    }

    /// Whether all that is sent stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.endpoints.iter().all(|(host, _)| {
            host == "localhost"
                || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        })
    }

    /// Whether nothing can be written through it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.scheme == Scheme::Relay
    }

    /// The file of a `file://`.
    #[must_use]
    pub fn file(&self) -> &Path {
        Path::new(&self.path)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A relay serves a file, so the name of the site comes before its extension.
fn stem(name: &str) -> &str {
    name.strip_suffix(".json").unwrap_or(name)
}

fn validate_site(name: &str) -> Result<()> {
    let fits = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && name.as_bytes()[0].is_ascii_alphanumeric();
    if fits {
        return Ok(());
    }
    Err(Error::invalid_with(
        "the address of a store ends with no name of a site",
        "add one, as in `etcd://h1:2379/shop`: up to 64 letters, digits, `.`, `_` and `-`",
    ))
}

/// Decodes `%2F` and its like (RFC 3986, 2.1).
fn unescaped(text: &str) -> Result<String> {
    let bad = || Error::invalid("the address of a store has a `%` that stands for nothing");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().ok_or_else(bad)?, rest.next().ok_or_else(bad)?];
        let digits = std::str::from_utf8(&digits).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
    }
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    if text.chars().any(char::is_control) { Err(bad()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_engine_endpoints_and_site() {
        let parse = |text: &str| Address::parse(text).unwrap();
        let etcd =
            parse("etcds://ann@h1:2379,[::1],10.0.0.3:99/shop?ca=/etc/ca.pem&prefix=%2Fm%2F");
        assert_eq!((etcd.scheme, etcd.is_tls, etcd.site.as_str()), (Scheme::Etcd, true, "shop"));
        let ends = etcd.endpoints.iter().map(|(host, port)| format!("{host} {port}"));
        assert_eq!(ends.collect::<Vec<_>>(), ["h1 2379", "::1 2379", "10.0.0.3 99"]);
        assert_eq!(etcd.user.as_deref(), Some("ann"));
        assert_eq!(etcd.ca.as_deref(), Some(Path::new("/etc/ca.pem")));
        assert_eq!(etcd.prefix.as_deref(), Some("/m/"));
        assert!(!etcd.is_local());
        let redis = parse("redis://localhost/shop?db=3");
        assert_eq!((redis.endpoints[0].1, redis.database), (6379, 3));
        assert!(redis.is_local());
        let relay = parse("https://relay/maint/shop.json?poll=5s");
        assert_eq!((relay.site.as_str(), relay.path.as_str()), ("shop", "/maint/shop.json"));
        assert_eq!(relay.poll, Some(Duration::from_secs(5)));
        assert!(relay.is_read_only());
        let file = parse("file:///srv/shared/shop");
        assert_eq!(file.file(), Path::new("/srv/shared/shop"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for (text, part) in [
            ("shop", "not named by a URL"),
            ("zookeeper://h/shop", "no engine `zookeeper`"),
            ("etcd://h", "no name of a site"),
            ("etcd://h/../x y", "no name of a site"),
            ("etcd:///shop", "not a host"),
            ("etcd://h:x/shop", "not a host"),
            ("etcd://h:0/shop", "not a host"),
            ("etcd://h,,i/shop", "not a host"),
            ("redis://h/0", "number of a database"),
            ("redis+sentinel://h/shop", "none is named"),
            ("etcd://h/shop?mood=calm", "no parameter `mood`"),
            ("etcd://h/shop?db=1", "takes no parameter `db`"),
            ("etcd://h/shop?prefix=", "is no prefix"),
            ("redis://h/shop?db=x", "is no db"),
            ("etcds://h/shop?ca=ca.pem", "is no ca"),
            ("etcds://h/shop?cert=/c.pem", "need each other"),
            ("etcd://h/shop?ca=/c.pem", "without TLS"),
            ("http://relay/shop.json", "could be anybody"),
            ("file://host/shop", "a file is on no host"),
            ("etcd://h/shop?prefix=%zz", "stands for nothing"),
            ("etcd://h/shop?prefix=%0a", "stands for nothing"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn requirement_95_a_password_in_an_address_is_refused_and_not_repeated() {
        for text in ["redis://ann:tulip@h/shop", "etcds://:tulip@h/shop", "tulip"] {
            let error = Address::parse(text).unwrap_err();
            assert!(!format!("{error:?}").contains("tulip"), "{error:?}");
        }
    }
}
