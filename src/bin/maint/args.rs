//! Every definition of the command line, and what it means in terms of the library.
#![expect(clippy::doc_markdown, reason = "doc comments are help texts here, and no Markdown")]
#![expect(clippy::struct_excessive_bools, reason = "flags are what they are")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{
    ArgAction, Args as ClapArgs, CommandFactory as _, Parser, Subcommand, ValueEnum, ValueHint,
};
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use maint::internal::state::is_language;
use maint::internal::time::parse_duration;
use maint::page::Format;
use maint::request::ProxyHeader;
use maint::rules::Kind;
use maint::state::Scope;
use maint::state::WindowSettings;
use maint::{Error, State};

use crate::complete;
use crate::exit::CODES;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

#[derive(Debug, Parser)]
#[command(
    name = "maint",
    version,
    about,
    styles = STYLES,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    infer_subcommands = false,
    max_term_width = 100,
    after_help = ending()
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The end of `maint --help`.
fn ending() -> String {
    let codes = CODES.map(|(code, meaning)| format!("{code:>3}  {meaning}\n")).concat();
    format!("Exit codes:\n{codes}\n{TIMES}")
}

/// How times and durations are written.
pub(crate) const TIMES: &str = "\
Times are RFC 3339, or local: 3:00, the next one, 'tomorrow 3:00', 'sun noon',
'2026-11-22 03:00', or +10m, from now. Durations read 90s, 30m, 1h30m, 2d.";

// A doc comment on a struct that is flattened would become the description of the verb.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Global {
    /// The site directory [default: `MAINT_SITE`, the nearest `.maint`, the project's, the user's own]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Global options", display_order = 100)]
    pub(crate) site: Option<PathBuf>,
    /// The engine of a fleet, without a site on this host [default: `MAINT_STORE`]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help_heading = "Global options",
        display_order = 100
    )]
    pub(crate) store: Option<String>,
    /// Print one JSON object, and errors as JSON on stderr
    #[arg(long, global = true, help_heading = "Global options", display_order = 101)]
    pub(crate) json: bool,
    /// Print only errors and what was asked for
    #[arg(short, long, global = true, help_heading = "Global options", display_order = 102)]
    pub(crate) quiet: bool,
    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        help_heading = "Global options",
        display_order = 103
    )]
    pub(crate) color: When,
    /// How long to wait for another writer, or the engine of a fleet [default: 10s]
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        conflicts_with = "no_wait",
        help_heading = "Global options",
        display_order = 104
    )]
    pub(crate) wait: Option<String>,
    /// Fail at once if another writer is at work
    #[arg(long, global = true, help_heading = "Global options", display_order = 105)]
    pub(crate) no_wait: bool,
    /// Write without a lock, on file systems that have none; two writers can lose a change
    #[arg(long, global = true, help_heading = "Global options", display_order = 106)]
    pub(crate) no_lock: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The verbs, and their descriptions: a verb itself is put together only when it is used.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Try maint out: a page that obeys a throw-away site
    Demo(Demo),
    /// Make a site, and show how to connect your framework
    Init(Init),
    /// Open a window, or replace the settings of the one with this name
    On(Box<On>),
    /// Change one thing of a window; the rest stays
    Set(Box<Set>),
    /// Let a window stay longer: 30m more, or until 04:30
    Extend(Extend),
    /// Close a window, and show what still holds the site down
    Off(Off),
    /// Show what is down, since when, by whom, and who gets through
    Status(Status),
    /// Wait until the site is down (on) or up (off); exit 1 on timeout
    Wait(Wait),
    /// Run a command in a window of its own, and exit with its code
    Run(Run),
    /// Show whether a request passes, and why; exit 1 if it is blocked
    Check(Check),
    /// Let requests through every window
    #[command(subcommand)]
    Ignore(Ignore),
    /// Hand out secrets that let people through
    #[command(subcommand)]
    Bypass(Bypass),
    /// Manage the site's own pages
    #[command(subcommand)]
    Template(Template),
    /// Say what every page says: the title, a contact, a status page
    #[command(subcommand)]
    Page(Page),
    /// Name the proxies trusted for the client's address
    #[command(subcommand)]
    Proxy(Proxy),
    /// Make nginx, WordPress and other software follow the site
    #[command(subcommand)]
    Flag(Flag),
    /// Print configuration that obeys a flag, ready to paste
    Snippet(Snippet),
    /// Stay, and make flags and this host of a fleet follow
    Agent(Agent),
    /// Answer proxies that ask whether a request passes
    Serve(Serve),
    /// Show, leave, fill or save the engine that this site follows
    #[command(subcommand)]
    Store(Store),
    /// Print the history, newest last
    Log(Log),
    /// Bring back the state before the last change; repeat to undo
    Restore(Restore),
    /// Find what would go wrong, and the fix; exit 1 on a problem
    Doctor(Doctor),
    /// Show which site is meant, and why
    Path(Path),
    /// Print a completion script that knows windows, rules and templates
    Completions(Completions),
    /// Write the man pages
    Man(Man),
    /// Print the help of a verb
    Help(Help),
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
It makes a site in a new private directory below TMPDIR or /tmp, and serves a page to this
machine alone. The page stands for an app: it meets visitors while the site is up, and they
get the maintenance page while it is down. The three commands to type elsewhere are printed.
Ctrl-C ends it and removes the directory. If it is killed, the next demo does so.

The browser is that of BROWSER, or else of the desktop, if there is one.

Examples:
  maint demo
  maint demo --port 9000 --no-browser")]
pub(crate) struct Demo {
    /// The port; 0 is any free one [default: 8503, or any free one]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Open no browser
    #[arg(long)]
    pub(crate) no_browser: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Init {
    /// The project; its site becomes `DIR/.maint` [default: `MAINT_SITE`, or the working directory]
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
    /// The name of the site on its page; empty removes it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The user the web server runs as, for a warning if it cannot read the state; empty removes it
    #[arg(long, value_name = "USER", value_hint = ValueHint::Username)]
    pub(crate) web_user: Option<String>,
    /// With `--store`: whose state the fleet gets, if both have one
    #[arg(long, value_name = "WHOSE", requires = "store")]
    pub(crate) wins: Option<Wins>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wins {
    /// That of the engine; this site's is kept as its backup
    Store,
    /// That of this site, on every host
    Site,
}

#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct Local {
    /// On this host alone, whatever the fleet does, until `maint off --local`
    #[arg(long, display_order = 32)]
    pub(crate) local: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Windows are independent holds: the site is down as long as any of them is open,
so two deploys that overlap cannot end each other's.

The same command again leaves a window as it is. Where an open one would lose what
is not said again, its message, end or template, or would cover other requests,
`on` asks first; without a terminal it needs --yes. `maint set` changes one thing.

A start that has passed is refused. With --yes the window opens at once, and says
that it is down since then.

An estimate is what visitors are told. It opens nothing: the window stays until it
ends or is closed.

Times, in the time zone of this system:
  03:00, 3:00            the next one, after the start for --until
  noon, midnight         12:00 and 00:00, the next one
  today 23:00            of today, if it is still to come
  tomorrow 3:00
  sunday 3:00, sun noon  the next Sunday; on a Sunday, write today or the date
  2026-11-22 03:00
  2026-11-22T03:00:00Z   RFC 3339, in any zone
  +10m                   from now

Examples:
  maint on -m 'Back at noon'
  maint on deploy-42 --for 30m
  maint on --estimate 20m -m 'Moving to bigger disks'
  maint on --at 'sunday 3:00' --until 04:30 --read-only
  maint on --path '/shop/**' -m 'The shop opens again at 9'")]
pub(crate) struct On {
    /// The window
    #[arg(value_name = "NAME", default_value = maint::state::DEFAULT_WINDOW, add = ArgValueCandidates::new(complete::windows))]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// When it opens: 03:00, 'tomorrow 3:00', '2026-11-22 03:00' or +10m [default: now]
    #[arg(long, value_name = "TIME", display_order = 4)]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) end: End,
    #[command(flatten)]
    pub(crate) estimate: Estimate,
    /// Replace the settings of an open window even if it loses some; take a start that has passed
    #[arg(long, display_order = 29)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) local: Local,
    #[command(flatten)]
    pub(crate) expect: ExpectRevision,
    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

// When a window ends by itself.
#[derive(Clone, Debug, Default, PartialEq, ClapArgs)]
pub(crate) struct End {
    /// When it closes by itself
    #[arg(long, value_name = "TIME", conflicts_with = "duration", display_order = 2)]
    pub(crate) until: Option<String>,
    /// How long it stays open: 90s, 30m, 1h30m
    #[arg(long = "for", id = "duration", value_name = "DURATION", display_order = 1)]
    pub(crate) duration: Option<String>,
}

// When a window is expected to be over.
#[derive(Clone, Debug, Default, PartialEq, ClapArgs)]
pub(crate) struct Estimate {
    /// How long it will take, or when it will be over: 20m, 04:00; told to visitors, and opens nothing
    #[arg(long, value_name = "WHEN", display_order = 3)]
    pub(crate) estimate: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
What is not given stays as it is: who opened it and when, the `maint run` that holds
it, and every other setting. Durations count from now, or from the start of a window
that is still to come. --path, --method and --host replace those that it has.

Examples:
  maint set -m 'It takes a little longer'
  maint set deploy-42 --estimate 20m
  maint set --no-end
  maint set nightly --at 04:00 --until 05:30")]
pub(crate) struct Set {
    /// The window
    #[arg(value_name = "NAME", default_value = maint::state::DEFAULT_WINDOW, add = ArgValueCandidates::new(complete::windows))]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// When it opens, if that is still to come
    #[arg(long, value_name = "TIME", display_order = 4)]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) end: End,
    #[command(flatten)]
    pub(crate) estimate: Estimate,
    #[command(flatten)]
    pub(crate) without: Without,
    #[command(flatten)]
    pub(crate) local: Local,
    #[command(flatten)]
    pub(crate) expect: ExpectRevision,
    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

impl Set {
    /// Whether nothing is given that changes anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.at.is_none()
            && self.window == WindowArgs::default()
            && self.end == End::default()
            && self.estimate == Estimate::default()
            && self.without == Without::default()
    }
}

// What a window is to have no more.
#[derive(Clone, Debug, Default, PartialEq, ClapArgs)]
#[command(globals_last())]
pub(crate) struct Without {
    /// No message, in no language
    #[arg(long, conflicts_with = "message", help_heading = "Take away", display_order = 24)]
    pub(crate) no_message: bool,
    /// No end: it stays until it is closed
    #[arg(long, conflicts_with_all = ["until", "duration"], help_heading = "Take away", display_order = 24)]
    pub(crate) no_end: bool,
    /// No estimate
    #[arg(long, conflicts_with = "estimate", help_heading = "Take away", display_order = 24)]
    pub(crate) no_estimate: bool,
    /// Cover all paths
    #[arg(long, conflicts_with = "path", help_heading = "Take away", display_order = 25)]
    pub(crate) no_path: bool,
    /// Cover all methods
    #[arg(long, conflicts_with = "method", help_heading = "Take away", display_order = 25)]
    pub(crate) no_method: bool,
    /// Cover all hosts
    #[arg(long, conflicts_with = "host", help_heading = "Take away", display_order = 25)]
    pub(crate) no_host: bool,
    /// Cover reads as well
    #[arg(long, conflicts_with = "read_only", help_heading = "Take away", display_order = 25)]
    pub(crate) no_read_only: bool,
    /// The status code of the site
    #[arg(long, conflicts_with = "status", help_heading = "Take away", display_order = 26)]
    pub(crate) no_status: bool,
    /// The Retry-After of the site
    #[arg(long, conflicts_with = "retry_after", help_heading = "Take away", display_order = 26)]
    pub(crate) no_retry_after: bool,
    /// The template of the site
    #[arg(long, conflicts_with = "template", help_heading = "Take away", display_order = 26)]
    pub(crate) no_template: bool,
    /// The format of the site
    #[arg(long, conflicts_with = "format", help_heading = "Take away", display_order = 26)]
    pub(crate) no_format: bool,
    /// No redirect of its own
    #[arg(long, conflicts_with = "redirect", help_heading = "Take away", display_order = 26)]
    pub(crate) no_redirect: bool,
}

impl Without {
    /// Takes away what is named, and leaves the rest.
    pub(crate) fn change(&self, settings: &mut WindowSettings) {
        if self.no_message {
            settings.reason = None;
            settings.reasons.clear();
        }
        let (scope, page) = (&mut settings.scope, &mut settings.page);
        for (is_gone, list) in [
            (self.no_path, &mut scope.paths),
            (self.no_method, &mut scope.methods),
            (self.no_host, &mut scope.hosts),
        ] {
            if is_gone {
                list.clear();
            }
        }
        scope.read_only &= !self.no_read_only;
        settings.end = settings.end.filter(|_| !self.no_end);
        settings.estimate = settings.estimate.filter(|_| !self.no_estimate);
        page.status = page.status.filter(|_| !self.no_status);
        page.retry_after = page.retry_after.filter(|_| !self.no_retry_after);
        page.template.take_if(|_| self.no_template);
        page.format.take_if(|_| self.no_format);
        page.redirect.take_if(|_| self.no_redirect);
    }
}

#[derive(Debug, ClapArgs)]
#[command(
    allow_missing_positional = true,
    after_long_help = "\
A duration moves the end and the estimate by so much, and counts from now where the
estimate has passed. A time is the new end. A window without an end, or one that a
`maint run --on-failure release` holds, has its estimate moved.

It never shortens: `maint set --until TIME` does.

Examples:
  maint extend 30m
  maint extend deploy-42 04:30"
)]
pub(crate) struct Extend {
    /// The window [default: default]
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::windows))]
    pub(crate) name: Option<String>,
    /// How much longer, or until when: 30m, 04:30
    #[arg(value_name = "WHEN", required = true)]
    pub(crate) when: String,
    #[command(flatten)]
    pub(crate) local: Local,
    #[command(flatten)]
    pub(crate) expect: ExpectRevision,
    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

#[derive(Clone, Debug, Default, PartialEq, ClapArgs)]
#[command(globals_last())]
pub(crate) struct WindowArgs {
    /// The message for visitors; repeat it for a language: -m de='Bis gleich'
    #[arg(short, long, value_name = "[TAG=]TEXT", num_args = 1, action = ArgAction::Append, display_order = 0)]
    pub(crate) message: Vec<String>,
    /// Cover only these paths: /shop, '/shop/**', '/api/*/edit', 're:/v[0-9]+/.*'
    #[arg(long, value_name = "PATTERN", num_args = 1, action = ArgAction::Append, help_heading = "Scope", display_order = 10)]
    pub(crate) path: Vec<String>,
    /// Cover only these methods
    #[arg(long, value_name = "METHOD", num_args = 1, action = ArgAction::Append, help_heading = "Scope", display_order = 11, add = ArgValueCandidates::new(complete::methods))]
    pub(crate) method: Vec<String>,
    /// Cover only these hosts: example.com, '*.example.com'
    #[arg(long, value_name = "HOST", num_args = 1, action = ArgAction::Append, help_heading = "Scope", display_order = 12)]
    pub(crate) host: Vec<String>,
    /// Cover writes only: GET, HEAD and other safe methods pass
    #[arg(long, conflicts_with = "method", help_heading = "Scope", display_order = 13)]
    pub(crate) read_only: bool,
    /// The status code of the page [default: 503]; with 200, all but GET and HEAD get 503
    #[arg(long, value_name = "CODE", help_heading = "Page", display_order = 20)]
    pub(crate) status: Option<u16>,
    /// When clients may try again if there is no end
    #[arg(long, value_name = "DURATION", help_heading = "Page", display_order = 21)]
    pub(crate) retry_after: Option<String>,
    /// The template of the page
    #[arg(long, value_name = "NAME", help_heading = "Page", display_order = 22, add = ArgValueCandidates::new(complete::templates))]
    pub(crate) template: Option<String>,
    /// Redirect browsers to this URL instead
    #[arg(long, value_name = "URL", help_heading = "Page", display_order = 23, value_hint = ValueHint::Url)]
    pub(crate) redirect: Option<String>,
    /// What is answered where the request does not say [default: html]
    #[arg(long, value_name = "FORMAT", help_heading = "Page", display_order = 24)]
    pub(crate) format: Option<TemplateFormat>,
}

impl WindowArgs {
    /// The settings of the window, apart from its times.
    pub(crate) fn settings(&self) -> maint::Result<WindowSettings> {
        let mut settings = WindowSettings::new();
        self.change(&mut settings)?;
        Ok(settings)
    }

    /// Changes the messages that are given, and leaves those in other languages.
    pub(crate) fn change_messages(&self, settings: &mut WindowSettings) -> maint::Result<()> {
        let Messages { reason, reasons } = messages(&self.message)?;
        if let Some(reason) = reason {
            settings.reason = said(reason);
        }
        for (language, reason) in reasons {
            settings.reasons.remove(&language);
            settings.reasons.extend(said(reason).map(|reason| (language, reason)));
        }
        Ok(())
    }

    /// Changes what is given, and leaves the rest.
    pub(crate) fn change(&self, settings: &mut WindowSettings) -> maint::Result<()> {
        self.change_messages(settings)?;
        let given = Scope::new().paths(&self.path)?.methods(&self.method)?.hosts(&self.host)?;
        let (scope, page) = (&mut settings.scope, &mut settings.page);
        for (list, given) in [
            (&mut scope.paths, given.paths),
            (&mut scope.methods, given.methods),
            (&mut scope.hosts, given.hosts),
        ] {
            if !given.is_empty() {
                *list = given;
            }
        }
        scope.read_only |= self.read_only;
        if let Some(text) = &self.retry_after {
            let seconds = parse_duration(text)?.as_secs();
            page.retry_after = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        }
        page.status = self.status.or(page.status);
        page.format = self.format.map(Format::from).or(page.format);
        page.template = self.template.clone().or(page.template.take());
        page.redirect = self.redirect.clone().or(page.redirect.take());
        Ok(())
    }
}

/// What `-m` was given.
#[derive(Debug, Default)]
struct Messages {
    reason: Option<String>,
    reasons: BTreeMap<String, String>,
}

/// The message for everybody, and those in a language: `de=Bis gleich`. A text that begins with a
/// space is one for everybody, whatever follows.
fn messages(given: &[String]) -> maint::Result<Messages> {
    let Messages { mut reason, mut reasons } = Messages::default();
    for message in given {
        let tagged = message.split_once('=').and_then(|(tag, text)| Some((language(tag)?, text)));
        let (before, what) = match tagged {
            Some((tag, text)) => {
                let what = format!("in `{tag}`");
                (reasons.insert(tag, text.to_owned()), what)
            }
            None => (reason.replace(message.clone()), "without a language".to_owned()),
        };
        if before.is_some() {
            return Err(Error::invalid_with(
                format!("there are two messages {what}"),
                "give one for everybody, and one for each language: `-m de=TEXT`",
            ));
        }
    }
    Ok(Messages { reason, reasons })
}

/// A message, unless it is given to say nothing.
fn said(message: String) -> Option<String> {
    Some(message).filter(|message| !message.trim().is_empty())
}

/// The tag of a language as the state has it; `None` for what is no language that is known.
fn language(tag: &str) -> Option<String> {
    let tag = tag.to_ascii_lowercase().replace('_', "-");
    is_language(&tag).then_some(tag)
}

/// The tag of a language, as an option has it.
fn parse_language(text: &str) -> Result<String, String> {
    language(text).ok_or_else(|| "write the tag of a language: `de`, `pt-br`".to_owned())
}

#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct ExpectRevision {
    /// Exit 5 and change nothing unless the state has this revision
    #[arg(long, value_name = "N", display_order = 30)]
    pub(crate) if_revision: Option<u64>,
}

impl ExpectRevision {
    /// Fails unless the state has the revision that the caller saw.
    pub(crate) fn check(self, state: &State) -> maint::Result<()> {
        match self.if_revision {
            Some(wanted) if wanted != state.revision => Err(Error::conflict(format!(
                "the state has revision {}, not {wanted}",
                state.revision
            ))),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct DryRun {
    /// Show what would change, and change nothing
    #[arg(short = 'n', long, display_order = 31)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Off {
    /// The window [default: default]
    #[arg(value_name = "NAME", conflicts_with = "all", add = ArgValueCandidates::new(complete::windows))]
    pub(crate) name: Option<String>,
    /// Close every window, scheduled ones too
    #[arg(long)]
    pub(crate) all: bool,
    /// Do not fail if there is no window of that name
    #[arg(long)]
    pub(crate) if_open: bool,
    #[command(flatten)]
    pub(crate) local: Local,
    #[command(flatten)]
    pub(crate) expect: ExpectRevision,
    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Status {
    /// Exit 1 unless a window is open (on), none is (off), or one is still to come (scheduled); 10 if a flag does not follow
    #[arg(long, value_name = "STATE")]
    pub(crate) expect: Option<Expected>,
    /// Exit 1 if a window has been open for longer than this
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_age: Option<String>,
    /// Ask the engine, and show which host has which revision
    #[arg(long, conflicts_with = "max_age")]
    pub(crate) fleet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Expected {
    /// A window is open
    On,
    /// No window is open
    Off,
    /// A window is still to come
    Scheduled,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Wait {
    /// What to wait for
    #[arg(value_name = "STATE")]
    pub(crate) state: Switch,
    /// Give up after this long [default: never]
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<String>,
    /// Wait for every live host of the fleet and its flags, and name those that are missing
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// A window is open
    On,
    /// No window is open
    Off,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
The window closes when the command succeeds. When it fails, `--on-failure keep`
leaves the window open, since a half-done migration must not meet visitors.

With `--on-failure release` the window is a lease: it is renewed while this process
lives and ends by itself soon after, even if this process is killed outright.

Exits with the code of the command, 128 + N if signal N ended it, 127 if there is
no such command, 126 if it cannot be run; and with 5 if the command succeeded, but
somebody else closed or took the window meanwhile.

What follows COMMAND is passed on to it, options too; those of maint stand before
it. A `--` before COMMAND does no harm, and tells it from a window: NAME -- COMMAND
is short for --name NAME -- COMMAND.

Examples:
  maint run ./manage.py migrate --noinput
  maint run -m 'Moving house' -- ./manage.py migrate
  maint run --name deploy --take-over -- ./deploy.sh")]
pub(crate) struct Run {
    /// The window [default: run-RANDOM]; it must not exist yet
    #[arg(long, value_name = "NAME", display_order = 1)]
    pub(crate) name: Option<String>,
    /// Go on in the window of that name that a failed or dead run left, with its settings
    #[arg(long, requires = "name", display_order = 1)]
    pub(crate) take_over: bool,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    #[command(flatten)]
    pub(crate) estimate: Estimate,
    /// What happens to the window if the command fails
    #[arg(long, value_name = "WHAT", default_value = "keep", display_order = 2)]
    pub(crate) on_failure: OnFailure,
    /// With `release`: how long the window outlives this process if it is killed
    #[arg(long, value_name = "DURATION", default_value = "60s", display_order = 3)]
    pub(crate) lease: String,
    #[command(flatten)]
    pub(crate) local: Local,
    /// The command and its arguments
    #[arg(
        value_name = "COMMAND", required = true, trailing_var_arg = true,
        add = ArgValueCompleter::new(complete::commands)
    )]
    pub(crate) command: Vec<OsString>,
}

impl Run {
    /// The name of the window, and the command with its arguments.
    ///
    /// `maint run deploy -- ./x` names the window as `maint on deploy` does. Behind a `--` of its
    /// own everything is the command's: `maint run -- deploy -- ./x`.
    pub(crate) fn name_and_command(&self) -> maint::Result<(Option<&str>, &[OsString])> {
        let [first, dashes, command @ ..] = &self.command[..] else {
            return Ok((self.name.as_deref(), &self.command));
        };
        let is_dashes = |word: &OsString| word == "--";
        let typed = std::env::args_os().filter(is_dashes).count();
        let is_whole = typed > self.command.iter().filter(|word| is_dashes(word)).count();
        if !is_dashes(dashes) || is_whole {
            return Ok((self.name.as_deref(), &self.command));
        }
        let first = first.to_str().unwrap_or_default();
        match &self.name {
            Some(name) => Err(Error::invalid_with(
                format!("the window has two names: `{name}` and `{first}`"),
                "write the command behind the first `--`",
            )),
            None if command.is_empty() => {
                Err(Error::invalid_with("there is no command", "write it behind the `--`"))
            }
            None => Ok((Some(first), command)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFailure {
    /// Leave it open, and say how to close it
    Keep,
    /// Close it
    Release,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
With --live the site is asked as by a visitor. Redirects are followed on its
own host alone, and HTTPS_PROXY and the like count as for curl. What may be a
copy is asked for again, with a query that no cache has met. Exit 0 if all
answers are as expected, else 1.

Examples:
  maint check /health
  maint check https://shop.example.com/cart --method POST --ip 203.0.113.7
  maint check /admin/ --user staff --at 03:00
  printf %s \"$token\" | maint check / --token-stdin
  maint check --live https://shop.example.com/ --expect on
  maint check --live https://shop.example.com/ --via 10.0.0.5,10.0.0.6")]
pub(crate) struct Check {
    /// The path as it is sent, or a whole URL; with --live, URLs
    #[arg(value_name = "PATH", value_hint = ValueHint::Url, required_unless_present = "live")]
    pub(crate) paths: Vec<String>,
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    /// The method
    #[arg(long, value_name = "METHOD", default_value = "GET", add = ArgValueCandidates::new(complete::methods))]
    pub(crate) method: String,
    /// The host in the request
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// The address that connects; a proxy adds its field by --header
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Option<String>,
    /// Who is logged in [default: unknown, as where the app does not say]
    #[arg(long, value_name = "CLASS")]
    pub(crate) user: Option<CheckUser>,
    /// A header field with its value: 'X-Probe: blue'
    #[arg(long, value_name = "HEADER", num_args = 1, action = ArgAction::Append)]
    pub(crate) header: Vec<String>,
    /// Read a bypass token from standard input
    #[arg(long)]
    pub(crate) token_stdin: bool,
    /// Decide as of this time [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LiveArgs {
    /// Ask the real site, and say what answers: app, page, stale copy, other error
    #[arg(
        long,
        conflicts_with_all = ["method", "host", "ip", "user", "header", "token_stdin", "at"],
        display_order = 100
    )]
    pub(crate) live: bool,
    /// What should answer [default: as the state of the site says]
    #[arg(long, value_name = "STATE", requires = "live", display_order = 101)]
    pub(crate) expect: Option<LiveExpected>,
    /// Connect here instead, to ask one host behind a balancer; repeat for more
    #[arg(
        long, value_name = "ADDRESS", requires = "live", num_args = 1, value_delimiter = ',',
        action = ArgAction::Append, value_hint = ValueHint::Hostname, display_order = 102
    )]
    pub(crate) via: Vec<String>,
    /// How long each request may take
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        requires = "live",
        display_order = 103
    )]
    pub(crate) timeout: String,
    /// Check servers against the certificates in this file, not those of the system
    #[arg(
        long, value_name = "FILE", requires = "live", value_hint = ValueHint::FilePath,
        display_order = 104
    )]
    pub(crate) ca: Option<PathBuf>,
    /// Accept any certificate
    #[arg(long, requires = "live", conflicts_with = "ca", display_order = 105)]
    pub(crate) insecure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LiveExpected {
    /// The page
    On,
    /// The app
    Off,
}

/// Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckUser {
    /// Nobody is logged in
    Anonymous,
    /// A user like any other
    Authenticated,
    /// A user with access to the admin site
    Staff,
    /// A user with every permission
    Superuser,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ignore {
    /// Add a rule, and show whom it lets in
    Add(IgnoreAdd),
    /// List the rules
    List,
    /// Remove a rule
    Remove(IgnoreRemove),
    /// Remove every rule, or every rule of a kind
    Clear(IgnoreClear),
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  maint ignore add path /health --note 'load balancer'
  maint ignore add path '/static/**'
  maint ignore add ip 203.0.113.7 --for 2h
  maint ignore add ip --for 2h
  maint ignore add host staging.example.com
  maint ignore add user staff
  maint ignore add header 'X-Probe: blue'")]
pub(crate) struct IgnoreAdd {
    /// What the rule looks at
    #[arg(value_name = "KIND")]
    pub(crate) kind: RuleKind,
    /// What it looks for [default for `ip`: the address that this SSH session comes from]
    #[arg(value_name = "VALUE", required_if_eq_any = [
        ("kind", "path"), ("kind", "method"), ("kind", "host"), ("kind", "user"), ("kind", "header"),
    ], allow_hyphen_values = true, add = ArgValueCandidates::new(complete::rule_values))]
    pub(crate) value: Option<String>,
    /// Why the rule exists
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) expiry: Expiry,
    /// Accept a rule that lets everyone through
    #[arg(long)]
    pub(crate) yes_everything: bool,
    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuleKind {
    /// The path: /health, '/static/**', '/api/*/status', 're:/v[0-9]+/.*'
    Path,
    /// The client's address or network: 203.0.113.7, 10.0.0.0/8
    Ip,
    /// The request method: GET
    Method,
    /// The host: example.com, '*.example.com'
    Host,
    /// The class of the user: anonymous, authenticated, staff, superuser
    User,
    /// A header field with its value: 'X-Probe: blue'
    Header,
}

impl From<RuleKind> for Kind {
    fn from(kind: RuleKind) -> Self {
        match kind {
            RuleKind::Path => Self::Path,
            RuleKind::Ip => Self::Ip,
            RuleKind::Method => Self::Method,
            RuleKind::Host => Self::Host,
            RuleKind::User => Self::User,
            RuleKind::Header => Self::Header,
        }
    }
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Expiry {
    /// How long it lasts: 90s, 30m, 1h30m
    #[arg(long = "for", id = "duration", value_name = "DURATION", conflicts_with = "until")]
    pub(crate) duration: Option<String>,
    /// When it ends
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  maint ignore remove r7
  maint ignore remove /health
  maint ignore remove ip 203.0.113.7")]
pub(crate) struct IgnoreRemove {
    /// Its id or its value, as `maint ignore list` shows them, or its kind and its value
    #[arg(value_name = "RULE", required = true, num_args = 1..=2, add = ArgValueCandidates::new(complete::rules))]
    pub(crate) rule: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct IgnoreClear {
    /// Only rules of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<RuleKind>,
    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Flag {
    /// Declare a flag, and bring it in step at once
    Add(Box<FlagAdd>),
    /// List the flags: wanted, found, in step or not, what each cannot carry
    List,
    /// Show one flag with all that was written for it
    Show(FlagShow),
    /// Bring flags in step now; exit 10 if one does not follow
    Sync(FlagSync),
    /// Clear a flag, remove what was written for it, and forget it
    Remove(FlagRemove),
    /// Show what each kind is, and what it carries
    Kinds,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
A flag is a file for software that knows nothing of maint and looks at it. Every
change of the site's state brings its flags in step: pages and addresses first,
the flag last, and in the opposite order when the site comes back. It stops
every request, or those of --host and --path; it is set while one open window
covers all of them. What is there and was made by somebody else is neither
replaced nor removed.

`maint flag kinds` shows what each kind carries, and docs/flags.md how to set
each up.

Examples:
  maint flag add web /srv/shop/maintenance
  maint flag add wordpress /var/www/shop --host shop.example.com
  maint flag add django-maintenance-mode maintenance_mode_state.txt --times
  maint flag add haproxy /run/haproxy/admin.sock \\
      --map /etc/haproxy/maint.map --key shop
  maint flag add exec --id cloud --on 'occ maintenance:mode --on' \\
      --off 'occ maintenance:mode --off' \\
      --check 'occ maintenance:mode | grep -q enabled'")]
pub(crate) struct FlagAdd {
    /// Which software obeys it, as `maint flag kinds` lists them
    #[arg(value_name = "KIND", add = ArgValueCandidates::new(complete::flag_kinds))]
    pub(crate) kind: String,
    /// Where it is; `maint flag kinds` says what it names
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) place: Option<PathBuf>,
    /// What it is called here [default: the kind]
    #[arg(long, value_name = "ID", display_order = 1)]
    pub(crate) id: Option<String>,
    /// It stops requests for these hosts alone
    #[arg(long, value_name = "HOST", num_args = 1, action = ArgAction::Append, display_order = 2)]
    pub(crate) host: Vec<String>,
    /// It stops requests for these paths alone
    #[arg(long, value_name = "PATTERN", num_args = 1, action = ArgAction::Append, display_order = 3)]
    pub(crate) path: Vec<String>,
    /// Replace what somebody else made
    #[arg(long, display_order = 4)]
    pub(crate) take_over: bool,
    #[command(flatten)]
    pub(crate) options: FlagOptions,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Options of some kinds", globals_last())]
pub(crate) struct FlagOptions {
    /// exec: take the software down
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString, display_order = 20)]
    pub(crate) on: Option<String>,
    /// exec: bring it back
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString, display_order = 21)]
    pub(crate) off: Option<String>,
    /// exec: exit 0 while it is down, 1 while it is up
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString, display_order = 22)]
    pub(crate) check: Option<String>,
    /// exec: how long a command may take [default: 30s]
    #[arg(long, value_name = "DURATION", display_order = 23)]
    pub(crate) timeout: Option<String>,
    /// haproxy: the map file, as its configuration names it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, display_order = 24)]
    pub(crate) map: Option<PathBuf>,
    /// haproxy: the key in the map
    #[arg(long, value_name = "KEY", display_order = 25)]
    pub(crate) key: Option<String>,
    /// haproxy: a server to take out of service
    #[arg(long, value_name = "BACKEND/SERVER", num_args = 1, action = ArgAction::Append, display_order = 26)]
    pub(crate) server: Vec<String>,
    /// django-maintenance-mode: write the times as well, for version 0.23 and later
    #[arg(long, display_order = 27)]
    pub(crate) times: bool,
}

impl FlagOptions {
    /// The same as the library has them.
    pub(crate) fn options(&self) -> maint::Result<maint::flags::Options> {
        let seconds = |text: &String| {
            let seconds = parse_duration(text)?.as_secs();
            u32::try_from(seconds).ok().filter(|&seconds| seconds > 0).ok_or_else(|| {
                Error::invalid(format!("`{text}` is no time that a command may take"))
            })
        };
        let mut options = maint::flags::Options::default();
        options.on.clone_from(&self.on);
        options.off.clone_from(&self.off);
        options.check.clone_from(&self.check);
        options.timeout = self.timeout.as_ref().map(seconds).transpose()?;
        options.map.clone_from(&self.map);
        options.key.clone_from(&self.key);
        options.servers.clone_from(&self.server);
        options.times = self.times;
        Ok(options)
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Flags follow each change by themselves. The agent is for what nobody changes: a
window that begins or ends by the clock, and a flag that others removed or
replaced. It reports what it does on standard error, and ends with SIGTERM. It
tells systemd that it is ready and alive; contrib/systemd/ has the units, and a
timer for `maint flag sync` in its place.

Exits with 5 if an agent of this site runs already.

Examples:
  maint agent
  maint agent status")]
pub(crate) struct Agent {
    /// The name of this host in its fleet [default: the system's]
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<AgentCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Show whether an agent runs, and what it did last; exit 1 if none does
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Show what the engine holds of this site, and what is risky
    Show,
    /// Follow no engine any more; what is down stays so, on this host
    Leave,
    /// Print the state and templates of the fleet, or of a site, as JSON
    Export,
    /// Put an exported state, or that of this host, into the engine
    Import(StoreImport),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StoreImport {
    /// What `maint store export` wrote; - reads standard input [default: what this host has]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Replace what the engine holds, on every host
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FlagShow {
    /// Its id, as `maint flag list` shows it
    #[arg(value_name = "ID", add = ArgValueCandidates::new(complete::flags))]
    pub(crate) id: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FlagSync {
    /// Their ids, as `maint flag list` shows them [default: all]
    #[arg(value_name = "ID", add = ArgValueCandidates::new(complete::flags))]
    pub(crate) ids: Vec<String>,
    /// Replace or remove what somebody else made
    #[arg(long)]
    pub(crate) take_over: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FlagRemove {
    /// Its id, as `maint flag list` shows it
    #[arg(value_name = "ID", add = ArgValueCandidates::new(complete::flags))]
    pub(crate) id: String,
    /// Forget it though it cannot be cleared
    #[arg(long)]
    pub(crate) forget: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
It answers nginx at /auth and /page, Caddy and Traefik at /forward-auth, and Envoy at
/ext-authz; `maint snippet nginx --endpoint ADDRESS` prints what to paste. Monitors ask
/status, /metrics, /livez and /readyz. docs/endpoint.md has each field and code.

It believes what it is told of a request, so only the proxy may reach it: a Unix
socket, which gets the mode 0660, or a port of this machine. Started by systemd with
a socket, it takes that one.

SIGTERM lets go: what was asked is answered, and nothing new is taken.

Examples:
  maint serve --listen unix:/run/maint/serve.sock --owner :www-data
  maint serve --listen 127.0.0.1:8504 --user-field Remote-User
  maint serve --listen 127.0.0.1:8504 shop=/srv/shop/.maint blog=/srv/blog/.maint
  maint serve --listen 127.0.0.1:8504 --agent-check 127.0.0.1:8505")]
pub(crate) struct Serve {
    /// Several sites, told apart by path (/NAME/auth) or by the host that is asked for
    #[arg(value_name = "NAME=DIR", value_hint = ValueHint::DirPath)]
    pub(crate) sites: Vec<PathBuf>,
    /// Where to listen: unix:PATH or ADDRESS:PORT [default: the socket of systemd, or 127.0.0.1:8504]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,
    /// Answer HAProxy's agent-check there, for the site of this name
    #[arg(long, value_name = "[NAME=]ADDRESS")]
    pub(crate) agent_check: Vec<String>,
    /// Let HAProxy drain connections in place of ending them
    #[arg(long, requires = "agent_check")]
    pub(crate) drain: bool,
    /// The mode of a Unix socket
    #[arg(long, value_name = "MODE", default_value = "0660")]
    pub(crate) mode: String,
    /// The owner of a Unix socket: USER, USER:GROUP or :GROUP
    #[arg(long, value_name = "OWNER")]
    pub(crate) owner: Option<String>,
    /// How many threads answer
    #[arg(
        long, value_name = "NUMBER", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=256),
    )]
    pub(crate) workers: u16,
    /// The field by which the proxy tells who is logged in, such as Remote-User
    #[arg(long, value_name = "FIELD")]
    pub(crate) user_field: Option<String>,
    /// The field with the user's groups, such as Remote-Groups
    #[arg(long, value_name = "FIELD", requires = "user_field")]
    pub(crate) groups_field: Option<String>,
    /// A group whose members are staff
    #[arg(long, value_name = "GROUP", requires = "groups_field")]
    pub(crate) staff_group: Vec<String>,
    /// A group whose members are superusers
    #[arg(long, value_name = "GROUP", requires = "groups_field")]
    pub(crate) superuser_group: Vec<String>,
    /// Listen at an address that other machines reach: whoever does can ask as anybody
    #[arg(long)]
    pub(crate) yes_public: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bypass {
    /// Make a token and print it, this once
    New(BypassNew),
    /// List the tokens; the secrets themselves are not stored
    List,
    /// Revoke a token
    Revoke(BypassRevoke),
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  maint bypass new --note ann --for 2h
  maint bypass new --url https://shop.example.com/cart")]
pub(crate) struct BypassNew {
    /// Who it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) expiry: Expiry,
    /// Keep it after the maintenance; otherwise it goes with the last window
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print the whole link to this page of the site: https://shop.example.com/cart
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) url: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct BypassRevoke {
    /// Its id, as `maint bypass list` shows it
    #[arg(value_name = "ID", add = ArgValueCandidates::new(complete::tokens))]
    pub(crate) id: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Template {
    /// List the templates
    List,
    /// Print the source of a template
    Show(TemplateShow),
    /// Add a template: a file, standard input or a copy of the built-in page
    Add(TemplateAdd),
    /// Edit a template with $VISUAL or $EDITOR
    Edit(TemplateEdit),
    /// Remove a template
    Remove(TemplateRemove),
    /// Make a template the page of the site
    Use(TemplateUse),
    /// Print the page as visitors would get it
    Render(TemplateRender),
    /// Show the page in a browser while you edit it, in every format
    Preview(TemplatePreview),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TemplateShow {
    /// The template
    #[arg(value_name = "NAME", required_unless_present = "builtin", conflicts_with = "builtin", add = ArgValueCandidates::new(complete::templates))]
    pub(crate) name: Option<String>,
    /// Show the built-in page
    #[arg(long)]
    pub(crate) builtin: bool,
    /// The format [default: the only one; html for the built-in page]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<TemplateFormat>,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
It is rendered first, and refused if that fails. It can build on the other templates
by `extends` and `include`.

Examples:
  maint template add sorry --builtin
  maint template add sorry page.html
  maint template add sorry --format txt <<< 'Back soon. {{ reason }}'")]
pub(crate) struct TemplateAdd {
    /// The template: letters, digits, `_` and `-`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The file to read; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Start from a copy of the built-in page
    #[arg(long, conflicts_with = "file")]
    pub(crate) builtin: bool,
    /// The format [default: the file's extension, else html]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<TemplateFormat>,
    /// Replace the template if it exists
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TemplateEdit {
    /// The template
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::templates))]
    pub(crate) name: String,
    /// The format [default: the only one]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<TemplateFormat>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TemplateRemove {
    /// The template
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(complete::templates))]
    pub(crate) name: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TemplateUse {
    /// The template
    #[arg(value_name = "NAME", required_unless_present = "builtin", conflicts_with = "builtin", add = ArgValueCandidates::new(complete::templates))]
    pub(crate) name: Option<String>,
    /// Go back to the built-in page
    #[arg(long)]
    pub(crate) builtin: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
It shows the window that is open, or a made-up one. Standard error says what the
page was made from.

Examples:
  maint template render > page.html
  maint template render sorry --format json
  maint template render --builtin --window nightly")]
pub(crate) struct TemplateRender {
    #[command(flatten)]
    pub(crate) which: WhichTemplate,
    /// The format
    #[arg(long, value_name = "FORMAT", default_value = "html")]
    pub(crate) format: TemplateFormat,
    /// The window to show [default: the one that is open]
    #[arg(long, value_name = "WINDOW", add = ArgValueCandidates::new(complete::windows))]
    pub(crate) window: Option<String>,
    #[command(flatten)]
    pub(crate) language: AskedLanguage,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct AskedLanguage {
    /// The language that the visitor asks for: de, pt-br [default: that of the site]
    #[arg(long, value_name = "TAG", value_parser = parse_language, add = ArgValueCandidates::new(complete::languages))]
    pub(crate) language: Option<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Serves this machine alone, until Ctrl-C. The templates are read again at each
request, so edit, save and reload; an error is shown in place of the page. It changes
nothing and opens no window.

Examples:
  maint template preview
  maint template preview sorry --port 9000
  maint template preview sorry --static public")]
pub(crate) struct TemplatePreview {
    #[command(flatten)]
    pub(crate) which: WhichTemplate,
    /// The port; 0 is any free one [default: 8503, or any free one]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Serve the files below this directory as well: what the site has at /logo.png is DIR/logo.png
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) r#static: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) language: AskedLanguage,
}

#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct WhichTemplate {
    /// The template [default: the one in use]
    #[arg(value_name = "NAME", conflicts_with = "builtin", add = ArgValueCandidates::new(complete::templates))]
    pub(crate) name: Option<String>,
    /// The built-in page
    #[arg(long)]
    pub(crate) builtin: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TemplateFormat {
    /// A page for browsers
    Html,
    /// An answer for API clients (RFC 9457)
    Json,
    /// Plain text
    Txt,
}

impl From<TemplateFormat> for Format {
    fn from(format: TemplateFormat) -> Self {
        match format {
            TemplateFormat::Html => Self::Html,
            TemplateFormat::Json => Self::Json,
            TemplateFormat::Txt => Self::Txt,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Page {
    /// Show what is set
    Show,
    /// Set what is named, and keep the rest
    Set(PageSet),
    /// Take settings away
    Unset(PageUnset),
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Each page of the site says it, in every format: the built-in one, and a template that
shows it. The page is in the visitor's language anyway; --language is for visitors who
ask for none that it speaks, for flags, and says what the messages without a tag are in.

Examples:
  maint page set --contact help@example.com --status-url https://status.example.com/
  maint page set --title 'The shop is moving' --language en")]
pub(crate) struct PageSet {
    /// The title, in place of `Down for maintenance`
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// How visitors reach you: a mail address, a telephone number or a URL
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) contact: Option<String>,
    /// Where visitors read how it goes
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) status_url: Option<String>,
    /// The language of the site: de, pt-br [default: en]
    #[arg(long, value_name = "TAG", value_parser = parse_language, add = ArgValueCandidates::new(complete::languages))]
    pub(crate) language: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PageUnset {
    /// What to take away
    #[arg(value_name = "SETTING", required = true)]
    pub(crate) settings: Vec<PageSetting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageSetting {
    /// The title: the page has its own again
    Title,
    /// How visitors reach you
    Contact,
    /// Where visitors read how it goes
    StatusUrl,
    /// The language of the site: English again
    Language,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Proxy {
    /// Trust the proxies in a network
    Add(ProxyAdd),
    /// List the trusted proxies
    List,
    /// Stop trusting the proxies in a network
    Remove(ProxyRemove),
    /// Stop trusting all proxies
    Clear,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ProxyAdd {
    /// The networks they connect from: 10.0.0.0/8
    #[arg(value_name = "NETWORK", required = true)]
    pub(crate) networks: Vec<String>,
    /// The header field that they set [default: x-forwarded-for]
    #[arg(long, value_name = "NAME")]
    pub(crate) header: Option<Header>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ProxyRemove {
    /// The network, as `maint proxy list` shows it
    #[arg(value_name = "NETWORK", add = ArgValueCandidates::new(complete::proxies))]
    pub(crate) network: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Header {
    /// The usual one
    XForwardedFor,
    /// The one of RFC 7239
    Forwarded,
}

impl From<Header> for ProxyHeader {
    fn from(header: Header) -> Self {
        match header {
            Header::XForwardedFor => Self::XForwardedFor,
            Header::Forwarded => Self::Forwarded,
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
The first lines of each snippet say where it goes, and what it does not do.

Examples:
  maint snippet nginx
  maint snippet haproxy --flag web-2 > /etc/haproxy/maint.lua
  maint snippet systemd
  maint snippet nginx --endpoint unix:/run/maint/serve.sock
  maint snippet caddy --endpoint 127.0.0.1:8504 --user-field Remote-User")]
pub(crate) struct Snippet {
    /// What is to obey
    #[arg(value_name = "SOFTWARE")]
    pub(crate) software: Software,
    /// The flag to obey, as `maint flag list` shows it [default: the only one that fits]
    #[arg(long, value_name = "ID", add = ArgValueCandidates::new(complete::flags))]
    pub(crate) flag: Option<String>,
    /// Ask the endpoint that `maint serve` has there: unix:PATH or ADDRESS:PORT
    #[arg(long, value_name = "ADDRESS", conflicts_with = "flag")]
    pub(crate) endpoint: Option<String>,
    /// The field by which the endpoint is told who is logged in
    #[arg(long, value_name = "FIELD", requires = "endpoint")]
    pub(crate) user_field: Option<String>,
    /// The field with the user's groups
    #[arg(long, value_name = "FIELD", requires = "user_field")]
    pub(crate) groups_field: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Software {
    /// A `server` block
    Nginx,
    /// A virtual host, with mod_rewrite and mod_headers
    Apache,
    /// A site of the Caddyfile
    Caddy,
    /// A file in Lua, and two lines
    Haproxy,
    /// A file in VCL to include
    Varnish,
    /// A file in Lua, and a line
    Lighttpd,
    /// A file of dynamic configuration, and an nginx that it asks
    Traefik,
    /// A drop-in for workers and what timers start
    Systemd,
    /// An nginx in the pod of the app
    Kubernetes,
    /// A filter and a cluster, which ask an endpoint
    Envoy,
}

impl Software {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
            Self::Varnish => "varnish",
            Self::Lighttpd => "lighttpd",
            Self::Traefik => "traefik",
            Self::Systemd => "systemd",
            Self::Kubernetes => "kubernetes",
            Self::Envoy => "envoy",
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Log {
    /// Go on printing changes as they happen
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Print only the last N
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<usize>,
    /// Show renewed leases as well
    #[arg(short, long)]
    pub(crate) all: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
In place of a broken state comes the last known one: the backup with every change that
the history has since. It is refused where the history lacks one, since windows that
were open could be lost.")]
pub(crate) struct Restore {
    /// In place of a broken state take the backup, even if that may open the site
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) dry_run: DryRun,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Doctor {
    /// The user the web server runs as [default: that of `init --web-user`]
    #[arg(long, value_name = "USER", value_hint = ValueHint::Username)]
    pub(crate) web_user: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Path {}

#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
The README has how to load it at each start, and Elvish and PowerShell.

Examples:
  source <(maint completions bash)
  source <(maint completions zsh)
  maint completions fish | source")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Help {
    /// The verb, and the one below it: template add
    #[arg(value_name = "VERB", add = ArgValueCandidates::new(verbs))]
    pub(crate) verbs: Vec<String>,
}

/// The verbs that may follow the words typed so far.
fn verbs() -> Vec<CompletionCandidate> {
    let words = complete::words();
    let after = words.iter().rposition(|word| word == "help").map_or(0, |help| help + 1);
    let mut command = Args::command();
    command.build();
    // The last word is being typed.
    let before = words.get(after..words.len().saturating_sub(1)).unwrap_or_default();
    before
        .iter()
        .try_fold(&command, |command, word| command.find_subcommand(word))
        .into_iter()
        .flat_map(clap::Command::get_subcommands)
        .map(|verb| CompletionCandidate::new(verb.get_name()).help(verb.get_about().cloned()))
        .collect()
}

/// Moves the options of every verb behind those of one. They come first otherwise, since a
/// verb is put together only when it is used.
trait GlobalsLast {
    fn globals_last(self) -> Self;
}

impl GlobalsLast for clap::Command {
    fn globals_last(self) -> Self {
        let globals = self.get_arguments().filter(|arg| arg.is_global_set());
        let ids: Vec<clap::Id> = globals.map(|arg| arg.get_id().clone()).collect();
        ids.iter().fold(self, |command, id| command.mut_arg(id, |arg| arg))
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Man {
    /// The directory to write them to
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: PathBuf,
}
