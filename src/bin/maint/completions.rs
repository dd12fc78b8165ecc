//! `maint completions`
//!
//! The script that a shell loads asks this very binary at every press of the
//! key, so that it knows the windows, rules and templates of the site.

use anyhow::Result;
use clap_complete::Shell;
use clap_complete::env::EnvCompleter;
use clap_complete::env::{Bash, Elvish, Fish, Powershell, Zsh};
use maint::Error;

use crate::args::Completions;
use crate::complete::VARIABLE;
use crate::exit::Exit;
use crate::session::Session;

pub(crate) fn run(session: &Session, args: &Completions) -> Result<Exit> {
    session.output.content(script(args.shell)?.as_bytes())?;
    Ok(Exit::Done)
}

/// The script for a shell.
pub(crate) fn script(shell: Shell) -> Result<String> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Elvish => &Elvish,
        Shell::PowerShell => &Powershell,
        other => return Err(Error::invalid(format!("there is no completion for `{other}`")).into()),
    };
    let mut text = Vec::new();
    completer.write_registration(VARIABLE, "maint", "maint", "maint", &mut text)?;
    Ok(String::from_utf8(text)?)
}
