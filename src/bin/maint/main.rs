//! The `maint` command: parses, calls the library once, prints, and exits.

/// Everything that is shown goes through the output. These stand before the modules, so that
/// there is no other way: printing past it does not compile. Clippy refuses the streams
/// themselves.
macro_rules! shown_by_the_output_alone {
    ($dollar:tt $($name:ident)*) => {
        $(
            #[allow(unused_macros, reason = "nobody may use it")]
            macro_rules! $name {
                ($dollar($dollar any:tt)*) => {
                    compile_error!("print with `Output`, which makes visible what others wrote")
                };
            }
        )*
    };
}
shown_by_the_output_alone!($ print println eprint eprintln dbg);

mod agent;
mod alter;
mod args;
mod bypass;
mod check;
mod clock;
mod complete;
mod completions;
mod demo;
mod doctor;
mod exit;
mod failure;
mod flag;
mod fleet;
#[cfg(test)]
mod generated;
mod help;
mod http;
mod ignore;
mod init;
mod log;
mod man;
mod manager;
mod off;
mod on;
mod output;
mod page;
mod path;
mod proxy;
mod report;
mod restore;
mod run;
#[cfg_attr(not(feature = "serve"), path = "no_serve.rs")]
mod serve;
mod session;
mod signals;
mod snippet;
mod status;
mod store;
mod template;
mod text;
mod wait;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser as _};

use args::{Args, Command};
use clock::Clock;
use exit::Exit;
use output::Output;
use session::Session;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    signals::fail_writes_instead();
    std::panic::set_hook(Box::new(failure::panicked));
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let here = std::env::current_dir().ok();
    let completed = clap_complete::CompleteEnv::with_factory(Args::command)
        .var(complete::VARIABLE)
        .shells(complete::SHELLS)
        .try_complete(words.clone(), here.as_deref());
    match completed {
        Ok(false) => {}
        Ok(true) => return Exit::Done.into(),
        Err(error) => return failure::usage(failure::of_visible(&words, error)).into(),
    }
    // By whatever name it was called, it is this command.
    if let Some(name) = words.first_mut() {
        *name = "maint".into();
    }
    let args = match Args::try_parse_from(&words) {
        Ok(args) => args,
        Err(error) => return failure::usage(failure::of_visible(&words, error)).into(),
    };
    let output = Output::new(&args.global);
    // Read here and nowhere else: tests fix the clock.
    let clock = match std::env::var("MAINT_NOW").ok().map(|now| now.parse()).transpose() {
        Ok(fixed) => Clock::new(fixed),
        Err(cause) => {
            let error = maint::Error::invalid(format!("`MAINT_NOW` is not a time: {cause}"));
            return failure::report(&error.into(), &output, &Clock::new(None)).into();
        }
    };
    let wrapped = match &args.command {
        Command::Run(run) => run.name_and_command().map_or(0, |(_, command)| command.len()),
        _ => 0,
    };
    let session = Session::new(args.global, output, clock, wrapped);
    match dispatch(&session, &args.command) {
        Ok(exit) => session.exit(exit).into(),
        Err(error) => failure::report(&error, &session.output, &session.clock).into(),
    }
}

fn dispatch(session: &Session, command: &Command) -> Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(session, args),
        Command::Init(args) => init::run(session, args),
        Command::On(args) => on::run(session, args),
        Command::Set(args) => alter::set(session, args),
        Command::Extend(args) => alter::extend(session, args),
        Command::Off(args) => off::run(session, args),
        Command::Status(args) => status::run(session, args),
        Command::Wait(args) => wait::run(session, args),
        Command::Run(args) => run::run(session, args),
        Command::Check(args) => check::run(session, args),
        Command::Ignore(args) => ignore::run(session, args),
        Command::Bypass(args) => bypass::run(session, args),
        Command::Template(args) => template::run(session, args),
        Command::Page(args) => page::run(session, args),
        Command::Proxy(args) => proxy::run(session, args),
        Command::Flag(args) => flag::run(session, args),
        Command::Snippet(args) => snippet::run(session, args),
        Command::Agent(args) => agent::run(session, args),
        Command::Serve(args) => serve::run(session, args),
        Command::Store(args) => store::run(session, args),
        Command::Log(args) => log::run(session, args),
        Command::Restore(args) => restore::run(session, args),
        Command::Doctor(args) => doctor::run(session, args),
        Command::Path(_) => path::run(session),
        Command::Completions(args) => completions::run(session, args),
        Command::Man(args) => man::run(session, args),
        Command::Help(args) => Ok(help::run(args)),
    }
}
