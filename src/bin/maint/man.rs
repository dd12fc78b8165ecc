//! `maint man`, one page for each verb.

use std::fs;

use anyhow::{Context as _, Result};
use clap::{Command, CommandFactory as _};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};
use maint::Error;
use serde_json::json;

use crate::args::{Args, Man, TIMES};
use crate::exit::{CODES, Exit};
use crate::session::Session;
use crate::text::{lossy, say};

/// The date in the footer: that of the last release, so that pages are the same
/// wherever they are made.
const RELEASED: &str = "2026-11-22";

pub(crate) fn run(session: &Session, args: &Man) -> Result<Exit> {
    if !args.dir.is_dir() {
        return Err(Error::invalid_with(
            format!("`{}` is not a directory", args.dir.display()),
            format!("make it first: `mkdir -p {}`", args.dir.display()),
        )
        .into());
    }
    let mut paths: Vec<String> = Vec::new();
    for (name, page) in pages()? {
        let path = args.dir.join(name);
        write(&path, &page)?;
        paths.push(lossy(&path));
    }
    let text = say!("{} pages written to `{}`\n", paths.len(), args.dir.display());
    session.output.done(&text, &json!({ "written": paths }))?;
    Ok(Exit::Done)
}

#[expect(clippy::disallowed_methods, reason = "a man page is no state")]
fn write(path: &std::path::Path, page: &[u8]) -> Result<()> {
    fs::write(path, page).with_context(|| format!("could not write `{}`", path.display()))
}

/// Every page with its file name.
pub(crate) fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut command = Args::command();
    command.build();
    let mut pages = Vec::new();
    collect(&command, "maint", &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let page = Page::new(command.clone().display_name(name.to_owned()))
        .title(name.to_uppercase())
        .date(RELEASED)
        .source(concat!("maint ", env!("CARGO_PKG_VERSION")))
        .manual("User Commands");
    let verbs: Vec<&Command> =
        command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    // The prose at the end of `--help` belongs to the description, what follows to the examples.
    let more = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let (prose, examples) = more.split_once("Examples:\n").unwrap_or((&more, ""));

    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    paragraphs(prose).to_writer(&mut text)?;
    page.render_options_section(&mut text)?;
    if !verbs.is_empty() {
        page.render_subcommands_section(&mut text)?;
    }
    if !examples.is_empty() {
        literal("EXAMPLES", examples).to_writer(&mut text)?;
    }
    ending(name).to_writer(&mut text)?;
    pages.push((format!("{name}.1"), tidy(&String::from_utf8(text)?).into_bytes()));
    for verb in verbs {
        collect(verb, &format!("{name}-{}", verb.get_name()), pages)?;
    }
    Ok(())
}

fn paragraphs(prose: &str) -> Roff {
    let mut roff = Roff::new();
    for paragraph in prose.trim().split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        roff.control("PP", []);
        roff.text([roman(paragraph.replace('\n', " "))]);
    }
    roff
}

/// A section of lines as they are typed.
fn literal(title: &str, lines: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    roff.control("nf", []);
    for line in lines.lines() {
        roff.text([roman(line.trim())]);
    }
    roff.control("fi", []);
    roff
}

/// What no page of the generator has: exit codes, times, variables, files.
fn ending(name: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in CODES {
        roff.control("TP", ["4"]);
        roff.text([bold(code.to_string())]).text([roman(meaning)]);
    }
    if name != "maint" {
        roff.control("SH", ["SEE ALSO"]);
        roff.control("BR", ["maint", "(1)"]);
        return roff;
    }
    roff.control("SH", ["TIMES"]);
    roff.text([roman(TIMES.replace('\n', " "))]);
    let sections: [(&str, &[(&str, &str)]); 2] = [
        (
            "ENVIRONMENT",
            &[
                ("MAINT_SITE", "The site directory, unless --site is given."),
                ("NO_COLOR", "If it is not empty, no colour is used."),
                (
                    "TZ",
                    "The time zone of local times: a rule, a name or a file. If it is unknown, local times are refused.",
                ),
                ("VISUAL, EDITOR", "The editor that template edit runs."),
                (
                    "HOME, XDG_STATE_HOME",
                    "Where the user's own site is, which is used if there is no other.",
                ),
            ],
        ),
        (
            "FILES",
            &[
                (".maint/state.json", "The state. Replaced whole, readable by everyone."),
                (".maint/state.json.bak", "The state before the last change, for restore."),
                (".maint/lock", "Held by writers. Never delete it."),
                (".maint/history.jsonl", "One line for each change."),
                (".maint/templates/", "The pages of this site."),
            ],
        ),
    ];
    for (title, entries) in sections {
        roff.control("SH", [title]);
        for (term, meaning) in entries {
            roff.control("TP", []);
            roff.text([bold(*term)]).text([roman(*meaning)]);
        }
    }
    roff
}

/// Leaves out what mandoc(1) calls superfluous: breaks beside a space.
fn tidy(text: &str) -> String {
    // Each part begins with the definition of the apostrophe; the first is enough.
    let mut is_defined = false;
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| {
            let is_again = is_defined && (line.starts_with(".ie ") || line.starts_with(".el "));
            is_defined |= line.starts_with(".el ");
            !is_again
        })
        .map(|line| if line.trim().is_empty() { ".sp" } else { line.trim_end() })
        .collect();
    let is_space = |line: Option<&&str>| line.is_some_and(|line| *line == ".sp");
    let mut tidied = String::with_capacity(text.len());
    for (position, line) in lines.iter().enumerate() {
        let beside = is_space(lines.get(position + 1))
            || is_space(position.checked_sub(1).and_then(|before| lines.get(before)));
        if *line != ".br" || !beside {
            tidied += line;
            tidied.push('\n');
        }
    }
    tidied
}
