//! Keeps what is generated and committed fresh: completions, man pages, and the
//! help in the README. `make generate` rewrites it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_complete::engine::complete;

use crate::args::Args;
use crate::{completions, man};

/// Of a terminal as it opens.
const WIDTH: usize = 80;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a directory with what belongs there, both ways.
#[expect(clippy::disallowed_methods, reason = "rewrites files of the repository, not a state")]
fn assert_fresh(directory: &Path, wanted: &BTreeMap<String, Vec<u8>>) {
    if std::env::var_os("MAINT_REGENERATE").is_some() {
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).unwrap();
        for (name, bytes) in wanted {
            fs::write(directory.join(name), bytes).unwrap();
        }
    }
    let committed: BTreeMap<String, Vec<u8>> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect();
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(wanted), "in {}; run `make generate`", directory.display());
    for (name, bytes) in wanted {
        assert!(
            committed[name] == *bytes,
            "{}/{name} is stale; run `make generate`",
            directory.display()
        );
    }
}

#[test]
fn the_committed_completions_are_fresh() {
    let files = [
        ("maint.bash", Shell::Bash),
        ("_maint", Shell::Zsh),
        ("maint.fish", Shell::Fish),
        ("maint.elv", Shell::Elvish),
        ("_maint.ps1", Shell::PowerShell),
    ];
    let wanted = files
        .into_iter()
        .map(|(name, shell)| (name.to_owned(), completions::script(shell).unwrap().into_bytes()))
        .collect();
    assert_fresh(&root().join("completions"), &wanted);
}

#[test]
fn the_committed_man_pages_are_fresh() {
    assert_fresh(&root().join("man"), &man::pages().unwrap().into_iter().collect());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "rewrites a file of the repository, not a state")]
fn the_help_in_the_readme_is_fresh() {
    let help = Args::command().term_width(WIDTH).render_help().to_string();
    let help: String = help.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- help -->\n```text\n", "```\n<!-- /help -->");
    let (before, rest) = readme.split_once(begin).expect("the README has a place for the help");
    let (old, after) = rest.split_once(end).expect("the place for the help ends");
    if std::env::var_os("MAINT_REGENERATE").is_some() {
        fs::write(&path, format!("{before}{begin}{help}{end}{after}")).unwrap();
    } else {
        assert!(old == help, "the help in README.md is stale; run `make generate`");
    }
}

#[test]
fn every_definition_of_the_command_line_is_sound() {
    Args::command().debug_assert();
}

/// Every verb as the command has it in the end, with its words: `template`, `add`.
fn verbs() -> Vec<(Vec<String>, Command)> {
    fn collect(command: &Command, words: &[String], verbs: &mut Vec<(Vec<String>, Command)>) {
        for verb in command.get_subcommands() {
            let words = [words, &[verb.get_name().to_owned()]].concat();
            collect(verb, &words, verbs);
            verbs.push((words, verb.clone()));
        }
    }
    let mut command = Args::command().term_width(WIDTH);
    command.build();
    let mut verbs = Vec::new();
    collect(&command, &[], &mut verbs);
    assert!(verbs.len() > 30, "{}", verbs.len());
    verbs
}

fn about(command: &Command) -> String {
    command.get_about().unwrap().to_string()
}

#[test]
fn every_verb_describes_itself_as_the_list_of_verbs_does_wherever_it_is_generated() {
    // As they are written down, before any of them is put together.
    let list = Args::command();
    let pages: BTreeMap<String, String> = man::pages()
        .unwrap()
        .into_iter()
        .map(|(name, page)| (name, String::from_utf8(page).unwrap().replace('\\', "")))
        .collect();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (words, mut verb) in verbs() {
        let (name, groups) = words.split_last().unwrap();
        let wanted = match groups {
            [] => about(list.find_subcommand(name).unwrap()),
            _ => about(&verb),
        };
        assert_eq!(about(&verb), wanted, "{words:?} once it is put together");
        for help in [verb.render_help(), verb.render_long_help()] {
            assert_eq!(help.to_string().lines().next(), Some(wanted.as_str()), "{words:?}");
        }

        let page = &pages[&format!("maint-{}.1", words.join("-"))];
        let title = format!(".SH NAME\nmaint-{} - {wanted}\n", words.join("-"));
        assert!(page.contains(&title.replace('\'', "*(Aq")), "{words:?}: {title}");
        let above = [&["maint".to_owned()], groups].concat().join("-");
        let entry = format!("\n{above}-{name}(1)\n{wanted}\n").replace('\'', "*(Aq");
        assert!(pages[&format!("{above}.1")].contains(&entry), "{words:?}: {entry}");

        let typed = [&["maint".to_owned()], words.as_slice()].concat();
        let typed: Vec<_> = typed.into_iter().map(Into::into).collect();
        let position = typed.len() - 1;
        let offered = complete(&mut Args::command(), typed, position, None).unwrap();
        let offered = offered.iter().find(|candidate| candidate.get_value() == name.as_str());
        let help = offered.and_then(|candidate| candidate.get_help()).map(ToString::to_string);
        assert_eq!(help.as_ref(), Some(&wanted), "{words:?} in completion");

        if groups.is_empty() {
            assert!(readme.contains(&format!("\n  {name:<11}  {wanted}\n")), "{words:?}");
        }
    }
}

#[test]
fn at_80_columns_help_is_no_wider_and_each_verb_takes_one_line_of_it() {
    let mut command = Args::command().term_width(WIDTH);
    command.build();
    for (words, mut verb) in [(vec![], command)].into_iter().chain(verbs()) {
        for help in [verb.render_help(), verb.render_long_help()] {
            for line in help.to_string().lines() {
                assert!(line.chars().count() <= WIDTH, "{words:?}: {line}");
            }
        }
        let help = verb.render_help().to_string();
        for below in verb.get_subcommands() {
            let is_whole = |line: &str| line.ends_with(&format!("  {}", about(below)));
            assert!(help.lines().any(is_whole), "{words:?} {}:\n{help}", below.get_name());
        }
    }
}

#[test]
fn the_options_of_every_verb_come_behind_its_own() {
    let count = Args::command().get_arguments().filter(|arg| arg.is_global_set()).count();
    for (words, mut verb) in verbs() {
        let help = verb.render_help().to_string();
        let (_, last) = help.split_once("\nGlobal options:\n").expect("there is such a heading");
        let options = last.lines().filter(|line| line.trim_start().starts_with('-')).count();
        assert_eq!(options, count, "{words:?}: {last}");
        assert!(last.lines().all(|line| line.starts_with("  ")), "{words:?}: {last}");
    }
}
