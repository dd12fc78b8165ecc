//! Sockets that others connect to.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Uid};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketAddrUnix};
use rustix::process::{Resource, Rlimit};

use super::files::{permissions, retry};
use super::process::socket;

/// How many connections may wait to be accepted, as far as the system allows.
const BACKLOG: i32 = 4096;

/// Whether the system can name a socket like this. A name has about a hundred bytes.
pub(crate) fn is_socket_path(path: &Path) -> bool {
    SocketAddrUnix::new(path).is_ok()
}

/// Makes a socket at a path, to which nobody but root can connect before it gets a mode.
pub(crate) fn listen_closed(path: &Path) -> io::Result<UnixListener> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket()?;
    // Linux takes over the mode of a socket without a name. Elsewhere the umask has to do.
    let _ = rustix::fs::fchmod(&socket, permissions(0));
    retry(|| rustix::net::bind(&socket, &address))?;
    retry(|| rustix::net::listen(&socket, BACKLOG))?;
    Ok(UnixListener::from(socket))
}

/// Sets the owner and then the mode of a socket.
pub(crate) fn open_socket(
    path: &Path,
    uid: Option<u32>,
    gid: Option<u32>,
    mode: u32,
) -> io::Result<()> {
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    if uid.is_some() || gid.is_some() {
        retry(|| rustix::fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
    }
    retry(|| rustix::fs::chmod(path, permissions(mode)))
}

/// Lets as many connections wait as the system allows; the standard library asks for 128.
pub(crate) fn lengthen_queue(listener: &TcpListener) {
    // Where that is refused, 128 stay.
    let _ = rustix::net::listen(listener, BACKLOG);
}

/// Refuses further connections to a Unix socket. Those that wait can still be accepted.
pub(crate) fn refuse_further(listener: impl AsFd) {
    let _ = rustix::net::shutdown(listener, Shutdown::Read);
}

/// Whether a socket waits for connections. Apple's systems do not say.
pub(crate) fn does_listen(socket: impl AsFd) -> bool {
    #[cfg(not(target_vendor = "apple"))]
    return rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(false);
    #[cfg(target_vendor = "apple")]
    {
        let _ = socket;
        true
    }
}

/// Whether a failure to connect shows that no process has the socket any more.
pub(crate) fn is_abandoned(cause: &io::Error) -> bool {
    Errno::from_io_error(cause) == Some(Errno::CONNREFUSED)
}

/// Raises the limit of descriptors as far as this process may, and returns it.
pub(crate) fn raise_descriptors() -> Option<u64> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}
