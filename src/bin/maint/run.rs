//! `maint run`

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use maint::internal::claim::{Claim, Standing, standing, sweep};
use maint::internal::state::lease_end;
use maint::internal::time::parse_duration;
use maint::site::PASSWORD;
use maint::state::{Opened, WindowSettings};
use maint::state::{Phase, Window};
use maint::store::{self, Applied, Purpose, Stamp};
use maint::{Error, Site, State};
use serde_json::json;

use crate::args::{OnFailure, Run, WindowArgs};
use crate::exit::{self, Exit};
use crate::failure;
use crate::report;
use crate::session::Session;
use crate::signals;
use crate::text::{Text, quoted, say};

/// A shorter lease could end between two heartbeats on a busy machine.
const MIN_LEASE: Duration = Duration::from_secs(3);

/// What the waiting loop receives.
enum Event {
    /// The command ended.
    Ended(io::Result<ExitStatus>),
    /// A signal to forward to the command.
    Signal(i32),
}

pub(crate) fn run(session: &Session, args: &Run) -> Result<Exit> {
    session.only_here(args.local.local);
    let site = session.site()?;
    let lease = parse_duration(&args.lease)?.unsigned_abs();
    if lease < MIN_LEASE {
        return Err(Error::invalid("the lease must be at least 3s").into());
    }
    let is_leased = args.on_failure == OnFailure::Release;
    let seconds =
        u32::try_from(lease.as_secs()).map_err(|_| Error::invalid("the lease is too long"))?;
    let (named, command) = args.name_and_command()?;
    let name = named.map_or_else(random_name, |name| Ok(name.to_owned()))?;
    let estimate = session.estimate(args.estimate.estimate.as_deref(), None)?;
    let asked = args.window.settings()?.estimate(estimate).lease(is_leased.then_some(seconds));

    // Before the window opens: from then on no signal may end this process alone.
    let (sender, events) = mpsc::channel();
    let signalled = sender.clone();
    signals::watch(move |signal| signalled.send(Event::Signal(signal)).is_ok())
        .context("could not watch signals")?;
    let claim = session.claim(&site)?;
    let asked = asked.run(claim.id());
    let opened =
        session.apply(&site, false, |state, stamp| open(state, &site, &name, &asked, args, stamp));
    let opened = opened.inspect_err(|_| claim.remove())?;
    sweep(&site, &opened.after);
    session.output.note(say!("window `{}` is open", name));
    if args.take_over {
        let name = session.name_in_state(&name);
        let (before, after) = (&opened.before.windows, &opened.after.windows);
        note_messages(session, before.get(&name), after.get(&name));
    }
    let revoked = opened.revoked();
    if !revoked.is_empty() {
        session.output.note(report::revoked_text(&revoked).trim_end());
    }
    let scope = &asked.scope;
    let gaps = report::gaps_text(scope);
    if !gaps.is_empty() {
        session.output.note(gaps.trim_end());
    }
    session.doubt(scope);

    let was_there = matches!(opened.value, Opened::Replaced(_));
    let is_named = named.is_some();
    let mut hold = Hold { session, site: &site, name: &name, is_named, claim, has_lapsed: false };
    // Some software would go on meeting visitors while the command works.
    if session.is_behind() {
        let why = "a flag does not follow, so the command was not run";
        return Ok(hold.never_began(Exit::Behind, why, was_there));
    }
    let spawned = hold.claim.share().and_then(|()| hold.command(command).spawn());
    let mut child = match spawned {
        Ok(child) => child,
        // Nothing ran, so nothing is half done, unless an earlier run left it so.
        Err(cause) => {
            let exit = Exit::Command(if is_missing(&command[0], &cause) { 127 } else { 126 });
            let why = maint::internal::describe(&cause);
            let program = command[0].to_string_lossy();
            return Ok(hold.never_began(
                exit,
                &format!("could not run `{program}`: {why}"),
                was_there,
            ));
        }
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

/// Opens the window of this run, or takes over the one that a dead run left.
///
/// A window of the same name is somebody else's hold. Only the kernel, the run itself or a
/// lapsed lease can tell that its run has ended.
fn open(
    state: &mut State,
    site: &Site,
    name: &str,
    asked: &WindowSettings,
    args: &Run,
    stamp: Stamp<'_>,
) -> Result<Opened, Error> {
    let (now, take_over) = (stamp.now, args.take_over);
    let end = asked.lease.map(|seconds| lease_end(now, seconds));
    let mut settings = asked.clone().end(end);
    if let Some(window) = state.windows.get(name) {
        let has_ended = window.phase(now) == Phase::Ended;
        let run = window.run.as_deref().map(|id| standing(site, id)).transpose()?;
        let is_left = match &run {
            Some(Standing::Ended) => true,
            // A lease that has lapsed says so.
            Some(Standing::Unknown(_)) => has_ended,
            Some(Standing::Going(_)) | None => false,
        };
        let is_free = has_ended && !matches!(run, Some(Standing::Going(_)));
        if take_over && is_left {
            settings = kept(window, settings, &args.window, now)?;
        } else if !is_free {
            return Err(refusal(name, window, run.as_ref(), take_over, window.phase(now)));
        }
    }
    state.open_window(name, &settings, stamp)
}

/// The settings of a window that is taken over: what this run does not set stays. A message
/// leaves those in other languages, as that of `maint set` does.
fn kept(
    window: &Window,
    asked: WindowSettings,
    given: &WindowArgs,
    now: Timestamp,
) -> Result<WindowSettings, Error> {
    // One that has passed is late, and no estimate any more.
    let estimate = asked.estimate.or(window.estimate.filter(|&estimate| now < estimate));
    let page = asked.page.over(&window.page);
    let asks_scope = !asked.scope.is_everything();
    let scope = if asks_scope { asked.scope.clone() } else { window.scope.clone() };
    let mut settings = asked.scope(scope).page(page).estimate(estimate);
    (settings.reason, settings.reasons) = (window.reason.clone(), window.reasons.clone());
    given.change_messages(&mut settings)?;
    Ok(settings)
}

/// The messages of a window that is taken over which go on beside the new one: `run` shows no
/// window, and what they say may be over.
fn note_messages(session: &Session, before: Option<&Window>, after: Option<&Window>) {
    let (Some(before), Some(after)) = (before, after) else { return };
    if before.reason == after.reason && before.reasons == after.reasons {
        return;
    }
    let is_kept = |(tag, text): &(&String, &String)| before.reasons.get(*tag) == Some(*text);
    for (tag, text) in after.reasons.iter().filter(is_kept) {
        session.output.note(say!("the message in `{}` stays: {}", tag, quoted(text)));
    }
}

/// Why this run may not have the window, and what helps.
fn refusal(
    name: &str,
    window: &Window,
    run: Option<&Standing>,
    take_over: bool,
    phase: Phase,
) -> Error {
    let by = &window.opened_by;
    let aside =
        format!("use another `--name`, and close this one when all is well: `maint off {name}`");
    match run {
        Some(Standing::Going(who)) => Error::conflict_with(
            format!("window `{name}` is held by a run that still goes ({who})"),
            "let it end first, or use another `--name`",
        ),
        Some(Standing::Unknown(why)) if take_over => Error::conflict_with(
            format!(
                "whether the run that holds window `{name}` still goes cannot be told here: {why}"
            ),
            format!("if it is dead for certain, {aside}"),
        ),
        Some(Standing::Ended) => Error::conflict_with(
            format!("window `{name}` is {phase} already, left by a run of {by}"),
            "`--take-over` goes on in it",
        ),
        None if take_over => Error::conflict_with(
            format!("window `{name}` is {phase}, opened by {by}, and was not left by a run"),
            aside,
        ),
        _ => Error::conflict_with(
            format!("window `{name}` is {phase} already, opened by {by}"),
            aside,
        ),
    }
}

/// How a window is renewed or closed that should still be this run's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Still {
    Ours,
    /// Its lease had lapsed, so that visitors came through.
    Lapsed,
    /// Somebody closed it.
    Closed,
    /// Somebody holds it in place of this run.
    Replaced,
}

/// The window that this process holds.
struct Hold<'a> {
    session: &'a Session,
    site: &'a Site,
    name: &'a str,
    /// Whether the next run has the same name.
    is_named: bool,
    claim: Claim,
    /// Whether the site was up for a while because nobody renewed the lease.
    has_lapsed: bool,
}

impl Hold<'_> {
    fn command(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env("MAINT_SITE", self.site.dir())
            .env("MAINT_WINDOW", self.name)
            .env_remove(PASSWORD);
        command
    }

    /// Whether the window is still this run's. Somebody may have closed it, or hold
    /// another of that name.
    fn still(&self, state: &State, name: &str, now: Timestamp) -> Still {
        match state.windows.get(name) {
            None => Still::Closed,
            Some(window) if window.run.as_deref() != Some(self.claim.id()) => Still::Replaced,
            Some(window) if window.phase(now) == Phase::Ended => Still::Lapsed,
            Some(_) => Still::Ours,
        }
    }

    /// Changes the window if it is still this run's.
    fn if_ours(
        &self,
        state: &mut State,
        now: Timestamp,
        change: impl Fn(&mut State) -> maint::Result<()>,
    ) -> maint::Result<Still> {
        let still = self.still(state, self.name, now);
        if matches!(still, Still::Ours | Still::Lapsed) {
            change(state)?;
        }
        Ok(still)
    }

    /// Extends the lease; `false` if somebody took the window away. If it fails otherwise,
    /// the next heartbeat tries again.
    fn renew(&mut self) -> bool {
        let renewed = self.session.write(|options| {
            let mut options = options.clone().purpose(Purpose::Renew);
            options.command = format!("run (renews {})", self.name);
            store::update(self.site, &options, |state, stamp| {
                let now = stamp.now;
                self.if_ours(state, now, |state| state.renew_lease(self.name, now))
            })
        });
        match renewed {
            Ok(Applied { value, .. }) => {
                // What has lapsed is said once more at the end.
                let is_known = self.has_lapsed && value == Still::Ours;
                self.has_lapsed |= value == Still::Lapsed;
                if let Some(what) = self.loss(value).filter(|_| !is_known) {
                    self.session.output.note(say!("{}", what));
                }
                matches!(value, Still::Ours | Still::Lapsed)
            }
            Err(error) => {
                let text = format!("could not renew window `{}`: {error}", self.name);
                self.session.output.warn(&[text]);
                true
            }
        }
    }

    /// What became of the window, if it did not hold all the time.
    fn loss(&self, still: Still) -> Option<String> {
        let name = self.name;
        match still {
            Still::Closed => Some(format!("window `{name}` was closed by somebody else")),
            Still::Replaced => Some(format!("window `{name}` is held by somebody else now")),
            Still::Lapsed => Some(format!("the lease of window `{name}` had lapsed")),
            Still::Ours if self.has_lapsed => self.loss(Still::Lapsed),
            Still::Ours => None,
        }
    }

    /// Closes the window, unless it is no longer this run's.
    fn close(&self) -> maint::Result<Still> {
        let closed = self.session.apply(self.site, false, |state, stamp| {
            let now = stamp.now;
            self.if_ours(state, now, |state| state.close_window(self.name, now).map(drop))
        });
        match closed {
            Ok(closed) => {
                self.claim.remove();
                Ok(closed.value)
            }
            Err(error) => {
                // The window stays, and the next run may go on in it.
                self.claim.end();
                Err(error)
            }
        }
    }

    /// The command could not be run at all.
    fn never_began(&self, exit: Exit, message: &str, keeps: bool) -> Exit {
        if keeps {
            self.claim.end();
        }
        let is_open = keeps || self.close().is_err();
        if !is_open {
            self.session.output.note(say!("window `{}` is closed", self.name));
        }
        self.report(exit, is_open, Some(message))
    }

    /// The command ended.
    fn finish(&self, status: ExitStatus, on_failure: OnFailure) -> Exit {
        let exit = Exit::Command(exit_code(status));
        let failure = (!status.success()).then(|| format!("the command failed ({status})"));
        if !status.success() && on_failure == OnFailure::Keep {
            // If the state cannot be read, the window may still be open.
            let now = self.session.clock.now();
            let name = self.session.name_in_state(self.name);
            let still =
                self.site.state().map_or(Still::Ours, |state| self.still(&state, &name, now));
            let is_open = still == Still::Ours;
            if is_open {
                self.claim.end();
            } else {
                self.claim.remove();
                self.note_loss(still);
            }
            return self.report(exit, is_open, failure.as_deref());
        }
        match self.close() {
            Ok(still) => match self.loss(still) {
                None => {
                    self.session.output.note(say!("window `{}` is closed", self.name));
                    self.report(exit, false, failure.as_deref())
                }
                Some(_) if !status.success() => {
                    self.note_loss(still);
                    self.report(exit, false, failure.as_deref())
                }
                // Visitors may have met what was half done, so this is no success.
                Some(loss) => {
                    let loss = format!("{loss} while the command ran");
                    self.report(Exit::Conflict, false, Some(&loss))
                }
            },
            // A window that stays open is never a success.
            Err(error) => {
                let exit = if status.success() { exit::of(&error) } else { exit };
                self.report(exit, true, Some(&format!("could not close the window: {error}")))
            }
        }
    }

    fn note_loss(&self, still: Still) {
        if let Some(loss) = self.loss(still) {
            self.session.output.note(say!("{}", loss));
        }
    }

    /// Prints how it ended on standard error: standard output is the command's own.
    fn report(&self, exit: Exit, is_open: bool, what: Option<&str>) -> Exit {
        let output = &self.session.output;
        if output.is_json() {
            let object = json!({
                "window": self.name, "exit": exit.code(), "open": is_open, "failure": what,
            });
            output.error_object(&object);
            return exit;
        }
        if let Some(what) = what {
            let stays = if is_open {
                say!(", so window `{}` stays open", self.name)
            } else {
                Text::default()
            };
            let what = self.session.clock.in_words(what);
            output.error_line(failure::mistake(&say!("{}{}", what, stays)));
            if is_open {
                // The next run of that name would be refused.
                let again = if self.is_named {
                    "run it again with `--take-over`, or close the window: "
                } else {
                    ""
                };
                let hint = say!("when it is fixed, {}`maint off {}`", again, self.name);
                output.error_line(failure::tip(&hint));
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
