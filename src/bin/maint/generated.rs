//! Keeps what is generated and committed fresh: completions, man pages, and the
//! help in the README. `make generate` rewrites it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Args;
use crate::{completions, man};

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
    let help = Args::command().render_help().to_string();
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
