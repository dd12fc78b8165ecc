//! Programs and sockets of others.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use rustix::process::{Pid, Signal};

use super::files::retry;

/// Whether this thread acts as somebody else than the process is: a program that it starts
/// could go back.
pub(crate) fn acts_for_another() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    (getuid(), getgid()) != (geteuid(), getegid())
}

/// A command of the shell, ready to run.
pub(crate) fn shell(text: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(text);
    command
}

/// Makes a program the leader of a process group of its own.
pub(crate) fn lead_group(command: &mut Command) {
    command.process_group(0);
}

/// Kills the group that a program leads which was not waited for yet.
pub(crate) fn kill_group(leader: &mut Child) {
    if let Some(pid) = i32::try_from(leader.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

/// Connects to a Unix socket, or fails at once if nobody accepts.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let stream = UnixStream::from(socket()?);
    stream.set_nonblocking(true)?;
    retry(|| rustix::net::connect(&stream, &address))?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// A Unix socket that no program inherits which is started here.
pub(super) fn socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    #[cfg(not(target_vendor = "apple"))]
    return Ok(rustix::net::socket_with(family, kind, rustix::net::SocketFlags::CLOEXEC, None)?);
    #[cfg(target_vendor = "apple")]
    {
        let socket = rustix::net::socket(family, kind, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        Ok(socket)
    }
}
