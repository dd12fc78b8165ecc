//! `maint help`

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};
use maint::internal::visible::visible;

use crate::args::{Args, Help};
use crate::exit::Exit;
use crate::failure;

pub(crate) fn run(args: &Help) -> Exit {
    let verbs: Vec<String> = args.verbs.iter().map(|verb| visible(verb).into_owned()).collect();
    failure::usage(of(&verbs))
}

/// What clap says to `maint VERB… --help`: the help, or that there is no such verb.
fn of(verbs: &[String]) -> clap::Error {
    let mut command = Args::command();
    command.build();
    let mut verb = &command;
    for name in verbs {
        match verb.find_subcommand(name) {
            Some(found) => verb = found,
            // Below `on` there is none, and clap would take the word for an argument of it.
            None if !verb.has_subcommands() => return unknown(verb, name),
            None => break,
        }
    }
    let words = verbs.iter().map(String::as_str);
    let words = ["maint"].into_iter().chain(words).chain(["--help"]);
    Args::try_parse_from(words).expect_err("clap returns help as an error")
}

fn unknown(verb: &clap::Command, name: &str) -> clap::Error {
    let mut error = clap::Error::new(ErrorKind::InvalidSubcommand).with_cmd(verb);
    let usage = ContextValue::StyledStr(verb.clone().render_usage());
    error.insert(ContextKind::InvalidSubcommand, ContextValue::String(name.to_owned()));
    error.insert(ContextKind::Usage, usage);
    error
}
