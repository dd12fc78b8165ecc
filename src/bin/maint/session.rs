//! What every verb needs: the site, the clock, the output, and how to write.

use std::cell::{Cell, OnceCell};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use maint::Holder;
use maint::flags::{Found as FlagFound, Report};
use maint::fleet::{Address, Following, following};
use maint::internal::claim::{Claim, Standing, standing, sweep};
use maint::internal::doctor::missing;
use maint::internal::history::shortened;
use maint::internal::recorded;
use maint::internal::state::behind_proxies;
use maint::internal::time::{parse_duration, parse_time, parse_time_after};
use maint::rules::{Kind, Matcher};
use maint::site::{Found, VARIABLE};
use maint::state::{Extension, Scope};
use maint::store::{self, Applied, Options, Stamp, Visit, local_name};
use maint::store::{OnWait, PATIENCE};
use maint::{Actor, Error, Site, State, Window};

use crate::args::{Expiry, Global};
use crate::clock::Clock;
use crate::exit::Exit;
use crate::output::Output;
use crate::text::{Text, say};

/// The environment variable that names the engine of a fleet.
pub(crate) const STORE: &str = "MAINT_STORE";

pub(crate) struct Session {
    global: Global,
    pub(crate) output: Output,
    pub(crate) clock: Clock,
    /// How many words at the end of the command line are those of a command that is run.
    wrapped: usize,
    /// Whether a flag does not follow what this command changed.
    is_behind: Cell<bool>,
    /// Whether this command is about this host alone, and not about its fleet.
    is_local: Cell<bool>,
    /// The copy of what the engine holds, where there is no site of it on this host.
    visit: OnceCell<Visit>,
}

impl Session {
    pub(crate) fn new(global: Global, output: Output, clock: Clock, wrapped: usize) -> Self {
        let (is_behind, is_local) = (Cell::new(false), Cell::new(false));
        Self { global, output, clock, wrapped, is_behind, is_local, visit: OnceCell::new() }
    }

    /// The site that is meant: that of an engine, if one is named, or one on this host.
    pub(crate) fn site(&self) -> Result<Site> {
        match self.given_store()? {
            // What is done in a copy alone is done nowhere.
            _ if self.is_local.get() => self.site_here(),
            None => self.discover(),
            Some(address) => self.site_of(&address),
        }
    }

    /// The site on this host that follows an engine, or a copy of what the engine holds.
    fn site_of(&self, address: &Address) -> Result<Site> {
        let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        match Site::discover(None) {
            Ok(site) if follows(&site, address) => return Ok(site),
            _ if named.is_some() && self.global.store.is_none() => {
                return Err(Error::invalid_with(
                    format!(
                        "`{STORE}` names an engine, and `{VARIABLE}` a site that does not follow it"
                    ),
                    "unset one of them",
                )
                .into());
            }
            _ => {}
        }
        self.visit(&Following::named(address.clone()))
    }

    /// The engine that is named for this command: by its option, or by the environment unless an
    /// option names a site.
    pub(crate) fn given_store(&self) -> Result<Option<Address>> {
        let text = match (&self.global.store, &self.global.site) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "`--store` and `--site` both say what is meant; give one of them",
                )
                .into());
            }
            (Some(text), None) => Some(text.clone()),
            (None, Some(_)) => None,
            (None, None) => std::env::var(STORE).ok().filter(|text| !text.trim().is_empty()),
        };
        Ok(text.map(|text| Address::parse(&text)).transpose()?)
    }

    /// The engine that `--store` names, whatever else says where.
    pub(crate) fn named_store(&self) -> Result<Option<Address>> {
        Ok(self.global.store.as_deref().map(Address::parse).transpose()?)
    }

    /// The engine that is meant: the named one, or the one that the site follows.
    pub(crate) fn engine(&self) -> Result<Following> {
        if let Some(address) = self.given_store()? {
            return Ok(Following::named(address));
        }
        let site = self.discover()?;
        following(&site)?.ok_or_else(|| {
            Error::invalid_with(
                format!("`{}` follows no engine", site.dir().display()),
                "name one by `--store URL`, or follow it: `maint init --store URL`",
            )
            .into()
        })
    }

    /// Makes this command one about this host alone.
    pub(crate) fn only_here(&self, is_local: bool) {
        self.is_local.set(is_local);
    }

    /// The copy of what an engine holds, whatever site follows it here.
    pub(crate) fn visit(&self, engine: &Following) -> Result<Site> {
        if self.visit.get().is_none() {
            let visit = self.ask(|options| Visit::begin(options, engine))?;
            let _ = self.visit.set(visit);
        }
        match self.visit.get() {
            Some(visit) => Ok(visit.site().clone()),
            None => self.discover(),
        }
    }

    /// Asks an engine, and says so if it does not answer at first.
    pub(crate) fn ask<T>(
        &self,
        ask: impl FnOnce(&Options<'_>) -> maint::Result<T>,
    ) -> maint::Result<T> {
        let on_wait = |path: &Path, holder: Option<&Holder>| self.show_waiting(path, holder);
        let on_retry = |store: &str, why: &str| self.show_retry(store, why);
        ask(&self.options(&on_wait)?.on_retry(&on_retry))
    }

    /// The name that a window has in the state.
    pub(crate) fn name_in_state(&self, name: &str) -> String {
        if self.is_local.get() { local_name(name) } else { name.to_owned() }
    }

    /// Words behind what was done, where it was done on this host alone.
    pub(crate) fn where_done(&self) -> &'static str {
        if self.is_local.get() { " on this host alone" } else { "" }
    }

    /// A site on this host, for what concerns this host: flags, an agent, the history.
    pub(crate) fn site_here(&self) -> Result<Site> {
        let Some(address) = self.given_store()? else { return self.discover() };
        match Site::discover(None) {
            Ok(site) if follows(&site, &address) => Ok(site),
            _ => Err(Error::invalid_with(
                "this is about a site on this host, and the store that is named has none here",
                format!("name the site by `--site`, without `--store` and `{STORE}`"),
            )
            .into()),
        }
    }

    fn discover(&self) -> Result<Site> {
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
        Ok(Options::new(command_line(self.wrapped))
            .patience(patience)
            .locking(!self.global.no_lock)
            .now(self.clock.fixed())
            .local(self.is_local.get())
            .on_wait(on_wait))
    }

    /// Changes the state, or with `is_dry` shows what would change.
    pub(crate) fn apply<T>(
        &self,
        site: &Site,
        is_dry: bool,
        change: impl Fn(&mut State, Stamp<'_>) -> maint::Result<T>,
    ) -> maint::Result<Applied<T>> {
        let applied = self.write(|options| {
            if is_dry {
                store::preview(site, options, change)
            } else {
                store::update(site, options, change)
            }
        });
        applied.map_err(|error| self.of_this_host(site, error))
    }

    /// Explains that a window which the fleet does not have is one of this host alone.
    fn of_this_host(&self, site: &Site, error: Error) -> Error {
        let name = match &error {
            Error::Unknown { kind: "window", name, .. } if !self.is_local.get() => name,
            _ => return error,
        };
        let Ok(state) = site.state() else { return error };
        let mark = local_name("");
        let short = name.strip_suffix(&mark).unwrap_or(name);
        if state.windows.get(&local_name(short)).is_none_or(|window| !window.local) {
            return error;
        }
        Error::invalid_with(
            format!("the fleet has no window named `{name}`"),
            format!("it is one of this host alone: write `{short} --local`"),
        )
    }

    /// Writes in the name of this command, and prints the warnings.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&Options<'_>) -> maint::Result<Applied<T>>,
    ) -> maint::Result<Applied<T>> {
        let applied = self.ask(write)?;
        if let Some(made) = &applied.made {
            self.output.note(say!("made the site {}", made.display()));
        }
        self.output.warn(&applied.warnings);
        if applied.store.is_some() && applied.flags.problem.is_some() {
            self.is_behind.set(true);
            self.output.note("hint: `maint agent status` shows whether an agent brings it here");
        } else {
            self.note_flags(&applied.flags);
        }
        Ok(applied)
    }

    /// Brings flags in step, those of these ids or all.
    pub(crate) fn sync_flags(
        &self,
        site: &Site,
        ids: &[String],
        take_over: bool,
    ) -> maint::Result<Report> {
        let report = self.ask(|options| store::sync_flags(site, options, ids, take_over))?;
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

    /// Shows that the engine of a fleet does not answer yet.
    fn show_retry(&self, store: &str, why: &str) {
        self.output.note(say!("waiting for store `{}`: {}", store, why));
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

    /// The end of something that lasts this long, or until this time, from its start, or from
    /// now where it has begun.
    pub(crate) fn end(
        &self,
        duration: Option<&str>,
        until: Option<&str>,
        start: Option<Timestamp>,
    ) -> maint::Result<Option<Timestamp>> {
        let now = self.clock.now();
        let from = start.unwrap_or(now);
        match (duration, until) {
            (Some(text), _) => Ok(Some(later(text, from, parse_duration(text)?)?)),
            // A time of day is the next one after the start.
            (None, Some(text)) => Ok(Some(parse_time_after(text, now, from, self.clock.zone())?)),
            (None, None) => Ok(None),
        }
    }

    /// When something is expected to be over: so long after its start, or after now where it has
    /// begun, or at a time.
    pub(crate) fn estimate(
        &self,
        text: Option<&str>,
        start: Option<Timestamp>,
    ) -> maint::Result<Option<Timestamp>> {
        match text {
            Some(text) if is_duration(text) => self.end(Some(text), None, start),
            text => self.end(None, text, start),
        }
    }

    /// How much longer something is to stay. What counts from now elsewhere is so much more here.
    pub(crate) fn extension(&self, text: &str) -> maint::Result<Extension> {
        let text = text.trim();
        let more = text.strip_prefix('+').unwrap_or(text);
        if more != text || is_duration(text) {
            return Ok(Extension::By(parse_duration(more)?));
        }
        Ok(Extension::Until(self.time(text)?))
    }

    pub(crate) fn expiry(&self, expiry: &Expiry) -> maint::Result<Option<Timestamp>> {
        self.end(expiry.duration.as_deref(), expiry.until.as_deref(), None)
    }
}

/// Whether a text is meant as a duration, rather than as a time.
fn is_duration(text: &str) -> bool {
    let is_like_one = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_alphabetic())
        && !text.contains([':', '-']);
    is_like_one || parse_duration(text).is_ok()
}

/// A time so much later.
fn later(text: &str, from: Timestamp, duration: SignedDuration) -> maint::Result<Timestamp> {
    from.checked_add(duration)
        .map_err(|_| Error::invalid(format!("`{text}` ends after the year 9999")))
}

/// Whether a site follows this engine.
fn follows(site: &Site, address: &Address) -> bool {
    following(site).is_ok_and(|found| found.is_some_and(|found| found.address == *address))
}

/// The command line without the name of the program and without secrets, quoted for a shell.
/// The last words may be those of a command that is run, which then stand behind a `--`.
fn command_line(wrapped: usize) -> String {
    let words = std::env::args_os().skip(1);
    let mut words: Vec<String> = words.map(|text| text.to_string_lossy().into_owned()).collect();
    let begin = words.len().saturating_sub(wrapped);
    if wrapped > 0 && !words[..begin].iter().any(|word| word == "--") {
        words.insert(begin, "--".to_owned());
    }
    shortened(recorded(words))
}
