//! What every verb needs: the site, the clock, the output, and how to write.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use maint::Holder;
use maint::flags::{Found as FlagFound, Report};
use maint::internal::claim::{Claim, Standing, standing, sweep};
use maint::internal::doctor::missing;
use maint::internal::history::shortened;
use maint::internal::recorded;
use maint::internal::state::behind_proxies;
use maint::internal::time::{parse_duration, parse_time};
use maint::rules::{Kind, Matcher};
use maint::site::Found;
use maint::state::Scope;
use maint::store::{self, Applied, Options, Stamp};
use maint::store::{OnWait, PATIENCE};
use maint::{Actor, Error, Site, State, Window};

use crate::args::{Expiry, Global};
use crate::clock::Clock;
use crate::exit::Exit;
use crate::output::Output;
use crate::text::{Text, say};

pub(crate) struct Session {
    global: Global,
    pub(crate) output: Output,
    pub(crate) clock: Clock,
    /// Whether a flag does not follow what this command changed.
    is_behind: Cell<bool>,
}

impl Session {
    pub(crate) fn new(global: Global, output: Output, clock: Clock) -> Self {
        Self { global, output, clock, is_behind: Cell::new(false) }
    }

    /// The site that is meant.
    pub(crate) fn site(&self) -> Result<Site> {
        let site = Site::discover(self.given_site())?;
        let passed: Vec<String> = site
            .passed_over()
            .iter()
            .map(|passed| format!("passed over `{}`: {}", passed.path.display(), passed.reason))
            .collect();
        self.output.warn(&passed);
        if site.found() == Found::User {
            // Under pressure it is easy to be in the wrong directory.
            let person = Actor::current().user;
            self.output.note(say!(
                "neither a site nor a project here or above: this is the site of `{}`, which no app \
                 in a project obeys; `maint init` in the app's directory makes one that it does",
                person
            ));
        }
        Ok(site)
    }

    pub(crate) fn given_site(&self) -> Option<&Path> {
        self.global.site.as_deref()
    }

    /// How this command changes the state.
    fn options<'a>(&self, on_wait: OnWait<'a>) -> maint::Result<Options<'a>> {
        let patience = match (&self.global.wait, self.global.no_wait) {
            (_, true) => Duration::ZERO,
            (Some(text), false) => parse_duration(text)?.unsigned_abs(),
            (None, false) => PATIENCE,
        };
        Ok(Options::new(command_line())
            .patience(patience)
            .locking(!self.global.no_lock)
            .now(self.clock.fixed())
            .on_wait(on_wait))
    }

    /// Changes the state, or with `is_dry` shows what would change.
    pub(crate) fn apply<T>(
        &self,
        site: &Site,
        is_dry: bool,
        change: impl Fn(&mut State, Stamp<'_>) -> maint::Result<T>,
    ) -> maint::Result<Applied<T>> {
        self.write(|options| {
            if is_dry {
                store::preview(site, options, change)
            } else {
                store::update(site, options, change)
            }
        })
    }

    /// Writes in the name of this command, and prints the warnings.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&Options<'_>) -> maint::Result<Applied<T>>,
    ) -> maint::Result<Applied<T>> {
        let on_wait = |path: &Path, holder: Option<&Holder>| self.show_waiting(path, holder);
        let applied = write(&self.options(&on_wait)?)?;
        if let Some(made) = &applied.made {
            self.output.note(say!("made the site {}", made.display()));
        }
        self.output.warn(&applied.warnings);
        self.note_flags(&applied.flags);
        Ok(applied)
    }

    /// Brings flags in step, those of these ids or all.
    pub(crate) fn sync_flags(
        &self,
        site: &Site,
        ids: &[String],
        take_over: bool,
    ) -> maint::Result<Report> {
        let on_wait = |path: &Path, holder: Option<&Holder>| self.show_waiting(path, holder);
        let report = store::sync_flags(site, &self.options(&on_wait)?, ids, take_over)?;
        self.note_flags(&report);
        Ok(report)
    }

    /// Remembers whether a flag does not follow, and says what helps.
    pub(crate) fn note_flags(&self, report: &Report) {
        if report.is_in_step() {
            return;
        }
        self.is_behind.set(true);
        let is_theirs = report.flags.iter().any(|flag| flag.found == FlagFound::SomebodyElses);
        self.output.note(if report.problem.is_some() {
            "hint: mend `flags.json`, or remove it and declare the flags again"
        } else if is_theirs {
            "hint: look at what somebody else made; `maint flag sync ID --take-over` replaces it"
        } else {
            "hint: `maint flag list` shows what each flag misses; `maint flag sync` tries again"
        });
    }

    /// Whether a flag does not follow what this command changed.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind.get()
    }

    /// How the command ends, now that it is known whether every flag follows.
    pub(crate) fn exit(&self, exit: Exit) -> Exit {
        if matches!(exit, Exit::Done | Exit::Command(0)) && self.is_behind() {
            Exit::Behind
        } else {
            exit
        }
    }

    /// Shows that this process holds a window, for as long as it goes.
    pub(crate) fn claim(&self, site: &Site) -> maint::Result<Claim> {
        let claim = Claim::make(site, &self.options(&|_, _| {})?)?;
        if site.is_awaited() {
            self.output.note(say!("made the site {}", claim.site().dir().display()));
        }
        Ok(claim)
    }

    /// Says that a window of a run that still goes was taken from it, and cleans up behind
    /// runs that have ended.
    pub(crate) fn warn_of_runs<T>(&self, site: &Site, applied: &mut Applied<T>) {
        let is_lost = |name: &String, window: &Window| {
            window.run.is_some()
                && applied.after.windows.get(name).is_none_or(|after| after.run != window.run)
        };
        let lost = applied.before.windows.iter().filter(|(name, window)| is_lost(name, window));
        let mut warnings = Vec::new();
        for (name, window) in lost {
            let id = window.run.as_deref().unwrap_or_default();
            if let Ok(Standing::Going(who)) = standing(site, id) {
                warnings.push(format!(
                    "the run that held window `{name}` ({who}) still goes, and no longer holds it"
                ));
            }
        }
        if applied.is_written {
            sweep(site, &applied.after);
        }
        self.output.warn(&warnings);
        applied.warnings.extend(warnings);
    }

    /// Shows which lock is waited for, and who holds it.
    fn show_waiting(&self, path: &Path, holder: Option<&Holder>) {
        let by = holder.map_or_else(Text::default, |holder| {
            say!(", held by {} since {}", holder, self.clock.time(holder.since))
        });
        self.output.note(say!("waiting for lock `{}`{}", path.display(), by));
    }

    /// Warns of a scope that may cover nothing that comes: of methods that nobody registered, and
    /// of placeholders in paths.
    pub(crate) fn doubt(&self, scope: &Scope) -> Vec<String> {
        let methods = scope.methods.iter().map(|method| (Kind::Method, method));
        let paths = scope.paths.iter().map(|path| (Kind::Path, path));
        let rules = methods.chain(paths);
        self.doubt_rules(rules.filter_map(|(kind, value)| Matcher::parse(&kind, value).ok()))
    }

    /// Warns of rules that may match nothing that comes.
    pub(crate) fn doubt_rules(&self, rules: impl IntoIterator<Item = Matcher>) -> Vec<String> {
        let doubts: Vec<String> = rules.into_iter().filter_map(|rule| rule.doubt()).collect();
        self.output.warn(&doubts);
        doubts
    }

    /// Warns of rules for addresses that are trusted as proxies.
    pub(crate) fn shadowed(&self, state: &State, of: impl Fn(&str) -> bool) -> Vec<String> {
        let rules = behind_proxies(state).into_iter().filter(|(id, _)| of(id));
        let warnings: Vec<String> = rules
            .map(|(id, network)| {
                let value = &state.ignore[id].value;
                format!("rule `{id}` (ip {value}) lets nobody in: `{network}` is trusted as proxies, and a proxy is never the client")
            })
            .collect();
        self.output.warn(&warnings);
        warnings
    }

    /// Warns of what visitors will miss on a page.
    pub(crate) fn missing(&self, site: &Site, state: &State, template: &str) -> Vec<String> {
        let warnings = missing(site, state, template, self.clock.now());
        self.output.warn(&warnings);
        if !warnings.is_empty() {
            self.output.note(
                "hint: `maint ignore add path` lets a file of the site through; or put it into the \
                 page, images as data URLs",
            );
        }
        warnings
    }

    /// How the agent brings flags in step.
    pub(crate) fn agent_options(&self) -> Options<'static> {
        Options::new("agent").locking(!self.global.no_lock).now(self.clock.fixed())
    }

    pub(crate) fn time(&self, text: &str) -> Result<Timestamp, Error> {
        parse_time(text, self.clock.now(), self.clock.zone())
    }

    /// The end of something that lasts this long from `from`, or until this time.
    pub(crate) fn end(
        &self,
        duration: Option<&str>,
        until: Option<&str>,
        from: Timestamp,
    ) -> Result<Option<Timestamp>> {
        match (duration, until) {
            (Some(text), _) => {
                let end = from.checked_add(parse_duration(text)?);
                Ok(Some(
                    end.map_err(|_| Error::invalid(format!("`{text}` ends after the year 9999")))?,
                ))
            }
            // A time of day is the next one after the start.
            (None, Some(text)) => Ok(Some(parse_time(text, from, self.clock.zone())?)),
            (None, None) => Ok(None),
        }
    }

    pub(crate) fn expiry(&self, expiry: &Expiry) -> Result<Option<Timestamp>> {
        self.end(expiry.duration.as_deref(), expiry.until.as_deref(), self.clock.now())
    }
}

/// The command line without the name of the program and without secrets, quoted for a shell.
fn command_line() -> String {
    let words = std::env::args_os().skip(1);
    shortened(recorded(words.map(|text| text.to_string_lossy().into_owned())))
}
