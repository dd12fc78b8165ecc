//! Completion in a real bash, zsh and fish.

use std::process::{Command, Stdio};

use crate::env::{TestEnv, has};

/// A site with names to complete.
fn with_names() -> TestEnv {
    let env = TestEnv::new();
    env.write("page.html", "x");
    env.ok(&["template", "add", "sorry", "page.html"]);
    env.ok(&["on", "deploy-41", "-m", "one"]);
    env.ok(&["on", "deploy-42", "-m", "two"]);
    env.ok(&["ignore", "add", "path", "/health"]);
    env.ok(&["bypass", "new"]);
    env
}

/// What was typed, and what must be offered.
const CASES: [(&str, &[&str]); 13] = [
    ("maint off --al", &["--all"]),
    ("maint run -- tru", &["true"]),
    ("maint run -- cat pag", &["page.html"]),
    ("maint o", &["on", "off"]),
    ("maint off d", &["deploy-41", "deploy-42"]),
    ("maint on d", &["deploy-41", "deploy-42"]),
    ("maint ignore remove ", &["r5", "/health"]),
    ("maint ignore add ", &["path", "ip", "method", "host", "user", "header"]),
    ("maint ignore add user s", &["staff", "superuser"]),
    ("maint bypass revoke ", &["b6"]),
    ("maint template show ", &["sorry"]),
    ("maint on --template ", &["sorry"]),
    ("maint help template a", &["add"]),
];

fn shell(env: &TestEnv, program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    env.seal(command.args(args).stderr(Stdio::piped()));
    let output = command.env("TERM", "dumb").output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What is offered before anything of a word is typed: no option.
const EMPTY: [&str; 3] = ["maint off ", "maint ignore remove ", "maint status "];

#[track_caller]
fn assert_offers(program: &str, typed: &str, offered: &str, wanted: &[&str]) {
    let words: Vec<&str> = offered.split_whitespace().collect();
    for word in wanted {
        assert!(words.contains(word), "{program}: `{typed}` does not offer {word}: {offered}");
    }
}

#[test]
fn bash_completes_names() {
    if !has("bash") {
        return;
    }
    let env = with_names();
    for (typed, wanted) in CASES {
        let script = format!(
            "source <(maint completions bash)
             COMP_LINE='{typed}'; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9
             read -ra COMP_WORDS <<<\"$COMP_LINE\"
             [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             $(complete -p maint | sed 's/.*-F \\([^ ]*\\).*/\\1/') maint \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        assert_offers("bash", typed, &shell(&env, "bash", &["-c", &script]), wanted);
    }
}

#[test]
fn fish_completes_names() {
    if !has("fish") {
        return;
    }
    let env = with_names();
    for (typed, wanted) in CASES {
        let script = format!("maint completions fish | source; complete --do-complete '{typed}'");
        assert_offers("fish", typed, &shell(&env, "fish", &["--no-config", "-c", &script]), wanted);
    }
}

#[test]
fn zsh_completes_names() {
    if !has("zsh") {
        return;
    }
    let env = with_names();
    // A zsh driven through a pseudo-terminal, as at a prompt.
    env.write(
        "drive.zsh",
        r#"zmodload zsh/zpty
zpty -b z zsh -f -i
zpty -w z 'PS1="READY> "; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -d ./zcompdump; source <(maint completions zsh); zstyle ":completion:*" list-colors; LISTMAX=0; stty columns 200; echo LOADED'
wait_for() { local all= part; repeat 400; do zpty -r z part && all+=$part; [[ $all == *$1* ]] && break; sleep 0.02; done; print -r -- "$all"; }
wait_for $'\nLOADED' >/dev/null
zpty -w -n z "$1"$'\t\t'
shift
# Until every word is on the screen, or it is clear that one will not come.
all=
repeat 1000; do
  zpty -r z part && all+=$part
  found=1; for word in "$@"; do [[ $all == *$word* ]] || found=0; done
  (( found )) && break
  sleep 0.02
done
print -r -- "$all"
zpty -d z
"#,
    );
    for (typed, wanted) in CASES {
        let arguments: Vec<&str> =
            ["-f", "drive.zsh", typed].iter().chain(wanted).copied().collect();
        let screen = shell(&env, "zsh", &arguments);
        let plain: String = strip_escapes(&screen);
        for word in wanted {
            assert!(plain.contains(word), "zsh: `{typed}` does not offer {word}: {plain:?}");
        }
    }
}

#[test]
fn options_are_offered_behind_a_dash_alone() {
    let env = with_names();
    for typed in EMPTY {
        for shell in ["bash", "zsh", "fish"] {
            let words: Vec<&str> = ["--"].into_iter().chain(typed.split(' ')).collect();
            let mut command = env.command(&words);
            if shell != "fish" {
                command.env("_CLAP_COMPLETE_INDEX", (words.len() - 2).to_string());
                command.env("_CLAP_IFS", "\n");
            }
            let output = command.env("MAINT_COMPLETE", shell).output().unwrap();
            let offered = String::from_utf8(output.stdout).unwrap();
            assert!(
                !offered.contains("--") && output.status.success(),
                "{shell} {typed}: {offered}"
            );
            assert_eq!(offered.is_empty(), typed == "maint status ", "{shell} {typed}: {offered}");
        }
    }
}

fn strip_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[test]
fn completion_is_silent_where_there_is_no_site() {
    let env = TestEnv::bare();
    env.write(".maint/state.json", "{");
    let mut command = env.command(&["--", "maint", "off", ""]);
    let output = command.env("MAINT_COMPLETE", "fish").output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
