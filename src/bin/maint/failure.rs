//! Errors as they are printed.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use maint::Error;
use maint::SiteProblem;
use maint::internal::owner_of;
use serde_json::json;

use crate::exit::{self, Exit};
use crate::output::{Output, OutputFailed};
use crate::text::printable;

/// Prints an error with at most one hint, and says how to exit.
pub(crate) fn report(error: &anyhow::Error, output: &Output) -> Exit {
    let (exit, code, path, errno, hint) = match error.downcast_ref::<Error>() {
        Some(known) => {
            (exit::of(known), known.kind().as_str(), known.path(), known.errno(), hint(known))
        }
        None if error.is::<OutputFailed>() => (Exit::Output, "output", None, None, None),
        None => (Exit::NotApplied, "not_applied", None, None, None),
    };
    let message = match error.downcast_ref::<Error>() {
        // It names its cause already.
        Some(known) => known.to_string(),
        None => error.chain().map(plain).collect::<Vec<_>>().join(": "),
    };
    if output.is_json() {
        output.error_line(
            &json!({ "error": {
                "code": code,
                "exit": exit.code(),
                "message": message,
                "path": path.map(Path::to_string_lossy),
                "errno": errno,
                "hint": hint,
            }})
            .to_string(),
        );
    } else {
        output.error_line(&format!("maint: {}", printable(&message)));
        if let Some(hint) = hint {
            output.error_line(&format!("hint: {}", printable(&hint)));
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

/// Help and version are answers; anything else is a mistake, in JSON if that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let is_answer = !error.use_stderr();
    if !is_answer && std::env::args_os().any(|arg| arg == "--json") {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let object = json!({ "error": {
            "code": "usage", "exit": Exit::Usage.code(), "message": message,
            "path": null, "errno": null, "hint": "see `maint --help`",
        }});
        eprintln!("{object}");
        return Exit::Usage.into();
    }
    match error.print() {
        Err(cause) if is_answer && cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Exit::Output.into()
        }
        _ if is_answer => Exit::Done.into(),
        _ => Exit::Usage.into(),
    }
}

/// One thing to run or read.
fn hint(error: &Error) -> Option<String> {
    match error {
        Error::Invalid { hint, .. } | Error::Refused { hint, .. } => hint.clone(),
        Error::Unconfirmed { is_root: true, .. } => Some(
            "for the home page add `--yes-everything`; for a part of the site write `/part/**`".to_owned(),
        ),
        Error::Unconfirmed { .. } => Some("if that is meant, add `--yes-everything`".to_owned()),
        Error::TemplateExists { .. } => {
            Some("to change it: `maint template edit`; to replace it: `--replace`".to_owned())
        }
        Error::TemplateInUse { window: None, .. } => Some(
            "first use another: `maint template use NAME`, or `maint template use --builtin`".to_owned(),
        ),
        Error::NotASite { path, problem } => in_place_of_a_site(path, problem),
        Error::Unknown { known, .. } => Some(match known.as_slice() {
            [] => "there is none".to_owned(),
            [only] => format!("there is only `{only}`"),
            many => format!("there are {}", some_of(many)),
        }),
        Error::NoSite { .. } => Some("run `maint init` in the project, or name a site with `--site`".to_owned()),
        Error::Untrusted { path, .. } => Some(format!("if you mean it, name it: `--site {}`", path.display())),
        Error::Io { path, source, .. } | Error::Unreadable { path, source } => by_cause(path, source),
        Error::Busy { .. } => Some("try again, or wait longer: `--wait 60s`".to_owned()),
        Error::LockUnsupported { .. } => Some(
            "put the site on a local file system; if nobody else writes to it, `--no-lock` goes on without".to_owned(),
        ),
        Error::Conflict { .. } => Some("look at `maint status`, then decide again".to_owned()),
        Error::Unsynced { .. } => Some("the change is in force; look at the disk before you rely on it".to_owned()),
        Error::Corrupt { .. } => Some("`maint doctor` tells more; `maint restore` brings back the state before".to_owned()),
        Error::Newer { .. } => Some("install the newer maint on this host too".to_owned()),
        _ => None,
    }
}

fn in_place_of_a_site(path: &Path, problem: &SiteProblem) -> Option<String> {
    let path = path.display();
    match problem {
        SiteProblem::Missing => Some(format!("to make a site there: `maint init {path}`")),
        SiteProblem::MissingBehind(link) => Some(format!("`{}` is a link into it", link.display())),
        SiteProblem::Holds(site) => Some(format!("it has a site: `--site {}`", site.display())),
        SiteProblem::OtherFiles => Some(format!("to make a site in it: `maint init {path}`")),
        _ => None,
    }
}

fn by_cause(path: &Path, source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            let directory = if path.is_dir() { path } else { path.parent()? };
            let owner = owner_of(directory)?;
            Some(format!(
                "`{}` belongs to `{owner}`; try `sudo -u {owner} maint …`",
                directory.display()
            ))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("make room, then run it again; the state is as it was".to_owned())
        }
        io::ErrorKind::ReadOnlyFilesystem => Some(
            "the file system is mounted read-only; run this where it can be written".to_owned(),
        ),
        io::ErrorKind::NotFound => {
            Some("`maint path` tells which site is meant, and why".to_owned())
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
