//! `maint run`

use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use maint::state::{WindowSettings, lease_end};
use maint::store::{self, Options, Purpose};
use maint::time::parse_duration;
use maint::window::Phase;
use maint::{Error, Site, State};
use serde_json::json;

use crate::args::{OnFailure, Run};
use crate::exit::{self, Exit};
use crate::on::settings;
use crate::output::printable;
use crate::session::Session;

/// A shorter lease could end between two heartbeats on a busy machine.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// What the waiting loop is told.
enum Event {
    /// The command ended.
    Ended(std::io::Result<ExitStatus>),
    /// A signal came that the command has to get.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no signals"))]
    Signal(i32),
}

pub(crate) fn run(session: &Session, args: &Run) -> Result<Exit> {
    let site = session.site()?;
    let lease = parse_duration(&args.lease)?.unsigned_abs();
    if lease < SHORTEST_LEASE {
        return Err(Error::invalid("the lease must be at least 3s").into());
    }
    let is_leased = args.on_failure == OnFailure::Release;
    let seconds =
        u32::try_from(lease.as_secs()).map_err(|_| Error::invalid("the lease is too long"))?;
    let name = args.name.clone().map_or_else(random_name, Ok)?;
    let asked =
        WindowSettings { lease: is_leased.then_some(seconds), ..settings(&site, &args.window)? };

    // Before the window opens: from then on no signal may end this process alone.
    let (sender, events) = mpsc::channel();
    signals::watch(&sender).context("could not watch signals")?;
    let on_wait = |path: &_, holder: Option<&_>| session.tell_waiting(path, holder);
    let options = session.options(&on_wait)?;
    let opened =
        store::update(&site, &options, |state, now| open(state, &name, &asked, now, &options))?;
    session.output.warn(&opened.warnings);
    session.output.note(&format!("window `{name}` is open"));

    let hold = Hold { session, site: &site, name: &name, options: &options };
    let mut child = match hold.command(args).spawn() {
        Ok(child) => child,
        Err(cause) => {
            // Nothing ran, so nothing is half done.
            hold.close()?;
            let program = args.command[0].to_string_lossy().into_owned();
            session.output.error_line(&format!(
                "maint: could not run `{}`: {}",
                printable(&program),
                maint::error::describe(&cause)
            ));
            let code = if cause.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
            return Ok(Exit::Command(code));
        }
    };
    let pid = child.id();
    thread::spawn(move || sender.send(Event::Ended(child.wait())));
    let status = loop {
        let event = if is_leased {
            events.recv_timeout(lease / 3)
        } else {
            events.recv().map_err(Into::into)
        };
        match event {
            Ok(Event::Ended(status)) => break status.context("could not wait for the command")?,
            Ok(Event::Signal(signal)) => signals::forward(signal, pid),
            Err(RecvTimeoutError::Timeout) => hold.renew(),
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("nobody waits for the command"),
        }
    };
    Ok(hold.finish(status, args.on_failure))
}

fn random_name() -> Result<String> {
    let token = maint::bypass::generate()?;
    Ok(format!("run-{}", &token[token.len() - 6..]))
}

/// A window of the same name would be somebody else's hold.
fn open(
    state: &mut State,
    name: &str,
    asked: &WindowSettings,
    now: Timestamp,
    options: &Options<'_>,
) -> Result<(), Error> {
    if let Some(window) = state.windows.get(name).filter(|window| window.phase(now) != Phase::Ended)
    {
        let message = format!(
            "window `{name}` is {} already, opened by {}",
            window.phase(now),
            window.opened_by
        );
        return Err(Error::Conflict { message });
    }
    let end = asked.lease.map(|seconds| lease_end(now, seconds));
    let asked = WindowSettings { end, ..asked.clone() };
    state.open_window(name, &asked, now, &options.actor).map(drop)
}

/// The window that this process holds.
struct Hold<'a> {
    session: &'a Session,
    site: &'a Site,
    name: &'a str,
    options: &'a Options<'a>,
}

impl Hold<'_> {
    fn command(&self, args: &Run) -> Command {
        let mut command = Command::new(&args.command[0]);
        command
            .args(&args.command[1..])
            .env("MAINT_SITE", self.site.dir())
            .env("MAINT_WINDOW", self.name);
        command
    }

    /// Moves the end of the lease on. If that fails, the next heartbeat tries again.
    fn renew(&self) {
        let options = Options {
            purpose: Purpose::Renew,
            command: format!("run (renews {})", self.name),
            ..self.options.clone()
        };
        let renewed =
            store::update(self.site, &options, |state, now| state.renew_lease(self.name, now));
        match renewed {
            Ok(_) => {}
            Err(Error::Unknown { .. }) => {
                self.session
                    .output
                    .note(&format!("window `{}` was closed by somebody else", self.name));
            }
            Err(error) => {
                let text = format!("maint: could not renew window `{}`: {error}", self.name);
                self.session.output.error_line(&printable(&text));
            }
        }
    }

    /// Closes the window, unless somebody did.
    fn close(&self) -> Result<State> {
        let closed = store::update(self.site, self.options, |state, now| {
            match state.close_window(self.name, now) {
                Err(Error::Unknown { .. }) => Ok(false),
                other => other.map(|_| true),
            }
        })?;
        self.session.output.warn(&closed.warnings);
        let what = if closed.value { "is closed" } else { "was closed by somebody else" };
        self.session.output.note(&format!("window `{}` {what}", self.name));
        Ok(closed.after)
    }

    fn finish(&self, status: ExitStatus, on_failure: OnFailure) -> Exit {
        let code = exit_code(status);
        let keeps = !status.success() && on_failure == OnFailure::Keep;
        if keeps {
            self.session.output.error_line(&format!(
                "maint: the command failed ({status}), so window `{0}` stays open\nhint: when it is mended, `maint off {0}`",
                self.name
            ));
        } else if let Err(error) = self.close() {
            let exit = exit::report(&error, &self.session.output);
            self.session.output.error_line(&format!(
                "hint: window `{0}` is still open: `maint off {0}`",
                self.name
            ));
            return if status.success() { exit } else { Exit::Command(code) };
        }
        if self.session.output.is_json() {
            // Standard output is the command's own.
            let object = json!({ "window": self.name, "exit": code, "open": keeps });
            self.session.output.error_line(&object.to_string());
        }
        Exit::Command(code)
    }
}

/// As a shell hands it on: 128 and the number of the signal.
fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128_u8.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX));
    }
    status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
}

#[cfg(unix)]
mod signals {
    //! Signals that would end this process go to the command instead.

    use std::sync::mpsc::Sender;
    use std::{fs, io, thread};

    use rustix::process::{Pid, Signal, getpgrp, kill_process};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    use signal_hook::iterator::Signals;

    use super::Event;

    pub(super) fn watch(sender: &Sender<Event>) -> io::Result<()> {
        let ignored = ignored();
        let wanted = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2]
            .into_iter()
            .filter(|signal| ignored & (1 << (signal - 1)) == 0);
        let mut signals = Signals::new(wanted)?;
        let sender = sender.clone();
        thread::spawn(move || {
            for signal in signals.forever() {
                if sender.send(Event::Signal(signal)).is_err() {
                    break;
                }
            }
        });
        Ok(())
    }

    /// The signals that whoever started us, nohup(1) for one, had ignored. The
    /// command inherits that, and a handler here would take it away.
    fn ignored() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0)
    }

    pub(super) fn forward(signal: i32, pid: u32) {
        // What is typed at the terminal reaches every process in the foreground,
        // and a second interrupt means something else to many a command.
        if (signal == SIGINT || signal == SIGQUIT) && is_foreground() {
            return;
        }
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
            let _ = kill_process(pid, signal);
        }
    }

    fn is_foreground() -> bool {
        fs::File::open("/dev/tty")
            .ok()
            .and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok())
            .is_some_and(|group| group == getpgrp())
    }
}

#[cfg(not(unix))]
mod signals {
    use std::io;
    use std::sync::mpsc::Sender;

    use super::Event;

    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
    pub(super) fn watch(_sender: &Sender<Event>) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn forward(_signal: i32, _pid: u32) {}
}
