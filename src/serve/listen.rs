//! Where the endpoint listens.

use std::fmt;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::error::{Error, Result};

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
    /// [`Error::Invalid`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let bad = || {
            Error::invalid_with(
                format!("`{text}` is no address to listen at"),
                "write it like `unix:/run/maint/serve.sock` or `127.0.0.1:8504`",
            )
        };
        let addresses: Vec<SocketAddr> = text.to_socket_addrs().map_err(|_| bad())?.collect();
        addresses.first().copied().map(Self::Tcp).ok_or_else(bad)
    }

    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
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

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// A socket in the file system.
    #[cfg(unix)]
    Unix(UnixListener),
    /// A port.
    Tcp(TcpListener),
}

impl Listener {
    /// Listens at an address.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot.
    pub fn bind(address: &Address) -> Result<Self> {
        let listener = match address {
            #[cfg(unix)]
            Address::Unix(path) => UnixListener::bind(path).map(Self::Unix),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(std::io::ErrorKind::Unsupported.into()),
            Address::Tcp(address) => TcpListener::bind(address).map(Self::Tcp),
        };
        listener.map_err(|cause| Error::invalid(format!("could not listen at {address}: {cause}")))
    }

    /// The address that it got, where the port was left open.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            #[cfg(unix)]
            Self::Unix(_) => None,
            Self::Tcp(listener) => listener.local_addr().ok(),
        }
    }
}
