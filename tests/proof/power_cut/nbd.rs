//! The disk as qemu sees it: a server of the NBD protocol on a Unix socket.
//!
//! Only as much of the protocol as qemu needs: one export, and reads, writes and
//! flushes one after another. See `doc/proto.md` of the NBD project.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::disk::Disk;

const GREETING: &[u8; 8] = b"NBDMAGIC";
const OPTION: &[u8; 8] = b"IHAVEOPT";
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;

/// Fixed newstyle, without padding.
const HANDSHAKE_FLAGS: u16 = 0b11;
/// There are flags, and flushes are understood. Without this one qemu would drop every
/// flush, and every writer would fail.
const DISK_FLAGS: u16 = 0b101;

const GO: u32 = 7;
const ACKNOWLEDGED: u32 = 1;
const INFORMATION: u32 = 3;
const UNSUPPORTED: u32 = (1 << 31) + 1;

const READ: u16 = 0;
const WRITE: u16 = 1;
const LEAVE: u16 = 2;
const FLUSH: u16 = 3;
const INVALID: u32 = 22;

/// How many more writes and flushes the disk takes before the power fails.
#[derive(Clone, Default)]
pub(crate) struct Fuse(Arc<AtomicI64>);

impl Fuse {
    /// So many that they never run out.
    const UNLIT: i64 = i64::MAX / 2;

    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(Self::UNLIT)))
    }

    /// Sets how many are left.
    pub(crate) fn light(&self, requests: u64) {
        self.0.store(i64::try_from(requests).unwrap_or(Self::UNLIT), Ordering::SeqCst);
    }

    /// Whether this request is one too many.
    fn blows(&self) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) <= 0
    }
}

/// A disk being served to one machine.
pub(crate) struct Server {
    pub(crate) fuse: Fuse,
    thread: JoinHandle<()>,
}

impl Server {
    /// Listens on a socket. Calls back when the power has failed, and stops answering.
    pub(crate) fn start(
        socket: &Path,
        disk: Arc<Mutex<Disk>>,
        on_blown: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let fuse = Fuse::new();
        let its = fuse.clone();
        let thread = thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            // It is normal here that qemu is killed while a request is on its way.
            if let Ok(End::Blown) = serve(&mut stream, &disk, &its) {
                on_blown();
                // From now on requests get no answer and no error, until qemu is gone.
                let _ = io::copy(&mut stream, &mut io::sink());
            }
        });
        Ok(Self { fuse, thread })
    }

    /// Waits until nothing can change the disk any more; qemu must be gone.
    pub(crate) fn join(self) {
        self.thread.join().expect("the server of the disk does not panic");
    }
}

/// How a connection ended.
enum End {
    Left,
    Blown,
}

fn serve(stream: &mut UnixStream, disk: &Mutex<Disk>, fuse: &Fuse) -> io::Result<End> {
    let size = disk.lock().unwrap().len() as u64;
    negotiate(stream, size)?;
    loop {
        let magic = u32::from_be_bytes(take(stream)?);
        let [flags, kind] = [u16::from_be_bytes(take(stream)?), u16::from_be_bytes(take(stream)?)];
        let handle: [u8; 8] = take(stream)?;
        let at = usize::try_from(u64::from_be_bytes(take(stream)?)).unwrap_or(usize::MAX);
        let length = u32::from_be_bytes(take(stream)?) as usize;
        if magic != REQUEST {
            return Err(io::Error::other("no request of NBD"));
        }
        let mut bytes = Vec::new();
        if kind == WRITE {
            bytes.resize(length, 0);
            stream.read_exact(&mut bytes)?;
        }
        if kind == LEAVE {
            return Ok(End::Left);
        }
        if matches!(kind, WRITE | FLUSH) && fuse.blows() {
            return Ok(End::Blown);
        }
        let mut disk = disk.lock().unwrap();
        let mut answer = Vec::new();
        let is_done = match kind {
            // Every flag would be one that was not offered.
            _ if flags != 0 => false,
            READ => disk.read(at, length).map(|bytes| answer.extend(bytes)).is_some(),
            WRITE => disk.write(at, bytes),
            FLUSH => {
                disk.flush();
                true
            }
            _ => false,
        };
        let error = if is_done { 0 } else { INVALID };
        let head = [&REPLY.to_be_bytes()[..], &error.to_be_bytes(), &handle].concat();
        stream.write_all(&[head, answer].concat())?;
    }
}

/// Agrees on the only disk, whatever name is asked for.
fn negotiate(stream: &mut UnixStream, size: u64) -> io::Result<()> {
    stream.write_all(&[&GREETING[..], OPTION, &HANDSHAKE_FLAGS.to_be_bytes()].concat())?;
    let _: [u8; 4] = take(stream)?;
    loop {
        let magic: [u8; 8] = take(stream)?;
        let option = u32::from_be_bytes(take(stream)?);
        let length = u32::from_be_bytes(take(stream)?);
        if magic != *OPTION {
            return Err(io::Error::other("no option of NBD"));
        }
        io::copy(&mut (&mut *stream).take(u64::from(length)), &mut io::sink())?;
        if option == GO {
            let export = [&[0, 0][..], &size.to_be_bytes(), &DISK_FLAGS.to_be_bytes()].concat();
            reply(stream, option, INFORMATION, &export)?;
            return reply(stream, option, ACKNOWLEDGED, &[]);
        }
        reply(stream, option, UNSUPPORTED, &[])?;
    }
}

fn reply(stream: &mut UnixStream, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let numbers = [option, kind, length].map(u32::to_be_bytes).concat();
    stream.write_all(&[&OPTION_REPLY.to_be_bytes()[..], &numbers, data].concat())
}

fn take<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
