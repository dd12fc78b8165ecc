//! What the command says of itself, and what it says to words that it does not know.

use serde_json::Value;

use crate::env::TestEnv;

#[test]
fn help_prints_what_the_option_prints() {
    let env = TestEnv::bare();
    assert_eq!(env.ok(&["help"]), env.ok(&["--help"]));
    assert_eq!(env.ok(&["help", "on"]), env.ok(&["on", "--help"]));
    assert_eq!(env.ok(&["help", "template"]), env.ok(&["template", "--help"]));
    assert_eq!(env.ok(&["help", "template", "add"]), env.ok(&["template", "add", "--help"]));
    assert_eq!(env.ok(&["help", "help"]), env.ok(&["help", "--help"]));
}

#[test]
fn help_for_a_verb_that_is_not_there_says_so() {
    let env = TestEnv::bare();
    for (words, named) in [
        (["help", "nonsense"].as_slice(), "'nonsense'"),
        (&["help", "of"], "'off'"),
        (&["help", "template", "ad"], "'add'"),
        (&["help", "on", "deploy"], "'deploy'"),
        (&["help", "template", "add", "x"], "'x'"),
    ] {
        let ran = env.run(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains(named) && ran.stderr.contains("Usage: maint"), "{ran:?}");
    }
}

#[test]
fn the_words_of_other_tools_get_a_tip() {
    let env = TestEnv::bare();
    for (word, verb) in [
        ("up", "`maint off`"),
        ("down", "`maint on`"),
        ("enable", "`maint on`"),
        ("disable", "`maint off`"),
        ("list", "`maint status`"),
    ] {
        for words in [[word].as_slice(), &["help", word], &["--site", ".", word]] {
            let error = env.fails(2, words);
            assert!(error.contains(&format!("tip: {verb}")), "{words:?}: {error}");
            assert!(!error.contains("similar"), "{words:?}: {error}");
        }
        let error: Value = serde_json::from_str(&env.fails(2, &[word, "--json"])).unwrap();
        let hint = error["error"]["hint"].as_str().unwrap();
        assert!(hint.starts_with(verb), "{word}: {error}");
    }
    // There they mean something else.
    assert!(!env.fails(2, &["template", "enable"]).contains("maint on"));
}

#[test]
fn wrong_usage_is_told_whole_in_json() {
    let env = TestEnv::bare();
    for (words, message, hint) in [
        (["wait"].as_slice(), "required arguments were not provided: <STATE>", "see `maint"),
        (&["wait", "maybe"], "'<STATE>' [possible values: on, off]", "see `maint"),
        (&["of"], "unrecognized subcommand 'of'", "a similar subcommand exists: 'off'"),
    ] {
        let words: Vec<&str> = ["--json"].iter().chain(words).copied().collect();
        let error: Value = serde_json::from_str(&env.fails(2, &words)).unwrap();
        let error = &error["error"];
        assert!(error["message"].as_str().unwrap().ends_with(message), "{error}");
        assert!(error["hint"].as_str().unwrap().starts_with(hint), "{error}");
    }
}

#[test]
fn help_wraps_at_the_width_of_the_terminal() {
    let env = TestEnv::bare();
    for width in [60, 80] {
        let output = env.command(&["on", "-h"]).env("COLUMNS", width.to_string()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!((width - 20..=width).contains(&widest), "{widest} of {width}:\n{text}");
    }
}

#[test]
fn help_and_wrong_usage_have_colour_when_it_is_asked_for() {
    let env = TestEnv::bare();
    assert!(!env.ok(&["on", "-h"]).contains('\x1b'));
    assert!(env.ok(&["on", "-h", "--color", "always"]).contains('\x1b'));
    assert!(env.ok(&["--color=always", "help", "on"]).contains('\x1b'));
    assert!(!env.ok(&["--color=never", "help", "on"]).contains('\x1b'));
    assert!(env.fails(2, &["--color", "always", "of"]).contains('\x1b'));
    assert!(!env.fails(2, &["of"]).contains('\x1b'));
}
