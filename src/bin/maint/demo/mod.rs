//! `maint demo`

mod browser;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use maint::gate::{Gate, Pass};
use maint::internal::claim::{Standing, standing};
use maint::internal::{pause, word};
use maint::request::{Request as _, RequestParts};
use maint::store::{self, Purpose};
use maint::{Error, Site, State, Watch, gate};
use serde_json::json;

use crate::args::Demo;
use crate::exit::Exit;
use crate::http::{self, Answer, escape};
use crate::report;
use crate::session::Session;
use crate::signals;
use crate::text::{BOLD, Text, lossy, paint, say};

/// The page of the app, which is seen while the site is up.
const PAGE: &str = include_str!("app.html");

/// What the names of the directories begin with.
const PREFIX: &str = "maint-demo-";

/// Files of a claim are called so, with its id.
const CLAIM: &str = "run.";

/// How often a directory is named anew because there is one of that name.
const MAX_TRIES: usize = 10;

pub(crate) fn run(session: &Session, args: &Demo) -> Result<Exit> {
    if session.given_site().is_some() {
        return Err(Error::invalid_with(
            "`maint demo` makes a site of its own",
            "leave out `--site`; to see the page of a site: `maint template preview`",
        )
        .into());
    }
    let ending = signals::ending().context("could not watch signals")?;
    let (listener, url) = http::listen(args.port)?;
    let place = std::path::absolute(std::env::temp_dir()).context("no temporary directory")?;
    sweep(&place);
    let dir = Dir::make(&place)?;
    let site = Site::at(&dir.0);
    store::create(&site)?;
    session.write(|options| {
        store::update(&site, &options.clone().purpose(Purpose::Create), |state, _| {
            state.name = Some("Your app".to_owned());
            Ok(())
        })
    })?;
    // Shows the next demo that this one still goes.
    let _claim = session.claim(&site)?;
    let commands = commands(&dir.0);
    let gate = Gate::open(&site)?;
    let app = App::new(gate.clone(), &commands, session.clock.fixed())?;
    http::serve(listener, move |request| app.answer(request))?;

    let object = json!({ "url": url, "site": lossy(&dir.0), "commands": commands });
    session.output.answer(&welcome(&url, &commands), &object)?;
    session.output.note("Ctrl-C ends it, and removes the site");
    if !args.no_browser {
        browser::open(&url);
    }
    let (ended, until) = mpsc::channel();
    thread::Builder::new()
        .spawn(move || {
            ending();
            let _ = ended.send(());
        })
        .context("could not watch signals")?;
    follow(session, &site, &gate, &until);
    dir.remove()?;
    Ok(Exit::Done)
}

fn welcome(url: &str, commands: &[String]) -> Text {
    let commands: Text = commands.iter().map(|line| say!("    {}\n", line)).collect();
    say!(
        "An app is up that obeys a switch:  {}\n\n\
         In another terminal, take it down, look at the switch, bring it back:\n\n{}\n",
        paint(BOLD, url),
        commands
    )
}

/// The commands to type elsewhere, for a shell.
fn commands(dir: &Path) -> Vec<String> {
    let site = word(&dir.to_string_lossy());
    let maint = name();
    ["on -m \"Back at noon\"", "status", "off"]
        .map(|verb| format!("{maint} --site {site} {verb}"))
        .into()
}

/// How a shell finds this very command.
fn name() -> String {
    let Ok(own) = std::env::current_exe() else { return "maint".to_owned() };
    let name = format!("maint{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(&name)).find(|file| file.is_file());
    match (found.and_then(|file| file.canonicalize().ok()), own.canonicalize()) {
        (Some(found), Ok(own)) if found == own => "maint".to_owned(),
        _ => word(&own.to_string_lossy()),
    }
}

/// Shows each change, until a signal ends the demo.
fn follow(session: &Session, site: &Site, gate: &Gate, until: &mpsc::Receiver<()>) {
    let mut watch = Watch::new(site);
    let mut state = State::default();
    let mut shown = None;
    loop {
        // What cannot be read is reported by the gate, and the last good state holds.
        if let Some(Ok(new)) = watch.changed() {
            state = new;
        }
        let now = session.clock.now();
        let request = RequestParts::new("GET", "/").with("accept", "text/html");
        let status = match gate.current().at(now).answer(&request) {
            gate::Answer::Reply(reply) => reply.status(),
            gate::Answer::Pass(_) => 200,
        };
        let mark = report::mark(&state, now);
        if shown.as_ref() != Some(&(mark.clone(), status)) {
            if shown.is_some() {
                let time = session.clock.time(now);
                session.output.note(say!("{}  GET / {}  {}", time, status, mark));
            }
            shown = Some((mark, status));
        }
        let pause = pause(&state, now);
        if !matches!(until.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
            return;
        }
    }
}

/// What stands for an app, behind the gate.
struct App {
    gate: Gate,
    page: String,
    /// The number that only the page's own script has.
    nonce: String,
    /// The time in tests.
    fixed: Option<Timestamp>,
}

impl App {
    fn new(gate: Gate, commands: &[String], fixed: Option<Timestamp>) -> Result<Self> {
        let nonce = format!("{:016x}", random()?);
        let page = PAGE.replace("{{ nonce }}", &nonce);
        let page = page.replace("{{ commands }}", &escape(&commands.join("\n")));
        Ok(Self { gate, page, nonce, fixed })
    }

    fn answer(&self, request: &RequestParts) -> Answer {
        let mut current = self.gate.current();
        if let Some(now) = self.fixed {
            current = current.at(now);
        }
        match current.answer(request) {
            gate::Answer::Reply(reply) => reply.into(),
            gate::Answer::Pass(pass) => self.own(request, &pass),
        }
    }

    /// What the app itself answers.
    fn own(&self, request: &RequestParts, pass: &Pass) -> Answer {
        if !http::is_look(request) {
            return Answer::not_allowed();
        }
        let mut answer = if request.path() == b"/health" {
            Answer::plain(200, "ok")
        } else {
            let scripts = format!("script-src 'nonce-{}'; connect-src 'self'; ", self.nonce);
            Answer::html(200, self.page.clone(), &scripts)
        };
        answer.headers.extend(pass.mark().map(|(name, value)| (name, value.to_owned())));
        if pass.is_private {
            const NAME: &str = "cache-control";
            let stays = |name| name != NAME && !Pass::overrides_cache_control(name);
            answer.headers.retain(|&(name, _)| stays(name));
            answer.headers.push((NAME, Pass::CACHE_CONTROL.to_owned()));
        }
        answer
    }
}

fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|cause| io::Error::other(cause.to_string()))
        .context("could not get random bits")?;
    Ok(u64::from_le_bytes(bytes))
}

/// The private directory of the demo, which goes with it.
struct Dir(PathBuf);

impl Dir {
    fn make(place: &Path) -> Result<Self> {
        let mut tries = 0;
        loop {
            let dir = place.join(format!("{PREFIX}{:08x}", random()? >> 32));
            match make_private(&dir) {
                Ok(()) => return Ok(Self(dir)),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && tries < MAX_TRIES => {
                    tries += 1;
                }
                Err(cause) => {
                    return Err(cause)
                        .with_context(|| format!("could not make `{}`", dir.display()));
                }
            }
        }
    }

    fn remove(&self) -> Result<()> {
        let mut tries = 0;
        loop {
            match fs::remove_dir_all(&self.0) {
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
                // A command that still goes made one more file.
                Err(cause)
                    if cause.kind() == io::ErrorKind::DirectoryNotEmpty && tries < MAX_TRIES =>
                {
                    tries += 1;
                }
                other => {
                    return other
                        .with_context(|| format!("could not remove `{}`", self.0.display()));
                }
            }
        }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

/// Makes a directory that nobody else may enter.
fn make_private(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().mode(0o700).create(dir)
    }
    #[cfg(not(unix))]
    fs::DirBuilder::new().create(dir)
}

/// Removes the directories of demos of this user that were killed.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_named = entry.file_name().to_str().is_some_and(|name| {
            name.strip_prefix(PREFIX).is_some_and(|rest| {
                rest.len() == 8 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        });
        if is_named && is_own(&entry) && is_dead(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether an entry, which is not followed, is a directory of this user.
fn is_own(entry: &fs::DirEntry) -> bool {
    let Ok(metadata) = entry.metadata() else { return false };
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::uid(&metadata) != rustix::process::geteuid().as_raw() {
        return false;
    }
    metadata.is_dir()
}

/// Whether a demo had this directory and has ended. One that only begins has no claim yet.
fn is_dead(dir: &Path) -> bool {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut ids = names.filter_map(|name| Some(name.to_str()?.strip_prefix(CLAIM)?.to_owned()));
    ids.next().is_some_and(|id| {
        standing(&Site::at(dir), &id).is_ok_and(|standing| standing == Standing::Ended)
    })
}
