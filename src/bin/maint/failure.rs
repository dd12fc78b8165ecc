//! Errors as they are printed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, Parser as _};
use maint::Error;
use maint::SiteProblem;
use maint::internal::rules::network;
use maint::internal::visible::visible;
use maint::internal::{owner_of, word};
use serde_json::json;

use crate::args::Args;
use crate::clock::Clock;
use crate::exit::{self, Exit};
use crate::output::{Output, OutputFailed};
use crate::text::{RED, Show, TIP, Text, lossy, paint, say};

/// What somebody typed is kept in a file, since it was refused.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) path: PathBuf,
    /// The words after `maint` that take it from there.
    pub(crate) again: String,
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "your text is kept in `{}`", self.path.display())
    }
}

/// What failed, on one line.
pub(crate) fn mistake<T: Show + ?Sized>(message: &T) -> Text {
    say!("{} {}", paint(RED, "maint:"), message.show())
}

/// One thing to run or read, on one line.
pub(crate) fn tip<T: Show + ?Sized>(hint: &T) -> Text {
    say!("{} {}", paint(TIP, "hint:"), hint.show())
}

/// Prints an error with at most one hint, and says how to exit.
/// Programs read times in UTC, people in their time zone.
pub(crate) fn report(error: &anyhow::Error, output: &Output, clock: &Clock) -> Exit {
    let (exit, code, path, errno, hint) = match error.downcast_ref::<Error>() {
        Some(known) => {
            (exit::of(known), known.kind().as_str(), known.path(), known.errno(), hint(known))
        }
        None if error.is::<OutputFailed>() => (Exit::Output, "output", None, None, None),
        None => (Exit::NotApplied, "not_applied", None, None, None),
    };
    let kept = error.downcast_ref::<Kept>();
    let message = match error.downcast_ref::<Error>() {
        // It names its cause already.
        Some(known) => known.to_string(),
        // The first is what was kept.
        None => error
            .chain()
            .skip(usize::from(kept.is_some()))
            .map(plain)
            .collect::<Vec<_>>()
            .join(": "),
    };
    if output.is_json() {
        let mut object = json!({ "error": {
            "code": code,
            "exit": exit.code(),
            "message": message,
            "path": path.map(Path::to_string_lossy),
            "errno": errno,
            "hint": hint,
        }});
        if let Some(kept) = kept {
            object["error"]["kept"] = json!(lossy(&kept.path));
        }
        output.error_object(&object);
    } else {
        output.error_line(mistake(&clock.in_words(&message)));
        if let Some(hint) = hint {
            output.error_line(tip(&hint));
        }
        if let Some(kept) = kept {
            output.error_line(say!("{}", kept));
            output.error_line(say!("change it there, then: maint {}", kept.again));
        }
    }
    exit
}

/// A cause in the style of this project: without Rust's `(os error N)`.
fn plain(cause: &(dyn std::error::Error + 'static)) -> String {
    match cause.downcast_ref::<io::Error>() {
        Some(cause) => maint::internal::describe(cause),
        None => cause.to_string(),
    }
}

/// Prints a bug of ours, as the standard library would, with what it names made visible.
pub(crate) fn panicked(bug: &std::panic::PanicHookInfo<'_>) {
    let output = Output::unparsed();
    output.error_line(say!("{} a bug, please report it: {}", paint(RED, "maint:"), bug));
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        output.error_line(Text::lines(&trace.to_string()));
    }
}

/// What people type who know such a command from elsewhere, and what is meant.
const MEANT: [(&str, &str); 5] = [
    ("up", "`maint off` brings the site up"),
    ("down", "`maint on` takes the site down"),
    ("enable", "`maint on` takes the site down"),
    ("disable", "`maint off` brings the site up"),
    ("list", "`maint status` lists the windows, `maint ignore list` the rules"),
];

/// What clap says of these words, in which it repeats some of them. It says it of their
/// visible form, since its own styles are escapes too.
pub(crate) fn of_visible(words: &[OsString], error: clap::Error) -> clap::Error {
    let texts = words.iter().map(|word| word.to_string_lossy());
    let shown: Vec<String> = texts.map(|text| visible(&text).into_owned()).collect();
    if shown.iter().zip(words).all(|(shown, word)| OsStr::new(shown) == word) {
        return error;
    }
    match Args::try_parse_from(shown) {
        Err(said) if said.kind() == error.kind() => said,
        // The words that make the difference are the ones that cannot be shown.
        _ => clap::Error::new(error.kind()).with_cmd(&Args::command()),
    }
}

/// Prints what clap says. Help and version are answers; the rest is wrong usage, in JSON if
/// that was asked for. It is said of visible words alone: see [`of_visible`].
pub(crate) fn usage(mut error: clap::Error) -> Exit {
    let is_answer = !error.use_stderr();
    if let Some(tip) = meant(&error) {
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    if let Some(tip) = meant_kind(&error) {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    let output = Output::unparsed();
    let text = error.render();
    if is_answer {
        return output.text(&Text::clap(&text)).map_or(Exit::Output, |_| Exit::Done);
    }
    if !output.is_json() {
        output.error_line(Text::clap(&text).trim_end());
        return Exit::Usage;
    }
    let text = text.to_string();
    let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let tips: Vec<&str> =
        text.lines().filter_map(|line| line.trim_start().strip_prefix("tip: ")).collect();
    let hint = if tips.is_empty() { "see `maint --help`".to_owned() } else { tips.join("; ") };
    let object = json!({ "error": {
        "code": "usage", "exit": Exit::Usage.code(), "message": message,
        "path": null, "errno": null, "hint": hint,
    }});
    output.error_object(&object);
    Exit::Usage
}

/// The verb that was meant, if an unknown one stands where a verb of `maint` itself does.
fn meant(error: &clap::Error) -> Option<&'static str> {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let usage = error.get(ContextKind::Usage)?.to_string();
    if !usage.contains("maint [") {
        return None;
    }
    MEANT.iter().find(|(word, _)| word == typed).map(|(_, tip)| *tip)
}

/// The kind of rule that was meant, if its value stands in its place.
fn meant_kind(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidValue) else {
        return None;
    };
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) if arg.contains("<KIND>") => {}
        _ => return None,
    }
    let is_address = || typed.parse::<IpAddr>().is_ok() || network::parse(typed).is_ok();
    let kind = match typed.as_str() {
        path if path.starts_with('/') => "path",
        _ if is_address() => "ip",
        _ => return None,
    };
    Some(format!("did you mean `{kind}`? `maint ignore add {kind} {}`", word(typed)))
}

/// One thing to run or read.
fn hint(error: &Error) -> Option<String> {
    match error {
        Error::Invalid { hint, .. }
        | Error::Refused { hint, .. }
        | Error::NotListening { hint, .. }
        | Error::Store { hint: hint @ Some(_), .. }
        | Error::Store { hint, is_away: false, .. }
        | Error::Conflict { hint: hint @ Some(_), .. } => hint.clone(),
        Error::Store { .. } => Some(
            "on a host of the fleet, `maint on --local` and `maint off --local` act there alone"
                .to_owned(),
        ),
        Error::Unconfirmed { is_root: true, .. } => Some(
            "for the home page add `--yes-everything`; for a part of the site write `/part/**`"
                .to_owned(),
        ),
        Error::Unconfirmed { .. } => Some("if that is meant, add `--yes-everything`".to_owned()),
        Error::TemplateExists { .. } => {
            Some("to change it: `maint template edit`; to replace it: `--replace`".to_owned())
        }
        Error::TemplateInUse { window: None, .. } => Some(
            "first use another: `maint template use NAME`, or `maint template use --builtin`"
                .to_owned(),
        ),
        Error::NotASite { path, problem } => in_place_of_a_site(path, problem),
        Error::Unknown { kind: "kind of flag", name, .. } => Some(kind_of_flag(name)),
        Error::Unknown { known, .. } => Some(match known.as_slice() {
            [] => "there is none".to_owned(),
            [only] => format!("there is only `{only}`"),
            many => format!("there are {}", some_of(many)),
        }),
        Error::NoSite { .. } => {
            Some("run `maint init` in the project, or name a site with `--site`".to_owned())
        }
        Error::Untrusted { path, .. } => {
            Some(format!("if you mean it, name it: `--site {}`", path.display()))
        }
        Error::NotMade { path, source } => Some(in_another_place(path, source)),
        Error::Io { path, source, .. } | Error::Unreadable { path, source } => {
            by_cause(path, source)
        }
        Error::Busy { .. } => Some("try again, or wait longer: `--wait 60s`".to_owned()),
        Error::LockUnsupported { .. } => Some(
            "put the site on a local file system; `--no-lock` is safe if nobody else writes to it"
                .to_owned(),
        ),
        Error::Conflict { .. } => Some("look at `maint status`, then decide again".to_owned()),
        Error::Unsynced { .. } => {
            Some("the change is in force; look at the disk before you rely on it".to_owned())
        }
        Error::Corrupt { path, .. } if path.ends_with("flags.json") => {
            Some("mend it by hand, or remove it and declare the flags again".to_owned())
        }
        Error::Corrupt { .. } => Some(
            "`maint doctor` shows more; `maint restore` brings back the last known state"
                .to_owned(),
        ),
        Error::LastUnknown { .. } => Some(
            "see `maint restore --yes --dry-run`; `--yes` takes the backup, even if that opens \
             the site"
                .to_owned(),
        ),
        Error::Newer { .. } => Some("install the newer maint on this host too".to_owned()),
        _ => None,
    }
}

/// What to declare for software that is no kind itself.
fn kind_of_flag(name: &str) -> String {
    if ["nginx", "apache", "caddy", "varnish", "lighttpd", "traefik"].contains(&name) {
        return format!("{name} obeys a flag of the kind `web`; then: `maint snippet {name}`");
    }
    "`maint flag kinds` lists them".to_owned()
}

fn in_place_of_a_site(path: &Path, problem: &SiteProblem) -> Option<String> {
    let path = path.display();
    match problem {
        SiteProblem::Missing => Some(format!("to make a site there: `maint --site {path} init`")),
        SiteProblem::MissingBehind(link) => Some(format!("`{}` is a link into it", link.display())),
        SiteProblem::Holds(site) => Some(format!("it has a site: `--site {}`", site.display())),
        SiteProblem::OtherFiles => Some(format!("to make a site in it: `maint init {path}`")),
        _ => None,
    }
}

/// Where a site can be made, if it cannot be made in the project.
fn in_another_place(path: &Path, source: &io::Error) -> String {
    let elsewhere = "name a directory that can be written, for the app as well: `MAINT_SITE=DIR`";
    if source.kind() == io::ErrorKind::PermissionDenied
        && let Some((_, for_sudo)) = path.parent().and_then(owner_of)
    {
        return format!("run it as `sudo -u {for_sudo} maint …`, or {elsewhere}");
    }
    elsewhere.to_owned()
}

fn by_cause(path: &Path, source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            let directory = if path.is_dir() { path } else { path.parent()? };
            let (owner, for_sudo) = owner_of(directory)?;
            Some(format!(
                "`{}` belongs to `{owner}`; try `sudo -u {for_sudo} maint …`",
                directory.display()
            ))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("make room, then run it again; the state is unchanged".to_owned())
        }
        io::ErrorKind::ReadOnlyFilesystem => Some(
            "the file system is mounted read-only; run this where it can be written".to_owned(),
        ),
        io::ErrorKind::NotFound => {
            Some("`maint path` shows which site is meant, and why".to_owned())
        }
        _ => None,
    }
}

fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
