//! The agent: the one process that stays, for software that cannot read a clock.
//!
//! In a fleet it brings each change of the others to this host, and says where the host stands.
//!
//! It brings flags in step at each change of the state, at each edge of a window, and when
//! somebody else changed them. It holds what it has while the state cannot be read.

mod follow;
mod report;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::follow::Event;
use self::report::Reporter;
use crate::error::{Error, Result};
use crate::flags::{self, Found, Standing};
use crate::fleet::{self, Following, HostReport};
use crate::site::Site;
use crate::state::State;
use crate::store::agent::{FleetNote, Note, Post};
use crate::store::{self, Options};
use crate::sys::{self, FileKey};
use crate::watch::Watch;

/// How often the state is looked at: two calls of stat(2).
const LOOK: Duration = Duration::from_millis(200);

/// How often it is looked whether somebody else changed a flag.
const DRIFT: Duration = Duration::from_secs(3);

/// The same where looking means to run a command.
const COSTLY_DRIFT: Duration = Duration::from_secs(60);

/// How often the agent says that it is there.
const SAY: Duration = Duration::from_secs(30);

/// How long it waits for another writer, who brings flags in step as well.
const PATIENCE: Duration = Duration::from_secs(2);

/// What files look like from outside.
type Footprints = BTreeMap<String, Option<Vec<(PathBuf, Option<FileKey>)>>>;

/// The agent of a site.
pub struct Agent {
    post: Post,
    watch: Watch,
    options: Options<'static>,
    /// The last state that could be read; `None` while there never was one.
    state: Option<State>,
    /// What the file that declares the flags looked like.
    declared: Option<FileKey>,
    footprints: Footprints,
    /// When the clock changes what is wanted next.
    edge: Option<Timestamp>,
    last: Timestamp,
    drift_at: Instant,
    costly_at: Instant,
    say_at: Instant,
    synced_at: Option<Timestamp>,
    /// What does not follow, and why.
    behind: BTreeMap<String, String>,
    problem: Option<String>,
    is_new: bool,
    /// Whether another writer brings the flags in step just now.
    is_unsure: bool,
    /// The name of this host in its fleet.
    host: String,
    /// What the file that names the engine looked like.
    named: Option<FileKey>,
    /// Why nobody can tell from it whom the site follows.
    astray: Option<String>,
    fleet: Option<Fleet>,
}

/// The fleet that this host is of.
struct Fleet {
    following: Following,
    events: Receiver<Event>,
    /// What came while the agent rested.
    inbox: Vec<Event>,
    reporter: Option<Reporter>,
    note: FleetNote,
}

/// What came from the engine.
#[derive(Default)]
struct News {
    /// Whether it is worth a note.
    is_any: bool,
    /// Whether somebody else on this host brought a document here.
    is_by_others: bool,
    /// Where the flags are that were brought in step.
    standings: Vec<Standing>,
}

impl Agent {
    /// Takes the post of the agent of a site.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if another agent has it, and those of locking.
    pub fn start(site: &Site, options: Options<'static>) -> Result<Self> {
        let now = Instant::now();
        Ok(Self {
            post: Post::take(site, &options)?,
            watch: Watch::new(site),
            options: options.patience(PATIENCE),
            state: None,
            declared: None,
            footprints: Footprints::new(),
            edge: None,
            last: Timestamp::MIN,
            drift_at: now,
            costly_at: now,
            say_at: now,
            synced_at: None,
            behind: BTreeMap::new(),
            problem: None,
            is_new: true,
            is_unsure: false,
            host: sys::host_name(),
            named: None,
            astray: None,
            fleet: None,
        })
    }

    /// Sets the name of this host in its fleet, which is that of the system otherwise.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// The address of the engine that is followed, if one is.
    #[must_use]
    pub fn store(&self) -> Option<String> {
        self.fleet.as_ref().map(|fleet| fleet.following.address.to_string())
    }

    /// Sleeps for as long, or until the fleet has something new.
    pub fn rest(&mut self, pause: Duration) {
        match &mut self.fleet {
            Some(fleet) => match fleet.events.recv_timeout(pause) {
                Ok(event) => fleet.inbox.push(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(pause),
            },
            None => thread::sleep(pause),
        }
    }

    /// Takes leave: this host no longer follows its fleet.
    pub fn leave(mut self) {
        if let Some(reporter) = self.fleet.take().and_then(|fleet| fleet.reporter) {
            reporter.withdraw();
        }
    }

    /// How many flags follow, and how many do not.
    #[must_use]
    pub fn tally(&self) -> (usize, usize) {
        (self.footprints.len().saturating_sub(self.behind.len()), self.behind.len())
    }

    /// Looks once, and brings in step what is not. Returns what there is to report, and how
    /// long to sleep.
    pub fn turn(&mut self, now: Timestamp) -> (Vec<String>, Duration) {
        let mut said = Vec::new();
        self.follow_engine(&mut said);
        let is_due = self.is_due(now, &mut said);
        self.last = now;
        if is_due {
            self.bring_in_step(now, &mut said);
        }
        self.say(now, !said.is_empty());
        self.tell_fleet(now);
        let until_edge = self.edge.map(|edge| edge.duration_since(now).unsigned_abs());
        (said, until_edge.unwrap_or(LOOK).min(LOOK))
    }

    /// Follows the engine that the site follows now, and takes in what came from it.
    fn follow_engine(&mut self, said: &mut Vec<String>) {
        let site = self.watch.site();
        let named = key(&site.store_file());
        if named != self.named {
            match fleet::following(site) {
                Ok(following) => {
                    if let Some(reporter) = self.fleet.take().and_then(|fleet| fleet.reporter) {
                        reporter.withdraw();
                    }
                    self.named = named;
                    self.astray = None;
                    self.fleet = following
                        .map(|following| Fleet::begin(site, &self.options, &self.host, following));
                    if let Some(fleet) = &self.fleet {
                        said.push(format!("this host follows `{}`", fleet.following.address));
                    }
                }
                // Whom it followed before is followed on.
                Err(error) => {
                    let problem = Some(error.to_string());
                    if problem != self.astray {
                        said.push(format!("{error}; this host follows whom it followed before"));
                        self.astray = problem;
                    }
                }
            }
        }
        let Some(fleet) = &mut self.fleet else { return };
        let news = fleet.take_in(said);
        if news.is_any {
            self.say_at = Instant::now();
        }
        if news.is_by_others {
            // A command of this host may have left a flag behind.
            (self.drift_at, self.costly_at) = (Instant::now(), Instant::now());
        }
        self.tell(&news.standings, said);
    }

    fn tell_fleet(&mut self, now: Timestamp) {
        let trouble = self.trouble();
        let Some(fleet) = &mut self.fleet else { return };
        let (Some(reporter), Some(state)) = (&mut fleet.reporter, &self.state) else { return };
        let Some(mirror) = &state.mirror else { return };
        // A state is here before its flags are in step, and the last word holds until then.
        let is_underway = fleet.note.seq < mirror.sequence && fleet.note.problem.is_none();
        if is_underway || self.is_unsure {
            return;
        }
        reporter.tell(&HostReport {
            at: now,
            seq: mirror.sequence,
            revision: state.revision,
            down: state.is_down(now),
            local: state.windows.values().any(|window| window.local),
            lag_ms: fleet.note.lag_ms,
            behind: self.behind.keys().cloned().collect(),
            problem: trouble.or_else(|| fleet.note.problem.clone()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
    }

    /// Whether anything may be out of step.
    fn is_due(&mut self, now: Timestamp, said: &mut Vec<String>) -> bool {
        // A site that was moved or removed says nothing, so the flags stay as they are.
        if let Err(error) = is_there(self.watch.site()) {
            self.report(Some(&error), said);
            return false;
        }
        let mut is_due = match self.watch.changed() {
            Some(Ok(state)) => {
                self.state = Some(state);
                self.report(None, said);
                true
            }
            // What was read before holds.
            Some(Err(error)) => {
                self.report(Some(&error), said);
                false
            }
            None => false,
        };
        let declared = key(&self.watch.site().flags_file());
        is_due |= std::mem::replace(&mut self.declared, declared) != declared;
        // A clock that was set back opens and closes windows as well.
        is_due |= self.edge.is_some_and(|edge| edge <= now) || now < self.last;
        let at = Instant::now();
        if at >= self.drift_at {
            self.drift_at = at + DRIFT;
            is_due |= !self.behind.is_empty() || self.problem.is_some() || self.has_drifted();
        }
        is_due |= at >= self.costly_at;
        is_due
    }

    /// Whether a file of a flag is another than it was, or nobody can tell from outside.
    fn has_drifted(&self) -> bool {
        let before = &self.footprints;
        self.flags().is_ok_and(|now| before.values().any(Option::is_none) || now != *before)
    }

    fn flags(&self) -> Result<Footprints> {
        let flags = flags::read(self.watch.site())?;
        Ok(flags.flags.iter().map(|(id, flag)| (id.clone(), flags::footprint(flag))).collect())
    }

    fn bring_in_step(&mut self, now: Timestamp, said: &mut Vec<String>) {
        let Some(state) = self.state.clone() else { return };
        self.edge = next_edge(&state, now);
        // Taken before the look: what others do from here on shows as a difference later.
        let before = self.flags();
        let is_costly_due = Instant::now() >= self.costly_at || self.is_new;
        if is_costly_due {
            self.costly_at = Instant::now() + COSTLY_DRIFT;
        }
        self.is_unsure = false;
        match self.follow(&state, now, is_costly_due) {
            Ok(standings) => {
                self.report(None, said);
                self.tell(&standings, said);
                self.is_new = false;
            }
            // Another writer is at work, who brings the flags in step.
            Err(Error::Busy { .. }) => {
                self.is_unsure = true;
                self.drift_at = Instant::now();
            }
            Err(error) => self.report(Some(&error), said),
        }
        self.declared = key(&self.watch.site().flags_file());
        if let Ok(footprints) = before {
            self.footprints = footprints;
            self.behind.retain(|id, _| self.footprints.contains_key(id));
        }
    }

    /// Looks at the flags, and mends those that can be mended.
    fn follow(
        &mut self,
        state: &State,
        now: Timestamp,
        with_costly: bool,
    ) -> Result<Vec<Standing>> {
        let site = self.watch.site().clone();
        let is_meant = |flag: &flags::Flag| with_costly || !flags::is_costly(flag);
        let looked = flags::looking(&site, |declared| {
            flags::look_at(declared, &site, state, now, is_meant)
        })?;
        let can_be_mended = |standing: &&Standing| {
            standing.in_step != Some(true) && standing.found != Found::SomebodyElses
        };
        let ids: Vec<String> =
            looked.iter().filter(can_be_mended).map(|standing| standing.id.clone()).collect();
        if ids.is_empty() {
            return Ok(looked);
        }
        let options = self.options.clone().now(now);
        let mended = store::mend_flags(&site, &options, &ids)?.flags;
        if mended.iter().any(|standing| standing.is_changed) {
            self.synced_at = Some(now);
        }
        let rest = looked.into_iter().filter(|standing| !ids.contains(&standing.id));
        Ok(rest.chain(mended).collect())
    }

    /// Reports what came out of step or in step again.
    fn tell(&mut self, standings: &[Standing], said: &mut Vec<String>) {
        for standing in standings {
            let id = &standing.id;
            if standing.in_step == Some(true) {
                if self.behind.remove(id).is_some() {
                    said.push(format!("flag `{id}` is in step again"));
                } else if standing.is_changed {
                    said.push(format!("flag `{id}` is {} now", standing.found.as_str()));
                }
                continue;
            }
            let why =
                standing.problem.clone().unwrap_or_else(|| standing.found.as_str().to_owned());
            if self.behind.get(id) != Some(&why) {
                said.push(format!("flag `{id}` does not follow: {why}"));
                self.behind.insert(id.clone(), why);
            }
        }
    }

    /// Reports what keeps the agent from its work, once, and when it is over.
    fn report(&mut self, error: Option<&Error>, said: &mut Vec<String>) {
        let problem = error.map(ToString::to_string);
        if problem == self.problem {
            return;
        }
        said.push(match &problem {
            Some(problem) => format!("{problem}; the flags stay as they are"),
            None => "the state can be read again".to_owned(),
        });
        self.problem = problem;
    }

    /// What keeps the agent from its work here.
    fn trouble(&self) -> Option<String> {
        self.problem.clone().or_else(|| self.astray.clone())
    }

    fn say(&mut self, now: Timestamp, is_news: bool) {
        if !is_news && Instant::now() < self.say_at {
            return;
        }
        self.say_at = Instant::now() + SAY;
        self.post.say(&Note {
            holder: self.post.holder.clone(),
            looked_at: now,
            synced_at: self.synced_at,
            revision: self.state.as_ref().map_or(0, |state| state.revision),
            behind: self.behind.keys().cloned().collect(),
            problem: self.trouble(),
            fleet: self.fleet.as_ref().map(|fleet| fleet.note.clone()),
        });
    }
}

impl Fleet {
    fn begin(site: &Site, options: &Options<'static>, host: &str, following: Following) -> Self {
        let reporter =
            (!following.address.is_read_only()).then(|| Reporter::begin(site, &following, host));
        let note = FleetNote { store: following.address.to_string(), ..FleetNote::default() };
        let events = follow::follow(site, options, &following);
        Self { following, events, inbox: Vec::new(), reporter, note }
    }

    /// Takes in what came from the engine.
    fn take_in(&mut self, said: &mut Vec<String>) -> News {
        let mut news = News::default();
        let mut events = std::mem::take(&mut self.inbox);
        events.extend(self.events.try_iter());
        for event in events {
            let now = Timestamp::now();
            let problem = match event {
                Event::Contact => {
                    news.is_any |= self.note.contact_at.is_none();
                    self.note.contact_at = Some(now);
                    // What the engine holds may still be odd.
                    continue;
                }
                Event::Here { sequence, lag, warnings, standings } => {
                    self.note.contact_at = Some(now);
                    news.is_by_others |= lag.is_none() && self.note.seq < sequence;
                    news.standings.extend(standings);
                    self.note.seq = sequence;
                    self.note.lag_ms = lag.or(self.note.lag_ms);
                    said.extend(warnings);
                    None
                }
                Event::Odd(problem) => {
                    self.note.contact_at = Some(now);
                    Some(problem)
                }
                Event::Trouble(problem) => Some(problem),
            };
            if problem != self.note.problem {
                said.push(match &problem {
                    Some(problem) => format!("{problem}; this host keeps what it has"),
                    None => "this host follows the fleet again".to_owned(),
                });
                self.note.problem = problem;
            }
            news.is_any = true;
        }
        news
    }
}

/// Whether the directory of a site is there.
fn is_there(site: &Site) -> Result<()> {
    let path = site.dir();
    match fs::metadata(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            Err(Error::Unreadable { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// When the clock alone changes next what flags have to say.
fn next_edge(state: &State, now: Timestamp) -> Option<Timestamp> {
    let rules = state.ignore.values().filter_map(|rule| rule.expires_at);
    let tokens = state.bypass.values().filter_map(|token| token.expires_at);
    let estimates = state.windows.values().filter_map(|window| window.estimate);
    let expiries = rules.chain(tokens).chain(estimates).filter(|&edge| edge > now);
    expiries.chain(state.next_edge(now)).min()
}

fn key(path: &std::path::Path) -> Option<FileKey> {
    fs::symlink_metadata(path).ok().map(|metadata| sys::key(&metadata))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::flags::{Flag, Kind};
    use crate::rules::{self, Matcher};
    use crate::state::{RuleSettings, WindowSettings};

    fn at(time: &str) -> Timestamp {
        format!("2026-11-29T{time}Z").parse().unwrap()
    }

    #[test]
    fn requirement_80_flags_follow_a_clock_that_goes_on_jumps_and_is_set_back() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path().join(".maint"));
        store::create(&site).unwrap();
        let down = temp.path().join("down");
        let options = || Options::new("test").now(at("12:00:00"));
        let flag = Flag::new(Kind::File).at(&down);
        store::add_flag(&site, &options(), "it", flag, false).unwrap();
        let window = WindowSettings::new().start(at("13:00:00")).end(at("14:00:00"));
        let open =
            |state: &mut State, stamp: store::Stamp<'_>| state.open_window("w", &window, stamp);
        store::update(&site, &options(), open).unwrap();
        let mut agent = Agent::start(&site, Options::new("agent")).unwrap();
        for (time, is_set) in [
            ("12:00:00", false),
            ("12:59:59.999", false),
            ("13:00:00", true),
            ("13:59:59", true),
            ("12:30:00", false),
            ("13:30:00", true),
            ("23:00:00", false),
            ("13:00:01", true),
            ("14:00:00", false),
        ] {
            let (_, pause) = agent.turn(at(time));
            assert_eq!(down.exists(), is_set, "{time}");
            assert!(pause <= LOOK, "{time}: it sleeps for {pause:?}");
        }
        let (_, pause) = agent.turn(at("12:59:59.990"));
        assert!(pause <= Duration::from_millis(10), "until the window begins: {pause:?}");
    }

    #[test]
    fn the_estimate_that_a_flag_says_goes_when_it_has_passed() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path().join(".maint"));
        store::create(&site).unwrap();
        let options = || Options::new("test").now(at("12:00:00"));
        let flag = Flag::new(Kind::Web).at(temp.path().join("web"));
        store::add_flag(&site, &options(), "it", flag, false).unwrap();
        let window = WindowSettings::new().estimate(at("13:00:00")).end(at("14:00:00"));
        let open =
            |state: &mut State, stamp: store::Stamp<'_>| state.open_window("w", &window, stamp);
        let lacks = store::update(&site, &options(), open).unwrap().flags.flags[0].lacks.clone();
        let of_clock = lacks.iter().filter(|lack| lack.is_of_the_clock()).count();
        assert_eq!(of_clock, 2, "its end and its estimate: {lacks:?}");
        let mut agent = Agent::start(&site, Options::new("agent")).unwrap();
        for (time, told) in [
            ("12:00:00", "Sun, 29 Nov 2026 13:00:00 GMT"),
            ("12:59:59.999", "Sun, 29 Nov 2026 13:00:00 GMT"),
            ("13:00:00", "Sun, 29 Nov 2026 14:00:00 GMT"),
            ("13:59:59", "Sun, 29 Nov 2026 14:00:00 GMT"),
        ] {
            agent.turn(at(time));
            let said = fs::read_to_string(temp.path().join("web/retry-after")).unwrap();
            assert_eq!(said, told, "{time}");
        }
    }

    #[test]
    fn requirement_80_an_address_no_longer_gets_through_once_its_rule_has_expired() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path().join(".maint"));
        store::create(&site).unwrap();
        let options = || Options::new("test").now(at("12:00:00"));
        let flag = Flag::new(Kind::Web).at(temp.path().join("web"));
        store::add_flag(&site, &options(), "it", flag, false).unwrap();
        store::update(&site, &options(), |state, stamp| {
            let address = Matcher::parse(&rules::Kind::Ip, "203.0.113.7")?;
            let settings = RuleSettings::new().expires_at(at("12:10:00"));
            state.add_rule(&address, &settings, stamp)?;
            state.open_window("w", &WindowSettings::new(), stamp)
        })
        .unwrap();
        let allowed = temp.path().join("web/allow/203.0.113.7");
        assert!(allowed.exists());
        let mut agent = Agent::start(&site, Options::new("agent")).unwrap();
        agent.turn(at("12:09:59"));
        assert!(allowed.exists());
        agent.turn(at("12:10:00"));
        assert!(!allowed.exists());
    }

    #[test]
    fn requirement_79_what_others_do_while_the_agent_looks_is_a_difference() {
        let temp = tempfile::tempdir().unwrap();
        let site = Site::at(temp.path().join(".maint"));
        store::create(&site).unwrap();
        let down = temp.path().join("down");
        let options = Options::new("agent");
        let flag = Flag::new(Kind::File).at(&down);
        store::add_flag(&site, &options, "a", flag, false).unwrap();
        // The check is run after the file was looked at, and removes it.
        let mut other = Flag::new(Kind::Exec);
        other.options.on = Some("true".to_owned());
        other.options.off = Some("true".to_owned());
        other.options.check = Some("rm -f down".to_owned());
        let settings = WindowSettings::new();
        store::update(&site, &options, |state, stamp| state.open_window("w", &settings, stamp))
            .unwrap();
        store::add_flag(&site, &options, "b", other, true).unwrap();
        store::mend_flags(&site, &options, &["a".to_owned()]).unwrap();
        assert!(down.exists());
        let mut agent = Agent::start(&site, options).unwrap();
        agent.turn(Timestamp::now());
        assert!(!down.exists(), "somebody else removed it meanwhile");
        assert_ne!(
            agent.flags().unwrap()["a"],
            agent.footprints["a"],
            "it is seen at the next look"
        );
    }
}
