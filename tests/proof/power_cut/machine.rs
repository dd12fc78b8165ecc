//! A virtual machine: qemu, its console, its disk, and the end of its power.

use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::{TempDir, TempPath};

use crate::disk::Disk;
use crate::nbd::Server;

/// A machine that is silent for this long hangs.
const HANG: Duration = Duration::from_secs(1800);

/// What every machine starts from.
pub(crate) struct Parts {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: TempPath,
}

/// What a machine reports.
pub(crate) enum Event {
    /// A line on its console.
    Line(String),
    /// Its disk has stopped.
    PowerFailed,
    /// It has ended by itself.
    Ended,
}

pub(crate) struct Machine {
    qemu: Child,
    events: Receiver<Event>,
    console: JoinHandle<()>,
    server: Server,
    _socket: TempDir,
}

impl Machine {
    /// Starts a machine with a script to run. The kernel passes the words on as variables.
    pub(crate) fn start(
        parts: &Parts,
        disk: &Arc<Mutex<Disk>>,
        task: &str,
        words: &[(&str, &str)],
    ) -> Result<Self, String> {
        let failed = |cause: std::io::Error| format!("the machine does not start: {cause}");
        let place = tempfile::Builder::new().prefix("maint-power-").tempdir().map_err(failed)?;
        let socket = place.path().join("disk");
        let (sender, events) = channel();
        let to = sender.clone();
        let on_blown = move || drop(to.send(Event::PowerFailed));
        let server = Server::start(&socket, Arc::clone(disk), on_blown).map_err(failed)?;
        let words: Vec<String> =
            words.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let words = format!("task={task} {}", words.join(" "));
        let mut qemu = Command::new("setpriv")
            // Whatever happens to this process, no machine is left behind.
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"])
            .args(["-machine", "pc,accel=tcg,usb=off", "-cpu", "max", "-smp", "1", "-m", "768"])
            .args(["-serial", "stdio", "-monitor", "none"])
            .arg("-kernel")
            .arg(&parts.kernel)
            .arg("-initrd")
            .arg(&parts.initramfs)
            .args([
                "-append",
                &format!("console=ttyS0 quiet loglevel=1 panic=-1 no_timer_check {words}"),
            ])
            // Every flush of the guest reaches the disk, and qemu adds none.
            .arg("-blockdev")
            .arg(format!(
                "driver=nbd,node-name=disk,server.type=unix,server.path={}",
                socket.display()
            ))
            .args(["-device", "virtio-blk-pci,drive=disk,write-cache=on"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(failed)?;
        let output = qemu.stdout.take().ok_or("the machine has no console")?;
        let console = thread::spawn(move || read_console(BufReader::new(output), &sender));
        Ok(Self { qemu, events, console, server, _socket: place })
    }

    pub(crate) fn next(&self) -> Result<Event, String> {
        match self.events.recv_timeout(HANG) {
            Ok(event) => Ok(event),
            Err(RecvTimeoutError::Timeout) => Err(format!("the machine was silent for {HANG:?}")),
            Err(RecvTimeoutError::Disconnected) => Ok(Event::Ended),
        }
    }

    /// Stops the disk after this many more writes and flushes.
    pub(crate) fn light_the_fuse(&self, requests: u64) {
        self.server.fuse.light(requests);
    }

    /// Ends the machine at once. Returns what it had still printed.
    pub(crate) fn kill(mut self) -> Vec<String> {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        let _ = self.console.join();
        self.server.join();
        self.events
            .try_iter()
            .filter_map(|event| if let Event::Line(line) = event { Some(line) } else { None })
            .collect()
    }
}

fn read_console(mut output: impl std::io::BufRead, to: &Sender<Event>) {
    let mut line = Vec::new();
    // Bytes, since firmware and a dying line may not be UTF-8.
    while output.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A line that the cut interrupted does not count.
        if line.ends_with(b"\n") {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let _ = to.send(Event::Line(text));
        }
        line.clear();
    }
    let _ = to.send(Event::Ended);
}
