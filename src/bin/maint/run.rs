//! `maint run`

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use maint::internal::state::lease_end;
use maint::internal::time::parse_duration;
use maint::state::{Opened, WindowSettings};
use maint::state::{Phase, Window};
use maint::store::{self, Applied, Purpose, Stamp};
use maint::{Error, Site, State};
use serde_json::json;

use crate::args::{OnFailure, Run};
use crate::exit::{self, Exit};
use crate::session::Session;
use crate::signals;
use crate::text::{Text, say};

/// A shorter lease could end between two heartbeats on a busy machine.
const MIN_LEASE: Duration = Duration::from_secs(3);

/// What the waiting loop receives.
enum Event {
    /// The command ended.
    Ended(io::Result<ExitStatus>),
    /// A signal to forward to the command.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no signals"))]
    Signal(i32),
}

pub(crate) fn run(session: &Session, args: &Run) -> Result<Exit> {
    let site = session.site()?;
    let lease = parse_duration(&args.lease)?.unsigned_abs();
    if lease < MIN_LEASE {
        return Err(Error::invalid("the lease must be at least 3s").into());
    }
    let is_leased = args.on_failure == OnFailure::Release;
    let seconds =
        u32::try_from(lease.as_secs()).map_err(|_| Error::invalid("the lease is too long"))?;
    let name = args.name.clone().map_or_else(random_name, Ok)?;
    let asked = args.window.settings()?.lease(is_leased.then_some(seconds));

    // Before the window opens: from then on no signal may end this process alone.
    let (sender, events) = mpsc::channel();
    let signalled = sender.clone();
    signals::watch(move |signal| signalled.send(Event::Signal(signal)).is_ok())
        .context("could not watch signals")?;
    let opened = session
        .apply(&site, false, |state, stamp| open(state, &name, &asked, args.take_over, stamp))?;
    session.output.note(say!("window `{}` is open", name));
    session.doubt(&args.window.method);

    let window = &opened.after.windows[&name];
    let was_there = matches!(opened.value, Opened::Replaced(_));
    let hold = Hold { session, site: &site, name: &name, window };
    let mut child = match hold.command(args).spawn() {
        Ok(child) => child,
        // Nothing ran, so nothing is half done, unless an earlier run left it so.
        Err(cause) => return Ok(hold.never_began(&args.command[0], &cause, was_there)),
    };
    let pid = child.id();
    thread::spawn(move || sender.send(Event::Ended(child.wait())));
    let mut is_ours = true;
    let status = loop {
        let event = if is_leased && is_ours {
            events.recv_timeout(lease / 3)
        } else {
            events.recv().map_err(Into::into)
        };
        match event {
            Ok(Event::Ended(status)) => break status.context("could not wait for the command")?,
            Ok(Event::Signal(signal)) => {
                signals::forward(signal, pid);
            }
            Err(RecvTimeoutError::Timeout) => is_ours = hold.renew(),
            Err(RecvTimeoutError::Disconnected) => {
                anyhow::bail!("the thread that waits for the command is gone")
            }
        }
    };
    Ok(hold.finish(status, args.on_failure))
}

fn random_name() -> Result<String> {
    let token = maint::internal::state::generate()?;
    Ok(format!("run-{}", &token[token.len() - 6..]))
}

/// A window of the same name is somebody else's hold, unless the caller knows better.
fn open(
    state: &mut State,
    name: &str,
    asked: &WindowSettings,
    take_over: bool,
    stamp: Stamp<'_>,
) -> Result<Opened, Error> {
    let Stamp { now, actor, .. } = stamp;
    if let Some(window) =
        state.windows.get(name).filter(|window| window.phase(now) != Phase::Ended && !take_over)
    {
        let message = format!(
            "window `{name}` is {} already, opened by {}; `--take-over` makes it the window of this run",
            window.phase(now),
            window.opened_by
        );
        return Err(Error::Conflict { message });
    }
    let end = asked.lease.map(|seconds| lease_end(now, seconds));
    let asked = asked.clone().end(end);
    state.open_window(name, &asked, now, actor)
}

/// The window that this process holds.
struct Hold<'a> {
    session: &'a Session,
    site: &'a Site,
    name: &'a str,
    /// As it was opened.
    window: &'a Window,
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

    /// Whether the window is still the one that this process opened. Somebody
    /// may have closed it, and somebody else opened another of that name.
    fn is_ours(&self, state: &State) -> bool {
        state.windows.get(self.name).is_some_and(|window| {
            (window.opened_at, &window.opened_by) == (self.window.opened_at, &self.window.opened_by)
        })
    }

    /// Changes the window if it is still the one that this process opened; `false`
    /// if not.
    fn if_ours(
        &self,
        state: &mut State,
        change: impl Fn(&mut State) -> maint::Result<()>,
    ) -> maint::Result<bool> {
        let is_ours = self.is_ours(state);
        if is_ours {
            change(state)?;
        }
        Ok(is_ours)
    }

    /// Extends the lease; `false` if somebody closed the window. If
    /// it fails otherwise, the next heartbeat tries again.
    fn renew(&self) -> bool {
        let renewed = self.session.write(|options| {
            let mut options = options.clone().purpose(Purpose::Renew);
            options.command = format!("run (renews {})", self.name);
            store::update(self.site, &options, |state, stamp| {
                self.if_ours(state, |state| state.renew_lease(self.name, stamp.now))
            })
        });
        match renewed {
            Ok(Applied { value: true, .. }) => true,
            Ok(_) | Err(Error::Unknown { .. }) => {
                self.session
                    .output
                    .note(say!("window `{}` was closed by somebody else", self.name));
                false
            }
            Err(error) => {
                let text = format!("could not renew window `{}`: {error}", self.name);
                self.session.output.warn(&[text]);
                true
            }
        }
    }

    /// Closes the window, unless somebody did; `false` in that case.
    fn close(&self) -> maint::Result<bool> {
        let closed = self.session.apply(self.site, false, |state, stamp| {
            self.if_ours(state, |state| state.close_window(self.name, stamp.now).map(drop))
        })?;
        Ok(closed.value)
    }

    /// The command could not be run at all.
    fn never_began(&self, program: &OsStr, cause: &io::Error, keeps: bool) -> Exit {
        let code = if is_missing(program, cause) { 127 } else { 126 };
        let why = maint::internal::describe(cause);
        let message = format!("could not run `{}`: {why}", program.to_string_lossy());
        let is_open = keeps || self.close().is_err();
        if !is_open {
            self.session.output.note(say!("window `{}` is closed", self.name));
        }
        self.report(Exit::Command(code), is_open, Some(&message))
    }

    /// The command ended.
    fn finish(&self, status: ExitStatus, on_failure: OnFailure) -> Exit {
        let exit = Exit::Command(exit_code(status));
        let failure = (!status.success()).then(|| format!("the command failed ({status})"));
        if !status.success() && on_failure == OnFailure::Keep {
            // If the state cannot be read, the window may still be open.
            let is_closed = self.site.state().is_ok_and(|state| !self.is_ours(&state));
            return self.report(exit, !is_closed, failure.as_deref());
        }
        match self.close() {
            Ok(is_ours) => {
                let what = if is_ours { "is closed" } else { "was closed by somebody else" };
                self.session.output.note(say!("window `{}` {}", self.name, what));
                self.report(exit, false, failure.as_deref())
            }
            // A window that stays open is never a success.
            Err(error) => {
                let exit = if status.success() { exit::of(&error) } else { exit };
                self.report(exit, true, Some(&format!("could not close the window: {error}")))
            }
        }
    }

    /// Prints how it ended on standard error: standard output is the command's own.
    fn report(&self, exit: Exit, is_open: bool, failure: Option<&str>) -> Exit {
        let output = &self.session.output;
        if output.is_json() {
            let object = json!({
                "window": self.name, "exit": exit.code(), "open": is_open, "failure": failure,
            });
            output.error_object(&object);
            return exit;
        }
        if let Some(failure) = failure {
            let stays = if is_open {
                say!(", so window `{}` stays open", self.name)
            } else {
                Text::default()
            };
            output.error_line(say!("maint: {}{}", failure, stays));
            if is_open {
                output.error_line(say!("hint: when it is fixed, `maint off {}`", self.name));
            }
        }
        exit
    }
}

/// Whether there is no such command. execvp(3) also says "permission denied" if
/// a directory of `PATH` could not be searched and none of the others has it.
fn is_missing(program: &OsStr, cause: &io::Error) -> bool {
    let is_name = Path::new(program).components().count() == 1;
    let path = std::env::var_os("PATH").unwrap_or_default();
    match cause.kind() {
        io::ErrorKind::NotFound => true,
        io::ErrorKind::PermissionDenied if is_name => {
            !std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
        }
        _ => false,
    }
}

/// As a shell reports it: 128 plus the number of the signal.
fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128_u8.saturating_add(u8::try_from(signal).unwrap_or(u8::MAX));
    }
    status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
}
