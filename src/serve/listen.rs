//! Sockets that listen, whoever made them.

use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::PathBuf;

use super::address::{Access, Address};
#[cfg(unix)]
use super::socket::{self, Entry};
#[cfg(unix)]
use crate::error::Error;
use crate::error::Result;
#[cfg(unix)]
use crate::sys;

/// A socket that listens. What it made in the file system goes when this is dropped.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    #[cfg(unix)]
    entry: Option<Entry>,
}

#[derive(Debug)]
pub(super) enum Socket {
    #[cfg(unix)]
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// Listens at an address.
    ///
    /// # Errors
    ///
    /// [`Error::NotListening`] if it cannot.
    pub fn bind(address: &Address) -> Result<Self> {
        Self::bind_for(address, Access::default())
    }

    /// Listens at an address; `access` is for a socket in the file system. A socket that a dead
    /// process left is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::NotListening`] if it cannot, as where another process listens.
    pub fn bind_for(address: &Address, access: Access) -> Result<Self> {
        match address {
            #[cfg(unix)]
            Address::Unix(path) => {
                let (listener, entry) = socket::bind(address, path, access)?;
                Ok(Self { socket: Socket::Unix(listener), entry: Some(entry) })
            }
            #[cfg(not(unix))]
            Address::Unix(_) => {
                let _ = access;
                let hint = "write it like `127.0.0.1:8504`";
                Err(address.refused("there are no Unix sockets here", Some(hint.to_owned())))
            }
            Address::Tcp(at) => {
                let listener = TcpListener::bind(at).map_err(|cause| address.failed(&cause))?;
                #[cfg(unix)]
                sys::lengthen_queue(&listener);
                Ok(Self {
                    socket: Socket::Tcp(listener),
                    #[cfg(unix)]
                    entry: None,
                })
            }
        }
    }

    /// Takes the sockets that the service manager hands over, see `sd_listen_fds(3)`; they stay
    /// its own. Only the first call finds them.
    ///
    /// # Errors
    ///
    /// [`Error::NotListening`] for a descriptor that is no socket which listens.
    pub fn inherited() -> Result<Vec<Self>> {
        #[cfg(unix)]
        {
            let mut handed = listenfd::ListenFd::from_env();
            (0..handed.len()).map(|number| inherited(&mut handed, number)).collect()
        }
        #[cfg(not(unix))]
        Ok(Vec::new())
    }

    #[cfg(unix)]
    fn lent(socket: Socket) -> Self {
        Self { socket, entry: None }
    }

    /// The port that it got, where it was left open.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            #[cfg(unix)]
            Socket::Unix(_) => None,
            Socket::Tcp(listener) => listener.local_addr().ok(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn place(&self) -> Address {
        match &self.socket {
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let path = self.entry.as_ref().map(|entry| entry.path().to_owned());
                let named = || listener.local_addr().ok()?.as_pathname().map(PathBuf::from);
                Address::Unix(path.or_else(named).unwrap_or_default())
            }
            Socket::Tcp(listener) => {
                Address::Tcp(listener.local_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into()))
            }
        }
    }

    /// Whether it is a Unix socket that this process made: it can refuse further connections
    /// without losing those that wait.
    #[cfg_attr(not(unix), expect(clippy::unused_self, reason = "there are no Unix sockets"))]
    pub(super) fn is_own_unix(&self) -> bool {
        #[cfg(unix)]
        return self.entry.is_some();
        #[cfg(not(unix))]
        false
    }

    /// Makes room for the next process at this place. The sockets of a service manager stay.
    #[cfg_attr(not(unix), expect(clippy::unused_self, reason = "there are no Unix sockets"))]
    pub(super) fn withdraw(&mut self) {
        #[cfg(unix)]
        if let Some(entry) = self.entry.take() {
            entry.remove();
        }
    }
}

/// Takes one of the sockets that a service manager hands over.
#[cfg(unix)]
fn inherited(handed: &mut listenfd::ListenFd, number: usize) -> Result<Listener> {
    let unix = handed.take_unix_listener(number).ok().flatten().map(Socket::Unix);
    let socket = match unix {
        Some(socket) => Some(socket),
        None => handed.take_tcp_listener(number).ok().flatten().map(Socket::Tcp),
    };
    let listens = |socket: &Socket| match socket {
        Socket::Unix(listener) => sys::does_listen(listener),
        Socket::Tcp(listener) => sys::does_listen(listener),
    };
    socket.filter(listens).map(Listener::lent).ok_or_else(|| Error::NotListening {
        address: format!("socket {number} of the service manager"),
        reason: "it is none that listens for streams".to_owned(),
        hint: Some("its unit has `ListenStream=`, and `Accept=no`".to_owned()),
    })
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.withdraw();
    }
}
