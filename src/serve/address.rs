//! Addresses to listen at, and who may connect.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use crate::error::{Error, Result, describe};
#[cfg(unix)]
use crate::sys;

/// An address to listen at: `unix:PATH`, or `ADDRESS:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A port of this machine.
    Tcp(SocketAddr),
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for anything else, and for a name of several addresses, unless all
    /// of them are this machine's own.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::invalid_with(
                format!("`{text}` is no address to listen at"),
                "write it like `unix:/run/maint/serve.sock` or `127.0.0.1:8504`",
            )
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = !path.is_empty() && !path.contains('\0');
            return if is_path { Ok(Self::Unix(path.into())) } else { Err(bad()) };
        }
        let all = text.to_socket_addrs().map_err(|_| bad())?;
        Self::of(text, all)?.ok_or_else(bad)
    }

    /// The address that a name has. `localhost` has two, and the first will do. Of others nobody
    /// knows which one is meant, and whether all of them are as safe.
    fn of(name: &str, all: impl Iterator<Item = SocketAddr>) -> Result<Option<Self>> {
        let mut all: Vec<Self> = all.map(Self::Tcp).collect();
        all.dedup();
        if all.len() > 1 && !all.iter().all(Self::is_private) {
            let names: Vec<String> = all.iter().map(Self::to_string).collect();
            return Err(Error::invalid_with(
                format!("`{name}` is several addresses: {}", names.join(", ")),
                "name the one that is meant",
            ));
        }
        Ok(all.into_iter().next())
    }

    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
    }

    /// Why nothing listens at it.
    pub(super) fn failed(&self, cause: &io::Error) -> Error {
        let hint = match (self, cause.kind()) {
            (Self::Tcp(address), io::ErrorKind::AddrInUse) => Some(format!(
                "`ss -ltnp 'sport = :{}'` shows the process that listens there",
                address.port()
            )),
            (Self::Tcp(address), io::ErrorKind::PermissionDenied) if address.port() < 1024 => {
                Some("take a port from 1024 on; those below are root's".to_owned())
            }
            (Self::Tcp(_), io::ErrorKind::AddrNotAvailable) => {
                Some("`ip address` shows the addresses of this machine".to_owned())
            }
            (Self::Unix(path), io::ErrorKind::NotFound) => path
                .parent()
                .map(|directory| format!("make its directory: `mkdir -p {}`", directory.display())),
            #[cfg(unix)]
            (Self::Unix(_), io::ErrorKind::PermissionDenied) => Some(format!(
                "`{}` has to be allowed to write to its directory",
                sys::user_name(sys::effective_uid())
            )),
            _ => None,
        };
        self.refused(describe(cause), hint)
    }

    pub(super) fn refused(&self, reason: impl Into<String>, hint: Option<String>) -> Error {
        Error::NotListening { address: self.to_string(), reason: reason.into(), hint }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

/// Who may connect to a Unix socket.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(unix), expect(dead_code, reason = "there are no Unix sockets"))]
pub struct Access {
    pub(super) mode: u32,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

impl Default for Access {
    fn default() -> Self {
        Self { mode: 0o660, uid: None, gid: None }
    }
}

impl Access {
    /// Reads a mode in octal digits, and an owner: `USER`, `USER:GROUP` or `:GROUP`, by name or
    /// number.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for anything else, and for somebody whom this machine does not know.
    pub fn parse(mode: &str, owner: Option<&str>) -> Result<Self> {
        let is_octal = !mode.is_empty() && mode.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let bits = u32::from_str_radix(mode, 8).ok().filter(|bits| is_octal && *bits <= 0o777);
        let mode = bits.ok_or_else(|| {
            Error::invalid_with(format!("`{mode}` is no mode of a socket"), "write it like `0660`")
        })?;
        let (uid, gid) = owner.map(parse_owner).transpose()?.unwrap_or_default();
        Ok(Self { mode, uid, gid })
    }
}

#[cfg(unix)]
fn parse_owner(text: &str) -> Result<(Option<u32>, Option<u32>)> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    if user.is_empty() && group.is_empty() {
        return Err(Error::invalid_with(
            format!("`{text}` is no owner"),
            "write it like `www-data`, `deploy:www-data` or `:www-data`",
        ));
    }
    let unknown = |kind, name: &str| Error::invalid(format!("no {kind} named `{name}`"));
    let find = |kind, name: &str, id: fn(&str) -> Option<u32>| {
        if name.is_empty() {
            Ok(None)
        } else {
            id(name).ok_or_else(|| unknown(kind, name)).map(Some)
        }
    };
    let uid = find("user", user, |name| sys::account(name).map(|account| account.uid))?;
    Ok((uid, find("group", group, sys::group)?))
}

#[cfg(not(unix))]
fn parse_owner(_text: &str) -> Result<(Option<u32>, Option<u32>)> {
    Err(Error::invalid("sockets have no owner here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_shown() {
        for text in ["unix:/run/maint/serve.sock", "unix:s", "127.0.0.1:8504", "[::1]:80"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "unix:", "unix:a\0b", "127.0.0.1", "8504", "127.0.0.1:65536", "::1:80:x"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn requirement_86_only_what_this_machine_alone_reaches_is_private() {
        for text in ["unix:s", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(Address::parse(text).unwrap().is_private(), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1"] {
            assert!(!Address::parse(text).unwrap().is_private(), "{text}");
        }
    }

    #[test]
    fn requirement_86_a_name_of_several_addresses_is_private_only_if_all_of_them_are() {
        let of = |all: &[&str]| Address::of("name:1", all.iter().map(|one| one.parse().unwrap()));
        let first = Address::parse("127.0.0.1:1").unwrap();
        assert_eq!(of(&["127.0.0.1:1", "[::1]:1"]).unwrap(), Some(first));
        assert!(of(&["127.0.0.1:1", "10.0.0.1:1"]).is_err());
        assert!(of(&["10.0.0.1:1", "10.0.0.2:1"]).is_err());
        assert_eq!(of(&["10.0.0.1:1", "10.0.0.1:1"]).unwrap().unwrap().to_string(), "10.0.0.1:1");
        assert_eq!(of(&[]).unwrap(), None);
    }

    #[test]
    fn a_mode_is_octal_and_an_owner_is_known() {
        let access = Access::parse("0640", Some("12:34")).unwrap();
        assert_eq!((access.mode, access.uid, access.gid), (0o640, Some(12), Some(34)));
        let access = Access::parse("777", Some(":34")).unwrap();
        assert_eq!((access.mode, access.uid, access.gid), (0o777, None, Some(34)));
        let access = Access::parse("0", Some("12")).unwrap();
        assert_eq!((access.mode, access.uid, access.gid), (0, Some(12), None));
        for mode in ["", "8", "-1", "+7", "0o7", "1777", " 7", "99999999999999"] {
            assert!(Access::parse(mode, None).is_err(), "{mode}");
        }
        for owner in ["", ":", "no-such-user", "12:no-such-group", "12:34:56"] {
            assert!(Access::parse("0660", Some(owner)).is_err(), "{owner}");
        }
    }
}
